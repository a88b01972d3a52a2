//! A consumer and a transactional producer that move together: what a worker and a judge share.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use tracing::warn;

use super::Clients;
use super::assignment::{Assignments, News};
use super::restore::latest;
use super::transaction::{Output, TransactionError, Transactions};
use crate::record::{Offset, Partition};

/// Reads one topic as a member of a group; writes outputs, state and offsets in one transaction.
pub struct Session {
    clients: Clients,
    role: String,
    topic: String,
    consumer: BaseConsumer<Assignments>,
    transactions: Transactions,
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

/// Where a partition begins again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Committed by the group; `None` on the first day.
    pub committed: Option<Offset>,
    /// The oldest offset there is.
    pub oldest: Offset,
    /// The last committed state under the owner's key.
    pub state: Option<Vec<u8>>,
}

#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    #[error("kafka: {what}: {error}")]
    Kafka { what: &'static str, error: KafkaError },
    #[error(transparent)]
    Transaction(#[from] TransactionError),
}

fn during(what: &'static str) -> impl Fn(KafkaError) -> SessionError {
    move |error| SessionError::Kafka { what, error }
}

/// How long one exchange with the broker may take.
const EXCHANGE: Duration = Duration::from_secs(10);

impl Session {
    /// Joins `group` on `topic`; `role` is part of the transactional id and must be stable.
    ///
    /// # Errors
    /// If a client cannot be made or the transaction coordinator does not answer.
    pub fn join(
        clients: &Clients,
        role: &str,
        group: &str,
        topic: &str,
    ) -> Result<Self, SessionError> {
        let start = |timeout| Transactions::start(clients.producer(role), timeout);
        let transactions = start(3 * clients.kafka().transaction_timeout)?;
        let consumer = BaseConsumer::from_config_and_context(
            &clients.consumer(role, group),
            Assignments::default(),
        )
        .map_err(during("create consumer"))?;
        consumer.subscribe(&[topic]).map_err(during("subscribe"))?;
        Ok(Self {
            clients: clients.clone(),
            role: role.to_owned(),
            topic: topic.to_owned(),
            consumer,
            transactions,
        })
    }

    /// The reading and the writing half, to borrow apart: messages stay borrowed from the first
    /// while outputs go through the second.
    pub fn split(&mut self) -> (Reader<'_>, &mut Transactions) {
        (Reader { consumer: &self.consumer }, &mut self.transactions)
    }

    pub fn send(&mut self, output: Output<'_>) -> Result<(), SessionError> {
        Ok(self.transactions.send(output)?)
    }

    pub fn has_open_transaction(&self) -> bool {
        self.transactions.is_open()
    }

    /// Commits the open transaction with these next offsets.
    ///
    /// # Errors
    /// If it failed or its fate is unknown: [`Session::recover`] next.
    pub fn commit(
        &mut self,
        next: impl Iterator<Item = (Partition, Offset)>,
    ) -> Result<(), SessionError> {
        let offsets = self.list(next.map(|(p, o)| (p, Some(o))));
        let group = self.consumer.group_metadata().ok_or(SessionError::Kafka {
            what: "group metadata",
            error: KafkaError::NoMessageReceived,
        })?;
        Ok(self.transactions.commit(&offsets, &group)?)
    }

    /// Gives up the open transaction by a new producer. The owner then restores its partitions
    /// and rewinds them with [`Session::rewind`].
    ///
    /// # Errors
    /// If the coordinator does not answer.
    pub fn recover(&mut self) -> Result<(), SessionError> {
        Ok(self.transactions.restart()?)
    }

    /// The oldest change not yet acted upon.
    pub fn change(&self) -> Option<Change> {
        let (news, partitions) = self.consumer.context().take()?;
        let partitions = partitions.elements().iter().map(|e| Partition(e.partition())).collect();
        Some(match news {
            News::Assigned => Change::Assigned(partitions),
            News::Revoked if self.consumer.assignment_lost() => Change::Lost(partitions),
            News::Revoked => Change::Revoked(partitions),
        })
    }

    /// True once the group took our partitions from us.
    pub fn lost(&self) -> bool {
        self.consumer.assignment_lost()
    }

    pub fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        let list = self.list(from.iter().map(|&(p, o)| (p, Some(o))));
        self.consumer.incremental_assign(&list).map_err(during("assign"))
    }

    pub fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        let list = self.list(partitions.iter().map(|&p| (p, None)));
        self.consumer.incremental_unassign(&list).map_err(during("unassign"))
    }

    /// Stops fetching these.
    pub fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let list = self.list(partitions.iter().map(|&p| (p, None)));
        self.consumer.pause(&list).map_err(during("pause"))
    }

    /// Fetches these again; from where, says [`Session::rewind`].
    pub fn resume(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let list = self.list(partitions.iter().map(|&p| (p, None)));
        self.consumer.resume(&list).map_err(during("resume"))
    }

    /// Reads these partitions again from these offsets.
    pub fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if to.is_empty() {
            return Ok(());
        }
        let list = self.list(to.iter().map(|&(p, o)| (p, Some(o))));
        let done = self.consumer.seek_partitions(list, EXCHANGE).map_err(during("rewind"))?;
        for element in done.elements() {
            element.error().map_err(during("rewind"))?;
        }
        Ok(())
    }

    /// Where `partition` begins again: its committed offset, and the last committed value of `key`
    /// in `state_partition` of `state_topic`, read again until `fits` says that the two belong
    /// together. Right after another worker died its transaction may still hide what it committed
    /// before; that ends within the transaction timeout.
    ///
    /// # Errors
    /// If Kafka does not answer. Offsets and state that never fit are returned as they are: what
    /// to say about them is the owner's business.
    pub fn beginning(
        &self,
        partition: Partition,
        (state_topic, state_partition, key): (&str, i32, &[u8]),
        fits: impl Fn(&Beginning) -> bool,
    ) -> Result<Beginning, SessionError> {
        let reader = self.clients.reader(&self.role);
        let deadline = Instant::now() + 3 * self.clients.kafka().transaction_timeout;
        loop {
            let list = self.list([(partition, None)].into_iter());
            let committed = self
                .consumer
                .committed_offsets(list, EXCHANGE)
                .map_err(during("fetch committed offsets"))?;
            let committed = committed.elements().iter().find_map(|e| match e.offset() {
                NativeOffset::Offset(offset) => Some(Offset(offset)),
                _ => None,
            });
            let (oldest, _) = self
                .consumer
                .fetch_watermarks(&self.topic, partition.0, EXCHANGE)
                .map_err(during("fetch watermarks"))?;
            let state = latest(&reader, state_topic, state_partition, key, EXCHANGE)
                .map_err(during("read state"))?;
            let beginning = Beginning { committed, oldest: Offset(oldest), state };
            if fits(&beginning) || Instant::now() >= deadline || self.lost() {
                return Ok(beginning);
            }
            warn!(%partition, "state and committed offset do not fit yet; reading again");
            thread::sleep(Duration::from_millis(300));
        }
    }

    fn list(
        &self,
        partitions: impl Iterator<Item = (Partition, Option<Offset>)>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in partitions {
            let mut element = list.add_partition(&self.topic, partition.0);
            if let Some(offset) = offset {
                let offset = NativeOffset::Offset(offset.0);
                element.set_offset(offset).expect("an offset that Kafka gave us");
            }
        }
        list
    }
}

