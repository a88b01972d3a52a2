//! The consumer of one topic, and how far each of its partitions was read.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{
    Offset as NativeOffset, TopicPartitionList, TopicPartitionListElem,
};
use tracing::warn;

use super::EXCHANGE;
use super::fetched::Fetched;
use super::group_consumer::GroupConsumer;
use crate::deliver::{Change, SessionError};
use crate::record::{Offset, Partition};
use crate::shell::kafka::Clients;
use crate::shell::kafka::assignment::{Assignments, News};
use crate::shell::kafka::cut_off::CutOff;
use crate::shell::kafka::native::{self, RecordHeaders};
use crate::shell::kafka::words;

/// A consumer of one topic.
pub(super) struct Subscription {
    topic: String,
    member: GroupConsumer,
    cut_off: CutOff,
    /// The log did not have the next offset.
    interrupted: Cell<bool>,
    /// Partitions that were at their end when they were last read.
    ended: RefCell<BTreeSet<Partition>>,
    /// The positions that the client reported when these partitions were assigned.
    before: RefCell<BTreeMap<Partition, Offset>>,
}

impl Subscription {
    pub fn new(topic: &str, member: GroupConsumer) -> Self {
        Self {
            topic: topic.to_owned(),
            member,
            cut_off: CutOff::new(),
            interrupted: Cell::new(false),
            ended: RefCell::default(),
            before: RefCell::default(),
        }
    }

    pub fn consumer(&self) -> &BaseConsumer<Assignments> {
        &self.member.0
    }

    /// Replaces the consumer by `new` and returns the old one, which leaves the group when it is dropped.
    pub fn replace(&mut self, new: GroupConsumer) -> GroupConsumer {
        self.cut_off = CutOff::new();
        std::mem::replace(&mut self.member, new)
    }

