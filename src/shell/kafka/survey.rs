//! How the log of a topic is now, and where it parted from what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};

use super::native::{self, Listed, NativeError, Which};
use super::quiet::{Quiet, during};
use crate::deliver::SessionError;
use crate::record::{Extent, Offset, Partition, TopicPartition};
use crate::score::Survey;

/// How long one exchange with the brokers may take.
const EXCHANGE: Duration = Duration::from_secs(10);

/// Whether brokers can be asked for the ids of topics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ids {
    #[default]
    Asked,
    /// librdkafka's own cluster has no controller to ask.
    Unknown,
}

/// How far these partitions reach. One without a leader is left out, and one of a topic that is not there.
///
/// # Errors
/// If nobody answers.
pub fn extents<C: ClientContext>(
    client: &Client<C>,
    ids: Ids,
    places: &[TopicPartition],
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, Extent>, NativeError> {
    let topics: BTreeSet<&str> = places.iter().map(|place| place.topic.as_str()).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let ids = match ids {
        Ids::Asked => native::topic_ids(client, &topics, timeout)?,
        Ids::Unknown => topics.iter().map(|&topic| (topic.to_owned(), None)).collect(),
    };
    let there: Vec<TopicPartition> =
        places.iter().filter(|place| ids.contains_key(&place.topic)).cloned().collect();
    let starts = native::offsets(client, &there, Which::Oldest, timeout)?;
    let ends = native::offsets(client, &there, Which::End, timeout)?;
    let extent = |place: TopicPartition| {
        let (start, &Listed { offset: end, epoch: leader_epoch }) =
            (starts.get(&place)?.offset, ends.get(&place)?);
        let topic = ids.get(&place.topic).cloned().flatten();
        Some((place, Extent { topic, start, end, leader_epoch }))
    };
    Ok(there.into_iter().filter_map(extent).collect())
}

/// How these partitions of `topic` are now, beside what is known of each. Only where the leader epoch is
/// another is it asked where the log parted, by a consumer of its own that `reader` makes.
///
/// # Errors
/// If a partition cannot be asked about.
pub fn survey<C: ClientContext>(
    client: &Client<C>,
    ids: Ids,
    reader: &ClientConfig,
    topic: &str,
    known: &[(Partition, Option<Extent>)],
) -> Result<Vec<(Partition, Survey)>, SessionError> {
    let partitions: Vec<Partition> = known.iter().map(|&(partition, _)| partition).collect();
    let place = |&partition: &Partition| TopicPartition { topic: topic.to_owned(), partition };
    let places: Vec<TopicPartition> = partitions.iter().map(place).collect();
    let unanswered =
        |error: NativeError| SessionError::Exchange { what: "look at a topic", reason: error.text };
    let now = extents(client, ids, &places, EXCHANGE).map_err(unanswered)?;
    if ids == Ids::Asked {
        // Between two requests a topic may be made anew: then offsets of one would pass for those of the other.
        let after = native::topic_ids(client, &[topic], EXCHANGE).map_err(unanswered)?;
        let is_same = |extent: &Extent| after.get(topic) == Some(&extent.topic);
        if !now.values().all(is_same) {
            let reason = format!("topic {topic} is being made anew");
            return Err(SessionError::Exchange { what: "look at a topic", reason });
        }
    }
    let mut now: BTreeMap<Partition, Extent> =
        now.into_iter().map(|(place, extent)| (place.partition, extent)).collect();
    let elected: Vec<_> =
        known.iter().filter_map(|(p, was)| elected(*p, was.as_ref()?, now.get(p)?)).collect();
    let parted = parted(reader, topic, &elected).map_err(during("look where a topic parted"))?;
    let found = partitions.into_iter().map(|partition| {
        let extent = now.remove(&partition).ok_or_else(|| SessionError::Exchange {
            what: "look at a topic",
            reason: format!("partition {partition} of {topic} has no leader now"),
        })?;
        Ok((partition, Survey { extent, parted: parted.get(&partition).copied() }))
    });
    found.collect()
}

/// Where the log reached in which epoch, if somebody else leads it since.
fn elected(partition: Partition, was: &Extent, now: &Extent) -> Option<(Partition, Offset, i32)> {
    let (then, epoch) = (was.leader_epoch?, now.leader_epoch?);
    let is_same = was.topic == now.topic && was.end.0 > 0;
    (is_same && epoch != then).then_some((partition, was.end, then))
}

/// Of partitions, how far they reached in which leader epoch: where the log of today parts from that one, if
/// it does. Brokers are asked as a consumer asks them: to read on at that offset of that epoch. One whose log
/// parted earlier has us read from there.
fn parted(
    reader: &ClientConfig,
    topic: &str,
    reached: &[(Partition, Offset, i32)],
) -> Result<BTreeMap<Partition, Offset>, KafkaError> {
    if reached.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut reader = reader.clone();
    reader.set("auto.offset.reset", "earliest");
    let consumer = BaseConsumer::from_config_and_context(&reader, Quiet)?;
    let mut from = TopicPartitionList::new();
    for &(partition, offset, _) in reached {
        from.add_partition_offset(topic, partition.0, NativeOffset::Offset(offset.0))?;
    }
    consumer.assign(&from)?;
    consumer.pause(&from)?;
    let deadline = Instant::now() + EXCHANGE;
    // What is assigned is taken up a moment later.
    while let Err(error) = native::seek_in_epoch(&consumer, topic, reached, EXCHANGE) {
        if Instant::now() >= deadline {
            return Err(KafkaError::Seek(error.text));
        }
        consumer.poll(Duration::from_millis(20));
    }
    consumer.resume(&from)?;
    let mut unknown: BTreeMap<i32, Offset> =
        reached.iter().map(|&(p, end, _)| (p.0, end)).collect();
    let mut found = BTreeMap::new();
    while !unknown.is_empty() {
        let (partition, at) = match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => (message.partition(), Some(Offset(message.offset()))),
            // Nothing is there to read: whether the log is shorter than it was shows by its end.
            Some(Err(KafkaError::PartitionEOF(partition))) => (partition, None),
            Some(Err(error)) if Instant::now() >= deadline => return Err(error),
            None if Instant::now() >= deadline => return Err(KafkaError::NoMessageReceived),
            Some(Err(_)) | None => continue,
        };
        if let Some(end) = unknown.remove(&partition)
            && let Some(at) = at.filter(|&at| at < end)
        {
            found.insert(Partition(partition), at);
        }
    }
    Ok(found)
}
