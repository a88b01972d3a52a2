//! The trait between delivery and the log: everything that a worker or a monitor asks of Kafka.
//!
//! Kafka (`shell/kafka`) and the simulator (`sim`) implement [`Session`]. Every failure between a record's arrival and
//! its commit is a call that returns an error. So the simulator can drive delivery code through every failure without
//! a broker.

mod kept;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

pub use self::kept::{Beginning, Kept, KeptIn, Start, numbered_key};
use super::Refusal;
use crate::record::{Extent, Offset, Partition, Position, Record, Timestamp, TopicPartition};
use crate::score::Survey;

/// A member of a consumer group. It reads one topic and writes outputs.
///
/// Under exactly-once all records sent since the last commit become visible together with the committed
/// offsets, or never. Under at-least-once each record becomes visible when it is sent; see
/// [`Session::barrier`].
pub trait Session {
    /// A record as it was fetched.
    type Fetched<'a>: Fetched
    where
        Self: 'a;

    /// The monotonic clock. All waiting is measured by it.
    fn now(&self) -> Instant;

    /// The wall clock. Only ticks carry it.
    fn wall(&self) -> Timestamp;

    /// The next record. Waits up to `timeout`; returns `None` earlier if partitions changed.
    ///
    /// # Errors
    /// If the consumer cannot go on. An error that librdkafka repairs by itself is only logged.
    fn poll(&self, timeout: Duration) -> Result<Option<Self::Fetched<'_>>, SessionError>;

    /// Whether [`Session::change`] would return a change.
    fn has_news(&self) -> bool;

    /// The oldest change of partitions that was not handled yet.
    fn change(&self) -> Option<Change>;

    /// True after the group took our partitions away without asking.
    fn lost(&self) -> bool;

    /// Starts to read these partitions at these offsets, whether they were paused before or not.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Stops reading these partitions and returns them to the group.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError>;

    /// Stops fetching these partitions. We keep them.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError>;

    /// Fetches paused partitions again from these offsets. Records that were fetched before are dropped.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Moves partitions that are not paused to these offsets.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Whether a record was sent since the last commit.
    fn is_open(&self) -> bool;

    /// Forwards an input record to the same partition number of an output. Key, timestamp and headers go with it as
    /// `forward` says.
    ///
    /// # Errors
    /// If the transaction cannot go on, or the client refuses the record before sending it.
    fn forward(
        &self,
        message: &Self::Fetched<'_>,
        forward: Forward<'_>,
    ) -> Result<(), SessionError>;

    /// Sends a record that we made: evidence, state, an alert.
    ///
    /// # Errors
    /// If the transaction cannot go on.
    fn send(&self, output: Output<'_>) -> Result<(), SessionError>;

    /// Under at-least-once: waits until every record sent is in the log. Under exactly-once the commit waits for
    /// that, and this call does nothing.
    ///
    /// # Errors
    /// If a record sent did not arrive. Call [`Session::recover`] next.
    fn barrier(&self) -> Result<(), SessionError>;

    /// Waits until the brokers accepted or refused each record sent, also inside a transaction. Records sent
    /// between two of these calls share no produce request with other records.
    ///
    /// # Errors
    /// If a record was not accepted. Call [`Session::recover`] next.
    fn arrive(&self) -> Result<(), SessionError>;

    /// Adds input offsets to the transaction: the next offset of each partition.
    ///
    /// # Errors
    /// If the group refuses them. Call [`Session::recover`] next.
    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Commits all records sent since the last commit, with the offsets.
    ///
    /// # Errors
    /// If the commit failed or its result is unknown. Call [`Session::recover`] next.
    fn commit(&self) -> Result<(), SessionError>;

    /// Marks the consumer as unusable. The next [`Session::recover`] makes a new one, which has no partition until
    /// the group assigns some.
    fn discard_consumer(&mut self);

    /// Aborts the open transaction and keeps the producer. Call it after [`SessionError::Refused`], when the records
    /// sent are certainly not committed. Under at-least-once the records sent have arrived; only our own list of
    /// them is cleared.
    ///
    /// # Errors
    /// If the brokers do not confirm the abort at once. Call [`Session::recover`] next.
    fn undo(&mut self) -> Result<(), SessionError>;

    /// Aborts the open transaction, whatever its state, by making a new producer. The caller then starts again at
    /// the last committed offsets.
    ///
    /// # Errors
    /// If the cluster does not answer. Try again later.
    fn recover(&mut self) -> Result<(), SessionError>;

    /// Where these partitions start again: the group's committed offset, our kept state, and the log's extent now.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError>;

    /// How far each of our partitions was read: the offset after the last record that [`Session::poll`] returned, and
    /// after transaction markers and aborted records, which no reader gets. A partition of which nothing was
    /// read since it was assigned or moved is left out.
    fn positions(&self) -> Vec<(Partition, Offset)>;

    /// Whether one of our partitions has no readable record from `next` on, as of its last fetch. False if we do not
    /// know.
    fn is_read_out(&self, partition: Partition, next: Offset) -> bool;

    /// Whether the last fetch of a partition reached the end that a `read_committed` reader may see.
    fn is_at_end(&self, partition: Partition) -> bool;

    /// Whether a sender's transaction was open in a partition at our last look. A `read_committed` reader gets no record
    /// from the first one of that transaction on.
    fn has_open(&self, partition: Partition) -> bool;

    /// Whether the log of some partition no longer had the offset to be read next. Reading of it has stopped. Each
    /// case is reported once.
    fn is_interrupted(&self) -> bool;

    /// The extents of the partitions that we read and write, as of the last time the brokers were asked. Each answer is
    /// returned once.
    fn looked(&self) -> Option<BTreeMap<TopicPartition, Extent>>;

    /// The id of a topic now, which is another one once the topic is made anew. `None` if the brokers do not tell it at once, and
    /// under at-least-once, where records that left cannot be taken back.
    fn topic_id(&self, topic: &str) -> Option<String>;

    /// Compares these partitions of a topic now with the extent known of each.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn survey(
        &self,
        topic: &str,
        known: &[(Partition, Option<Extent>)],
    ) -> Result<Vec<(Partition, Survey)>, SessionError>;

