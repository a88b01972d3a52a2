//! A session over the simulated cluster. Every call is a step at which a fault may strike.
//!
//! A process that dies in the middle of a call cannot be taken off its own stack, so from then on
//! every call of its sessions answers that it is fenced and does nothing: the state machine
//! leaves, and nothing of what it still thinks reaches the log.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use super::cluster::{Cluster, Lease, Ms, Refusal};
use super::faults::{Faults, Step, Strike};
use super::group::{MemberId, News};
use super::log::Record;
use super::world::World;
use crate::codec::Headers;
use crate::deliver::{self, Beginning, Change, Forward, Output, SessionError};
use crate::record::{Offset, Partition, Position, Timestamp};

/// What everybody in a world shares.
pub struct Common {
    pub cluster: RefCell<Cluster>,
    pub faults: RefCell<Faults>,
    pub exactly_once: bool,
    /// Whether a record that is too large is refused when it is sent, or when its topic sees it.
    pub refuses_at_once: bool,
    /// Only differences from it are ever looked at.
    epoch: Instant,
    pub world: RefCell<Weak<World>>,
}

/// One life of one operating-system process.
#[derive(Debug, Default)]
pub struct Process {
    pub no: u32,
    pub alive: Cell<bool>,
    pub frozen: Cell<bool>,
    members: RefCell<Vec<(usize, MemberId)>>,
}

/// Member of a group with a producer of its own, on the simulated cluster.
pub struct Session {
    common: Rc<Common>,
    process: Rc<Process>,
    place: Place,
    /// The owner has nothing to do before.
    resume_at: Rc<Cell<Ms>>,
    mine: RefCell<Mine>,
}

/// What a session reads and writes as.
#[derive(Clone, Debug)]
pub struct Place {
    /// For people.
    pub name: String,
    pub group: usize,
    pub input: usize,
    pub producer: usize,
}

struct Mine {
    lease: Lease,
    consumer: Option<Consumer>,
    queue: Vec<Queued>,
    open: bool,
    /// Under at-least-once, until the commit.
    offsets: Vec<(Partition, Offset)>,
}

struct Consumer {
    member: MemberId,
    news: VecDeque<News>,
    /// Told, not acted upon yet.
    told: bool,
    /// It knows that the group threw it out.
    lost: bool,
    ended: bool,
    fetched: Vec<Fetch>,
}

struct Fetch {
    partition: Partition,
    next: usize,
    paused: bool,
}

struct Queued {
    topic: usize,
    partition: Partition,
    record: Rc<Record>,
    source: Option<Position>,
}

/// A record as it was fetched.
#[derive(Clone, Debug)]
pub struct Message {
    position: Position,
    record: Rc<Record>,
}

type Result<T, E = SessionError> = std::result::Result<T, E>;

impl Common {
    pub fn new(
        cluster: Cluster,
        faults: Faults,
        exactly_once: bool,
        refuses_at_once: bool,
    ) -> Self {
        Self {
            cluster: RefCell::new(cluster),
            faults: RefCell::new(faults),
            exactly_once,
            refuses_at_once,
            epoch: Instant::now(),
            world: RefCell::new(Weak::new()),
        }
    }

    pub fn instant(&self, at: Ms) -> Instant {
        self.epoch + Duration::from_millis(at)
    }

    pub fn now(&self) -> Ms {
        self.cluster.borrow().now
    }

    pub fn note(&self, line: impl FnOnce() -> String) {
        let now = self.cluster.borrow().now;
        self.faults.borrow_mut().note(now, line);
    }
}

impl Process {
    pub fn new(no: u32) -> Rc<Self> {
        Rc::new(Self { no, alive: Cell::new(true), ..Self::default() })
    }

    /// Nothing of it runs any more, and nobody was told.
    pub fn die(&self, common: &Common) {
        if self.alive.replace(false) {
            self.silence(common);
        }
    }

