//! What a compacted partition says last about a key.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Records read from the end before the whole partition is: the last value of a key that is
/// written with every commit is near the end.
const TAIL: i64 = 2000;

/// The last value of a key, if it has one.
type Latest = Option<Vec<u8>>;

/// The last committed value of `key` in `partition` of `topic`; `None` if there is none.
///
/// Reads the tail first, the whole partition only if the key is not there.
///
/// # Errors
/// If the partition cannot be read to its end within `timeout`.
pub fn latest(
    reader: &ClientConfig,
    topic: &str,
    partition: i32,
    key: &[u8],
    timeout: Duration,
) -> Result<Latest, KafkaError> {
    let consumer = BaseConsumer::from_config_and_context(reader, Quiet)?;
    let (low, high) = consumer.fetch_watermarks(topic, partition, timeout)?;
    let tail = low.max(high - TAIL);
    let mut found = scan(&consumer, topic, partition, tail, key, timeout)?;
    if found.is_none() && tail > low {
        found = scan(&consumer, topic, partition, low, key, timeout)?;
    }
    Ok(found.flatten())
}

/// The last value of `key` from offset `from` to the end of what is committed; the outer `None`
/// says that the key was not met, the inner that it was deleted.
fn scan(
    consumer: &BaseConsumer<Quiet>,
    topic: &str,
    partition: i32,
    from: i64,
    key: &[u8],
    timeout: Duration,
) -> Result<Option<Latest>, KafkaError> {
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(from))?;
    consumer.assign(&assignment)?;
    let deadline = Instant::now() + timeout;
    let mut found = None;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.key() == Some(key) => {
                found = Some(message.payload().map(<[u8]>::to_vec));
            }
            Some(Ok(_)) => {}
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(found),
            Some(Err(error)) if Instant::now() >= deadline => return Err(error),
            None if Instant::now() >= deadline => {
                return Err(KafkaError::NoMessageReceived);
            }
            Some(Err(_)) | None => {}
        }
    }
}

/// The end of a partition is what we wait for, not an error to log; what matters comes with `poll`.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ConsumerContext for Quiet {}
