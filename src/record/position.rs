//! Where and when a record is, as types: two bare integers will be swapped one day.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(pub i32);

/// An offset within a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// The offset after this one: what a consumer commits once this record is done.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A partition of a named topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: Partition,
}

impl TopicPartition {
    pub fn new(topic: &(impl AsRef<str> + ?Sized), partition: Partition) -> Self {
        Self { topic: topic.as_ref().to_owned(), partition }
    }
}

/// Where a record stands in a topic that the context names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub partition: Partition,
    pub offset: Offset,
}

/// Milliseconds since 1970-01-01 UTC, as Kafka counts them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A record's timestamp, and who set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub at: Timestamp,
    /// The broker set it when it appended the record (`LogAppendTime`), so no sender can choose it. Else the
    /// sender did (`CreateTime`), and may have written any number.
    pub by_broker: bool,
}

impl Stamp {
    pub fn of_sender(at: Timestamp) -> Self {
        Self { at, by_broker: false }
    }

    pub fn of_broker(at: Timestamp) -> Self {
        Self { at, by_broker: true }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "partition {} of {}", self.partition, self.topic)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
