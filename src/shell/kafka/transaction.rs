//! The producer of one worker, and its transactions.
//!
//! Exactly once: outputs and offsets are in one transaction. After a failure the producer is replaced by a new one with
//! the same transactional id. Initializing the new one raises the producer's epoch: the brokers then refuse every
//! request of the old one and abort its transaction.
//!
//! Why a producer is also replaced after a slow commit: librdkafka speaks the protocol from before KIP-890. In that
//! protocol a late EndTxn request of one transaction can end the next one. librdkafka may send a request twice within a
//! call and does not report it. So a producer whose commit took long, or had an error beside it, begins no further
//! transaction.
//!
//! A broker may acknowledge a commit and lose its markers. After an error the markers are looked for in the log
//! ([`ending`]).
//!
//! At least once: an idempotent producer without transactions. Offsets are committed after all records have arrived.

mod abort;
mod ending;
mod sending;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::client::batch_bytes;
use super::deliveries::Deliveries;
use super::farewell::part_with;
use super::native;
use super::{deadline, words};
use crate::config::Delivery;
use crate::deliver::{GROUP, HangingTransactions, Outputs, Progress, SessionError};
use crate::record::Partition;
use crate::shell::clock;

pub use self::sending::Sending;

/// A producer with at most one open transaction: what was sent since the last commit.
pub struct Transactions {
    config: ClientConfig,
    delivery: Delivery,
    timeout: Duration,
    /// Shared with calls that did not return in time; each has a thread of its own.
    producer: RefCell<Arc<ThreadedProducer<Deliveries>>>,
    deliveries: Deliveries,
    open: Cell<bool>,
    /// Whether the brokers confirmed the abort of the open transaction at once. `None`: no abort was tried.
    aborted: Cell<Option<bool>>,
    /// A request of the last transaction may still be on its way.
    suspect: Cell<bool>,
    /// When something last went wrong.
    wary: Cell<Option<Instant>>,
    /// Partitions where a transaction of our id may have no end.
    hanging: RefCell<HangingTransactions>,
    /// When they were last checked.
    looked: Cell<Option<Instant>>,
    /// When the brokers last accepted a request of our id.
    used: Cell<Instant>,
    /// Gets the name of each step that may take long, and a sign of life.
    progress: Arc<Progress>,
}

/// The group whose offsets our transactions move, and the topic it reads.
#[derive(Clone, Copy)]
pub struct ToGroup<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    /// Whether the group has no pending offset.
    pub is_stable: &'a dyn Fn() -> bool,
    /// Whether none of the offsets that we sent last is pending.
    pub has_ours: &'a dyn Fn() -> bool,
}

impl Transactions {
    /// Creates the producer and takes over its id. Waits up to `timeout` for the coordinator. An earlier process may have
    /// left a transaction without an end in any of `outputs`: they are checked before the first commit.
    ///
    /// # Errors
    /// If the client cannot be made or the cluster does not answer.
    pub fn start(
        config: ClientConfig,
        delivery: Delivery,
        outputs: &Outputs,
        timeout: Duration,
        progress: Arc<Progress>,
    ) -> Result<Self, SessionError> {
        let deliveries = Deliveries::new(batch_bytes(&config), outputs);
        step(&progress, "taking the transactional id over");
        let producer = producer(&config, delivery, deliveries.clone(), timeout)?;
        let started = Self {
            config,
            delivery,
            timeout,
            producer: RefCell::new(producer),
            deliveries,
            open: Cell::new(false),
            aborted: Cell::new(None),
            suspect: Cell::new(false),
            wary: Cell::new(Some(Instant::now())),
            hanging: RefCell::new(HangingTransactions::new(outputs, [])),
            looked: Cell::new(None),
            used: Cell::new(Instant::now()),
            progress,
        };
        started.take_over()?;
        Ok(started)
    }

    /// Marks every partition of every output as unchecked: another process may have had our id, also since our last
    /// producer was made.
    fn take_over(&self) -> Result<(), SessionError> {
        if self.delivery != Delivery::ExactlyOnce {
            return Ok(());
        }
        let topics = self.hanging.borrow().topics().to_vec();
        let width = |topic: String| {
            self.step("asking for partitions");
            Ok((self.partitions_of(&topic, METADATA)?, topic))
        };
        let widths: Result<Vec<(i32, String)>, SessionError> =
            topics.into_iter().map(width).collect();
        let widths = widths?.into_iter().map(|(width, topic)| (topic, width));
        self.hanging.borrow_mut().take_over(widths.chain([(GROUP.to_owned(), 1)]));
        Ok(())
    }

    /// Aborts the open transaction by making a new producer with the same id.
    ///
    /// # Errors
    /// As [`Transactions::start`].
    pub fn restart(&mut self) -> Result<(), SessionError> {
        self.beware();
        self.renew()?;
        // Only from here on the brokers refuse what the old producer sends.
        self.take_over()?;
        self.open.set(false);
        Ok(())
    }

    /// Makes the new producer first, then drops the old one on a thread of its own: the drop may wait for brokers that
    /// do not answer.
    fn renew(&self) -> Result<(), SessionError> {
        self.step("making a new producer");
        self.deliveries.forgive();
        let deliveries = self.deliveries.clone();
        let new = producer(&self.config, self.delivery, deliveries, self.timeout)?;
        part_with(self.producer.replace(new));
        self.suspect.set(false);
        Ok(())
    }

