//! The one message on-call gets per incident: who, what, how many, what was already done.

use serde::{Deserialize, Serialize};

use super::incident::ExposedSet;
use super::next_steps::next_steps;
use super::words::{self, utc};
use super::{About, Cause, Finding, Incident, Samples, Status};
use crate::record::{Manner, Oddity, Offset, Partition, shown};
use crate::watch::{Counts, Exemplar};

/// A value of the alerts topic; its key is `dedup_key`. The topic is compacted, so what is left
/// per key is the incident's present state. Holds no payload, no key and no header of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Format version, 3; `docs/alert.schema.json` is its JSON Schema.
    pub version: u32,
    /// One key for everything said about one incident.
    pub dedup_key: String,
    pub status: Status,
    /// `attack`, `quality`, `drift`, `no-data` ….
    pub kind: String,
    /// `critical` or `warning`.
    pub severity: String,
    pub stream: String,
    /// First sentence first: it is what a pager shows.
    pub summary: String,
    /// When the change probably began.
    pub since: String,
    /// End of the last window that went into this message.
    pub until: String,
    /// Counts from `since` to `until`.
    pub counts: Counts,
    pub budget: Budget,
    /// What each watch that fired found, the first one first.
    pub evidence: Vec<Finding>,
    /// What came with it and pages nobody of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inhibited: Vec<Finding>,
    /// Why records were flagged, the commonest reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<WhyFlagged>,
    /// Sets of features by which rows point to people: of a privacy incident.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<ExposedSet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// Flagged records that stand for the others: look at these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub typical: Vec<TypicalRecord>,
    /// MITRE ATLAS techniques this looks like.
    pub atlas: Vec<String>,
    pub next_steps: Vec<String>,
    /// Which bundle and budget judged these records.
    pub baseline: String,
    /// SHA-256 of the bundle.
    pub bundle: String,
}

/// What is most odd about flagged records. No value of a record is in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyFlagged {
    /// A feature of the schema.
    pub feature: String,
    pub manner: Manner,
    /// Of how many flagged records this is the first reason.
    pub records: u32,
    /// Feature and manner in words: `Make: never seen`.
    pub words: String,
}

/// A flagged record, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TypicalRecord {
    pub topic: String,
    pub partition: Partition,
    pub offset: Offset,
    pub p: f64,
    /// What is most odd about it, in words.
    pub reason: String,
}

/// Reasons and flagged records that an alert has.
const NAMED: usize = 3;

/// What was promised and what was seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// Share of clean records that may be flagged.
    pub allowed_share: f64,
    pub seen_share: f64,
    /// The alarm's own promise: at most this many false pages are expected per week, over all watches
    /// of the stream. NoData is a plain rule, outside of it.
    pub false_pages_per_week: f64,
}

impl Alert {
    /// The message for `incident` in `status`.
    pub fn new(about: &About, incident: &Incident, status: Status, note: Option<&str>) -> Self {
        let counts = incident.counts;
        let share = counts.flagged as f64 / counts.rows.max(1) as f64;
        let samples = incident.first.map(|(partition, offset)| Samples {
            topic: about.input.clone(),
            partition,
            offset,
        });
        let findings = |inhibited| -> Vec<Finding> {
            let those = incident.members.iter().filter(|member| member.inhibited == inhibited);
            those.map(|member| member.finding.clone()).collect()
        };
        let attack = incident.cause == Cause::Attack;
        let typical = if attack { incident.typical(NAMED) } else { vec![] };
        Self {
            version: 3,
            dedup_key: incident.dedup_key.clone(),
            status,
            kind: incident.cause.name().into(),
            severity: severity(about, incident).into(),
            stream: about.stream.clone(),
            summary: words::summary(about, incident, status, share, note),
            since: utc(incident.since),
            until: utc(incident.until),
            counts,
            budget: Budget {
                allowed_share: about.budget.get(),
                seen_share: share,
                false_pages_per_week: WEEK_MS / about.false_page_ms as f64,
            },
            evidence: findings(false),
            inhibited: findings(true),
            reasons: if attack { reasons(about, incident) } else { vec![] },
            exposed: incident.exposed.clone(),
            next_steps: next_steps(about, incident, &typical),
            samples,
            typical: typical.iter().map(|one| typical_record(about, one)).collect(),
            atlas: atlas(incident),
            baseline: about.baseline.clone(),
            bundle: about.bundle.clone(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }
}

/// Critical, if it is or was so: an alert that pages does not become one that does not.
fn severity(about: &About, incident: &Incident) -> &'static str {
    match incident.severe || incident.is_critical(about.policy) {
        true => "critical",
        false => "warning",
    }
}

/// Techniques of MITRE ATLAS that the incident looks like: of clients, what their marks are signs of; of tampering, Manipulate
/// AI Model, Erode AI Model Integrity, AI Supply Chain Compromise.
fn atlas(incident: &Incident) -> Vec<String> {
    let own = || incident.members.iter().filter(|member| !member.inhibited);
    let named: &[&str] = match incident.cause {
        Cause::Attack if !incident.is_of_clients() => &["AML.T0015", "AML.T0043"],
        Cause::Tampering => &["AML.T0018", "AML.T0031", "AML.T0010"],
        _ => &[],
    };
    let clients = own().filter_map(|member| member.finding.client.as_ref());
    let mut all: Vec<String> = named.iter().map(|&id| id.to_owned()).collect();
    for id in clients.flat_map(|client| &client.atlas) {
        if !all.contains(id) {
            all.push(id.clone());
        }
    }
    all
}

fn reasons(about: &About, incident: &Incident) -> Vec<WhyFlagged> {
    let named = |(oddity, records): (Oddity, u32)| WhyFlagged {
        feature: oddity.feature_in(&about.schema).map(|f| shown(f.name())).unwrap_or_default(),
        manner: oddity.manner,
        records,
        words: oddity.words(&about.schema),
    };
    incident.reasons(NAMED).into_iter().map(named).collect()
}

fn typical_record(about: &About, one: &Exemplar) -> TypicalRecord {
    let &Exemplar { p, partition, offset, oddity } = one;
    TypicalRecord {
        topic: about.input.clone(),
        partition,
        offset,
        p: f64::from(p) / 1e9,
        reason: oddity.words(&about.schema),
    }
}

const WEEK_MS: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;
