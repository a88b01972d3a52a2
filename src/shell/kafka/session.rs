//! A consumer and a producer that move together: [`deliver::Session`] over librdkafka.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Header, Message as _, OwnedHeaders};
use rdkafka::topic_partition_list::{
    Offset as NativeOffset, TopicPartitionList, TopicPartitionListElem,
};
use tracing::warn;

use super::Clients;
use super::assignment::{Assignments, News};
use super::compare;
use super::native::{self, RecordHeaders};
use super::observer::Looks;
use super::refused::Asked;
use super::restore::{self, during};
use super::survey;
use super::transaction::{Sending, ToGroup, Transactions, part_with};
use super::words;
use crate::config::{Delivery, GroupProtocol};
use crate::deliver::{
    self, Backoff, Beginning, Change, Forward, Kept, Output, Outputs, Progress, SessionError,
};
use crate::record::{
    Extent, Headers as _, Offset, Partition, Position, Record, Stamp, Timestamp, TopicPartition,
};
use crate::score::Survey;
use crate::shell::clock;

/// Bytes of headers that may wait to be sent.
pub const HEADERS_SENDING_MAX: usize = 16 << 20;

/// Reads one topic as a member of a group; writes outputs, state and offsets in one transaction.
pub struct Session {
    clients: Clients,
    role: String,
    group: String,
    topic: String,
    progress: Arc<Progress>,
    member: Member,
    member_is_usable: bool,
    transactions: Transactions,
    /// What topics take that refused something.
    asked: Asked,
    /// Since when offsets are not told, or when they were last settled.
    settled: Cell<Option<Instant>>,
    /// Bytes of headers sent since nothing waited.
    sending: Cell<usize>,
    /// The offsets sent last; at-least-once commits them when all that was sent has arrived.
    sent: RefCell<Vec<(Partition, Offset)>>,
    /// What the group had before those.
    known: RefCell<BTreeMap<Partition, Option<Offset>>>,
    /// The log did not have what was to be read next.
    interrupted: Cell<bool>,
    /// Partitions of which nothing was left to read when they were last read.
    ended: RefCell<BTreeSet<Partition>>,
    /// Where the client said that it was when it was given these partitions.
    before: RefCell<BTreeMap<Partition, Offset>>,
    /// What the brokers are asked about the topic every few seconds, and which of that was seen.
    looks: Arc<Looks>,
    seen: Cell<u64>,
    /// How often brokers fenced us lately although nobody else was seen, and when last.
    fencings: Cell<(u32, Option<Instant>)>,
    /// Who seems to have our id, and since when.
    rival: RefCell<Option<(native::Member, Instant)>>,
}

/// How long one exchange with the broker may take.
const EXCHANGE: Duration = Duration::from_secs(10);
/// How long committed offsets may take: while a dead worker's transaction is open they are not
/// told, and other partitions must not wait for that.
const OFFSETS: Duration = Duration::from_secs(1);
/// Between two tries to settle offsets that stay unstable: a transaction that somebody is now
/// ending needs no help.
const SETTLE_EVERY: Duration = Duration::from_secs(5);
/// What a group of the new protocol has if nobody says otherwise to the brokers.
const BROKERS_SESSION: Duration = Duration::from_secs(45);
/// Without being fenced for so long, the next time counts as the first.
const FENCINGS_OVER: Duration = Duration::from_secs(120);
/// Before an id is taken back that nobody else is seen to have: at once the first time, then ever later.
/// Two processes of one name that do not see each other must not take turns.
const TAKE_BACK: Backoff =
    Backoff { first: Duration::from_secs(2), longest: Duration::from_secs(20) };