    /// Gives every committed record of the one partition of a topic of ours to `each`, by key and value, the oldest first, up
    /// to its end now. A record without a value is left out. What a transaction may still change is waited for.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn replay(&self, topic: &str, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), SessionError>;

    /// How many partitions `topic` has now.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn partitions_of(&self, topic: &str) -> Result<i32, SessionError>;

    /// The input offset of the last record that an output partition has below `at`, by our trace header.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn source_before(
        &self,
        place: &TopicPartition,
        at: Offset,
    ) -> Result<Option<Offset>, SessionError>;
}

/// A fetched record. Its bytes stay in the memory of the log's client.
pub trait Fetched {
    fn record(&self) -> Record<'_>;

    /// The leader epoch in which it was appended; `None` if the broker does not tell.
    fn leader_epoch(&self) -> Option<i32>;
}

/// How an input record is forwarded.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    pub topic: &'a str,
    pub value: Option<&'a [u8]>,
    pub key: ForwardKey<'a>,
    /// Whether the record keeps its timestamp; else it gets the time of sending.
    pub keep_timestamp: bool,
    /// Which of the record's own headers it keeps, by name; `None`: none of them.
    pub keep: Option<Keep<'a>>,
    /// Our headers, after the record's own.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The key that a record leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardKey<'a> {
    /// The record's own key, or none if it has none.
    Own,
    Other(&'a [u8]),
    Absent,
}

impl<'a> ForwardKey<'a> {
    /// The key, given the record's own.
    pub fn of(self, own: Option<&'a [u8]>) -> Option<&'a [u8]> {
        match self {
            Self::Own => own,
            Self::Other(key) => Some(key),
            Self::Absent => None,
        }
    }
}

/// A test on a header's name: keep this header?
#[derive(Clone, Copy)]
pub struct Keep<'a>(pub &'a dyn Fn(&[u8]) -> bool);

impl fmt::Debug for Keep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

/// A record that we made. It gets the producer's time.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    pub topic: &'a str,
    /// `None`: the client chooses by the key.
    pub partition: Option<Partition>,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// A change of our partitions. The caller handles it, then confirms it to the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Restore them, then [`Session::assign`].
    Assigned(Vec<Partition>),
    /// Commit what is done, then [`Session::unassign`].
    Revoked(Vec<Partition>),
    /// Another member has them already: drop them, commit nothing, then [`Session::unassign`].
    Lost(Vec<Partition>),
}

/// Why a call to the log failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Another process has our transactional id. Stop, and write nothing.
    #[error("another process took over transactional id {id:?}: {reason}")]
    Fenced { id: String, reason: String },
    /// The transaction failed or its result is unknown. A new producer aborts it.
    #[error("{step} failed: {reason}")]
    Transaction { step: &'static str, reason: String },
    /// Topics refused records; the transaction is aborted. Under at-least-once all other records have arrived, except
    /// those that were `beside` a refused one in its request.
    #[error("{} records are not taken by their topic", refusals.len())]
    Refused { refusals: Vec<Refusal>, beside: Vec<Position> },
    /// The cluster did not answer a request. It may be repeated.
    #[error("kafka: {what}: {reason}")]
    Exchange { what: &'static str, reason: String },
    /// The consumer is unusable.
    #[error("kafka: the consumer ended: {reason}")]
    Consumer { reason: String },
}

impl SessionError {
    /// Whether asking again with the same clients cannot help.
    pub fn is_of_client(&self) -> bool {
        matches!(self, Self::Fenced { .. } | Self::Consumer { .. })
    }
}
