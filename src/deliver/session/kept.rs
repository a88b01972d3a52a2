//! What is kept of a partition, where it is kept, and where the partition starts again.

use crate::record::{Extent, Offset, Partition};
use crate::score::Survey;

/// What to read of a partition's kept state: the last committed value of each of `keys` in `topic`. The first key is
/// searched in the whole partition. Old values of the other keys may be missed.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    pub topic: &'a str,
    pub keys: &'a [&'a [u8]],
    pub place: KeptIn,
    /// Reads, from the first value, the extent of the log that the state belongs to.
    pub extent: fn(&[u8]) -> Option<Extent>,
}

/// Where `topic` has the state of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptIn {
    /// In the partition of the same number.
    SamePartition,
    /// In the first one, of a topic that may have fewer partitions; each key ends with the number: `answers/7`.
    FirstPartition,
}

impl<'a> Kept<'a> {
    /// What the partition of the same number of `topic` has.
    pub fn in_same(
        topic: &'a str,
        keys: &'a [&'a [u8]],
        extent: fn(&[u8]) -> Option<Extent>,
    ) -> Self {
        Self { topic, keys, place: KeptIn::SamePartition, extent }
    }

    /// What the first partition of `topic` has, under numbered keys.
    pub fn in_first(
        topic: &'a str,
        keys: &'a [&'a [u8]],
        extent: fn(&[u8]) -> Option<Extent>,
    ) -> Self {
        Self { topic, keys, place: KeptIn::FirstPartition, extent }
    }

    /// The partition that has the state of `partition`, and its keys there.
    pub fn place_of(&self, partition: Partition) -> (Partition, Vec<Vec<u8>>) {
        let keys = self.keys.iter();
        match self.place {
            KeptIn::SamePartition => (partition, keys.map(|key| key.to_vec()).collect()),
            KeptIn::FirstPartition => {
                (Partition(0), keys.map(|key| numbered_key(key, partition)).collect())
            }
        }
    }
}

/// The key of the state of `partition`, where that of all partitions is in one.
pub fn numbered_key(key: &[u8], partition: Partition) -> Vec<u8> {
    [key, b"/", partition.to_string().as_bytes()].concat()
}

/// What is known of a partition when it starts again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    pub partition: Partition,
    /// The group's committed offset; `None` if it never committed.
    pub committed: Option<Offset>,
    /// The log now, compared with what the first kept value says of it.
    pub log: Survey,
    /// The last committed value of each requested key.
    pub kept: Vec<Option<Vec<u8>>>,
}

/// Where a role that keeps state of a partition goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// No state exists, and none is missing.
    Fresh(Offset),
    /// At the end of the state. It must cover the group's committed offset, if there is one to compare.
    Covering { state: &'a [u8], committed: Option<Offset> },
    /// At the end of the state, but the group has no offset: the topic was made anew, or the offset was deleted.
    WithoutOffset { state: &'a [u8] },
    /// Nowhere: the group committed an offset, but no state exists.
    Lost { committed: Offset },
}

impl Beginning {
    /// Where to go on, from the first kept value and the group's committed offset.
    ///
    /// Under exactly-once one transaction holds outputs, state and the group's offset, so committed state is as
    /// good as the group's offset.
    ///
    /// | the group's offset | what it means | what we do |
    /// | --- | --- | --- |
    /// | older than the state | the group's coordinator lost commits, or an operator moved it | go on at the state: reading from the offset would double records |
    /// | newer than the state | state was lost | stop |
    /// | missing, with state | the topic may be another one | stop |
    ///
    /// Under at-least-once offsets are written last and may lag behind the state: `offsets_lag`.
    pub fn start(&self, offsets_lag: bool) -> Start<'_> {
        let state = self.kept.first().and_then(Option::as_deref);
        match (state, self.committed) {
            (None, None) => Start::Fresh(self.log.extent.start),
            (None, Some(committed)) if offsets_lag => Start::Fresh(committed),
            (None, Some(committed)) => Start::Lost { committed },
            (Some(state), _) if offsets_lag => Start::Covering { state, committed: None },
            (Some(state), None) => Start::WithoutOffset { state },
            (Some(state), committed) => Start::Covering { state, committed },
        }
    }
}
