//! The deployed model: it reads what is sent on, and its answers are logged as KServe's logger does it.
//!
//! At first it is the one that the bundle knows. From some record on it is another: it calls boots T-shirts, and T-shirts
//! boots. No share of labels says so.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::plan::{Phase, Plan};
use super::slice::{LABELS, Slices};
use crate::config::{Stream, StreamAnswers};
use crate::model::{Filled, ModelError, Networks};
use crate::record::{Columns, Timestamp};

/// The two labels that the other model exchanges: T-shirt and boot.
const EXCHANGED: [usize; 2] = [0, 9];

/// Records that are answered at a time.
const ROWS_MAX: usize = 64;
const POLL: Duration = Duration::from_millis(20);
/// How long the broker may take to acknowledge.
const PATIENCE: Duration = Duration::from_secs(10);

/// What answering takes.
pub struct Deployed<'a> {
    pub brokers: &'a str,
    pub stream: &'a Stream,
    pub answers: &'a StreamAnswers,
    pub partitions: i32,
    pub plan: &'a Plan,
    pub slices: &'a Slices,
    pub networks: &'a mut Networks,
    /// What the last record's timestamp says.
    pub end: Timestamp,
    pub answered: &'a Answered,
    pub stop: &'a AtomicBool,
}

/// Answers so far, and those with an exchanged label.
#[derive(Debug, Default)]
pub struct Answered {
    pub all: AtomicU64,
    pub exchanged: AtomicU64,
}

/// Why nobody answers any more.
#[derive(Debug, thiserror::Error)]
pub enum DeployedError {
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl Deployed<'_> {
    /// Answers each record once, until `stop`.
    ///
    /// # Errors
    /// If the broker takes no answer, or the model fails.
    pub fn run(mut self) -> Result<(), DeployedError> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", self.brokers)
            .set("client.id", "demo.model")
            .set("group.id", "demo.model")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "10")
            .create()?;
        let mut all = TopicPartitionList::new();
        all.add_partition_range(&self.stream.topics.sanitized, 0, self.partitions - 1);
        all.set_all_offsets(Offset::Beginning)?;
        consumer.assign(&all)?;
        let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
            .set("bootstrap.servers", self.brokers)
            .set("client.id", "demo.model")
            .set("linger.ms", "5")
            .set("message.timeout.ms", PATIENCE.as_millis().to_string())
            .create()?;
        // An open transaction is not hidden here: what is sent again would be answered again.
        let mut seen = BTreeSet::new();
        while !self.stop.load(Ordering::Relaxed) {
            let mut numbers = read(&consumer)?;
            numbers.retain(|&number| seen.insert(number));
            self.answer(&producer, &numbers)?;
        }
        Ok(producer.flush(PATIENCE)?)
    }

    fn answer(
        &mut self,
        producer: &ThreadedProducer<DefaultProducerContext>,
        numbers: &[usize],
    ) -> Result<(), DeployedError> {
        if numbers.is_empty() {
            return Ok(());
        }
        let image = |&number: &usize| {
            let planned = &self.plan.records[number];
            self.slices.image(planned.truth, planned.image)
        };
        let x: Vec<f32> =
            numbers.iter().flat_map(image).map(|&pixel| f32::from(pixel) / 255.0).collect();
        let mut filled = Filled::default();
        self.networks.fill(Columns::ANSWER, &x, &mut filled)?;
        for (row, &number) in filled.rows(&x).answer.rows().into_iter().zip(numbers) {
            let mut probabilities: Vec<f32> = row.iter().map(|ln_p| ln_p.exp()).collect();
            let is_other = Phase::of(number, self.plan.records.len()) == Phase::Tampered;
            if is_other && probabilities.len() == LABELS.len() {
                let label = |p: &[f32]| (0..p.len()).max_by(|&a, &b| p[a].total_cmp(&p[b]));
                let was = label(&probabilities);
                probabilities.swap(EXCHANGED[0], EXCHANGED[1]);
                let is_exchanged = label(&probabilities) != was;
                self.answered.exchanged.fetch_add(u64::from(is_exchanged), Ordering::Relaxed);
            }
            self.send(producer, number, &probabilities)?;
            self.answered.all.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn send(
        &self,
        producer: &ThreadedProducer<DefaultProducerContext>,
        number: usize,
        probabilities: &[f32],
    ) -> Result<(), KafkaError> {
        let body = serde_json::json!({ "predictions": [probabilities] }).to_string();
        let id = number.to_string();
        let kind = "org.kubeflow.serving.inference.response";
        let headers = [
            ("ce_specversion", "1.0"),
            ("ce_type", kind),
            ("ce_source", "demo"),
            ("ce_id", &id),
            ("content-type", "application/json"),
        ];
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key, value: Some(*value) })
        });
        let partition = number as i32 % self.partitions;
        let mut record = BaseRecord::<(), str>::to(&self.answers.topic)
            .partition(partition)
            .payload(&body)
            // As its record is: minutes are played in seconds, and how long an answer took is none of the story.
            .timestamp(self.plan.time_of(number, self.end).0)
            .headers(headers);
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

/// Numbers of the records that have come, at most [`ROWS_MAX`].
fn read(consumer: &BaseConsumer) -> Result<Vec<usize>, KafkaError> {
    let (mut timeout, mut numbers) = (POLL, vec![]);
    while numbers.len() < ROWS_MAX {
        match consumer.poll(timeout) {
            None => break,
            Some(Ok(message)) => {
                let key = message.key().and_then(|key| str::from_utf8(key).ok());
                numbers.extend(key.and_then(|key| key.parse::<usize>().ok()));
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error),
            // librdkafka tries again.
            Some(Err(_)) => break,
        }
        timeout = Duration::ZERO;
    }
    Ok(numbers)
}
