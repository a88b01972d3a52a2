//! Where partitions go on: the group's committed offsets, and the last values of some keys in compacted topics.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::native::{self, Listed, Which};
use super::quiet::{Quiet, during};
use super::survey::{self, Ids};
use super::words;
use crate::deliver::{Beginning, Kept, SessionError};
use crate::emit::ReadTrace;
use crate::record::{self, Partition, TopicPartition};

/// Records that are read from the end first. A key that is written with every commit has its last value there. Only
/// where it is missing the whole partition is read.
const TAIL: i64 = 2000;

/// Between two checks whether an open transaction has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Timeout of one request.
const EXCHANGE: Duration = Duration::from_secs(10);

/// The question for the group's offsets, in its errors.
pub const ASKING_OFFSETS: &str = "fetch committed offsets";

/// Where `partitions` of `topic` go on, for the group of `consumer`, with the values that are `kept` of them. Waits up to
/// `patience` for open transactions, once for offsets and once for values: a coordinator that reports old offsets may not
/// know that newer ones are pending.
///
/// # Errors
/// If the cluster does not answer.
pub fn beginnings<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    (reader, ids): (&ClientConfig, Ids),
    topic: &str,
    partitions: &[Partition],
    kept: Kept<'_>,
    patience: Duration,
) -> Result<Vec<Beginning>, SessionError> {
    let kept_in = kept.topic;
    let wanted: Vec<Wanted> = partitions.iter().map(|&p| kept.place_of(p)).collect();
    let places: BTreeSet<TopicPartition> = wanted
        .iter()
        .map(|(at, _)| TopicPartition { topic: kept_in.to_owned(), partition: *at })
        .collect();
    let places: Vec<TopicPartition> = places.into_iter().collect();
    let latest_of = |which| {
        let found = native::offsets(consumer.client(), &places, which, EXCHANGE);
        found.map_err(|error| {
            let reason = format!("topic {kept_in}: {}", words::of_native(&error));
            SessionError::Exchange { what: "see where state ends", reason }
        })
    };
    let ends = latest_of(Which::End)?;
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(topic, partition.0);
    }
    let committed = consumer.committed_offsets(list, patience);
    let committed = committed.map_err(during(ASKING_OFFSETS))?;
    let committed_of = |partition: Partition| {
        let known = committed.elements();
        known.iter().find(|e| e.partition() == partition.0).and_then(|e| match e.offset() {
            Offset::Offset(offset) => Some(record::Offset(offset)),
            _ => None,
        })
    };
    // Without keys the topic is not ours, and its open transactions may never end.
    if !kept.keys.is_empty() {
        wait_until_stable(&places, &ends, || latest_of(Which::Stable), patience)?;
    }
    let values = latest(reader, kept_in, wanted, EXCHANGE).map_err(during("read state"))?;
    let extent_of = |values: &Vec<Option<Vec<u8>>>| (kept.extent)(values.first()?.as_deref()?);
    let known: Vec<_> = partitions.iter().copied().zip(values.iter().map(extent_of)).collect();
    let logs = survey::survey(consumer.client(), ids, reader, topic, &known)?;
    let begin = |((partition, log), kept)| {
        let committed = committed_of(partition);
        Beginning { partition, committed, log, kept }
    };
    Ok(logs.into_iter().zip(values).map(begin).collect())
}

/// Waits until no transaction that was open at `ends` is open in these partitions.
fn wait_until_stable(
    places: &[TopicPartition],
    ends: &BTreeMap<TopicPartition, Listed>,
    stable: impl Fn() -> Result<BTreeMap<TopicPartition, Listed>, SessionError>,
    patience: Duration,
) -> Result<(), SessionError> {
    let deadline = Instant::now() + patience;
    let open = |stable: &BTreeMap<TopicPartition, Listed>| {
        let is_open = |place: &&TopicPartition| match (ends.get(*place), stable.get(*place)) {
            (Some(end), Some(stable)) => stable.offset < end.offset,
            _ => true,
        };
        places.iter().find(is_open).cloned()
    };
    while let Some(place) = open(&stable()?) {
        if !ends.contains_key(&place) {
            let reason = format!(
                "{place} is not there, or has no leader; `tripline topics --apply` creates what is missing"
            );
            return Err(SessionError::Exchange { what: "read state", reason });
        }
        if Instant::now() >= deadline {
            let reason = format!("{place} has an open transaction, or no leader");
            return Err(SessionError::Exchange { what: "read state", reason });
        }
        sleep(LOOK);
    }
    Ok(())
}

/// Gives every committed record of the one partition of `topic` to `each`, up to its end now.
///
/// # Errors
/// If the cluster does not answer, or a transaction stays open.
pub fn replay<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    reader: &ClientConfig,
    topic: &str,
    each: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), SessionError> {
    let place = TopicPartition { topic: topic.to_owned(), partition: Partition(0) };
    let places = [place];
    let latest_of = |which| {
        let found = native::offsets(consumer.client(), &places, which, EXCHANGE);
        found.map_err(|error| {
            let reason = format!("topic {topic}: {}", words::of_native(&error));
            SessionError::Exchange { what: "see where pages end", reason }
        })
    };
    let ends = latest_of(Which::End)?;
    wait_until_stable(&places, &ends, || latest_of(Which::Stable), EXCHANGE)?;
    let mut read = || -> Result<(), KafkaError> {
        let consumer = BaseConsumer::from_config_and_context(reader, Quiet)?;
        let mut from = TopicPartitionList::new();
        from.add_partition_offset(topic, 0, Offset::Beginning)?;
        consumer.assign(&from)?;
        // A topic of pages is as large as it is: what counts is that more comes.
        let mut deadline = Instant::now() + EXCHANGE;
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    deadline = Instant::now() + EXCHANGE;
                    if let (Some(key), Some(value)) = (message.key(), message.payload()) {
                        each(key, value);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(()),
                Some(Err(error)) if Instant::now() >= deadline => return Err(error),
                None if Instant::now() >= deadline => return Err(KafkaError::NoMessageReceived),
                Some(Err(_)) | None => {}
            }
        }
    };
    read().map_err(during("read pages"))
}

