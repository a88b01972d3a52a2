//! The one message on-call gets per incident: who, what, how many, what was already done.

use serde::{Deserialize, Serialize};

use super::words::{self, utc};
use super::{About, Cause, Finding, Incident, Samples, Status};
use crate::watch::Counts;

/// A value of the alerts topic; its key is `dedup_key`. The topic is compacted, so what is left
/// per key is the incident's present state. Holds no payload, no key and no header of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Format version, 2; `docs/alert.schema.json` is its JSON Schema.
    pub version: u32,
    /// The same for everything said about one incident.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<Samples>,
    /// MITRE ATLAS techniques this looks like.
    pub atlas: Vec<String>,
    pub next_steps: Vec<String>,
    /// Which bundle and budget judged these records.
    pub baseline: String,
    /// SHA-256 of the bundle.
    pub bundle: String,
}

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
        Self {
            version: 3,
            dedup_key: incident.dedup_key.clone(),
            status,
            kind: incident.cause.name().into(),
            severity: incident.cause.severity().into(),
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
            next_steps: words::next_steps(about, incident.cause, samples.as_ref()),
            samples,
            atlas: match attack {
                true => vec!["AML.T0015".into(), "AML.T0043".into()],
                false => vec![],
            },
            baseline: about.baseline.clone(),
            bundle: about.bundle.clone(),
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }
}

const WEEK_MS: f64 = 7.0 * 24.0 * 3600.0 * 1000.0;
