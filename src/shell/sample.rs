//! The newest records of a topic, looked at without leaving a trace in it.
//!
//! Partitions are assigned, not subscribed to, and nothing is committed: no group notices. Unless only
//! what was committed is asked for, records of transactions that are open or were aborted are seen too.

use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::kafka::{Clients, Quiet, RecordHeaders, stamp};
use crate::record::{self, OwnedRecord, Partition, Position, Record};

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub records: usize,
    pub bytes: usize,
    pub time: Duration,
    /// Only what was committed.
    pub committed: bool,
}

impl Limits {
    /// What a person has patience for; values are looked at one by one, but a topic may hold large
    /// ones.
    pub fn of_a_look(records: usize) -> Self {
        Self { records, bytes: 64 << 20, time: TIMEOUT, committed: false }
    }
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampled {
    pub partitions: usize,
    pub records: usize,
    /// Records without a value.
    pub empty: usize,
    /// There would have been more, but these were enough bytes or seconds.
    pub cut_short: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    #[error("kafka: {what}: {error}")]
    Kafka { what: &'static str, error: KafkaError },
    #[error("topic {0} does not exist, or may not be described")]
    NoTopic(String),
}

const TIMEOUT: Duration = Duration::from_secs(15);

/// Shows `each` the records from the newest part of every partition, as many as the limits allow;
/// `each` says whether it wants more.
///
/// # Errors
/// If the topic is not there or Kafka does not answer.
pub fn sample(
    clients: &Clients,
    topic: &str,
    limits: Limits,
    mut each: impl FnMut(Record<'_>) -> bool,
) -> Result<Sampled, SampleError> {
    let failed = |what| move |error| SampleError::Kafka { what, error };
    let consumer = consumer(clients, limits.committed)?;
    let metadata =
        consumer.fetch_metadata(Some(topic), TIMEOUT).map_err(failed("fetch metadata"))?;
    let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
    let found = found.filter(|topic| !topic.partitions().is_empty());
    let found = found.ok_or_else(|| SampleError::NoTopic(topic.to_owned()))?;

    let mut marks = vec![];
    for partition in found.partitions() {
        let watermarks = consumer.fetch_watermarks(topic, partition.id(), TIMEOUT);
        let (low, high) = watermarks.map_err(failed("fetch watermarks"))?;
        marks.push((partition.id(), low, high));
    }
    let counts: Vec<i64> = marks.iter().map(|&(_, low, high)| high - low).collect();
    let shares = shares(&counts, limits.records as i64);
    let mut assignment = TopicPartitionList::new();
    for (&(partition, _, high), share) in marks.iter().zip(&shares) {
        if *share > 0 {
            let from = Offset::Offset(high - share);
            assignment.add_partition_offset(topic, partition, from).map_err(failed("assign"))?;
        }
    }
    let mut sampled = Sampled { partitions: marks.len(), ..Sampled::default() };
    let mut reading = assignment.count();
    if reading == 0 {
        return Ok(sampled);
    }
    consumer.assign(&assignment).map_err(failed("assign"))?;
    let (deadline, mut bytes) = (Instant::now() + limits.time, 0);
    while reading > 0 && sampled.records < limits.records {
        if bytes >= limits.bytes || Instant::now() >= deadline {
            sampled.cut_short = true;
            break;
        }
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                sampled.records += 1;
                bytes += message.payload_len();
                let (partition, offset) = (message.partition(), message.offset());
                let at =
                    Position { partition: Partition(partition), offset: record::Offset(offset) };
                let stamp = stamp(message.timestamp());
                let headers = &RecordHeaders::take(&message);
                let (key, value) = (message.key(), message.payload());
                sampled.empty += usize::from(value.is_none());
                if !each(Record { at, stamp, key, headers, value }) {
                    sampled.cut_short = true;
                    break;
                }
            }
            Some(Err(KafkaError::PartitionEOF(_))) => reading -= 1,
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                return Err(SampleError::Kafka { what: "consume", error });
            }
            Some(Err(error)) if Instant::now() >= deadline => {
                return Err(SampleError::Kafka { what: "consume", error });
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(sampled)
}

/// A consumer that no group notices.
fn consumer(clients: &Clients, committed: bool) -> Result<BaseConsumer<Quiet>, SampleError> {
    let mut config = clients.common("sample");
    config
        .set("group.id", format!("{}.sample", clients.kafka().group))
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", if committed { "read_committed" } else { "read_uncommitted" })
        .set("auto.offset.reset", "earliest");
    let consumer = BaseConsumer::from_config_and_context(&config, Quiet);
    consumer.map_err(|error| SampleError::Kafka { what: "create client", error })
}

/// The records of a topic that stand at `places`, one by one; `None` of one that is not there, or not committed.
///
/// # Errors
/// If Kafka does not answer.
pub fn records_at(
    clients: &Clients,
    topic: &str,
    places: &[Position],
) -> Result<Vec<(Position, Option<OwnedRecord>)>, SampleError> {
    let failed = |what| move |error| SampleError::Kafka { what, error };
    let consumer = consumer(clients, true)?;
    let mut found = vec![];
    for &at in places {
        let (partition, offset) = (at.partition.0, at.offset.0);
        let watermarks = consumer.fetch_watermarks(topic, partition, TIMEOUT);
        let (low, high) = watermarks.map_err(failed("fetch watermarks"))?;
        if !(low..high).contains(&offset) {
            found.push((at, None));
            continue;
        }
        let mut assignment = TopicPartitionList::new();
        let from = Offset::Offset(offset);
        assignment.add_partition_offset(topic, partition, from).map_err(failed("assign"))?;
        consumer.assign(&assignment).map_err(failed("assign"))?;
        let deadline = Instant::now() + TIMEOUT;
        let record = loop {
            match consumer.poll(Duration::from_millis(100)) {
                // Of the assignment before.
                Some(Ok(message)) if message.partition() != partition => {}
                Some(Ok(message)) if message.offset() < offset => {}
                Some(Ok(message)) if message.offset() > offset => break None,
                Some(Ok(message)) => {
                    let headers = &RecordHeaders::take(&message);
                    let (key, value) = (message.key(), message.payload());
                    let stamp = stamp(message.timestamp());
                    break Some(Record { at, stamp, key, headers, value }.to_owned());
                }
                Some(Err(KafkaError::PartitionEOF(of))) if of == partition => break None,
                Some(Err(error)) if Instant::now() >= deadline => {
                    return Err(SampleError::Kafka { what: "consume", error });
                }
                None if Instant::now() >= deadline => break None,
                Some(Err(_)) | None => {}
            }
        };
        found.push((at, record));
    }
    Ok(found)
}

/// How many of `total` each partition gives: the same, and what one lacks the others give.
fn shares(counts: &[i64], total: i64) -> Vec<i64> {
    let mut order: Vec<usize> = (0..counts.len()).collect();
    order.sort_by_key(|&i| counts[i]);
    let mut shares = vec![0; counts.len()];
    let mut left = total;
    for (done, &i) in order.iter().enumerate() {
        let even = (left + (counts.len() - done) as i64 - 1) / (counts.len() - done) as i64;
        shares[i] = counts[i].clamp(0, even);
        left -= shares[i];
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_one_partition_lacks_the_others_give() {
        assert_eq!(shares(&[1000, 3, 1000], 500), [249, 3, 248]);
        assert_eq!(shares(&[0, 10], 500), [0, 10]);
        assert_eq!(shares(&[], 500), [0; 0]);
    }

    proptest! {
        #[test]
        fn a_sample_is_as_large_as_it_can_be(
            counts in proptest::collection::vec(0..1000_i64, 1..20),
        ) {
            let shares = shares(&counts, 500);
            prop_assert_eq!(shares.iter().sum::<i64>(), counts.iter().sum::<i64>().min(500));
            prop_assert!(shares.iter().zip(&counts).all(|(share, count)| (0..=*count).contains(share)));
        }
    }
}