    pub fn silence(&self, common: &Common) {
        for &(group, member) in &*self.members.borrow() {
            common.cluster.borrow_mut().silence(group, member);
        }
    }

    pub fn hear(&self, common: &Common) {
        for &(group, member) in &*self.members.borrow() {
            common.cluster.borrow_mut().hear(group, member);
        }
    }
}

impl Session {
    pub fn join(
        common: &Rc<Common>,
        process: &Rc<Process>,
        place: Place,
        resume_at: &Rc<Cell<Ms>>,
    ) -> Self {
        let lease = common.cluster.borrow_mut().init(place.producer);
        let mine = Mine { lease, consumer: None, queue: vec![], open: false, offsets: vec![] };
        let session = Self {
            common: common.clone(),
            process: process.clone(),
            place,
            resume_at: resume_at.clone(),
            mine: RefCell::new(mine),
        };
        session.subscribe();
        session
    }

    /// Gives up what is open and goes on with the same producer: what nobody should do after an
    /// error that leaves open what became of a commit.
    ///
    /// # Errors
    /// If somebody else has the id.
    pub fn abort_and_reuse(&mut self) -> Result<()> {
        if !self.process.alive.get() {
            return Err(self.dead());
        }
        let mut mine = self.mine.borrow_mut();
        let mut cluster = self.common.cluster.borrow_mut();
        if cluster.end(mine.lease, false, 0) == Err(Refusal::Fenced) {
            drop(cluster);
            drop(mine);
            return Err(self.fenced());
        }
        drop(cluster);
        mine.give_up();
        let subscribed = mine.consumer.is_some();
        drop(mine);
        if !subscribed {
            self.subscribe();
        }
        Ok(())
    }

    fn subscribe(&self) {
        let member = self.common.cluster.borrow_mut().groups[self.place.group].join();
        self.process.members.borrow_mut().push((self.place.group, member));
        self.mine.borrow_mut().consumer = Some(Consumer {
            member,
            news: VecDeque::new(),
            told: false,
            lost: false,
            ended: false,
            fetched: vec![],
        });
    }

    /// A step begins: others may run first, time passes, and something may strike.
    fn enter(&self, step: Step) -> Result<Strike> {
        if !self.process.alive.get() {
            return Err(self.dead());
        }
        self.give_way(step)?;
        let (ms, strike) = {
            let mut faults = self.common.faults.borrow_mut();
            let ms = if step == Step::Poll { 0 } else { faults.below(3) };
            (ms, faults.strike(step, self.common.now(), self.common.exactly_once))
        };
        self.common.cluster.borrow_mut().pass(ms);
        if strike != Strike::Nothing {
            self.common.note(|| format!("{}: {strike} at {step}", self.place.name));
        }
        if strike == Strike::CrashBefore {
            self.process.die(&self.common);
            return Err(self.dead());
        }
        Ok(strike)
    }

    /// Others may go on now.
    fn give_way(&self, step: Step) -> Result<()> {
        if self.common.faults.borrow_mut().interrupts(step)
            && let Some(world) = self.common.world.borrow().upgrade()
        {
            world.interrupt(&self.process);
        }
        if self.process.alive.get() { Ok(()) } else { Err(self.dead()) }
    }

    /// A step that is done.
    fn leave<T>(&self, strike: Strike, step: &'static str, done: T) -> Result<T> {
        match strike {
            Strike::CrashAfter => {
                self.process.die(&self.common);
                Err(self.dead())
            }
            Strike::ReplyLost => Err(self.wait_in_vain(step)),
            _ => Ok(done),
        }
    }

