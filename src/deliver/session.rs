//! What a worker and a monitor ask of the log they stand on.
//!
//! Two things implement it: Kafka (`shell/kafka`) and the simulated log (`sim`). Everything that
//! can go wrong between a record's arrival and its commit is visible here as a call that fails, so
//! whoever drives a [`Session`] can be driven through every failure without a broker.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::Refusal;
use crate::record::{Extent, Offset, Partition, Position, Record, Timestamp, TopicPartition};
use crate::score::Survey;

/// A member of a group that reads one topic, and writes what follows from it.
///
/// Under exactly-once everything sent since the last commit becomes visible together with the
/// offsets, or never. Under at-least-once it becomes visible as it is sent; see
/// [`Session::barrier`].
pub trait Session {
    /// A record as it was fetched.
    type Fetched<'a>: Fetched
    where
        Self: 'a;

    /// The clock that waiting is measured by.
    fn now(&self) -> Instant;

    /// The clock on the wall; only ticks carry it.
    fn wall(&self) -> Timestamp;

    /// The next record, waiting up to `timeout`; `None` also when there is news.
    ///
    /// # Errors
    /// If the consumer cannot go on. What heals by itself is logged.
    fn poll(&self, timeout: Duration) -> Result<Option<Self::Fetched<'_>>, SessionError>;

    /// Whether [`Session::change`] has something to say.
    fn has_news(&self) -> bool;

    /// The oldest change not yet acted upon.
    fn change(&self) -> Option<Change>;

    /// True once the group took our partitions from us.
    fn lost(&self) -> bool;

    /// Takes partitions over, reading from these offsets, paused before or not.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Gives partitions back.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError>;

    /// Stops fetching these.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError>;

    /// Fetches these again, from these offsets: what was fetched before is forgotten.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Reads partitions that are not paused again, from these offsets.
    ///
    /// # Errors
    /// If the consumer refuses.
    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Whether anything was sent since the last commit.
    fn is_open(&self) -> bool;

    /// Sends a record on: its partition and, unless told otherwise, key, timestamp and headers.
    ///
    /// # Errors
    /// If the transaction cannot go on, or the record is refused without being sent.
    fn forward(
        &self,
        message: &Self::Fetched<'_>,
        forward: Forward<'_>,
    ) -> Result<(), SessionError>;

    /// Sends a record of our own.
    ///
    /// # Errors
    /// If the transaction cannot go on.
    fn send(&self, output: Output<'_>) -> Result<(), SessionError>;

    /// Under at-least-once: waits until everything sent is in the log. Under exactly-once the
    /// commit sees to that, and this does nothing.
    ///
    /// # Errors
    /// If something sent did not arrive: [`Session::recover`] next.
    fn barrier(&self) -> Result<(), SessionError>;

    /// Waits until each record sent is taken or refused by its topic, within a transaction too: what
    /// is sent between two of these calls is in no request with anything else.
    ///
    /// # Errors
    /// If something sent was not taken: [`Session::recover`] next.
    fn arrive(&self) -> Result<(), SessionError>;

    /// Adds the offsets to be committed: where each partition goes on.
    ///
    /// # Errors
    /// If the group does not take them from us: [`Session::recover`] next.
    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<(), SessionError>;

    /// Commits all that was sent since the last commit, with the offsets.
    ///
    /// # Errors
    /// If it failed or its fate is unknown: [`Session::recover`] next.
    fn commit(&self) -> Result<(), SessionError>;

    /// The consumer is of no use any more: the next [`Session::recover`] makes a new one, which
    /// owns nothing before the group says so.
    fn discard_consumer(&mut self);

    /// Gives up what is open, and keeps the producer: after [`SessionError::Refused`], which says that what was sent
    /// is not committed. Under at-least-once what was sent has arrived, and this begins anew.
    ///
    /// # Errors
    /// If the brokers do not say at once that it is undone: [`Session::recover`] next.
    fn undo(&mut self) -> Result<(), SessionError>;

    /// Gives up whatever is open, whatever became of it, by a new producer. The owner then begins
    /// again where the last commit stands.
    ///
    /// # Errors
    /// If the cluster does not answer: to be tried again.
    fn recover(&mut self) -> Result<(), SessionError>;

    /// Where these partitions begin again: what the group committed, what is kept of them, and how
    /// their log is now.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError>;

    /// How far partitions that we have are read: the offset after the last record that
    /// [`Session::poll`] gave, and after what no reader is given, as the markers of transactions. One of which
    /// nothing was read since it was assigned, or read again from another offset, is left out.
    fn positions(&self) -> Vec<(Partition, Offset)>;

    /// Whether a partition that we have was read to its end when records of it came last: nothing is there from
    /// `next` on that a reader is given. Not where nothing is known.
    fn is_read_out(&self, partition: Partition, next: Offset) -> bool;

    /// Whether nothing was left to read of a partition when it was last read, as far as a reader may go.
    fn is_at_end(&self, partition: Partition) -> bool;

    /// Whether a transaction of a sender was open in a partition when somebody last looked: no reader is given what
    /// comes after its first record.
    fn has_open(&self, partition: Partition) -> bool;

    /// Whether the log did not have what was to be read next, in some partition: it is read no further.
    /// Told once.
    fn is_interrupted(&self) -> bool;

    /// How the partitions that are read and written were when the brokers were last asked, once for each time.
    fn looked(&self) -> Option<BTreeMap<TopicPartition, Extent>>;

    /// How these partitions of a topic are now, beside what is known of each.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn survey(
        &self,
        topic: &str,
        known: &[(Partition, Option<Extent>)],
    ) -> Result<Vec<(Partition, Survey)>, SessionError>;

