//! One record of a topic, by its partition and offset. Nothing is committed.

use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::kafka::{Clients, Quiet, RecordHeaders, stamp};
use crate::record::{OwnedRecord, Position, Record};

/// Why there is no such record.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    #[error("kafka: read partition {} of {topic}: {error}", at.partition)]
    Kafka { topic: String, at: Position, error: KafkaError },
    #[error(
        "there is no record at offset {} of partition {} of {topic}: it has offsets {low} to {high}; what retention \
         or compaction removed, and the markers of transactions, cannot be read", at.offset, at.partition
    )]
    Nothing { topic: String, at: Position, low: i64, high: i64 },
}

/// For each answer of the broker.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The record at `at`, if a reader of committed records sees it.
///
/// # Errors
/// If it is not there, or Kafka does not answer.
pub fn lookup(clients: &Clients, topic: &str, at: Position) -> Result<OwnedRecord, LookupError> {
    let failed = |error| LookupError::Kafka { topic: topic.to_owned(), at, error };
    let reader = clients.reader("lookup");
    let consumer = BaseConsumer::from_config_and_context(&reader, Quiet).map_err(failed)?;
    let partition = at.partition.0;
    let marks = consumer.fetch_watermarks(topic, partition, TIMEOUT);
    let (low, high) = marks.map_err(failed)?;
    let nothing = || LookupError::Nothing { topic: topic.to_owned(), at, low, high };
    if !(low..high).contains(&at.offset.0) {
        return Err(nothing());
    }
    let mut from = TopicPartitionList::new();
    let offset = Offset::Offset(at.offset.0);
    from.add_partition_offset(topic, partition, offset).map_err(failed)?;
    consumer.assign(&from).map_err(failed)?;
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) if message.offset() == at.offset.0 => {
                let headers = &RecordHeaders::take(&message);
                let (key, value) = (message.key(), message.payload());
                let stamp = stamp(message.timestamp());
                return Ok(Record { at, stamp, key, headers, value }.to_owned());
            }
            Some(Ok(_)) | Some(Err(KafkaError::PartitionEOF(_))) => return Err(nothing()),
            Some(Err(error)) if Instant::now() >= deadline => return Err(failed(error)),
            None if Instant::now() >= deadline => {
                return Err(failed(KafkaError::NoMessageReceived));
            }
            Some(Err(_)) | None => {}
        }
    }
}