    /// A call on the consumer; `act` says what it does if it is there.
    fn consume<T>(&self, step: Step, act: impl FnOnce(&mut Consumer) -> T) -> Result<T> {
        let strike = self.enter(step)?;
        let mut mine = self.mine.borrow_mut();
        let Some(consumer) = mine.consumer.as_mut() else { return Err(ended("there is none")) };
        if strike == Strike::NoAnswer {
            return Err(no_answer("rewind"));
        }
        consumer.ended |= strike == Strike::ConsumerEnds;
        if consumer.ended {
            return Err(ended("by seed"));
        }
        let done = act(consumer);
        drop(mine);
        self.leave(strike, "", done)
    }

    /// The others go on while this one waits for an answer that does not come.
    fn wait_in_vain(&self, step: &'static str) -> SessionError {
        let ms = self.common.faults.borrow_mut().below(3000);
        if let Some(world) = self.common.world.borrow().upgrade() {
            world.go_on(ms);
        }
        match self.process.alive.get() {
            true => failed(step, "timed out"),
            false => self.dead(),
        }
    }

    fn queue(&self, step: Step, queued: Queued) -> Result<()> {
        let strike = self.enter(step)?;
        let too_large = self.common.refuses_at_once && self.is_too_large(&queued);
        let source = queued.source;
        let mut mine = self.mine.borrow_mut();
        mine.open = true;
        if let (true, Some(source)) = (too_large, source) {
            return Err(SessionError::TooLarge(vec![source]));
        }
        mine.queue.push(queued);
        drop(mine);
        if strike == Strike::RequestLost {
            return Err(failed("produce", "the queue is full"));
        }
        if self.common.faults.borrow_mut().chance(0.2) {
            self.flush(usize::MAX)?;
        }
        self.leave(strike, "produce", ())
    }

    /// Puts what is queued into the log, at most `most` records of it.
    fn flush(&self, most: usize) -> Result<()> {
        let mut mine = self.mine.borrow_mut();
        let (lease, process) = (mine.lease, self.process.no);
        let n = most.min(mine.queue.len());
        let queue: Vec<Queued> = mine.queue.drain(..n).collect();
        drop(mine);
        let mut too_large = vec![];
        for queued in queue {
            if self.is_too_large(&queued) {
                too_large.extend(queued.source);
                continue;
            }
            let Queued { topic, partition, record, .. } = queued;
            let mut cluster = self.common.cluster.borrow_mut();
            if partition.0 as usize >= cluster.topics[topic].partitions.len() {
                return Err(failed("produce", "the topic does not have that partition"));
            }
            let done = match self.common.exactly_once {
                true => cluster.produce((lease, process), (topic, partition), record),
                false => {
                    cluster.append(process, (topic, partition), record);
                    Ok(())
                }
            };
            drop(cluster);
            done.map_err(|refusal| self.refused("produce", refusal))?;
        }
        match too_large.is_empty() {
            true => Ok(()),
            false => Err(SessionError::TooLarge(too_large)),
        }
    }

    fn is_too_large(&self, queued: &Queued) -> bool {
        let bytes = queued.record.value.as_ref().map_or(0, Vec::len);
        bytes > self.common.cluster.borrow().topics[queued.topic].bytes_max
    }

    fn refused(&self, step: &'static str, refusal: Refusal) -> SessionError {
        match refusal {
            Refusal::Fenced => self.fenced(),
            Refusal::UnknownMember => failed(step, "the group does not know this member"),
            Refusal::NotOpen => failed(step, "no transaction is open"),
        }
    }

    fn fenced(&self) -> SessionError {
        self.common.faults.borrow_mut().hit("fenced");
        self.common.note(|| format!("{}: fenced", self.place.name));
        SessionError::Fenced { id: self.place.name.clone(), reason: "a newer producer".into() }
    }

    fn dead(&self) -> SessionError {
        SessionError::Fenced { id: self.place.name.clone(), reason: "its process is dead".into() }
    }

