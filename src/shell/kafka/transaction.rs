//! One worker's producer, and what it is promised to be.
//!
//! Exactly once: outputs and offsets in one transaction. After any failure the transaction is given
//! up with its producer, and a new producer takes the same id: initializing it raises the epoch,
//! fences whatever of the old one is still on its way and ends its transaction. librdkafka speaks
//! the transaction protocol of before KIP-890, in which a delayed commit or abort of an old
//! transaction can otherwise hit a later one. Within a call librdkafka may lose an answer and ask
//! again without telling: so a producer whose commit succeeded, but slowly or beside an error, is
//! replaced as well before it begins another transaction. That a transaction was ended is believed
//! when the log shows it, if there is any reason for doubt ([`ending`](super::ending)).
//!
//! At least once: an idempotent producer without transactions; offsets follow when everything sent
//! has arrived.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tracing::{debug, warn};

use super::client::batch_bytes;
use super::deliveries::{Deliveries, own_position};
use super::native;
use super::{deadline, refused, words};
use crate::config::Delivery;
use crate::deliver::{Ends, GROUP, Objection, Outputs, Progress, Refusal, SessionError};
use crate::record::Partition;
use crate::shell::clock;

/// A producer that is always in a known state: nothing open, or what was sent since the last commit.
pub struct Transactions {
    config: ClientConfig,
    pub(super) delivery: Delivery,
    timeout: Duration,
    /// Shared with calls that were left behind.
    pub(super) producer: RefCell<Arc<ThreadedProducer<Deliveries>>>,
    deliveries: Deliveries,
    open: Cell<bool>,
    /// Whether the brokers took the abort of what is open at once; `None` before one was tried.
    aborted: Cell<Option<bool>>,
    /// A request of the last transaction may still be on its way.
    pub(super) suspect: Cell<bool>,
    /// When something last went wrong.
    pub(super) wary: Cell<Option<Instant>>,
    /// What may hang of our id.
    pub(super) ends: RefCell<Ends>,
    /// When that was last looked at.
    pub(super) looked: Cell<Option<Instant>>,
    /// When we last heard that the id is ours.
    pub(super) used: Cell<Instant>,
    /// Told of each step that may take long, and that the thread lives.
    progress: Arc<Progress>,
}

/// A call that took this long may have asked twice. librdkafka waits at least a second for an
/// answer; an error in between, which may come sooner, is seen by itself.
const SUSPECT: Duration = Duration::from_millis(500);

/// librdkafka waits this long before it asks for a producer's next epoch, which it needs when requests were out of
/// sequence.
const BUMP: Duration = Duration::from_millis(500);

/// A record on its way out.
pub struct Sending<'a> {
    pub topic: &'a str,
    pub partition: Option<i32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub timestamp_ms: Option<i64>,
    pub headers: Option<OwnedHeaders>,
}

/// The group whose offsets our transactions move, and the topic it reads.
#[derive(Clone, Copy)]
pub struct ToGroup<'a> {
    pub group: &'a str,
    pub topic: &'a str,
    /// Whether no offset of it is pending.
    pub is_stable: &'a dyn Fn() -> bool,
    /// Whether none is pending of those that we sent last.
    pub has_ours: &'a dyn Fn() -> bool,
}

