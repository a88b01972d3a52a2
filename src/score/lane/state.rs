//! What a lane writes to the state topic, and how it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Clock, LaneError};
use crate::record::{Extent, Offset, Partition};

/// What is written to the state topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Format version, [`VERSION`].
    pub(super) version: u32,
    pub(super) baseline: String,
    pub(super) partition: Partition,
    /// The next input offset. All records below it are in the outputs and in the evidence.
    pub(super) next: Offset,
    /// The partition's time at that offset.
    pub(super) clock: Clock,
    /// The log that was read, as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<Extent>,
    /// Where the output partitions with the same number ended then, by topic.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) outputs: BTreeMap<String, Extent>,
}

/// Format version that this build writes and reads.
pub(super) const VERSION: u32 = 5;

impl State {
    pub(super) fn new(baseline: &str, partition: Partition, next: Offset, clock: Clock) -> Self {
        let (version, baseline) = (VERSION, baseline.to_owned());
        Self { version, baseline, partition, next, clock, log: None, outputs: BTreeMap::new() }
    }

    /// What a lane wrote.
    ///
    /// # Errors
    /// If the bytes cannot be read, or another build wrote them.
    pub fn read(bytes: &[u8], partition: Partition) -> Result<Self, LaneError> {
        let unreadable =
            |e: serde_json::Error| LaneError::Unreadable { partition, reason: e.to_string() };
        #[derive(Deserialize)]
        struct VersionOnly {
            version: u32,
        }
        let VersionOnly { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        // Whoever raises VERSION after a release keeps today's struct under a name of its own and adds a line.
        match version {
            VERSION => serde_json::from_slice(bytes).map_err(unreadable),
            got => Err(LaneError::Version { partition, got }),
        }
    }

    pub fn baseline(&self) -> &str {
        &self.baseline
    }

    /// The next input offset: it covers those below.
    pub fn next(&self) -> Offset {
        self.next
    }

    pub fn log(&self) -> Option<&Extent> {
        self.log.as_ref()
    }

    /// The log that state in `bytes` belongs to, if both are known.
    pub fn log_of(bytes: &[u8]) -> Option<Extent> {
        Self::read(bytes, Partition(0)).ok()?.log
    }
}