    /// News, if there are any for a consumer that has acted upon the last.
    fn look_for_news(&self, consumer: &mut Consumer) {
        if consumer.told || !consumer.news.is_empty() {
            return;
        }
        let group = self.place.group;
        let mut faults = self.common.faults.borrow_mut();
        let mut cluster = self.common.cluster.borrow_mut();
        if !cluster.groups[group].has(consumer.member) && !consumer.lost {
            // It takes a heartbeat to be told.
            consumer.lost = faults.chance(0.3);
        }
        if consumer.lost {
            if consumer.fetched.is_empty() {
                consumer.member = cluster.groups[group].join();
                self.process.members.borrow_mut().push((group, consumer.member));
                consumer.lost = false;
            } else {
                let all = consumer.fetched.iter().map(|fetch| fetch.partition).collect();
                consumer.news.push_back(News::Revoked(all));
            }
        } else if let Some(news) = cluster.groups[group].reconcile(consumer.member) {
            consumer.news.push_back(news);
        }
    }

    /// The next record of any partition that is read.
    fn fetch(&self, consumer: &mut Consumer) -> Option<Message> {
        let cluster = self.common.cluster.borrow();
        let topic = &cluster.topics[self.place.input];
        let n = consumer.fetched.len();
        let mut faults = self.common.faults.borrow_mut();
        let first = if n > 1 { faults.below(n as u64) as usize } else { 0 };
        for at in (0..n).map(|i| (first + i) % n) {
            let fetch = &mut consumer.fetched[at];
            if fetch.paused {
                continue;
            }
            let log = &topic.partitions[fetch.partition.0 as usize];
            let Some((offset, record)) = log.next(fetch.next) else { continue };
            fetch.next = offset + 1;
            let position = Position { partition: fetch.partition, offset: Offset(offset as i64) };
            return Some(Message { position, record: record.clone() });
        }
        None
    }

    /// Where reading really begins again: some records may come once more.
    fn from(&self, offset: Offset) -> usize {
        let again = {
            let mut faults = self.common.faults.borrow_mut();
            if faults.chance(0.2) { faults.below(4) as i64 } else { 0 }
        };
        (offset.0 - again).max(0) as usize
    }
}

impl deliver::Session for Session {
    type Message<'a> = Message;

    fn now(&self) -> Instant {
        self.common.epoch + Duration::from_millis(self.common.cluster.borrow().now)
    }

    fn wall(&self) -> Timestamp {
        let cluster = self.common.cluster.borrow();
        Timestamp(super::scene::BEGAN_AT + cluster.now as i64 + cluster.skew)
    }

    fn poll(&self, timeout: Duration) -> Result<Option<Message>> {
        let strike = self.enter(Step::Poll)?;
        let mut mine = self.mine.borrow_mut();
        let mut found = None;
        if let Some(consumer) = mine.consumer.as_mut() {
            consumer.ended |= strike == Strike::ConsumerEnds;
            if consumer.ended {
                return Err(ended("by seed"));
            }
            self.look_for_news(consumer);
            if consumer.news.is_empty() && !self.common.faults.borrow_mut().chance(0.02) {
                found = self.fetch(consumer);
            }
            if found.is_none() && consumer.news.is_empty() {
                let now = self.common.cluster.borrow().now;
                self.resume_at.set(now + timeout.as_millis() as Ms);
            }
        } else {
            let now = self.common.cluster.borrow().now;
            self.resume_at.set(now + timeout.as_millis() as Ms);
        }
        drop(mine);
        self.leave(strike, "poll", found)
    }

    fn has_news(&self) -> bool {
        self.mine.borrow().consumer.as_ref().is_some_and(|consumer| !consumer.news.is_empty())
    }