impl Transactions {
    /// Creates the producer and takes its id over; waits for the coordinator up to `timeout`. What
    /// a process before us left in `outputs` is doubted.
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
            ends: RefCell::new(Ends::new(outputs, [])),
            looked: Cell::new(None),
            used: Cell::new(Instant::now()),
            progress,
        };
        started.take_over()?;
        Ok(started)
    }

    /// Another process may have had our id before, or since our last producer was made, and have left
    /// anything anywhere.
    fn take_over(&self) -> Result<(), SessionError> {
        if self.delivery != Delivery::ExactlyOnce {
            return Ok(());
        }
        let topics = self.ends.borrow().topics().to_vec();
        let width = |topic: String| {
            self.step("asking for partitions");
            Ok((self.partitions_of(&topic, METADATA)?, topic))
        };
        let widths: Result<Vec<(i32, String)>, SessionError> =
            topics.into_iter().map(width).collect();
        let widths = widths?.into_iter().map(|(width, topic)| (topic, width));
        self.ends.borrow_mut().take_over(widths.chain([(GROUP.to_owned(), 1)]));
        Ok(())
    }

    /// Gives up whatever is open, by a new producer with the same id.
    ///
    /// # Errors
    /// As [`Transactions::start`].
    pub fn restart(&mut self) -> Result<(), SessionError> {
        self.beware();
        self.renew()?;
        // Not before: only now nothing more can come of what was open.
        self.take_over()?;
        self.open.set(false);
        Ok(())
    }

    /// Gives up what is open, and keeps the producer. The brokers must say at once that it is undone: what is asked
    /// twice may end a later transaction.
    ///
    /// # Errors
    /// If they do not: [`Transactions::restart`] next.
    pub fn undo(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        let unknown =
            |reason: &str| SessionError::Transaction { step: "abort", reason: reason.into() };
        if self.delivery == Delivery::AtLeastOnce {
            if self.producer.borrow().in_flight_count() > 0 {
                return Err(unknown("something is on its way"));
            }
            self.deliveries.forgive();
        } else if self.open.get() {
            if !self.ends.borrow().is_calm() {
                return Err(unknown("something older may hang"));
            }
            if self.aborted.get().is_none() {
                self.abort_if(true);
            }
            if self.aborted.get() != Some(true) {
                return Err(unknown("the brokers did not answer at once"));
            }
            if self.is_wary() && !self.deliveries.has_landed() {
                return Err(unknown("no partition of ours shows whether it has ended"));
            }
            self.was_ended(to)?;
            self.ends.borrow_mut().committed();
        }
        self.open.set(false);
        Ok(())
    }

    /// The new producer stands before the old one goes, and going is left to a thread of its own:
    /// it may have to wait for brokers that are away.
    pub(super) fn renew(&self) -> Result<(), SessionError> {
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

    /// Puts a record into the open transaction, opening one if there is none. Waits while the
    /// producer's queue is full.
    ///
    /// # Errors
    /// If the transaction cannot go on.
    pub fn send(&self, sending: Sending<'_>) -> Result<(), SessionError> {
        if !self.open.get() {
            // What a topic did not take may have been reported after its transaction failed.
            self.refused()?;
            if self.delivery == Delivery::ExactlyOnce {
                if self.suspect.get() {
                    debug!("a new producer: something of the last transaction may be on its way");
                    self.renew()?;
                }
                self.deliveries.calm();
                self.aborted.set(None);
                self.producer.borrow().begin_transaction().map_err(|e| self.failed("begin", &e))?;
            }
            self.open.set(true);
        }
        if self.delivery == Delivery::ExactlyOnce {
            self.ends.borrow_mut().touch(sending.topic, sending.partition.map(Partition));
        }
        let deadline = Instant::now() + self.timeout;
        let mut record = BaseRecord::<[u8], [u8]>::to(sending.topic);
        record.partition = sending.partition;
        record.key = sending.key;
        record.payload = sending.value;
        record.timestamp = sending.timestamp_ms;
        record.headers = sending.headers;
        loop {
            match self.producer.borrow().send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back))
                    if Instant::now() < deadline =>
                {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((KafkaError::MessageProduction(code), back))
                    if refused::is_local(code)
                        && let Some(at) = back.headers.as_ref().and_then(own_position) =>
                {
                    if self.delivery == Delivery::AtLeastOnce {
                        // What became of the others must be known before they are sent again.
                        self.land()?;
                    }
                    let objection = match code {
                        RDKafkaErrorCode::InvalidArgument => Objection::Record,
                        _ => Objection::Size,
                    };
                    let topic = sending.topic.to_owned();
                    let refusal = Refusal { at, topic, objection, sure: true, takes: None };
                    self.deliveries.refuse(refusal);
                    return self.refused();
                }
                Err((error, _)) => {
                    return Err(match self.failed("produce", &error) {
                        SessionError::Transaction { step, reason } => {
                            let reason = format!("topic {}: {reason}", sending.topic);
                            SessionError::Transaction { step, reason }
                        }
                        other => other,
                    });
                }
            }
        }
    }

    /// Adds the consumer's `offsets` to the transaction. A producer that does not come back from that is
    /// left behind: its transaction has timed out by then, and a new one takes its id.
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
        self.ends.borrow_mut().touch(GROUP, Some(Partition(0)));
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

    /// Says what begins now and may take long: the thread lives.
    pub(super) fn step(&self, what: &'static str) {
        step(&self.progress, what);
    }

    /// Aborts a transaction that the group is in: nothing changes, but the coordinator of the group
    /// forgets what it still holds as pending from an older transaction of our id. After a crash a
    /// broker may miss the end of one and call our group's offsets unstable for ever.
    ///
    /// # Errors
    /// Only if somebody else has our id.
    pub fn settle_pending(&self, to: ToGroup<'_>) -> Result<(), SessionError> {
        if self.open.get() || self.delivery != Delivery::ExactlyOnce {
            return Ok(());
        }
        match self.abort_into(&[], to) {
            Err(error @ SessionError::Fenced { .. }) => Err(error),
            Err(error) => {
                warn!(%error, "pending offsets cannot be settled");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
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
        self.ends.borrow_mut().committed();
        self.open.set(false);
        Ok(())
    }

    /// Waits until everything sent has arrived: what at-least-once has for a commit.
    ///
    /// # Errors
    /// If something did not arrive, or it takes too long.
    pub fn flush(&self) -> Result<(), SessionError> {
        self.land()?;
        self.refused()?;
        match self.deliveries.lost() {
            None => Ok(()),
            Some(reason) => Err(SessionError::Transaction { step: "produce", reason }),
        }
    }

    /// The same within a transaction too. After an error there nothing more is sent, so it does not
    /// wait for the rest.
    ///
    /// # Errors
    /// As [`Transactions::flush`].
    pub fn arrive(&self) -> Result<(), SessionError> {
        if !self.open.get() {
            return Ok(());
        }
        let arrived = self.flush();
        self.abort_if(arrived.is_err() && self.delivery == Delivery::ExactlyOnce);
        arrived
    }

    /// Until nothing is on its way, or a transaction is lost.
    fn land(&self) -> Result<(), SessionError> {
        self.step("waiting for what was sent");
        let deadline = Instant::now() + self.timeout;
        let is_lost = || self.delivery == Delivery::ExactlyOnce && self.deliveries.lost().is_some();
        while self.producer.borrow().in_flight_count() > 0 && !is_lost() {
            if Instant::now() >= deadline {
                return Err(self.failed("flush", &KafkaError::NoMessageReceived));
            }
            std::thread::sleep(Duration::from_micros(300));
        }
        Ok(())
    }

    /// Nothing is open any more: at-least-once has committed its offsets.
    pub fn close(&self) {
        self.open.set(false);
    }

    /// How many partitions `topic` has, by the client that will write to it: it must know them.
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

    fn suspect_since(&self, started: Instant) {
        if started.elapsed() >= SUSPECT || self.deliveries.is_troubled() {
            self.suspect.set(true);
            self.beware();
        }
    }

    fn refused(&self) -> Result<(), SessionError> {
        match self.deliveries.take_refused() {
            (refusals, _) if refusals.is_empty() => Ok(()),
            (refusals, beside) => Err(SessionError::Refused { refusals, beside }),
        }
    }

    /// What the error says is undone for sure can be undone now, not when the broker's timeout
    /// says so. Unless the brokers took it at once, a new producer follows.
    fn abort_if(&self, requires_abort: bool) {
        if !requires_abort {
            return;
        }
        self.step("aborting");
        self.quieten();
        let started = Instant::now();
        let aborted = self.producer.borrow().abort_transaction(ABORT);
        if let Err(error) = &aborted {
            debug!("aborting: {}", words::of(error));
        }
        let at_once = started.elapsed() < SUSPECT + BUMP && !self.deliveries.is_troubled();
        self.aborted.set(Some(aborted.is_ok() && at_once));
    }

    /// Waits until what is on its way is answered, as far as anything is. The answer to a request behind one that
    /// was refused says that it is out of sequence; if it came later, it would spoil the next transaction. What is
    /// queued is not sent any more, and stays.
    fn quieten(&self) {
        const LOOK: Duration = Duration::from_millis(10);
        let deadline = Instant::now() + SUSPECT / 2;
        let mut left = self.producer.borrow().in_flight_count();
        while left > 0 && Instant::now() < deadline {
            std::thread::sleep(LOOK);
            let now = self.producer.borrow().in_flight_count();
            if now == left {
                return;
            }
            left = now;
        }
    }

    pub(super) fn failed(&self, step: &'static str, error: &KafkaError) -> SessionError {
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
        // "Fatal" says that the cause was told before.
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

/// Lets go of a client on a thread of its own: leaving a group waits for brokers.
pub fn part_with(client: impl Send + 'static) {
    let thread = std::thread::Builder::new().name("farewell".into());
    if let Err(error) = thread.spawn(move || drop(client)) {
        warn!(%error, "no thread to let a client go on");
    }
}

fn step(progress: &Progress, what: &'static str) {
    progress.doing(what);
    progress.beat(clock::now());
}

/// Beyond the transaction timeout, which librdkafka keeps to itself as a rule.
const GRACE: Duration = Duration::from_secs(2);
/// How long the question how wide topics are may take.
const METADATA: Duration = Duration::from_secs(10);
/// How long an abort may take before the broker does it.
pub(super) const ABORT: Duration = Duration::from_secs(5);

/// What is open when its owner goes is undone now, not when the broker's timeout says so.
impl Drop for Transactions {
    fn drop(&mut self) {
        if self.open.get()
            && self.delivery == Delivery::ExactlyOnce
            && let Err(error) = self.producer.borrow().abort_transaction(ABORT)
        {
            warn!("aborting: {}; the broker will do it", words::of(&error));
        }
    }
}

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
