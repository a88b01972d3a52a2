//! An incident: what is wrong with a stream, since when, and which watches say so.

use serde::{Deserialize, Serialize};

use super::{Cause, Finding};
use crate::decide::Policy;
use crate::record::{Offset, Partition, Probability, Timestamp};
use crate::watch::Counts;

/// What is known of one incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    pub cause: Cause,
    pub dedup_key: String,
    pub since: Timestamp,
    pub until: Timestamp,
    pub counts: Counts,
    pub first: Option<(Partition, Offset)>,
    /// In the order in which they fired.
    pub members: Vec<Member>,
}

/// A watch that fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its place among the stream's watches.
    pub watch: usize,
    pub cause: Cause,
    pub since: Timestamp,
    pub finding: Finding,
    /// It pages nobody of its own: what it saw comes with the incident's cause.
    pub inhibited: bool,
    /// What it saw is still there.
    pub firing: bool,
}

impl Member {
    /// Which watch it is: of which partition, if those are judged one by one, and its number.
    pub fn place(&self) -> (Option<Partition>, usize) {
        (self.finding.partition, self.watch)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Status {
    /// The first word about an incident: a page.
    Firing,
    /// More is known of it, or it came back within `keep_firing_for`: no page.
    Updated,
    Resolved,
}

impl Status {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Where to look: the input's position of the first flagged record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub topic: String,
    pub partition: Partition,
    pub offset: Offset,
}

/// What is said of every incident of a stream: frozen for a baseline.
#[derive(Clone, Debug)]
pub struct About {
    pub stream: String,
    pub input: String,
    pub quarantine: String,
    pub dead_letter: String,
    pub baseline: String,
    pub bundle: String,
    pub policy: Policy,
    pub budget: Probability,
    pub false_page_ms: u64,
}