    fn change(&self) -> Option<Change> {
        if !self.process.alive.get() {
            return None;
        }
        let mut mine = self.mine.borrow_mut();
        let consumer = mine.consumer.as_mut()?;
        let news = consumer.news.pop_front()?;
        consumer.told = true;
        let change = match news {
            News::Assigned(partitions) => Change::Assigned(partitions),
            News::Revoked(partitions) if consumer.lost => Change::Lost(partitions),
            News::Revoked(partitions) => Change::Revoked(partitions),
        };
        let kind = match change {
            Change::Assigned(_) => "assigned",
            Change::Revoked(_) => "revoked",
            Change::Lost(_) => "lost",
        };
        let in_flight = if mine.open { ", records in flight" } else { "" };
        self.common.note(|| format!("{}: {change:?}", self.place.name));
        self.common.faults.borrow_mut().hit(format!("{kind}{in_flight}"));
        Some(change)
    }

    fn lost(&self) -> bool {
        self.mine.borrow().consumer.as_ref().is_some_and(|consumer| consumer.lost)
    }

    fn assign(&self, from: &[(Partition, Offset)]) -> Result<()> {
        self.consume(Step::Assign, |consumer| {
            consumer.told = false;
            for &(partition, offset) in from {
                let next = self.from(offset);
                consumer.fetched.push(Fetch { partition, next, paused: false });
            }
        })
    }

    fn unassign(&self, partitions: &[Partition]) -> Result<()> {
        self.consume(Step::Unassign, |consumer| {
            consumer.told = false;
            consumer.fetched.retain(|fetch| !partitions.contains(&fetch.partition));
            let mut cluster = self.common.cluster.borrow_mut();
            cluster.groups[self.place.group].give_back(consumer.member, partitions);
        })
    }

