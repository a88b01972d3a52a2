//! Reads topics in a consumer group and commits on demand: routes read alerts by it.
//!
//! Unlike a [`Session`](super::Session) it writes nothing. It reads committed records only. It commits one offset at a time,
//! when a receiver accepted the record before it.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use super::assignment::{Assignments, News};
use super::cut_off::CutOff;
use super::quiet::{Quiet, during};
use super::session::{GroupConsumer, stamp};
use super::{Clients, native, words};
use crate::deliver::SessionError;
use crate::record::{NO_HEADERS, Offset, Partition, Position, Record, TopicPartition};

/// A member of a group.
pub struct Feed {
    member: GroupConsumer,
    reader: ClientConfig,
    clients: Clients,
    /// The first of its topics.
    topic: String,
    cut_off: CutOff,
}

/// Partitions that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Find the offset to begin at, then call [`Feed::begin`].
    Ours(Vec<TopicPartition>),
    /// Another member has them from now on.
    Theirs(Vec<TopicPartition>),
}

/// Bytes of a route's client queues: incidents are few and small.
pub const QUEUE_KIB: u64 = 1024;

const EXCHANGE: Duration = Duration::from_secs(5);
/// If no record comes for this long, reading a partition to its end fails and is tried again.
const NO_DATA: Duration = Duration::from_secs(10);

impl Feed {
    /// Joins `group` on `topics`.
    ///
    /// # Errors
    /// If a client cannot be made.
    pub fn join(
        clients: &Clients,
        role: &str,
        group: &str,
        topics: &[&str],
    ) -> Result<Self, SessionError> {
        let mut config = clients.consumer(role, group);
        let mut reader = clients.reader(role);
        for config in [&mut config, &mut reader] {
            config.set("queued.max.messages.kbytes", QUEUE_KIB.to_string());
            config.set("fetch.max.bytes", (QUEUE_KIB << 10).to_string());
        }
        // An alert that retention deleted is not sent.
        config.set("auto.offset.reset", "earliest").set("enable.partition.eof", "false");
        let context = Assignments::default();
        let consumer = BaseConsumer::from_config_and_context(&config, context);
        let member = GroupConsumer(consumer.map_err(during("create consumer"))?);
        member.0.subscribe(topics).map_err(during("subscribe"))?;
        let (clients, topic) = (clients.clone(), topics.first().unwrap_or(&"").to_string());
        Ok(Self { member, reader, clients, topic, cut_off: CutOff::new() })
    }

    fn consumer(&self) -> &BaseConsumer<Assignments> {
        &self.member.0
    }

    /// Shows `see` the next record, waiting up to `timeout` for it. Says whether there was one.
    ///
    /// # Errors
    /// If the consumer cannot go on. Errors that librdkafka repairs by itself are logged.
    pub fn poll(
        &self,
        timeout: Duration,
        see: impl FnOnce(TopicPartition, Record<'_>),
    ) -> Result<bool, SessionError> {
        match self.consumer().poll(timeout) {
            None => {
                self.cut_off.check(self.consumer().client(), &self.clients, &self.topic)?;
                Ok(false)
            }
            Some(Ok(message)) => {
                self.cut_off.heard();
                let partition = Partition(message.partition());
                see(TopicPartition::new(message.topic(), partition), record(&message));
                Ok(true)
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                Err(SessionError::Consumer { reason: words::of(&error) })
            }
            Some(Err(error)) => {
                words::report_fetch(&error);
                Ok(false)
            }
        }
    }

    /// The oldest change that was not handled yet. Partitions that went are returned to the group here.
    ///
    /// # Errors
    /// If the consumer refuses.
    pub fn turn(&self) -> Result<Option<Turn>, SessionError> {
        let Some((news, list)) = self.consumer().context().take() else { return Ok(None) };
        let refused = |error: KafkaError| SessionError::Consumer { reason: words::of(&error) };
        let places = places(&list);
        Ok(Some(match news {
            News::Assigned => {
                // Paused until the offset to begin at is known.
                let somewhere = self::list(places.iter().map(|p| (p, NativeOffset::Offset(0))));
                self.consumer().incremental_assign(&somewhere).map_err(refused)?;
                self.consumer().pause(&list).map_err(refused)?;
                Turn::Ours(places)
            }
            News::Revoked => {
                self.consumer().incremental_unassign(&list).map_err(refused)?;
                Turn::Theirs(places)
            }
        }))
    }

    /// The group's committed offset in each of `places`, if there is one.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub fn committed(
        &self,
        places: &[TopicPartition],
    ) -> Result<Vec<Option<Offset>>, SessionError> {
        let list = list(places.iter().map(|place| (place, NativeOffset::Invalid)));
        let known = self.consumer().committed_offsets(list, EXCHANGE);
        let known = known.map_err(during("fetch committed offsets"))?;
        let offset = |place: &TopicPartition| {
            let found = known.find_partition(&place.topic, place.partition.0);
            match found.map(|element| element.offset()) {
                Some(NativeOffset::Offset(offset)) => Some(Offset(offset)),
                _ => None,
            }
        };
        Ok(places.iter().map(offset).collect())
    }

