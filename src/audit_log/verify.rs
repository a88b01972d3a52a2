//! Holds a whole log against its own digests and checkpoints.

use super::checkpoint::{AuditVerifier, Checkpoint};
use super::{CHECKPOINT_EVERY, CHECKPOINT_KEY, Chain, ENTRY_KEY};

/// A record of the log.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    pub offset: i64,
    pub key: &'a [u8],
    pub value: &'a [u8],
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFinding {
    /// Of the record where it shows; none if something is missing at the end.
    pub offset: Option<i64>,
    pub what: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// Where the log ends.
    pub chain: Chain,
    /// Signed checkpoints that hold.
    pub checkpoints: u64,
    /// Entries above the last one that holds: nothing signed protects these.
    pub above: u64,
    /// The first [`FINDINGS_MAX`] of them.
    pub findings: Vec<AuditFinding>,
    pub found: u64,
}

/// So many findings are kept; all are counted.
pub const FINDINGS_MAX: usize = 100;

/// Checks the records of a log in their order. Without a `verifier` no signature is checked. `kept`: a checkpoint that somebody
/// kept elsewhere; the log must hold at least what it says.
pub fn verify<'a>(
    records: impl IntoIterator<Item = Stored<'a>>,
    origin: &str,
    verifier: Option<&AuditVerifier>,
    kept: Option<&Checkpoint>,
) -> AuditReport {
    walk(Chain::default(), records, origin, verifier, kept)
}

/// As [`verify`], of the part of a log that follows `from`.
pub(super) fn walk<'a>(
    from: Chain,
    records: impl IntoIterator<Item = Stored<'a>>,
    origin: &str,
    verifier: Option<&AuditVerifier>,
    kept: Option<&Checkpoint>,
) -> AuditReport {
    let report = AuditReport { chain: from, ..AuditReport::default() };
    // A checkpoint may be the first record.
    let (signs, passed) = (verifier.is_some(), from.entries.saturating_sub(1));
    let mut log = AuditWalk { report, signs, signed: 0, passed, kept, met: false };
    for record in records {
        match record.key {
            ENTRY_KEY => log.entry(record),
            CHECKPOINT_KEY => log.checkpoint(record, origin, verifier),
            _ => log
                .find(Some(record.offset), "a record that is neither entry nor checkpoint".into()),
        }
    }
    log.end()
}

struct AuditWalk<'a> {
    report: AuditReport,
    /// Whether checkpoints are checked.
    signs: bool,
    /// Entries below the last checkpoint that holds.
    signed: u64,
    /// And below the last one, whatever it is.
    passed: u64,
    kept: Option<&'a Checkpoint>,
    met: bool,
}

impl AuditWalk<'_> {
    fn entry(&mut self, record: Stored<'_>) {
        let before = self.report.chain.entries;
        if self.is_due() {
            let what = format!("no checkpoint stands behind entry {}", before - 1);
            self.find(Some(record.offset), what);
            self.passed = before;
        }
        if let Err(found) = self.report.chain.follow(record.value) {
            self.find(Some(record.offset), found.to_string());
        }
        if let Some(kept) = self.kept
            && self.report.chain.entries == kept.chain.entries
        {
            self.met = true;
            if self.report.chain != kept.chain {
                let what = "the log is another than the checkpoint that was kept says";
                self.find(Some(record.offset), what.to_owned());
            }
        }
    }

    fn checkpoint(&mut self, record: Stored<'_>, origin: &str, verifier: Option<&AuditVerifier>) {
        let chain = self.report.chain;
        self.passed = chain.entries;
        match verifier.map(|verifier| verifier.read(record.value, origin)) {
            None => {}
            Some(Err(error)) => self.find(Some(record.offset), error.to_string()),
            Some(Ok(checkpoint)) if checkpoint.chain != chain => {
                let what = format!(
                    "the checkpoint is of {} entries and another last one; here are {}",
                    checkpoint.chain.entries, chain.entries
                );
                self.find(Some(record.offset), what);
            }
            Some(Ok(_)) => {
                self.report.checkpoints += 1;
                self.signed = chain.entries;
            }
        }
    }

    /// Whether a checkpoint must stand here.
    fn is_due(&self) -> bool {
        let entries = self.report.chain.entries;
        self.signs && entries > self.passed && entries.is_multiple_of(CHECKPOINT_EVERY)
    }

    fn end(mut self) -> AuditReport {
        if self.is_due() {
            let entries = self.report.chain.entries;
            self.find(None, format!("no checkpoint stands behind entry {}", entries - 1));
        }
        if let Some(kept) = self.kept
            && !self.met
            && kept.chain.entries > 0
        {
            let (entries, kept) = (self.report.chain.entries, kept.chain.entries);
            self.find(
                None,
                format!("{entries} entries are here, the checkpoint that was kept is of {kept}"),
            );
        }
        self.report.above = self.report.chain.entries.saturating_sub(self.signed);
        self.report
    }

    fn find(&mut self, offset: Option<i64>, what: String) {
        self.report.found += 1;
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(AuditFinding { offset, what });
        }
    }
}
