//! Sends the plan's records, never far ahead of what came out.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use super::plan::Plan;
use super::slice::Slices;
use crate::record::Timestamp;

/// Header with what a record is in truth.
pub const TRUTH: &str = "demo-truth";

/// Header with the id of the account, and that of the request.
pub const CLIENT: &str = "x-client-id";
pub const REQUEST: &str = "x-request-id";

/// How far to be ahead of what came out. The embedded broker keeps 5 MiB per partition and drops
/// what is older: 1000 records of at most 16 KiB (JSON) over four partitions stay below that.
const AHEAD_MAX: u64 = 1000;

/// How long the broker may take to acknowledge.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything that feeding takes.
pub struct Feeder<'a> {
    pub brokers: &'a str,
    pub topic: &'a str,
    pub partitions: usize,
    pub plan: &'a Plan,
    pub slices: &'a Slices,
    /// What the last record's timestamp says.
    pub end: Timestamp,
    pub fed: &'a AtomicU64,
    pub came_out: &'a AtomicU64,
    pub stop: &'a AtomicBool,
}

impl Feeder<'_> {
    /// Feeds the whole plan, or until `stop`.
    ///
    /// # Errors
    /// If the broker does not take a record.
    pub fn run(self) -> Result<(), KafkaError> {
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", self.brokers)
            .set("client.id", "demo.feeder")
            .set("linger.ms", "5")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            .create()?;
        for i in 0..self.plan.records.len() {
            let ahead = || i as u64 - self.came_out.load(Ordering::Relaxed).min(i as u64);
            while ahead() >= AHEAD_MAX && !self.stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(1));
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.send(&producer, i)?;
            self.fed.store(i as u64 + 1, Ordering::Relaxed);
        }
        producer.flush(PATIENCE)
    }

    fn send(
        &self,
        producer: &ThreadedProducer<DefaultProducerContext>,
        i: usize,
    ) -> Result<(), KafkaError> {
        let planned = &self.plan.records[i];
        let value = planned.form.encode(self.slices.image(planned.truth, planned.image));
        let key = i.to_string();
        let truth = Header { key: TRUTH, value: Some(planned.truth.name()) };
        let id = planned.sender.id();
        let mut headers = OwnedHeaders::new()
            .insert(truth)
            .insert(Header { key: CLIENT, value: Some(&id) })
            .insert(Header { key: REQUEST, value: Some(&key) });
        if let Some(content_type) = planned.form.content_type() {
            headers = headers.insert(Header { key: "content-type", value: Some(content_type) });
        }
        let mut record = BaseRecord::<str, [u8]>::to(self.topic)
            .partition((i % self.partitions) as i32)
            .key(&key)
            .timestamp(self.plan.time_of(i, self.end).0)
            .headers(headers);
        record.payload = value.as_deref();
        loop {
            match producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(error),
            }
        }
    }
}
