//! The corrected version of a record, in the record's own format.

use std::ops::Range;

use super::columns::Scored;
use super::outcome::{Outcome, Span};
use super::read::read;
use super::verdict::worst;
use super::{Guard, GuardFailure};
use crate::codec::ContentHeaders;
use crate::decide::OnGuardFailure;
use crate::model::{ModelError, Networks};
use crate::open::wipe;
use crate::record::{Action, Record};

/// Corrected records of one batch; buffers are reused.
#[derive(Debug, Default)]
pub struct Corrections {
    /// Their bytes, one after the other.
    bytes: Vec<u8>,
    /// Their rows as their reader will decode them, `[corrections · d]`, and what those score.
    rows: Vec<f32>,
    scored: Scored,
}

impl Corrections {
    /// Overwrites what it held, if that was sealed.
    pub fn clear(&mut self, sealed: bool) {
        match sealed {
            true => wipe(&mut self.bytes),
            false => self.bytes.clear(),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Keeps other bytes that leave instead of a record's own, and says where they are.
    pub fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Makes the corrected version of every record that shall have one, and scores it as its reader will see it. One
    /// that would itself be flagged is held back instead. Of several rows only those change that would be flagged.
    ///
    /// `x` are the rows of `records` and `scored` is what they score; outcomes and spans are those of `records`.
    ///
    /// # Errors
    /// If the networks do not answer in time, and nothing may pass unscored.
    pub fn make(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        records: &[Record<'_>],
        (x, scored): (&[f32], &Scored),
        outcomes: &mut [Outcome],
        spans: &[Span],
    ) -> Result<(), GuardFailure> {
        self.rows.clear();
        let mut sanitized = vec![];
        let mut candidates = vec![];
        for (i, (record, span)) in records.iter().zip(spans).enumerate() {
            let outcome = &mut outcomes[i];
            let wanted = matches!(outcome.judged, Ok(v) if v.action == Action::Correct);
            if outcome.unscored || !wanted {
                continue;
            }
            sanitize(guard, (x, scored), span.rows.clone(), &mut sanitized);
            let width = guard.schema.width();
            let own = &x[span.rows.start * width..span.rows.end * width];
            let differ = own.iter().zip(&sanitized).filter(|(own, new)| own != new);
            outcome.changed = differ.count() as u32;
            if let Some((bytes, rows)) = self.encode(guard, record, &sanitized, span.rows.len()) {
                outcome.corrected = Some(bytes);
                candidates.push((i, rows));
            }
        }
        let failed = self.scored.run(guard, networks, &self.rows).err();
        let (together, late) = (failed.is_none(), matches!(failed, Some(ModelError::Late { .. })));
        if let Some(error) = failed.filter(|_| late)
            && guard.policy.on_guard_failure == OnGuardFailure::Closed
        {
            return Err(GuardFailure::of_all(records[0].at, error));
        }
        for (i, rows) in candidates {
            if late || !self.passes(guard, networks, rows, together) {
                outcomes[i].corrected = None;
            }
        }
        for outcome in outcomes {
            if let Ok(verdict) = &mut outcome.judged
                && verdict.action == Action::Correct
                && outcome.corrected.is_none()
            {
                verdict.action = Action::Quarantine;
            }
        }
        Ok(())
    }

    /// Writes `record` with the rows `sanitized` in its own format. Gives where its bytes and its rows are, if its reader
    /// finds `n` rows in it.
    fn encode(
        &mut self,
        guard: &Guard,
        record: &Record<'_>,
        sanitized: &[f32],
        n: usize,
    ) -> Option<(Range<usize>, Range<usize>)> {
        let original = record.value.expect("it was read");
        let content = ContentHeaders::of(record.headers);
        let codec = guard.codecs.pick(&content, original).expect("it was read with one");
        let start = self.bytes.len();
        codec.encode(original, &content, sanitized, &mut self.bytes);
        let value = Some(&self.bytes[start..]);
        let before = self.rows.len() / guard.schema.width();
        let again = read(guard, &Record { value, ..*record }, &mut self.rows);
        let whole = again.is_ok_and(|again| again.rows == n);
        whole.then(|| (start..self.bytes.len(), before..before + n))
    }

    /// Whether the corrected record whose rows are `rows` is not flagged, and has no label that corrected
    /// attacks have wrongly more often than rightly. Where they could not all be scored `together`,
    /// it is scored alone.
    fn passes(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        mut rows: Range<usize>,
        together: bool,
    ) -> bool {
        let (n, width) = (rows.len(), guard.schema.width());
        if !together {
            let own = &self.rows[rows.start * width..rows.end * width];
            // The record itself was scored before: the networks are well, and what they cannot
            // monitor is not delivered.
            if self.scored.run(guard, networks, own).is_err() {
                return false;
            }
            rows = 0..n;
        }
        let columns = self.scored.rows(&self.rows);
        let is_doubtful = |row| guard.distrusted.contains(&(columns.label(row) as u32));
        if !guard.distrusted.is_empty() && rows.clone().any(is_doubtful) {
            return false;
        }
        let (_, merged) = worst(&self.scored, rows);
        !guard.decider.flags(guard.decider.p(merged, n))
    }
}

/// The rows `rows` of `x` as they are delivered: those that are flagged corrected, the others as they are.
fn sanitize(
    guard: &Guard,
    (x, scored): (&[f32], &Scored),
    rows: Range<usize>,
    sanitized: &mut Vec<f32>,
) {
    sanitized.clear();
    let (n, width) = (rows.len(), guard.schema.width());
    for row in rows {
        match guard.decider.flags(guard.decider.p(scored.merged(row), n)) {
            true => scored.sanitized(guard, x, row, sanitized),
            false => sanitized.extend_from_slice(&x[row * width..][..width]),
        }
    }
}
