//! One worker's transactional producer.
//!
//! After any failure the transaction is given up with its producer, and a new producer takes the
//! same id: initializing it raises the epoch, fences whatever of the old one is still on its way
//! and ends its transaction. librdkafka speaks the transaction protocol of before KIP-890, in
//! which a delayed commit or abort of an old transaction can otherwise hit a later one.

use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tracing::{debug, warn};

use super::native;

/// A producer that is always in a known state: no transaction, or one of its own.
pub struct Transactions {
    config: ClientConfig,
    timeout: Duration,
    producer: ThreadedProducer<Quiet>,
    open: bool,
}

/// Why a transaction did not commit.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// Somebody else has our id: leave, touch nothing.
    #[error("another process took over transactional id {id:?}: {reason}")]
    Fenced { id: String, reason: String },
    /// Unknown or undone; a new producer settles it.
    #[error("{step} failed: {reason}")]
    Failed { step: &'static str, reason: String },
}

/// A record on its way out.
pub struct Output<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub timestamp_ms: Option<i64>,
    pub headers: Option<OwnedHeaders>,
}

impl<'a> Output<'a> {
    /// A record of our own making: no headers, the producer's time.
    pub fn new(topic: &'a str, partition: i32, key: &'a [u8], value: &'a [u8]) -> Self {
        Self {
            topic,
            partition: Some(partition),
            key: Some(key),
            value: Some(value),
            timestamp_ms: None,
            headers: None,
        }
    }
}

impl Transactions {
    /// Creates the producer and takes its id over; waits for the coordinator up to `timeout`.
    ///
    /// # Errors
    /// If the client cannot be made or the coordinator does not answer.
    pub fn start(config: ClientConfig, timeout: Duration) -> Result<Self, TransactionError> {
        let producer = producer(&config, timeout)?;
        Ok(Self { config, timeout, producer, open: false })
    }

    /// Gives up whatever is open, by a new producer with the same id.
    ///
    /// # Errors
    /// As [`Transactions::start`].
    pub fn restart(&mut self) -> Result<(), TransactionError> {
        self.open = false;
        self.producer = producer(&self.config, self.timeout)?;
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Puts a record into the open transaction, opening one if there is none. Waits while the
    /// producer's queue is full.
    ///
    /// # Errors
    /// If the transaction cannot go on.
    pub fn send(&mut self, output: Output<'_>) -> Result<(), TransactionError> {
        if !self.open {
            self.producer.begin_transaction().map_err(|e| self.failed("begin", &e))?;
            self.open = true;
        }
        let deadline = Instant::now() + self.timeout;
        let mut record = BaseRecord::<[u8], [u8]>::to(output.topic);
        record.partition = output.partition;
        record.key = output.key;
        record.payload = output.value;
        record.timestamp = output.timestamp_ms;
        record.headers = output.headers;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(self.failed("produce", &error)),
            }
        }
    }

    /// Commits the open transaction together with the consumer's `offsets`.
    ///
    /// # Errors
    /// If anything failed or took too long; the transaction may or may not be committed.
    pub fn commit(
        &mut self,
        offsets: &TopicPartitionList,
        group: &ConsumerGroupMetadata,
    ) -> Result<(), TransactionError> {
        let started = Instant::now();
        self.producer
            .send_offsets_to_transaction(offsets, group, self.timeout)
            .map_err(|e| self.failed("send offsets", &e))?;
        let offsets_sent = started.elapsed();
        native::commit_transaction(&self.producer, self.timeout)
            .map_err(|error| self.classify("commit", error.code, error.text))?;
        self.open = false;
        debug!(?offsets_sent, committed = ?started.elapsed(), "transaction committed");
        Ok(())
    }

    fn failed(&self, step: &'static str, error: &KafkaError) -> TransactionError {
        match error {
            KafkaError::Transaction(native) => self.classify(step, native.code(), native.string()),
            other => {
                let code = other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                self.classify(step, code, other.to_string())
            }
        }
    }

    fn classify(
        &self,
        step: &'static str,
        code: RDKafkaErrorCode,
        text: String,
    ) -> TransactionError {
        let reason = format!("{text} ({code:?})");
        match code {
            RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch => {
                let id = self.config.get("transactional.id").unwrap_or_default().to_owned();
                TransactionError::Fenced { id, reason }
            }
            _ => TransactionError::Failed { step, reason },
        }
    }
}

/// What is open when its owner goes is undone now, not when the broker's timeout says so.
impl Drop for Transactions {
    fn drop(&mut self) {
        if self.open
            && let Err(error) = self.producer.abort_transaction(Duration::from_secs(5))
        {
            warn!(%error, "the broker will abort the open transaction");
        }
    }
}

fn producer(
    config: &ClientConfig,
    timeout: Duration,
) -> Result<ThreadedProducer<Quiet>, TransactionError> {
    let failed =
        |step, error: KafkaError| TransactionError::Failed { step, reason: error.to_string() };
    let producer = ThreadedProducer::from_config_and_context(config, Quiet)
        .map_err(|e| failed("create producer", e))?;
    producer.init_transactions(timeout).map_err(|e| failed("init transactions", e))?;
    Ok(producer)
}

/// Delivery is the transaction's business: a record that fails fails the commit.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        warn!(%error, reason, "kafka client");
    }
}

impl ProducerContext for Quiet {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}