impl Session {
    /// Joins `group` on `topic`, to write to `outputs`; `role` is part of the transactional id and
    /// must be stable. How far behind it is, `progress` is told every few seconds.
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
            member: Member::join(clients, role, group, topic)?,
            member_is_usable: true,
            clients: clients.clone(),
            role: role.to_owned(),
            group: group.to_owned(),
            topic: topic.to_owned(),
            transactions,
            asked: Asked::default(),
            settled: Cell::new(None),
            sending: Cell::new(0),
            sent: RefCell::default(),
            known: RefCell::default(),
            fencings: Cell::default(),
            rival: RefCell::default(),
            interrupted: Cell::new(false),
            ended: RefCell::default(),
            before: RefCell::default(),
            looks: clients.observe(group, topic, &outputs.topics, &progress),
            seen: Cell::new(0),
            progress,
        };
        if let Err(error) = session.settle(|| false) {
            warn!(%error, "what was left here before is looked for later");
        }
        Ok(session)
    }

    fn consumer(&self) -> &BaseConsumer<Assignments> {
        &self.member.0
    }

    /// Says what begins now and may take long: the thread lives.
    fn step(&self, what: &'static str) {
        self.progress.doing(what);
        self.progress.beat(clock::now());
    }

    /// Brokers fence whoever is too slow for them, as they do whoever lost its id to another process. So it
    /// is a failure like any other, until another process is seen.
    fn fenced<T>(&self, result: Result<T, SessionError>) -> Result<T, SessionError> {
        let Err(SessionError::Fenced { id, reason }) = result else { return result };
        let seen = match self.look_for_rival(&id) {
            Err(fenced @ SessionError::Fenced { .. }) => return Err(fenced),
            Err(error) => {
                format!("whether another process of our name is there is not known: {error}")
            }
            Ok(Some(rival)) => format!("{rival} is a member of group {} too", self.group),
            Ok(None) => format!("no other process of our name is seen in group {}", self.group),
        };
        let (times, last) = self.fencings.get();
        let recent = last.is_some_and(|at| at.elapsed() < FENCINGS_OVER);
        self.fencings.set((if recent { times + 1 } else { 1 }, Some(Instant::now())));
        let reason = format!(
            "the brokers take nothing more under transactional id {id} ({reason}), as after a transaction that \
             lasted longer than transaction_timeout_ms; {seen}"
        );
        Err(SessionError::Transaction { step: "transaction", reason })
    }

    /// A member of our group that has our name and is not of this process. It is believed to live once it
    /// has been there for longer than the group keeps who is dead: a process that was killed, or a member of
    /// ours that joined without our hearing of it.
    ///
    /// # Errors
    /// `Fenced` if it lives; else if nobody answers.
    fn look_for_rival(&self, id: &str) -> Result<Option<native::Member>, SessionError> {
        self.step("looking for another process of our name");
        let members = &self.clients.members;
        members.know(self.consumer().client());
        let client_id = self.clients.client_id(&self.role);
        let found = members.rival(self.consumer().client(), &self.group, &client_id)?;
        let mut known = self.rival.borrow_mut();
        let since = match (&*known, &found) {
            (Some((before, since)), Some(now)) if before.id == now.id => *since,
            _ => Instant::now(),
        };
        *known = found.clone().map(|rival| (rival, since));
        match found {
            Some(rival) if since.elapsed() >= self.dead_after() => {
                let reason = format!("{rival} is a member of group {}", self.group);
                Err(SessionError::Fenced { id: id.to_owned(), reason })
            }
            found => Ok(found),
        }
    }

    /// How long a group keeps a member that is dead.
    fn dead_after(&self) -> Duration {
        let kafka = self.clients.kafka();
        let session = match kafka.group_protocol {
            GroupProtocol::Classic => kafka.session_timeout,
            GroupProtocol::Consumer => kafka.session_timeout.max(BROKERS_SESSION),
        };
        session + session / 4
    }

    /// Whether it is time to take back an id that the brokers fenced.
    fn may_take_back(&self) -> Result<(), SessionError> {
        let (times, Some(last)) = self.fencings.get() else { return Ok(()) };
        let what = "take the transactional id back";
        if self.rival.borrow().is_some() {
            let id = self.clients.transactional_prefix() + &self.role;
            if let Some(rival) = self.look_for_rival(&id)? {
                let reason = format!("{rival} may have it; that shows in {:?}", self.dead_after());
                return Err(SessionError::Exchange { what, reason });
            }
        }
        let pause = TAKE_BACK.after(times.saturating_sub(1));
        if last.elapsed() >= pause {
            return Ok(());
        }
        let reason = format!("fenced {times} times; it is taken back after {pause:?}");
        Err(SessionError::Exchange { what, reason })
    }

    /// Ends what our id left without an end; true if offsets that were committed may be undone.
    fn settle(&self, was_committed: impl FnOnce() -> bool) -> Result<bool, SessionError> {
        self.step("looking for what has no end");
        self.with_group(|to| self.transactions.settle(to, was_committed))
    }

    fn with_group<T>(&self, act: impl FnOnce(ToGroup<'_>) -> T) -> T {
        let is_stable = || {
            let n = self.transactions.partitions_of(&self.topic, EXCHANGE).unwrap_or(0);
            let all: Vec<Partition> = (0..n).map(Partition).collect();
            n > 0 && self.consumer().committed_offsets(self.named(&all), OFFSETS).is_ok()
        };
        let has_ours = || {
            let ours: Vec<Partition> = self.sent.borrow().iter().map(|&(p, _)| p).collect();
            self.consumer().committed_offsets(self.named(&ours), OFFSETS).is_ok()
        };
        let (is_stable, has_ours) = (&is_stable, &has_ours);
        act(ToGroup { group: &self.group, topic: &self.topic, is_stable, has_ours })
    }

    /// Whether the group has moved to offsets that we sent it last: then it was told of a commit.
    fn was_committed(&self) -> bool {
        let (sent, known) = (self.sent.borrow(), self.known.borrow());
        let partitions: Vec<Partition> = sent.iter().map(|&(partition, _)| partition).collect();
        let asked = self.named(&partitions);
        let Ok(now) = self.consumer().committed_offsets(asked, OFFSETS) else { return false };
        sent.iter().any(|(partition, sent)| {
            let has_moved = known.get(partition).is_some_and(|known| *known != Some(*sent));
            let now = now.find_partition(&self.topic, partition.0);
            has_moved && now.is_some_and(|now| now.offset() == NativeOffset::Offset(sent.0))
        })
    }

    /// For one step of a transaction.
    fn patience(&self) -> Duration {
        3 * self.clients.kafka().transaction_timeout
    }

    fn is_transactional(&self) -> bool {
        self.clients.kafka().delivery == Delivery::ExactlyOnce
    }

    fn list(
        &self,
        partitions: impl Iterator<Item = (Partition, Option<Offset>)>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in partitions {
            let mut element = list.add_partition(&self.topic, partition.0);
            if let Some(offset) = offset {
                let offset = NativeOffset::Offset(offset.0);
                element.set_offset(offset).expect("an offset that Kafka gave us");
            }
        }
        list
    }

    fn named(&self, partitions: &[Partition]) -> TopicPartitionList {
        self.list(partitions.iter().map(|&p| (p, None)))
    }

    fn placed(&self, from: &[(Partition, Offset)]) -> TopicPartitionList {
        self.list(from.iter().map(|&(p, o)| (p, Some(o))))
    }

    /// The client could not read something, and does not say of which partition: one that reaches further than it was read
    /// is not at its end any more.
    fn doubt_ends(&self) {
        let positions = deliver::Session::positions(self).into_iter();
        let positions: BTreeMap<Partition, Offset> = positions.collect();
        let end = |p: Partition| native::known_end(self.consumer().client(), &self.topic, p);
        self.ended.borrow_mut().retain(|partition| {
            let position = positions.get(partition);
            end(*partition).is_none_or(|end| position.is_some_and(|&position| position >= end))
        });
    }
}

