//! How far a partition of a topic reaches, and which topic it is.

use serde::{Deserialize, Serialize};

use super::Offset;

/// A partition's log, as brokers describe it: two of them show whether it is still the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extent {
    /// The topic's id (KIP-516): a new topic with the same name has a new id. `None` if the brokers do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The oldest offset that is kept.
    pub start: Offset,
    /// The offset after the newest record that is in the log for good.
    pub end: Offset,
    /// The leader epoch in which the log reached that end (KIP-101): one more for each election.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader_epoch: Option<i32>,
}

impl Extent {
    /// True if id and leader epoch are equal, and the end did not move back. False does not prove another log: it may
    /// have another leader.
    pub fn is_plainly(&self, was: &Self) -> bool {
        self.topic == was.topic && self.leader_epoch == was.leader_epoch && self.end >= was.end
    }
}