/// From which input offset the last committed record came that stands in `place` below `at`; only the last few
/// are looked at.
///
/// # Errors
/// If the partition cannot be read.
pub fn source_before(
    reader: &ClientConfig,
    place: &TopicPartition,
    at: record::Offset,
) -> Result<Option<record::Offset>, SessionError> {
    let read = || -> Result<Option<record::Offset>, KafkaError> {
        let consumer = BaseConsumer::from_config_and_context(reader, Quiet)?;
        let (topic, partition) = (&*place.topic, place.partition.0);
        let (low, _) = consumer.fetch_watermarks(topic, partition, EXCHANGE)?;
        let mut from = TopicPartitionList::new();
        let first = low.max(at.0 - TAIL);
        from.add_partition_offset(topic, partition, Offset::Offset(first))?;
        consumer.assign(&from)?;
        let (deadline, mut last) = (Instant::now() + EXCHANGE, None);
        loop {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if message.offset() >= at.0 => return Ok(last),
                Some(Ok(message)) => {
                    let headers = message.headers();
                    let trace = headers.and_then(|all| native::header(all, c"tripline-trace"));
                    let source = trace.and_then(ReadTrace::unpack).map(|trace| trace.source);
                    last = source.map(|source| source.offset).or(last);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(last),
                Some(Err(error)) if Instant::now() >= deadline => return Err(error),
                None if Instant::now() >= deadline => return Err(KafkaError::NoMessageReceived),
                Some(Err(_)) | None => {}
            }
        }
    };
    read().map_err(during("read the end of an output"))
}

/// A partition, and the keys that are looked for there.
type Wanted = (Partition, Vec<Vec<u8>>);

/// The last committed value of each key of `wanted`, in its order.
///
/// Reads the tails first; whole partitions only where a first key is not in the tail. What else
/// is too old to be there is not looked for.
///
/// # Errors
/// If a partition cannot be read to its end within `timeout`.
fn latest(
    reader: &ClientConfig,
    topic: &str,
    wanted: Vec<Wanted>,
    timeout: Duration,
) -> Result<Vec<Vec<Option<Vec<u8>>>>, KafkaError> {
    if wanted.iter().all(|(_, keys)| keys.is_empty()) {
        return Ok(wanted.into_iter().map(|_| vec![]).collect());
    }
    let consumer = BaseConsumer::from_config_and_context(reader, Quiet)?;
    let mut keys: BTreeMap<i32, BTreeSet<Vec<u8>>> = BTreeMap::new();
    for (partition, of) in &wanted {
        keys.entry(partition.0).or_default().extend(of.iter().cloned());
    }
    let (mut tails, mut whole) = (BTreeMap::new(), BTreeMap::new());
    for &partition in keys.keys() {
        let (low, high) = consumer.fetch_watermarks(topic, partition, timeout)?;
        tails.insert(partition, low.max(high - TAIL));
        whole.insert(partition, low);
    }
    let mut found = scan(&consumer, topic, &tails, &keys, timeout)?;
    let is_missing = |partition: i32, found: &Found| {
        let mut firsts = wanted.iter().filter(|(at, _)| at.0 == partition);
        firsts.any(|(_, of)| !found.contains_key(&(partition, of[0].clone())))
    };
    whole.retain(|&partition, low| *low < tails[&partition] && is_missing(partition, &found));
    found.extend(scan(&consumer, topic, &whole, &keys, timeout)?);
    let value = |partition: Partition, key| found.get(&(partition.0, key)).cloned().flatten();
    let values = wanted
        .into_iter()
        .map(|(partition, of)| of.into_iter().map(|key| value(partition, key)).collect());
    Ok(values.collect())
}

/// What was found of the keys that were met: `None` if the key was deleted.
type Found = BTreeMap<(i32, Vec<u8>), Option<Vec<u8>>>;

/// The last values of `keys` from these offsets to the end of what is committed.
fn scan(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    from: &BTreeMap<i32, i64>,
    keys: &BTreeMap<i32, BTreeSet<Vec<u8>>>,
    timeout: Duration,
) -> Result<Found, KafkaError> {
    let mut found = Found::new();
    if from.is_empty() {
        return Ok(found);
    }
    let mut assignment = TopicPartitionList::new();
    for (&partition, &offset) in from {
        assignment.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    consumer.assign(&assignment)?;
    let deadline = Instant::now() + timeout;
    let mut unread: Vec<i32> = from.keys().copied().collect();
    while !unread.is_empty() {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                let partition = message.partition();
                let key = message.key().filter(|&key| keys[&partition].contains(key));
                if let Some(key) = key {
                    let value = message.payload().map(<[u8]>::to_vec);
                    found.insert((partition, key.to_vec()), value);
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => unread.retain(|&p| p != partition),
            Some(Err(error)) if Instant::now() >= deadline => return Err(error),
            None if Instant::now() >= deadline => return Err(KafkaError::NoMessageReceived),
            Some(Err(_)) | None => {}
        }
    }
    Ok(found)
}