/// Whether a partition is read no further because its log has nothing at that offset: the offset is deleted,
/// or lies beyond the end, or was given to another record.
fn is_elsewhere(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode::{AutoOffsetReset, LogTruncation, OffsetOutOfRange};
    matches!(code, AutoOffsetReset | LogTruncation | OffsetOutOfRange)
}

/// What the consumer does not do it will not do later: the next one does.
fn unusable(what: &'static str) -> impl Fn(KafkaError) -> SessionError {
    move |error| SessionError::Consumer { reason: format!("{what}: {}", words::of(&error)) }
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
            match self.settle(|| false) {
                Err(error @ SessionError::Fenced { .. }) => return self.fenced(Err(error)),
                Ok(true) => {
                    let reason = "acknowledged, and undone for want of an end".to_owned();
                    return Err(SessionError::Transaction { step: "commit", reason });
                }
                // Whatever else goes wrong shows when something is committed.
                Ok(false) | Err(_) => {}
            }
        }
        if self.transactions.is_idle() {
            self.fenced(self.with_group(|to| self.transactions.settle_pending(to)))?;
        }
        let began = Instant::now();
        loop {
            return match self.consumer().poll(timeout.saturating_sub(began.elapsed())) {
                None => Ok(None),
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.ended.borrow_mut().insert(Partition(partition));
                    continue;
                }
                Some(Err(KafkaError::MessageConsumption(code))) if is_elsewhere(code) => {
                    warn!(topic = self.topic, reason = %code, "the log does not have what is to be read next");
                    self.interrupted.set(true);
                    Ok(None)
                }
                Some(Ok(message)) => {
                    let mut ended = self.ended.borrow_mut();
                    if !ended.is_empty() {
                        ended.remove(&Partition(message.partition()));
                    }
                    drop(ended);
                    let headers = RecordHeaders::take(&message);
                    Ok(Some(Fetched { message, headers }))
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    Err(unusable("consume")(error))
                }
                Some(Err(error)) => {
                    words::report_fetch(&error);
                    self.doubt_ends();
                    Ok(None)
                }
            };
        }
    }

    fn has_news(&self) -> bool {
        !self.consumer().context().is_empty()
    }

    fn change(&self) -> Option<Change> {
        let (news, partitions) = self.consumer().context().take()?;
        self.clients.members.know(self.consumer().client());
        let partitions = partitions.elements().iter().map(|e| Partition(e.partition())).collect();
        Some(match news {
            News::Assigned => Change::Assigned(partitions),
            News::Revoked if self.consumer().assignment_lost() => Change::Lost(partitions),
            News::Revoked => Change::Revoked(partitions),
        })
    }

    fn lost(&self) -> bool {
        self.consumer().assignment_lost()
    }

    fn assign(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        let list = self.placed(from);
        // Until something is read, the client may still say how far it came when it last had them.
        let ours: BTreeSet<Partition> = from.iter().map(|&(partition, _)| partition).collect();
        self.before.borrow_mut().retain(|partition, _| !ours.contains(partition));
        self.ended.borrow_mut().retain(|partition| !ours.contains(partition));
        self.consumer().incremental_assign(&list).map_err(unusable("assign"))?;
        let before = self.positions().into_iter().filter(|(partition, _)| ours.contains(partition));
        self.before.borrow_mut().extend(before);
        // A partition that was paused when it was taken from us comes back paused.
        self.consumer().resume(&list).map_err(unusable("resume"))
    }

    fn unassign(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        let list = self.named(partitions);
        self.consumer().incremental_unassign(&list).map_err(unusable("unassign"))
    }

    fn pause(&self, partitions: &[Partition]) -> Result<(), SessionError> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.consumer().pause(&self.named(partitions)).map_err(unusable("pause"))
    }

    fn resume(&self, from: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if from.is_empty() {
            return Ok(());
        }
        self.consumer().resume(&self.placed(from)).map_err(unusable("resume"))?;
        self.rewind(from)
    }

    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<(), SessionError> {
        if to.is_empty() {
            return Ok(());
        }
        self.step("rewinding");
        // Read on from anywhere else, and records would be passed over.
        let done = self.consumer().seek_partitions(self.placed(to), EXCHANGE);
        for element in done.map_err(unusable("rewind"))?.elements() {
            element.error().map_err(unusable("rewind"))?;
        }
        Ok(())
    }

    fn is_open(&self) -> bool {
        self.transactions.is_open()
    }

    fn forward(&self, message: &Fetched<'_>, forward: Forward<'_>) -> Result<(), SessionError> {
        let Fetched { message, headers } = message;
        // librdkafka bounds the values that wait to be sent, and does not count their headers.
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
        self.fenced(self.transactions.offsets(self.placed(next), group))
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
            let committed = native::commit_offsets(client, &self.placed(&sent), self.patience());
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
        self.member_is_usable = false;
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
        self.may_take_back()?;
        let restarted = self.transactions.restart();
        self.fenced(restarted)?;
        if !self.member_is_usable {
            let Self { clients, role, group, topic, .. } = self;
            clients.members.know(self.member.0.client());
            let new = Member::join(clients, role, group, topic)?;
            part_with(std::mem::replace(&mut self.member, new));
            self.member_is_usable = true;
        }
        self.fenced(self.settle(|| self.was_committed()))?;
        self.sent.take();
        Ok(())
    }

    /// Right after another worker died its transaction may still hide what it committed before;
    /// that ends within the transaction timeout.
    fn beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>, SessionError> {
        self.step("reading state and offsets");
        let reader = self.clients.reader(&self.role);
        let found = restore::beginnings(
            self.consumer(),
            (&reader, self.clients.ids()),
            &self.topic,
            partitions,
            kept,
            OFFSETS,
        );
        let since = self.settled.get();
        if let Ok(found) = &found {
            self.settled.set(None);
            let committed = found.iter().map(|b| (b.partition, b.committed));
            self.known.borrow_mut().extend(committed);
        } else if since.is_none_or(|at| at.elapsed() >= SETTLE_EVERY) {
            self.settled.set(Some(Instant::now()));
            if since.is_some() {
                self.fenced(self.with_group(|to| self.transactions.settle_pending(to)))?;
            }
        }
        found
    }

    fn positions(&self) -> Vec<(Partition, Offset)> {
        let Ok(all) = self.consumer().position() else { return vec![] };
        let before = self.before.borrow();
        let read = |element: TopicPartitionListElem<'_>| match element.offset() {
            NativeOffset::Offset(offset) => {
                let at = (Partition(element.partition()), Offset(offset));
                (before.get(&at.0) != Some(&at.1)).then_some(at)
            }
            _ => None,
        };
        all.elements().into_iter().filter_map(read).collect()
    }

    fn is_read_out(&self, partition: Partition, next: Offset) -> bool {
        let end = native::known_end(self.consumer().client(), &self.topic, partition);
        let markers = || self.positions().into_iter().find(|(p, _)| *p == partition);
        self.is_at_end(partition)
            || end.is_some_and(|end| next >= end || markers().is_some_and(|(_, at)| at >= end))
    }

    fn is_at_end(&self, partition: Partition) -> bool {
        self.ended.borrow().contains(&partition)
    }

    fn has_open(&self, partition: Partition) -> bool {
        self.looks.has_open(partition)
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.replace(false)
    }

    fn looked(&self) -> Option<BTreeMap<TopicPartition, Extent>> {
        self.looks.newer(&self.seen)
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

    fn partitions_of(&self, topic: &str) -> Result<i32, SessionError> {
        self.step("asking for partitions");
        self.transactions.partitions_of(topic, EXCHANGE)
    }
}