    fn pause(&self, partitions: &[Partition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.consume(Step::Pause, |consumer| {
            for &partition in partitions {
                let fetch = consumer.fetch_of(partition)?;
                fetch.paused = true;
            }
            Ok(())
        })?
    }

    fn resume(&self, from: &[(Partition, Offset)]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        self.consume(Step::Resume, |consumer| {
            for &(partition, offset) in from {
                let next = self.from(offset);
                *consumer.fetch_of(partition)? = Fetch { partition, next, paused: false };
            }
            Ok(())
        })?
    }

    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<()> {
        if to.is_empty() {
            return Ok(());
        }
        self.consume(Step::Rewind, |consumer| {
            for &(partition, offset) in to {
                consumer.fetch_of(partition)?.next = self.from(offset);
            }
            Ok(())
        })?
    }

    fn is_open(&self) -> bool {
        self.mine.borrow().open
    }

    fn forward(&self, message: &Message, forward: Forward<'_>) -> Result<()> {
        let mut headers = vec![];
        if forward.keep_headers {
            headers.clone_from(&message.record.headers);
        }
        let ours = forward.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec()));
        headers.extend(ours);
        let record = Record {
            key: message.record.key.clone(),
            value: forward.value.map(<[u8]>::to_vec),
            headers,
            timestamp: message.record.timestamp,
        };
        let topic = self.common.cluster.borrow().topic(forward.topic);
        let Position { partition, .. } = message.position;
        let source = Some(message.position);
        self.queue(Step::Forward, Queued { topic, partition, record: Rc::new(record), source })
    }

    fn send(&self, output: Output<'_>) -> Result<()> {
        let cluster = self.common.cluster.borrow();
        let topic = cluster.topic(output.topic);
        let n = cluster.topics[topic].partitions.len();
        let by_key = || output.key.iter().map(|&byte| usize::from(byte)).sum::<usize>() % n;
        let partition = output.partition.unwrap_or_else(|| Partition(by_key() as i32));
        let record = Record {
            key: Some(output.key.to_vec()),
            value: Some(output.value.to_vec()),
            headers: vec![],
            timestamp: cluster.now as i64,
        };
        drop(cluster);
        self.queue(Step::Send, Queued { topic, partition, record: Rc::new(record), source: None })
    }

    fn barrier(&self) -> Result<()> {
        let strike = self.enter(Step::Barrier)?;
        if !self.common.exactly_once {
            if strike == Strike::RequestLost {
                let queued = self.mine.borrow().queue.len() as u64;
                let some = self.common.faults.borrow_mut().below(queued + 1);
                self.flush(some as usize)?;
                return Err(self.wait_in_vain("flush"));
            }
            self.flush(usize::MAX)?;
        }
        self.leave(strike, "flush", ())
    }

    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<()> {
        let strike = self.enter(Step::Offsets)?;
        if strike == Strike::RequestLost {
            return Err(self.wait_in_vain("send offsets"));
        }
        let mut mine = self.mine.borrow_mut();
        let Some(member) = mine.consumer.as_ref().map(|consumer| consumer.member) else {
            return Err(failed("send offsets", "there is no consumer"));
        };
        if self.common.exactly_once && !next.is_empty() {
            let lease = mine.lease;
            let mut cluster = self.common.cluster.borrow_mut();
            let done = cluster.add_offsets(lease, (self.place.group, member), next);
            drop((cluster, mine));
            done.map_err(|refusal| self.refused("send offsets", refusal))?;
        } else {
            mine.offsets = next.to_vec();
            drop(mine);
        }
        self.leave(strike, "send offsets", ())
    }

    fn commit(&self) -> Result<()> {
        let strike = self.enter(Step::Commit)?;
        self.flush(usize::MAX)?;
        if strike == Strike::RequestLost {
            return Err(self.wait_in_vain("commit"));
        }
        let (spread, due) = {
            let mut faults = self.common.faults.borrow_mut();
            let slow = !faults.healed() && faults.chance(0.15);
            (if slow { 1 + faults.below(1500) } else { 0 }, faults.below(5000))
        };
        let lease = self.mine.borrow().lease;
        if strike == Strike::Late {
            let mut cluster = self.common.cluster.borrow_mut();
            let due = cluster.now + due;
            cluster.end_late(lease, true, due);
            drop(cluster);
            return Err(self.wait_in_vain("commit"));
        }
        let done = match self.common.exactly_once {
            true => self.common.cluster.borrow_mut().end(lease, true, spread),
            false => self.commit_offsets(),
        };
        done.map_err(|refusal| self.refused("commit", refusal))?;
        self.leave(strike, "commit", ())?;
        self.mine.borrow_mut().give_up();
        Ok(())
    }

    fn discard_consumer(&mut self) {
        let politely = self.common.faults.borrow_mut().chance(0.5);
        let Some(consumer) = self.mine.borrow_mut().consumer.take() else { return };
        if !self.process.alive.get() {
            return;
        }
        self.common.note(|| format!("{}: consumer discarded", self.place.name));
        let mut cluster = self.common.cluster.borrow_mut();
        match politely {
            true => cluster.groups[self.place.group].leave(consumer.member),
            false => cluster.silence(self.place.group, consumer.member),
        }
        let gone = (self.place.group, consumer.member);
        self.process.members.borrow_mut().retain(|member| *member != gone);
    }

    fn recover(&mut self) -> Result<()> {
        let strike = self.enter(Step::Recover)?;
        if matches!(strike, Strike::NoAnswer | Strike::RequestLost) {
            return Err(no_answer("init transactions"));
        }
        let lease = self.common.cluster.borrow_mut().init(self.place.producer);
        let mut mine = self.mine.borrow_mut();
        mine.lease = lease;
        mine.give_up();
        let subscribed = mine.consumer.is_some();
        drop(mine);
        self.leave(strike, "init transactions", ())?;
        if !subscribed {
            self.subscribe();
        }
        Ok(())
    }

    fn beginnings(
        &self,
        partitions: &[Partition],
        kept_in: &str,
        keys: &[&[u8]],
    ) -> Result<Vec<Beginning>> {
        let strike = self.enter(Step::Beginnings)?;
        if strike == Strike::NoAnswer {
            return Err(no_answer("fetch committed offsets"));
        }
        let mut committed = vec![];
        {
            let cluster = self.common.cluster.borrow();
            let group = &cluster.groups[self.place.group];
            for &partition in partitions {
                if group.is_unstable(partition) {
                    drop(cluster);
                    self.common.faults.borrow_mut().hit("offset unstable");
                    return Err(no_answer(
                        "fetch committed offsets: one is still in a transaction",
                    ));
                }
                committed.push(group.committed(partition));
            }
        }
        // Two questions, and between them the world goes on.
        self.give_way(Step::Beginnings)?;
        let cluster = self.common.cluster.borrow();
        let topic = &cluster.topics[cluster.topic(kept_in)];
        let found = partitions.iter().zip(committed).map(|(&partition, committed)| {
            let log = topic.partitions.get(partition.0 as usize);
            let kept = keys.iter().map(|key| {
                let mut newest_first = log?.committed(0).rev();
                newest_first.find(|(_, r)| r.key.as_deref() == Some(*key))?.1.value.clone()
            });
            Beginning { partition, committed, oldest: Offset(0), kept: kept.collect() }
        });
        let found = found.collect();
        drop(cluster);
        self.leave(strike, "beginnings", found)
    }

    fn partitions_of(&self, topic: &str) -> Result<i32> {
        let strike = self.enter(Step::PartitionsOf)?;
        if strike == Strike::NoAnswer {
            return Err(no_answer("fetch metadata"));
        }
        let cluster = self.common.cluster.borrow();
        let n = cluster.topics[cluster.topic(topic)].partitions.len();
        drop(cluster);
        self.leave(strike, "metadata", n as i32)
    }
}

