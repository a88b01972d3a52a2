//! [`deliver::Session`] over librdkafka: a consumer, and a producer whose transactions commit its offsets.

mod fencing;
mod fetched;
mod group;
mod group_consumer;
mod subscription;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Message as _, OwnedHeaders};
use tracing::warn;

use self::fencing::Fencing;
pub use self::fetched::{Fetched, stamp};
pub(super) use self::group_consumer::GroupConsumer;
use self::subscription::Subscription;
use super::Clients;
use super::assignment::Assignments;
use super::compare;
use super::farewell::part_with;
use super::native;
use super::observer::Looks;
use super::refused::Asked;
use super::restore;
use super::survey;
use super::transaction::{Sending, Transactions};
use super::words;
use crate::config::Delivery;
use crate::deliver::{
    self, Beginning, Change, Forward, Kept, Output, Outputs, Progress, SessionError,
};
use crate::record::{Extent, Headers as _, Offset, Partition, Timestamp, TopicPartition};
use crate::score::Survey;
use crate::shell::clock;

/// Bytes of headers that may wait to be sent.
pub const HEADERS_SENDING_MAX: usize = 16 << 20;

/// Reads one topic as a member of a group; writes outputs, state and offsets, in one transaction under exactly once.
pub struct Session {
    clients: Clients,
    role: String,
    group: String,
    topic: String,
    progress: Arc<Progress>,
    subscription: Subscription,
    subscription_is_usable: bool,
    transactions: Transactions,
    /// Limits of topics that have refused a record.
    asked: Asked,
    /// When the group's offsets were first missing, or when an attempt to end them was last made.
    offsets_missing: Cell<Option<Instant>>,
    /// Since when the brokers answer, but not for the group's offsets.
    untold: Cell<Option<Instant>>,
    /// Bytes of headers sent since the producer's queue was last empty.
    sending: Cell<usize>,
    /// The last offsets sent. Under at-least-once they are committed after every record has arrived.
    sent: RefCell<Vec<(Partition, Offset)>>,
    /// The group's offsets before those.
    known: RefCell<BTreeMap<Partition, Option<Offset>>>,
    /// The extent of the topic, asked every few seconds, and which answer was last read.
    looks: Arc<Looks>,
    seen: Cell<u64>,
    fencing: Fencing,
}

/// Timeout of one request.
const EXCHANGE: Duration = Duration::from_secs(10);

impl Session {
    /// Joins `group` on `topic`, to write to `outputs`. `role` is part of the transactional id and must stay the same over
    /// restarts. `progress` gets the lag every few seconds.
    ///
    /// # Errors
    /// If a client cannot be made or the transaction coordinator does not answer.
    pub fn join(
        clients: &Clients,
        role: &str,
        (group, topic): (&str, &str),
        outputs: &Outputs,
        progress: Arc<Progress>,
    ) -> Result<Self, SessionError> {
        let kafka = clients.kafka();
        let timeout = 3 * kafka.transaction_timeout;
        let producer = clients.producer_for(role, compare::bytes_max(clients, &outputs.topics));
        let transactions =
            Transactions::start(producer, kafka.delivery, outputs, timeout, progress.clone())?;
        let session = Self {
            subscription: Subscription::new(
                topic,
                GroupConsumer::join(clients, role, group, topic)?,
            ),
            subscription_is_usable: true,
            clients: clients.clone(),
            role: role.to_owned(),
            group: group.to_owned(),
            topic: topic.to_owned(),
            transactions,
            asked: Asked::default(),
            offsets_missing: Cell::new(None),
            untold: Cell::new(None),
            sending: Cell::new(0),
            sent: RefCell::default(),
            known: RefCell::default(),
            fencing: Fencing::default(),
            looks: clients.observe(group, topic, &outputs.topics, &progress),
            seen: Cell::new(0),
            progress,
        };
        if let Err(error) = session.end_open_transactions(|| false) {
            warn!(%error, "cannot look for open transactions of an earlier process yet; tried again later");
        }
        Ok(session)
    }

    fn consumer(&self) -> &BaseConsumer<Assignments> {
        self.subscription.consumer()
    }

    /// Reports the step that begins now, and a sign of life.
    fn step(&self, what: &'static str) {
        self.progress.doing(what);
        self.progress.beat(clock::now());
    }