/// `headers` with ours after them.
fn with(headers: OwnedHeaders, ours: &[(&str, &[u8])]) -> OwnedHeaders {
    ours.iter()
        .fold(headers, |headers, &(key, value)| headers.insert(Header { key, value: Some(value) }))
}

/// A record in librdkafka's own memory.
pub struct Fetched<'a> {
    message: BorrowedMessage<'a>,
    headers: RecordHeaders,
}

impl deliver::Fetched for Fetched<'_> {
    fn record(&self) -> Record<'_> {
        let (partition, offset) = (self.message.partition(), self.message.offset());
        Record {
            at: Position { partition: Partition(partition), offset: Offset(offset) },
            stamp: stamp(self.message.timestamp()),
            key: self.message.key(),
            headers: &self.headers,
            value: self.message.payload(),
        }
    }

    fn leader_epoch(&self) -> Option<i32> {
        native::leader_epoch(&self.message)
    }
}

/// A record's timestamp; −1 is Kafka's "none".
pub fn stamp(timestamp: rdkafka::Timestamp) -> Stamp {
    let by_broker = matches!(timestamp, rdkafka::Timestamp::LogAppendTime(_));
    Stamp { at: Timestamp(timestamp.to_millis().unwrap_or(-1)), by_broker }
}

/// The consumer. Gone, it leaves the group, so that its partitions go to others at once. Its own
/// drop polls until everything is given back; from here on the callback sees to that.
pub(super) struct Member(pub(super) BaseConsumer<Assignments>);

impl Member {
    fn join(clients: &Clients, role: &str, group: &str, topic: &str) -> Result<Self, SessionError> {
        let config = clients.consumer(role, group);
        let assignments = Assignments::default();
        let consumer = BaseConsumer::from_config_and_context(&config, assignments)
            .map_err(during("create consumer"))?;
        consumer.subscribe(&[topic]).map_err(during("subscribe"))?;
        Ok(Self(consumer))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let assignments = self.0.context();
        assignments.leave();
        while let Some((news, partitions)) = assignments.take() {
            let done = match news {
                News::Assigned => self.0.incremental_assign(&partitions),
                News::Revoked => self.0.incremental_unassign(&partitions),
            };
            if let Err(error) = done {
                warn!(%error, "leaving the group");
            }
        }
    }
}
