//! What groups committed, from the log in which Kafka keeps it.
//!
//! A coordinator may tell an old offset, and a look every fifth of a second passes over what lies between
//! two looks; the log has every commit in its order, and nothing of transactions that were aborted. It
//! cannot show what compaction took: of two commits the later one stays.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

const LOG: &str = "__consumer_offsets";
const TIMEOUT: Duration = Duration::from_secs(60);

/// Commits of groups whose name begins as said: how many, and each that went back.
pub fn went_back(client: &ClientConfig, groups: &str) -> Result<(u64, Vec<String>), String> {
    let told = |error: KafkaError| format!("{LOG}: {error}");
    let mut client = client.clone();
    client.set("group.id", "offsets").set("isolation.level", "read_committed");
    client.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.create().map_err(told)?;
    let metadata = consumer.fetch_metadata(Some(LOG), TIMEOUT).map_err(told)?;
    let mut unread: Vec<i32> = metadata.topics()[0].partitions().iter().map(|p| p.id()).collect();
    let mut all = TopicPartitionList::new();
    for &partition in &unread {
        all.add_partition_offset(LOG, partition, Offset::Beginning).map_err(told)?;
    }
    consumer.assign(&all).map_err(told)?;
    let deadline = Instant::now() + TIMEOUT;
    let mut last: BTreeMap<(String, String, i32), i64> = BTreeMap::new();
    let (mut commits, mut found) = (0, vec![]);
    while !unread.is_empty() {
        if Instant::now() >= deadline {
            return Err(format!("{LOG}: partitions {unread:?} are not read to their end"));
        }
        let message = match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => message,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.retain(|&p| p != partition);
                continue;
            }
            _ => continue,
        };
        let Some(key) = message.key().and_then(key) else { continue };
        if !key.0.starts_with(groups) {
            continue;
        }
        let Some(offset) = message.payload().and_then(|v| v.get(2..10)) else {
            last.remove(&key);
            continue;
        };
        let offset = i64::from_be_bytes(offset.try_into().expect("8 bytes"));
        commits += 1;
        if let Some(before) = last.insert(key.clone(), offset).filter(|&before| before > offset) {
            let (group, topic, partition) = key;
            found.push(format!("{group}, {topic} {partition}: from {before} to {offset}"));
        }
    }
    Ok((commits, found))
}

/// Group, topic and partition, if the record is of an offset.
fn key(bytes: &[u8]) -> Option<(String, String, i32)> {
    let (version, mut rest) = bytes.split_at_checked(2)?;
    if i16::from_be_bytes(version.try_into().ok()?) > 1 {
        return None;
    }
    let mut text = || {
        let (length, after) = rest.split_at_checked(2)?;
        let length = u16::from_be_bytes(length.try_into().ok()?);
        let (text, after) = after.split_at_checked(length.into())?;
        rest = after;
        String::from_utf8(text.to_vec()).ok()
    };
    let (group, topic) = (text()?, text()?);
    Some((group, topic, i32::from_be_bytes(rest.get(..4)?.try_into().ok()?)))
}
