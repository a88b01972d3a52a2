//! I7: alerts are a function of the evidence.
//!
//! A monitor that has heard nothing hears the committed evidence from the beginning, in its order; what
//! it says must be what the alerts topic holds, message by message. It is the product's own monitor: it
//! cannot see an error in scoring, only that a crash, a rebalance or a second monitor changed what was said.

use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use tripline::config::{Config, Secret, Stream};
use tripline::record::Offset;
use tripline::score::Guard;
use tripline::shell::bundle;
use tripline::watch::Message;

/// What was said, and what should have been.
pub struct Replay {
    pub evidence: usize,
    pub alerts: usize,
    /// In words; empty if they are equal.
    pub differences: Vec<String>,
}

/// Replays the evidence of the first stream of `config`.
pub fn replay(client: &ClientConfig, config: &Path) -> Result<Replay, String> {
    let (group, stream) = first_stream(config)?;
    let stream = &stream;
    let bundle = bundle::read(&stream.bundle).map_err(|error| error.to_string())?;
    let guard = Guard::new(&bundle, stream.budget, stream.policy, &stream.codec);
    let guard = guard.map_err(|error| error.to_string())?;
    let mut monitor = tripline::shell::run::monitor(stream, &guard);

    // What the monitor had not yet heard when it was stopped, it has said nothing about.
    let heard =
        committed(client, &format!("{group}.{}.monitor", stream.name), &stream.topics.evidence)?;
    let evidence = read(client, &stream.topics.evidence)?;
    let mut expected = vec![];
    for (offset, value) in evidence.iter().filter(|(offset, _)| *offset < heard) {
        match value.as_deref().map(Message::from_bytes) {
            Some(Ok(message)) => monitor.take(Offset(*offset), &message, &mut expected),
            _ => monitor.skip(Offset(*offset)),
        }
    }
    let expected = expected.iter().map(tripline::monitor::Alert::to_bytes);
    let expected: Vec<String> = expected.map(|value| of_one_file(&value)).collect();
    let said = read(client, &stream.alerts.topic)?.into_iter().filter_map(|(_, value)| value);
    let said: Vec<String> = said.map(|value| of_one_file(&value)).collect();
    let mut differences = vec![];
    if said.len() != expected.len() {
        differences.push(format!("{} alerts, {} expected", said.len(), expected.len()));
    }
    for (nth, (said, expected)) in said.iter().zip(&expected).enumerate() {
        if said != expected && differences.len() < 5 {
            differences.push(format!("alert {nth}: {said}; expected {expected}"));
        }
    }
    Ok(Replay { evidence: evidence.len(), alerts: said.len(), differences })
}

/// The prefix of groups, and the first stream of a configuration.
pub fn first_stream(config: &Path) -> Result<(String, Stream), String> {
    let text = std::fs::read_to_string(config).map_err(|error| error.to_string())?;
    let no_secrets = |_: Secret<'_>| Err("there are none here".to_owned());
    let mut config = Config::read(config, &text, [], &no_secrets).map_err(|why| why.to_string())?;
    Ok((config.kafka.group, config.streams.remove(0)))
}

const PATIENCE: Duration = Duration::from_secs(60);

/// The alert as if every process had the same file of configuration. Each has its own here, and the next steps of an alert name
/// that of the process that said it.
fn of_one_file(alert: &[u8]) -> String {
    let alert = String::from_utf8_lossy(alert).into_owned();
    (0..10).fold(alert, |alert, n| alert.replace(&format!("chaos-{n}.toml"), "chaos.toml"))
}

fn consumer(client: &ClientConfig, group: &str) -> Result<BaseConsumer, String> {
    let mut client = client.clone();
    client.set("group.id", group).set("isolation.level", "read_committed");
    client.set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    client.create().map_err(|error| error.to_string())
}

fn committed(client: &ClientConfig, group: &str, topic: &str) -> Result<i64, String> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, 0);
    let found = consumer(client, group)?.committed_offsets(list, PATIENCE);
    let found = found.map_err(|error| format!("{group}: {error}"))?;
    match found
        .elements()
        .first()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::offset)
    {
        Some(NativeOffset::Offset(offset)) => Ok(offset),
        _ => Err(format!("{group} committed nothing")),
    }
}

/// Offset and value.
type Record = (i64, Option<Vec<u8>>);

/// Every committed record of a topic of one partition.
fn read(client: &ClientConfig, topic: &str) -> Result<Vec<Record>, String> {
    let mut records = vec![];
    each(client, topic, &mut |message| {
        records.push((message.offset(), message.payload().map(<[u8]>::to_vec)));
    })?;
    Ok(records)
}

/// Goes through every committed record of a topic, each partition in the order of its log.
pub fn each(
    client: &ClientConfig,
    topic: &str,
    take: &mut dyn FnMut(&BorrowedMessage<'_>),
) -> Result<(), String> {
    let consumer = consumer(client, "chaos-replay")?;
    let found = consumer.fetch_metadata(Some(topic), PATIENCE).map_err(|e| e.to_string())?;
    let mut unread: Vec<i32> = found.topics()[0].partitions().iter().map(|p| p.id()).collect();
    let mut list = TopicPartitionList::new();
    for &partition in &unread {
        let added = list.add_partition_offset(topic, partition, NativeOffset::Beginning);
        added.expect("a beginning");
    }
    consumer.assign(&list).map_err(|error| error.to_string())?;
    let deadline = Instant::now() + PATIENCE;
    while !unread.is_empty() {
        if Instant::now() >= deadline {
            return Err(format!("{topic}: not to the end within {PATIENCE:?}"));
        }
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => take(&message),
            Some(Err(KafkaError::PartitionEOF(partition))) => unread.retain(|&p| p != partition),
            _ => {}
        }
    }
    Ok(())
}