    /// The next record. If the consumer gives nothing for long, a new client of `clients` checks whether brokers answer.
    pub fn poll(
        &self,
        timeout: Duration,
        clients: &Clients,
    ) -> Result<Option<Fetched<'_>>, SessionError> {
        let polled = self.poll_consumer(timeout)?;
        if polled.is_some() || !self.consumer().context().is_empty() {
            self.cut_off.heard();
        } else {
            self.cut_off.check(self.consumer().client(), clients, &self.topic)?;
        }
        Ok(polled)
    }

    fn poll_consumer(&self, timeout: Duration) -> Result<Option<Fetched<'_>>, SessionError> {
        let began = Instant::now();
        loop {
            return match self.consumer().poll(timeout.saturating_sub(began.elapsed())) {
                None => Ok(None),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ended.borrow_mut().insert(Partition(partition));
                    continue;
                }
                Some(Err(KafkaError::MessageConsumption(code))) if is_elsewhere(code) => {
                    warn!(topic = self.topic, reason = %code, "the log does not have what is to be read next");
                    self.interrupted.set(true);
                    Ok(None)
                }
                Some(Ok(message)) => {
                    let mut ended = self.ended.borrow_mut();
                    if !ended.is_empty() {
                        ended.remove(&Partition(message.partition()));
                    }
                    drop(ended);
                    let headers = RecordHeaders::take(&message);
                    Ok(Some(Fetched { message, headers }))
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    Err(unusable("consume")(error))
                }
                Some(Err(error)) => {
                    words::report_fetch(&error);
                    self.doubt_ends();
                    Ok(None)
                }
            };
        }
    }

    pub fn change(&self) -> Option<Change> {
        let (news, partitions) = self.consumer().context().take()?;
        let partitions = partitions.elements().iter().map(|e| Partition(e.partition())).collect();
        Some(match news {
            News::Assigned => Change::Assigned(partitions),
            News::Revoked if self.consumer().assignment_lost() => Change::Lost(partitions),
            News::Revoked => Change::Revoked(partitions),
        })
    }

    pub fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        let list = self.placed(from);
        // Until the first record, the client may report the position from when it last had the partition.
        let ours: BTreeSet<Partition> = from.iter().map(|&(partition, _)| partition).collect();
        self.before.borrow_mut().retain(|partition, _| !ours.contains(partition));
        self.ended.borrow_mut().retain(|partition| !ours.contains(partition));
        self.consumer().incremental_assign(&list).map_err(unusable("assign"))?;
        let before = self.positions().into_iter().filter(|(partition, _)| ours.contains(partition));
        self.before.borrow_mut().extend(before);
        // A partition that was paused when it was revoked comes back paused.
        self.consumer().resume(&list).map_err(unusable("resume"))
    }

    pub fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        let list = self.named(partitions);
        self.consumer().incremental_unassign(&list).map_err(unusable("unassign"))
    }

    pub fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        self.consumer().pause(&self.named(partitions)).map_err(unusable("pause"))
    }

    /// Reads paused partitions again, wherever they stand.
    pub fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        self.consumer().resume(&self.placed(from)).map_err(unusable("resume"))
    }

    pub fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError> {
        // Reading on from any other position would skip records.
        let done = self.consumer().seek_partitions(self.placed(to), EXCHANGE);
        for element in done.map_err(unusable("rewind"))?.elements() {
            element.error().map_err(unusable("rewind"))?;
        }
        Ok(())
    }

    pub fn positions(&self) -> Vec<(Partition, Offset)> {
        let Ok(all) = self.consumer().position() else { return vec![] };
        let before = self.before.borrow();
        let read = |element: TopicPartitionListElem<'_>| match element.offset() {
            NativeOffset::Offset(offset) => {
                let at = (Partition(element.partition()), Offset(offset));
                (before.get(&at.0) != Some(&at.1)).then_some(at)
            }
            _ => None,
        };
        all.elements().into_iter().filter_map(read).collect()
    }

    pub fn is_read_out(&self, partition: Partition, next: Offset) -> bool {
        let end = native::known_end(self.consumer().client(), &self.topic, partition);
        let position = || self.positions().into_iter().find(|(p, _)| *p == partition);
        self.is_at_end(partition)
            || end.is_some_and(|end| next >= end || position().is_some_and(|(_, at)| at >= end))
    }

    pub fn is_at_end(&self, partition: Partition) -> bool {
        self.ended.borrow().contains(&partition)
    }

    /// Whether the log did not have the next offset. Returns true once for each time that it happened.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.replace(false)
    }

    /// After a fetch error, which names no partition: a partition whose log reaches further than it was read is not at its
    /// end any more.
    fn doubt_ends(&self) {
        let positions: BTreeMap<Partition, Offset> = self.positions().into_iter().collect();
        let end = |p: Partition| native::known_end(self.consumer().client(), &self.topic, p);
        self.ended.borrow_mut().retain(|partition| {
            let position = positions.get(partition);
            end(*partition).is_none_or(|end| position.is_some_and(|&position| position >= end))
        });
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

    /// These partitions of the topic, as librdkafka takes them.
    pub fn named(&self, partitions: &[Partition]) -> TopicPartitionList {
        self.list(partitions.iter().map(|&p| (p, None)))
    }

    /// These partitions of the topic, each with an offset.
    pub fn placed(&self, from: &[(Partition, Offset)]) -> TopicPartitionList {
        self.list(from.iter().map(|&(p, o)| (p, Some(o))))
    }
}

/// Whether the error says that the log has no record at the next offset: it is deleted, lies beyond the end, or belongs
/// to another leader epoch.
fn is_elsewhere(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{AutoOffsetReset, LogTruncation, OffsetOutOfRange};
    matches!(code, AutoOffsetReset | LogTruncation | OffsetOutOfRange)
}

/// An error after which the consumer is replaced.
fn unusable(what: &'static str) -> impl Fn(KafkaError) -> SessionError {
    move |error| SessionError::Consumer { reason: format!("{what}: {}", words::of(&error)) }
}