impl Session {
    /// Offsets without a transaction.
    fn commit_offsets(&self) -> Result<(), Refusal> {
        let mut mine = self.mine.borrow_mut();
        let offsets = std::mem::take(&mut mine.offsets);
        let member = mine.consumer.as_ref().map(|consumer| consumer.member);
        let mut cluster = self.common.cluster.borrow_mut();
        let group = &mut cluster.groups[self.place.group];
        if !member.is_some_and(|member| group.has(member)) {
            return Err(Refusal::UnknownMember);
        }
        offsets.into_iter().for_each(|(partition, offset)| group.commit(partition, offset));
        Ok(())
    }
}

/// A process that ends in order aborts what is open and leaves the group; a dead one does nothing.
impl Drop for Session {
    fn drop(&mut self) {
        if !self.process.alive.get() {
            return;
        }
        let mine = self.mine.borrow();
        let mut cluster = self.common.cluster.borrow_mut();
        // A fenced producer has nothing to abort.
        let _ = cluster.end(mine.lease, false, 0);
        if let Some(consumer) = &mine.consumer {
            cluster.groups[self.place.group].leave(consumer.member);
        }
    }
}

impl Mine {
    /// Nothing is open or on its way any more.
    fn give_up(&mut self) {
        self.queue.clear();
        self.offsets.clear();
        self.open = false;
    }
}

impl Consumer {
    fn fetch_of(&mut self, partition: Partition) -> Result<&mut Fetch> {
        let found = self.fetched.iter_mut().find(|fetch| fetch.partition == partition);
        found.ok_or_else(|| no_answer("partition that was not assigned"))
    }
}

impl deliver::Message for Message {
    fn position(&self) -> Position {
        self.position
    }

    fn timestamp(&self) -> Timestamp {
        self.record.timestamp()
    }

    fn headers(&self) -> Headers<'_> {
        self.record.reading()
    }

    fn value(&self) -> Option<&[u8]> {
        self.record.value.as_deref()
    }
}

fn failed(step: &'static str, reason: &str) -> SessionError {
    SessionError::Transaction { step, reason: reason.into() }
}

fn no_answer(what: &'static str) -> SessionError {
    SessionError::Exchange { what, reason: "no answer".into() }
}

fn ended(reason: &str) -> SessionError {
    SessionError::Consumer { reason: reason.into() }
}