    pub fn is_open(&self) -> bool {
        self.open.get()
    }

    /// Adds the consumer's `offsets` to the transaction. If the call does not return in time, its thread and its producer
    /// are left alone: the transaction has timed out by then, and the next producer takes the id.
    ///
    /// # Errors
    /// If the group does not take them from us, or nobody answers.
    pub fn offsets(
        &self,
        offsets: TopicPartitionList,
        group: ConsumerGroupMetadata,
    ) -> Result<(), SessionError> {
        const STEP: &str = "send offsets";
        self.step("sending offsets");
        self.hanging.borrow_mut().wrote(GROUP, Some(Partition(0)));
        let started = Instant::now();
        let (producer, timeout) = (self.producer.borrow().clone(), self.timeout);
        let sent = deadline::within(STEP, self.timeout / 3 + GRACE, move || {
            producer.send_offsets_to_transaction(&offsets, &group, timeout)
        });
        self.suspect_since(started);
        match sent {
            Some(sent) => sent.map_err(|e| self.failed(STEP, &e)),
            None => {
                let reason = format!("no answer in {:?}", started.elapsed());
                Err(SessionError::Transaction { step: STEP, reason })
            }
        }
    }

    /// Reports the step that begins now, and a sign of life.
    fn step(&self, what: &'static str) {
        step(&self.progress, what);
    }

    /// Commits the open transaction.
    ///
    /// # Errors
    /// If anything failed or took too long; the transaction may or may not be committed.
    pub fn commit(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        self.step("looking for an older transaction");
        if let Err(error) = self.may_commit(to) {
            self.abort_if(true);
            return Err(error);
        }
        self.step("committing");
        let started = Instant::now();
        let committed = native::commit_transaction(&self.producer.borrow(), self.timeout);
        self.suspect_since(started);
        committed.map_err(|error| {
            self.abort_if(error.requires_abort);
            self.classify("commit", error.code, error.text)
        })?;
        self.used.set(Instant::now());
        self.step("looking for the end of what was committed");
        self.was_ended(to)?;
        self.hanging.borrow_mut().committed();
        self.open.set(false);
        Ok(())
    }

    /// Marks the transaction as closed. At least once: after the offsets are committed.
    pub fn close(&self) {
        self.open.set(false);
    }

    /// The number of partitions of `topic`. The client that will write to it asks, because it must know them.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn partitions_of(&self, topic: &str, timeout: Duration) -> Result<i32, SessionError> {
        let asked = self.producer.borrow().client().fetch_metadata(Some(topic), timeout);
        let asked = asked.map_err(|error| SessionError::Exchange {
            what: "fetch metadata",
            reason: format!("topic {topic}: {}", words::of(&error)),
        })?;
        let topic = asked.topics().iter().find(|known| known.name() == topic);
        Ok(topic.map_or(0, |topic| topic.partitions().len() as i32))
    }

    fn failed(&self, step: &'static str, error: &KafkaError) -> SessionError {
        match error {
            KafkaError::Transaction(native) => {
                self.abort_if(native.txn_requires_abort());
                self.classify(step, native.code(), native.string())
            }
            other => {
                let code = other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown);
                self.classify(step, code, words::of(other))
            }
        }
    }

    fn classify(&self, step: &'static str, code: RDKafkaErrorCode, text: String) -> SessionError {
        if let Err(refused) = self.refused() {
            return refused;
        }
        // `Fatal` hides the cause: the client has it.
        let cause = (code == RDKafkaErrorCode::Fatal)
            .then(|| self.producer.borrow().client().fatal_error())
            .flatten();
        let (code, text) = cause.unwrap_or((code, text));
        let id = || self.config.get("transactional.id").unwrap_or_default().to_owned();
        let reason = text;
        match code {
            RDKafkaErrorCode::Fenced
            | RDKafkaErrorCode::ProducerFenced
            | RDKafkaErrorCode::InvalidProducerEpoch => SessionError::Fenced { id: id(), reason },
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed => {
                let reason = format!("may not Write on transactional id {}: {reason}", id());
                SessionError::Transaction { step, reason }
            }
            _ => SessionError::Transaction { step, reason },
        }
    }
}

fn step(progress: &Progress, what: &'static str) {
    progress.doing(what);
    progress.beat(clock::now());
}

/// How much longer than the transaction timeout a call may take. librdkafka usually keeps the timeout itself.
const GRACE: Duration = Duration::from_secs(2);
/// Timeout of a metadata request.
const METADATA: Duration = Duration::from_secs(10);

fn producer(
    config: &ClientConfig,
    delivery: Delivery,
    deliveries: Deliveries,
    timeout: Duration,
) -> Result<Arc<ThreadedProducer<Deliveries>>, SessionError> {
    let exchange =
        |what, error: KafkaError| SessionError::Exchange { what, reason: words::of(&error) };
    let producer = ThreadedProducer::from_config_and_context(config, deliveries)
        .map_err(|e| exchange("create producer", e))?;
    if delivery == Delivery::ExactlyOnce {
        producer.init_transactions(timeout).map_err(|error| {
            let id = config.get("transactional.id").unwrap_or_default();
            let (what, why) = ("init transactions", words::of(&error));
            SessionError::Exchange { what, reason: format!("transactional id {id}: {why}") }
        })?;
    }
    Ok(Arc::new(producer))
}