    /// Reads `place` from `from` on.
    ///
    /// # Errors
    /// If the consumer refuses.
    pub fn begin(&self, place: &TopicPartition, from: Offset) -> Result<(), SessionError> {
        let list = list([(place, NativeOffset::Offset(from.0))]);
        let refused = |error: KafkaError| SessionError::Consumer { reason: words::of(&error) };
        self.consumer().resume(&list).map_err(refused)?;
        let done = self.consumer().seek_partitions(list, EXCHANGE).map_err(refused)?;
        done.elements().iter().try_for_each(|element| element.error().map_err(refused))
    }

    /// Stops fetching these.
    ///
    /// # Errors
    /// If the consumer refuses.
    pub fn pause(&self, places: &[TopicPartition]) -> Result<(), SessionError> {
        if places.is_empty() {
            return Ok(());
        }
        let list = list(places.iter().map(|place| (place, NativeOffset::Invalid)));
        let refused = |error: KafkaError| SessionError::Consumer { reason: words::of(&error) };
        self.consumer().pause(&list).map_err(refused)
    }

    /// Fetches these again, from the offset where they stopped.
    ///
    /// # Errors
    /// If the consumer refuses.
    pub fn resume(&self, places: &[TopicPartition]) -> Result<(), SessionError> {
        if places.is_empty() {
            return Ok(());
        }
        let list = list(places.iter().map(|place| (place, NativeOffset::Invalid)));
        let refused = |error: KafkaError| SessionError::Consumer { reason: words::of(&error) };
        self.consumer().resume(&list).map_err(refused)
    }

    /// Commits the next offset of `place`.
    ///
    /// # Errors
    /// If the group refuses it, because the partition is not ours any more, or if the brokers do not answer.
    pub fn commit(&self, place: &TopicPartition, next: Offset) -> Result<(), SessionError> {
        let list = list([(place, NativeOffset::Offset(next.0))]);
        native::commit_offsets(self.consumer().client(), &list, EXCHANGE).map_err(|error| {
            let TopicPartition { topic, partition } = place;
            let why = words::of_native(&error);
            let reason = format!("partition {partition} of {topic}: {why}");
            SessionError::Exchange { what: "commit offsets", reason }
        })
    }

    /// Passes every record of `place` below `upto`, or up to the end if it is `None`, to `each`. The group is not
    /// involved. Returns the offset where it ended.
    ///
    /// # Errors
    /// If the partition cannot be read to there.
    pub fn replay(
        &self,
        place: &TopicPartition,
        upto: Option<Offset>,
        mut each: impl FnMut(Record<'_>),
    ) -> Result<Offset, SessionError> {
        let failed = during("read incidents");
        let reader = BaseConsumer::from_config_and_context(&self.reader, Quiet).map_err(&failed)?;
        let marks = reader.fetch_watermarks(&place.topic, place.partition.0, EXCHANGE);
        let (oldest, end) = marks.map_err(&failed)?;
        let upto = upto.map_or(end, |upto| upto.0.min(end));
        if oldest >= upto {
            return Ok(Offset(upto));
        }
        reader.assign(&list([(place, NativeOffset::Offset(oldest))])).map_err(&failed)?;
        let (mut heard, mut next) = (Instant::now(), Offset(oldest));
        loop {
            match reader.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if message.offset() >= upto => return Ok(Offset(upto)),
                Some(Ok(message)) => {
                    (heard, next) = (Instant::now(), Offset(message.offset() + 1));
                    each(record(&message));
                }
                // Behind the last committed record there may be an open transaction.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(next),
                Some(Err(error)) if heard.elapsed() >= NO_DATA => return Err(failed(error)),
                None if heard.elapsed() >= NO_DATA => {
                    return Err(failed(KafkaError::NoMessageReceived));
                }
                Some(Err(_)) | None => {}
            }
        }
    }
}

/// The record without its headers: an alert has none that matter.
fn record<'a>(message: &'a BorrowedMessage<'_>) -> Record<'a> {
    let (partition, offset) = (Partition(message.partition()), Offset(message.offset()));
    Record {
        at: Position { partition, offset },
        stamp: stamp(message.timestamp()),
        key: message.key(),
        headers: &NO_HEADERS,
        value: message.payload(),
    }
}

fn places(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let place = |topic: &str, partition| TopicPartition { topic: topic.into(), partition };
    list.elements().iter().map(|e| place(e.topic(), Partition(e.partition()))).collect()
}

fn list<'p>(
    places: impl IntoIterator<Item = (&'p TopicPartition, NativeOffset)>,
) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (place, offset) in places {
        let mut element = list.add_partition(&place.topic, place.partition.0);
        element.set_offset(offset).expect("an offset that Kafka gave us");
    }
    list
}
