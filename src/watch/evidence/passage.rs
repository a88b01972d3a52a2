//! How many records left by which output: what lineage tells.

use serde::{Deserialize, Serialize};

use crate::record::{Offset, Partition};

/// Records of the input offsets `from..to` of one partition, by the output they left by. It comes before the counts of
/// these offsets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passage {
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
    /// As in [`super::Evidence`].
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub begins: bool,
    /// All of them; what is not named below left by the sanitized output.
    pub records: u64,
    pub quarantine: u64,
    pub dead_letter: u64,
}
