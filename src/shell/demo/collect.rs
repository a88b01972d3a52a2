//! Reads everything that the guard writes for others, as it comes.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::feed::TRUTH;
use super::plan::Truth;
use super::tally::Tally;
use crate::config::Stream;
use crate::emit::{ReadTrace, TRACE};
use crate::monitor::Alert;
use crate::score::Destination;

/// A consumer of a stream's records and alerts, from the beginning.
pub struct Collector<'a> {
    consumer: BaseConsumer,
    stream: &'a Stream,
}

/// Messages taken at a time: the caller has other things to do.
const MESSAGES_MAX: usize = 1000;

impl<'a> Collector<'a> {
    /// Starts to read; the records' topics have `partitions` each.
    ///
    /// # Errors
    /// If the client cannot be made.
    pub fn start(brokers: &str, partitions: i32, stream: &'a Stream) -> Result<Self, KafkaError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("client.id", "demo.collector")
            .set("group.id", "demo.collector")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let topics = &stream.topics;
        let mut all = TopicPartitionList::new();
        for topic in [&topics.sanitized, &topics.quarantine, &topics.dead_letter] {
            all.add_partition_range(topic, 0, partitions - 1);
        }
        all.add_partition(&stream.alerts.topic, 0);
        all.set_all_offsets(Offset::Beginning)?;
        consumer.assign(&all)?;
        Ok(Self { consumer, stream })
    }

    /// Counts what has come, waiting up to `timeout` for the first message.
    ///
    /// # Errors
    /// If the consumer cannot go on.
    pub fn take(&self, timeout: Duration, tally: &mut Tally) -> Result<(), KafkaError> {
        let mut timeout = timeout;
        for _ in 0..MESSAGES_MAX {
            match self.consumer.poll(timeout) {
                None => break,
                Some(Ok(message)) => self.count(&message, tally),
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
                // librdkafka tries again.
                Some(Err(_)) => break,
            }
            timeout = Duration::ZERO;
        }
        Ok(())
    }

    fn count(&self, message: &BorrowedMessage<'_>, tally: &mut Tally) {
        let topics = &self.stream.topics;
        let route = match message.topic() {
            topic if topic == topics.sanitized => Destination::Sanitized,
            topic if topic == topics.quarantine => Destination::Quarantine,
            topic if topic == topics.dead_letter => Destination::DeadLetter,
            _ => {
                let alert = message.payload().and_then(|v| serde_json::from_slice(v).ok());
                tally.alerts.extend(alert.filter(|new: &Alert| !tally.alerts.contains(new)));
                return;
            }
        };
        if message.headers().is_none() {
            // The embedded broker hides nothing: this ended a transaction that had no end, and was never committed.
            return;
        }
        let key = message.key().and_then(|key| str::from_utf8(key).ok());
        let number = key.and_then(|key| key.parse().ok());
        let truth = header(message, TRUTH);
        let truth = Truth::ALL.into_iter().find(|t| truth == Some(t.name().as_bytes()));
        let (Some(number), Some(truth)) = (number, truth) else {
            unreachable!("a record that the demo did not feed: its key or header was changed");
        };
        let trace = header(message, TRACE).and_then(ReadTrace::unpack);
        tally.count(number, truth, route, trace);
    }
}

/// Value of the last header called `name`.
fn header<'a>(message: &'a BorrowedMessage<'_>, name: &str) -> Option<&'a [u8]> {
    let headers = message.headers()?;
    (0..headers.count()).rev().map(|i| headers.get(i)).find(|h| h.key == name)?.value
}
