//! Topics read by a group that commits when it is told to: how routes hear of incidents.
//!
//! Unlike a [`Session`](super::Session) it writes nothing. What it reads is committed; where it goes
//! on is committed too, one offset at a time, when somebody was heard.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use super::assignment::{Assignments, News};
use super::restore::{Quiet, during};
use super::session::Member;
use super::{Clients, native, words};
use crate::deliver::SessionError;
use crate::record::{Offset, Partition, Timestamp};

/// A member of a group.
pub struct Feed {
    member: Member,
    reader: ClientConfig,
}

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub topic: Arc<str>,
    pub partition: Partition,
}

/// A record, of which nothing else stays where it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    pub place: Place,
    pub offset: Offset,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub at: Timestamp,
}

/// Partitions that came or went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Look where they go on, then [`Feed::begin`].
    Ours(Vec<Place>),
    /// Somebody else's from now on.
    Theirs(Vec<Place>),
}

/// Of a route's clients: incidents are few and small, so are the queues.
pub const QUEUE_KIB: u64 = 1024;

const EXCHANGE: Duration = Duration::from_secs(5);
/// Without a record for so long, a partition that is read to its end is given up, to be read again.
const SILENCE: Duration = Duration::from_secs(10);

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
        // What was deleted before it was told is told no more.
        config.set("auto.offset.reset", "earliest").set("enable.partition.eof", "false");
        let context = Assignments::default();
        let consumer = BaseConsumer::from_config_and_context(&config, context);
        let member = Member(consumer.map_err(during("create consumer"))?);
        member.0.subscribe(topics).map_err(during("subscribe"))?;
        Ok(Self { member, reader })
    }

    fn consumer(&self) -> &BaseConsumer<Assignments> {
        &self.member.0
    }

    /// The next record, waiting up to `timeout`.
    ///
    /// # Errors
    /// If the consumer cannot go on. What heals by itself is logged.
    pub fn poll(&self, timeout: Duration) -> Result<Option<Fetched>, SessionError> {
        match self.consumer().poll(timeout) {
            None => Ok(None),
            Some(Ok(message)) => Ok(Some(fetched(&message))),
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                Err(SessionError::Consumer { reason: words::of(&error) })
            }
            Some(Err(error)) => {
                words::report_fetch(&error);
                Ok(None)
            }
        }
    }

    /// The oldest change not yet acted upon. What is somebody else's is given back here.
    ///
    /// # Errors
    /// If the consumer refuses.
    pub fn turn(&self) -> Result<Option<Turn>, SessionError> {
        let Some((news, list)) = self.consumer().context().take() else { return Ok(None) };
        let refused = |error: KafkaError| SessionError::Consumer { reason: words::of(&error) };
        let places = places(&list);
        Ok(Some(match news {
            News::Assigned => {
                // Kept still until somebody knows where they go on.
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

    /// Where the group goes on in each of `places`, if it was ever there.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub fn committed(&self, places: &[Place]) -> Result<Vec<Option<Offset>>, SessionError> {
        let list = list(places.iter().map(|place| (place, NativeOffset::Invalid)));
        let known = self.consumer().committed_offsets(list, EXCHANGE);
        let known = known.map_err(during("fetch committed offsets"))?;
        let offset = |place: &Place| {
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
    pub fn begin(&self, place: &Place, from: Offset) -> Result<(), SessionError> {
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
    pub fn pause(&self, places: &[Place]) -> Result<(), SessionError> {
        if places.is_empty() {
            return Ok(());
        }
        let list = list(places.iter().map(|place| (place, NativeOffset::Invalid)));
        let refused = |error: KafkaError| SessionError::Consumer { reason: words::of(&error) };
        self.consumer().pause(&list).map_err(refused)
    }

    /// Fetches these again, from where they were.
    ///
    /// # Errors
    /// If the consumer refuses.
    pub fn resume(&self, places: &[Place]) -> Result<(), SessionError> {
        if places.is_empty() {
            return Ok(());
        }
        let list = list(places.iter().map(|place| (place, NativeOffset::Invalid)));
        let refused = |error: KafkaError| SessionError::Consumer { reason: words::of(&error) };
        self.consumer().resume(&list).map_err(refused)
    }

    /// Commits where `place` goes on.
    ///
    /// # Errors
    /// If the group does not take it: it is not ours any more, or nobody answers.
    pub fn commit(&self, place: &Place, next: Offset) -> Result<(), SessionError> {
        let list = list([(place, NativeOffset::Offset(next.0))]);
        native::commit_offsets(self.consumer().client(), &list, EXCHANGE).map_err(|error| {
            let Place { topic, partition } = place;
            let why = words::of_native(&error);
            let reason = format!("partition {partition} of {topic}: {why}");
            SessionError::Exchange { what: "commit offsets", reason }
        })
    }

    /// Shows `each` every record of `place` below `upto`, or else of all there is, beside the
    /// group. Says where it ended.
    ///
    /// # Errors
    /// If the partition cannot be read to there.
    pub fn replay(
        &self,
        place: &Place,
        upto: Option<Offset>,
        mut each: impl FnMut(Fetched),
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
                    each(fetched(&message));
                }
                // Behind the last record there may be one of a transaction that is open.
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(next),
                Some(Err(error)) if heard.elapsed() >= SILENCE => return Err(failed(error)),
                None if heard.elapsed() >= SILENCE => {
                    return Err(failed(KafkaError::NoMessageReceived));
                }
                Some(Err(_)) | None => {}
            }
        }
    }
}

fn fetched(message: &BorrowedMessage<'_>) -> Fetched {
    let place = Place { topic: message.topic().into(), partition: Partition(message.partition()) };
    Fetched {
        place,
        offset: Offset(message.offset()),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        at: Timestamp(message.timestamp().to_millis().unwrap_or(-1)),
    }
}

fn places(list: &TopicPartitionList) -> Vec<Place> {
    let place = |topic: &str, partition| Place { topic: topic.into(), partition };
    list.elements().iter().map(|e| place(e.topic(), Partition(e.partition()))).collect()
}

fn list<'p>(places: impl IntoIterator<Item = (&'p Place, NativeOffset)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (place, offset) in places {
        let mut element = list.add_partition(&place.topic, place.partition.0);
        element.set_offset(offset).expect("an offset that Kafka gave us");
    }
    list
}