    /// How many partitions `topic` has now.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn partitions_of(&self, topic: &str) -> Result<i32, SessionError>;

    /// From which input offset the last record came that an output partition has below `at`.
    ///
    /// # Errors
    /// If the cluster does not answer.
    fn source_before(
        &self,
        place: &TopicPartition,
        at: Offset,
    ) -> Result<Option<Offset>, SessionError>;
}

/// A record as it was fetched; its bytes stay where the log's client put them.
pub trait Fetched {
    fn record(&self) -> Record<'_>;

    /// Of the leader that appended it; `None` if the broker does not say.
    fn leader_epoch(&self) -> Option<i32>;
}

/// How a record leaves.
#[derive(Clone, Copy, Debug)]
pub struct Forward<'a> {
    pub topic: &'a str,
    pub value: Option<&'a [u8]>,
    pub key: ForwardKey<'a>,
    /// Whether the record's own timestamp goes with it; else it gets the time of sending.
    pub keep_timestamp: bool,
    /// Which of the record's own headers go with it, by their names; `None`: not one.
    pub keep: Option<Keep<'a>>,
    /// Headers of ours, after them.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// The key that a record leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardKey<'a> {
    /// Its own, or none if it has none.
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

/// Which names of headers are taken.
#[derive(Clone, Copy)]
pub struct Keep<'a>(pub &'a dyn Fn(&[u8]) -> bool);

impl fmt::Debug for Keep<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

/// A record of our own, with the producer's time.
#[derive(Clone, Copy, Debug)]
pub struct Output<'a> {
    pub topic: &'a str,
    /// `None`: by its key.
    pub partition: Option<Partition>,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Partitions that came or went. The session's owner acts, then says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Restore them, then [`Session::assign`].
    Assigned(Vec<Partition>),
    /// Commit what is done, then [`Session::unassign`].
    Revoked(Vec<Partition>),
    /// They are somebody else's already: forget them, commit nothing, then [`Session::unassign`].
    Lost(Vec<Partition>),
}

/// What is kept of a partition: the last committed value of each of `keys` in the partition of the same
/// number of `topic`. The first key is looked for everywhere; the others may be passed over if they
/// are old.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    pub topic: &'a str,
    pub keys: &'a [&'a [u8]],
    /// What the first value says of the log that it belongs to.
    pub extent: fn(&[u8]) -> Option<Extent>,
}

/// Where a partition begins again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    pub partition: Partition,
    /// Committed by the group; `None` on the first day.
    pub committed: Option<Offset>,
    /// The log, beside what the first kept value knows of it.
    pub log: Survey,
    /// The last committed value of each key asked for.
    pub kept: Vec<Option<Vec<u8>>>,
}

/// Where whoever keeps state of a partition goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// There is no state, and none is missed.
    Fresh(Offset),
    /// Where the state ends, which must cover what the group committed, as far as that says anything.
    Covering { state: &'a [u8], committed: Option<Offset> },
    /// The same, and the group has lost its offset: unless the topic is another, somebody took it away.
    WithoutOffset { state: &'a [u8] },
    /// Nowhere: what the group committed has no state.
    Lost { committed: Offset },
}

impl Beginning {
    /// Where to go on, by the first kept value and what the group committed.
    ///
    /// Under exactly-once one transaction holds outputs, state and the group's offset. So state that is
    /// committed says as well as the group does where the partition stands, and a group that tells an
    /// older offset tells an old one: whoever coordinates it lost some, or somebody moved it by hand.
    /// Reading from there would double all in between. A group that is *further* than the state says that
    /// state was lost; one without any offset, that the topic may be another: there nobody guesses. Under
    /// at-least-once offsets are written last, and say less than the state: `offsets_lag`.
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

/// Why the log did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// Somebody else has our transactional id: leave, touch nothing.
    #[error("another process took over transactional id {id:?}: {reason}")]
    Fenced { id: String, reason: String },
    /// Unknown or undone; a new producer settles it.
    #[error("{step} failed: {reason}")]
    Transaction { step: &'static str, reason: String },
    /// Records that their topic does not take; the transaction is undone as above. Under
    /// at-least-once all else that was sent has arrived, but for what was `beside` them in a request.
    #[error("{} records are not taken by their topic", refusals.len())]
    Refused { refusals: Vec<Refusal>, beside: Vec<Position> },
    /// The cluster did not answer a question; it may be asked again.
    #[error("kafka: {what}: {reason}")]
    Exchange { what: &'static str, reason: String },
    /// The consumer is of no use any more.
    #[error("kafka: the consumer ended: {reason}")]
    Consumer { reason: String },
}