/// Leaves the group, so that its partitions go to others at once. The consumer's own drop polls
/// until everything is given back; from here on the callback sees to that.
impl Drop for Session {
    fn drop(&mut self) {
        self.consumer.context().leave();
        while let Some((news, partitions)) = self.consumer.context().take() {
            let done = match news {
                News::Assigned => self.consumer.incremental_assign(&partitions),
                News::Revoked => self.consumer.incremental_unassign(&partitions),
            };
            if let Err(error) = done {
                warn!(%error, "leaving the group");
            }
        }
    }
}

/// The reading half of a session.
pub struct Reader<'a> {
    consumer: &'a BaseConsumer<Assignments>,
}

impl<'a> Reader<'a> {
    /// The next record, waiting up to `timeout`; `None` also when there is news.
    ///
    /// # Errors
    /// If the consumer cannot go on. What heals by itself is logged.
    pub fn poll(&self, timeout: Duration) -> Result<Option<BorrowedMessage<'a>>, SessionError> {
        match self.consumer.poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(message)),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                Err(SessionError::Kafka { what: "consume", error })
            }
            Some(Err(error)) => {
                warn!(%error, "consuming; librdkafka tries again");
                Ok(None)
            }
        }
    }

    pub fn has_news(&self) -> bool {
        !self.consumer.context().is_empty()
    }
}