    /// Timeout of one step of a transaction.
    fn patience(&self) -> Duration {
        3 * self.clients.kafka().transaction_timeout
    }

    fn is_transactional(&self) -> bool {
        self.clients.kafka().delivery == Delivery::ExactlyOnce
    }
}

impl deliver::Session for Session {
    type Fetched<'a> = Fetched<'a>;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> Timestamp {
        clock::now()
    }

    fn poll(&self, timeout: Duration) -> Result<Option<Fetched<'_>>, SessionError> {
        if self.transactions.is_doubtful() {
            match self.end_open_transactions(|| false) {
                Err(error @ SessionError::Fenced { .. }) => return self.fenced(Err(error)),
                Ok(true) => {
                    let reason = "the brokers acknowledged the commit, and wrote no end of it; it was aborted".to_owned();
                    return Err(SessionError::Transaction { step: "commit", reason });
                }
                // The next commit reports any other error.
                Ok(false) | Err(_) => {}
            }
        }
        if self.transactions.is_idle() {
            self.fenced(self.with_group(|to| self.transactions.end_pending_offsets(to)))?;
        }
        self.subscription.poll(timeout, &self.clients)
    }

    fn has_news(&self) -> bool {
        !self.consumer().context().is_empty()
    }

    fn change(&self) -> Option<Change> {
        let change = self.subscription.change()?;
        self.clients.members.know(self.consumer().client());
        Some(change)
    }

    fn lost(&self) -> bool {
        self.consumer().assignment_lost()
    }

    fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        self.subscription.assign(from)
    }

    fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        self.subscription.unassign(partitions)
    }

    fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        if partitions.is_empty() { Ok(()) } else { self.subscription.pause(partitions) }
    }

    fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if from.is_empty() {
            return Ok(());
        }
        self.subscription.resume(from)?;
        self.rewind(from)
    }

    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if to.is_empty() {
            return Ok(());
        }
        self.step("rewinding");
        self.subscription.rewind(to)
    }

    fn is_open(&self) -> bool {
        self.transactions.is_open()
    }

    fn forward(&self, message: &Fetched<'_>, forward: Forward<'_>) -> Result<(), SessionError> {
        let Fetched { message, headers } = message;
        // librdkafka limits the bytes of queued values, but does not count headers.
        let sending = self.sending.get() + headers.footprint();
        self.sending.set(sending);
        if sending > HEADERS_SENDING_MAX {
            self.fenced(self.transactions.flush())?;
            self.sending.set(0);
        }
        let own = forward.keep.map_or_else(OwnedHeaders::new, |keep| headers.copy(keep.0));
        let sent = self.transactions.send(Sending {
            topic: forward.topic,
            partition: Some(message.partition()),
            key: forward.key.of(message.key()),
            value: forward.value,
            timestamp_ms: message.timestamp().to_millis().filter(|_| forward.keep_timestamp),
            headers: Some(with(own, forward.headers)),
        });
        self.asked.explain(&self.clients, self.fenced(sent))
    }

    fn send(&self, output: Output<'_>) -> Result<(), SessionError> {
        let ours = !output.headers.is_empty();
        let sent = self.transactions.send(Sending {
            topic: output.topic,
            partition: output.partition.map(|partition| partition.0),
            key: Some(output.key),
            value: Some(output.value),
            timestamp_ms: None,
            headers: ours.then(|| with(OwnedHeaders::new(), output.headers)),
        });
        self.asked.explain(&self.clients, self.fenced(sent))
    }

    fn barrier(&self) -> Result<(), SessionError> {
        if self.is_transactional() {
            return Ok(());
        }
        self.asked.explain(&self.clients, self.fenced(self.transactions.flush()))
    }

    fn arrive(&self) -> Result<(), SessionError> {
        self.step("waiting for what was sent");
        self.asked.explain(&self.clients, self.fenced(self.transactions.arrive()))
    }

    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<(), SessionError> {
        self.step("sending offsets");
        next.clone_into(&mut self.sent.borrow_mut());
        if !self.is_transactional() {
            return Ok(());
        }
        let group = self.consumer().group_metadata().ok_or(SessionError::Transaction {
            step: "send offsets",
            reason: "not a member of the group any more".into(),
        })?;
        self.fenced(self.transactions.offsets(self.subscription.placed(next), group))
    }

    fn commit(&self) -> Result<(), SessionError> {
        self.step("committing");
        self.sending.set(0);
        if self.is_transactional() {
            let committed = self.fenced(self.with_group(|to| self.transactions.commit(to)));
            self.asked.explain(&self.clients, committed)?;
            let sent = self.sent.take();
            self.known.borrow_mut().extend(sent.into_iter().map(|(p, offset)| (p, Some(offset))));
            return Ok(());
        }
        self.asked.explain(&self.clients, self.transactions.flush())?;
        let sent = self.sent.take();
        if !sent.is_empty() {
            let client = self.consumer().client();
            let committed =
                native::commit_offsets(client, &self.subscription.placed(&sent), self.patience());
            committed.map_err(|error| {
                let why = words::of_native(&error);
                let reason = format!("group {}, topic {}: {why}", self.group, self.topic);
                SessionError::Transaction { step: "commit offsets", reason }
            })?;
        }
        self.transactions.close();
        Ok(())
    }

    fn discard_consumer(&mut self) {
        self.subscription_is_usable = false;
    }

    fn undo(&mut self) -> Result<(), SessionError> {
        self.step("giving up what was refused");
        let undone = self.with_group(|to| self.transactions.undo(to));
        self.fenced(undone)?;
        self.sending.set(0);
        self.sent.take();
        Ok(())
    }

    fn recover(&mut self) -> Result<(), SessionError> {
        self.check_take_back()?;
        let restarted = self.transactions.restart();
        self.fenced(restarted)?;
        if !self.subscription_is_usable {
            let Self { clients, role, group, topic, .. } = self;
            clients.members.know(self.subscription.consumer().client());
            let new = GroupConsumer::join(clients, role, group, topic)?;
            part_with(self.subscription.replace(new));
            self.subscription_is_usable = true;
        }
        self.fenced(self.end_open_transactions(|| self.was_committed()))?;
        self.sent.take();
        Ok(())
    }

    fn beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError> {
        self.find_beginnings(partitions, kept)
    }

    fn positions(&self) -> Vec<(Partition, Offset)> {
        self.subscription.positions()
    }

    fn is_read_out(&self, partition: Partition, next: Offset) -> bool {
        self.subscription.is_read_out(partition, next)
    }

    fn is_at_end(&self, partition: Partition) -> bool {
        self.subscription.is_at_end(partition)
    }

    fn has_open(&self, partition: Partition) -> bool {
        self.looks.has_open(partition)
    }

    fn is_interrupted(&self) -> bool {
        self.subscription.is_interrupted()
    }

    fn looked(&self) -> Option<BTreeMap<TopicPartition, Extent>> {
        self.looks.newer(&self.seen)
    }

    fn topic_id(&self, topic: &str) -> Option<String> {
        self.id_of(topic)
    }

    fn survey(
        &self,
        topic: &str,
        known: &[(Partition, Option<Extent>)],
    ) -> Result<Vec<(Partition, Survey)>, SessionError> {
        self.progress.doing("looking at a topic");
        let reader = self.clients.reader(&self.role);
        survey::survey(self.consumer().client(), self.clients.ids(), &reader, topic, known)
    }

    fn source_before(
        &self,
        place: &TopicPartition,
        at: Offset,
    ) -> Result<Option<Offset>, SessionError> {
        self.progress.doing("looking for the last record of an output");
        restore::source_before(&self.clients.reader(&self.role), place, at)
    }

    fn replay(&self, topic: &str, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), SessionError> {
        self.step("reading pages");
        restore::replay(self.consumer(), &self.clients.reader(&self.role), topic, each)
    }

    fn partitions_of(&self, topic: &str) -> Result<i32, SessionError> {
        self.step("asking for partitions");
        self.transactions.partitions_of(topic, EXCHANGE)
    }
}

/// `headers` with ours after them.
fn with(headers: OwnedHeaders, ours: &[(&str, &[u8])]) -> OwnedHeaders {
    let add = |to: OwnedHeaders, &(key, value): &_| to.insert(Header { key, value: Some(value) });
    ours.iter().fold(headers, add)
}
