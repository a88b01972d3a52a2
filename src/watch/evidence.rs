//! What a lane knows about one window of its partition, and how it travels.
//!
//! Counts add up: in any order, over any split into lanes, after any restart, the sum for a
//! window is the same. A message carries the counts of the offsets `from..to` *so far* and
//! replaces earlier messages with the same `from`, so telling the judge twice changes nothing.

use serde::{Deserialize, Serialize};

use crate::record::{Offset, Partition, Timestamp};

/// Start of a window, by the records' own timestamps.
pub type WindowStart = Timestamp;

/// Integer counts of some records: a commutative monoid under [`Counts::add`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Records with a row that was scored.
    pub rows: u64,
    pub flagged: u64,
    pub corrected: u64,
    pub quarantined: u64,
    pub faults: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.flagged += other.flagged;
        self.corrected += other.corrected;
        self.quarantined += other.quarantined;
        self.faults += other.faults;
    }

    /// What `self` has beyond `earlier`, counts of the same range when it was shorter.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            rows: self.rows.saturating_sub(earlier.rows),
            flagged: self.flagged.saturating_sub(earlier.flagged),
            corrected: self.corrected.saturating_sub(earlier.corrected),
            quarantined: self.quarantined.saturating_sub(earlier.quarantined),
            faults: self.faults.saturating_sub(earlier.faults),
        }
    }
}

/// The counts of one window of one partition over the input offsets `from..to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Which knowledge judged these records; counts of different epochs are never merged.
    pub epoch: String,
    pub partition: Partition,
    pub window: WindowStart,
    pub from: Offset,
    pub to: Offset,
    pub counts: Counts,
    /// The first flagged offset, for a person who wants to look.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_flagged: Option<Offset>,
}

/// The shell's clock, written into the evidence topic: the only way time reaches the judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    pub at: Timestamp,
}

/// What a worker says about a partition it has: that it took it over, or that there is nothing to
/// read from it. Without this the judge could not tell a partition that is behind from an empty one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    pub partition: Partition,
    /// Nothing is waiting to be read.
    pub quiet: bool,
}

/// A value of the evidence topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Message {
    Evidence(Evidence),
    Presence(Presence),
    Tick(Tick),
}

impl Message {
    /// JSON, one line.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data")
    }

    /// # Errors
    /// If `bytes` are not a message of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}
