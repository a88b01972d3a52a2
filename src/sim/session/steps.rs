//! What happens in a step besides what was asked: strikes, other processes, news, fetches.

use std::collections::{BTreeMap, VecDeque};

use super::{Consumer, Fetch, Fetched, Mine, Queued, Result, Session};
use crate::deliver::{self, Objection, Session as _, SessionError};
use crate::record::{Offset, Partition, Position};
use crate::sim::cluster::Refusal;
use crate::sim::cluster::group::News;
use crate::sim::faults::{Call, Strike};
use crate::sim::names::WORKERS;

impl Session {
    pub(super) fn subscribe(&self) {
        let member = self.ground.cluster.borrow_mut().groups[self.place.group].join();
        self.process.members.borrow_mut().push((self.place.group, member));
        self.mine.borrow_mut().consumer = Some(Consumer {
            member,
            news: VecDeque::new(),
            told: false,
            lost: false,
            ended: false,
            interrupted: false,
            fetched: vec![],
        });
    }

    /// A step begins: others may run first, time passes, and something may strike.
    pub(super) fn enter(&self, step: Call) -> Result<Strike> {
        if !self.process.alive.get() {
            return Err(self.dead());
        }
        self.give_way(step)?;
        let (ms, strike) = {
            let mut faults = self.ground.faults.borrow_mut();
            let ms = if step == Call::Poll { 0 } else { faults.below(3) };
            (ms, faults.strike(step, self.ground.now(), self.ground.exactly_once))
        };
        self.ground.cluster.borrow_mut().pass(ms);
        if strike != Strike::Nothing {
            self.ground.note(|| format!("{}: {strike} at {step}", self.place.name));
        }
        if strike == Strike::CrashBefore {
            self.flush_some()?;
            self.process.die(&self.ground);
            return Err(self.dead());
        }
        Ok(strike)
    }

    /// Others may go on now.
    pub(super) fn give_way(&self, step: Call) -> Result<()> {
        if self.ground.faults.borrow_mut().interrupts(step)
            && let Some(rest) = self.ground.environment()
        {
            rest.interrupt(&self.process);
        }
        if self.process.alive.get() { Ok(()) } else { Err(self.dead()) }
    }

    /// A step that is done.
    pub(super) fn leave<T>(&self, strike: Strike, step: &'static str, done: T) -> Result<T> {
        match strike {
            Strike::CrashAfter => {
                self.process.die(&self.ground);
                Err(self.dead())
            }
            Strike::ReplyLost => Err(self.wait_in_vain(step)),
            _ => Ok(done),
        }
    }

    /// A call on the consumer; `act` says what it does if it is there.
    pub(super) fn consume<T>(&self, step: Call, act: impl FnOnce(&mut Consumer) -> T) -> Result<T> {
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

    /// Partitions go without a last word of this process.
    pub(super) fn part_with(&self, partitions: &[Partition]) {
        if self.place.group == WORKERS {
            let mut parted = self.ground.parted.borrow_mut();
            for &partition in partitions {
                *parted.entry((self.process.no, partition)).or_default() += 1;
            }
        }
    }

    /// The others go on while this one waits for an answer that does not come.
    pub(super) fn wait_in_vain(&self, step: &'static str) -> SessionError {
        let ms = self.ground.faults.borrow_mut().below(3000);
        if let Some(rest) = self.ground.environment() {
            rest.go_on(ms);
        }
        match self.process.alive.get() {
            true => failed(step, "timed out"),
            false => self.dead(),
        }
    }

    pub(super) fn queue(&self, step: Call, queued: Queued) -> Result<()> {
        let strike = self.enter(step)?;
        if !self.is_open() {
            // What was refused may have been said after its transaction failed.
            self.told()?;
        }
        let refused = self.refused_at_once(&queued);
        self.mine.borrow_mut().open = true;
        if let Some(refusal) = refused {
            if !self.ground.exactly_once {
                // What became of the others must be known before they are sent again.
                self.land()?;
            }
            self.mine.borrow_mut().refusals.push(refusal);
            return self.told();
        }
        let mut mine = self.mine.borrow_mut();
        let name = self.ground.cluster.borrow().topics[queued.topic].name.clone();
        mine.hanging.wrote(&name, Some(queued.partition));
        mine.queue.push(queued);
        drop(mine);
        if strike == Strike::RequestLost {
            return Err(failed("produce", "the queue is full"));
        }
        if self.ground.faults.borrow_mut().chance(0.2) {
            if self.ground.exactly_once { self.flush()? } else { self.flush_some()? }
        }
        self.leave(strike, "produce", ())
    }

    /// Puts what is queued into the log.
    pub(super) fn flush(&self) -> Result<()> {
        self.land()?;
        self.told()
    }

    fn land(&self) -> Result<()> {
        let queue = std::mem::take(&mut self.mine.borrow_mut().queue);
        self.produce(queue)
    }

    /// What was refused, if anything was.
    fn told(&self) -> Result<()> {
        let mut mine = self.mine.borrow_mut();
        let beside = std::mem::take(&mut mine.beside);
        let refusals = std::mem::take(&mut mine.refusals);
        let at = |at: &Position| format!("{}/{}", at.partition, at.offset);
        if let Some(first) = refusals.first() {
            self.ground.note(|| {
                let all: Vec<_> = refusals.iter().map(|refusal| at(&refusal.at)).collect();
                let (name, topic, sure) = (&self.place.name, &first.topic, first.sure);
                format!("{name}: {topic} refuses {}, sure: {sure}", all.join(", "))
            });
        }
        match refusals {
            refusals if refusals.is_empty() => Ok(()),
            refusals => Err(SessionError::Refused { refusals, beside }),
        }
    }

    /// Without transactions every partition takes what is queued for it when it does: what was
    /// sent later may be there when what was sent before is not.
    pub(super) fn flush_some(&self) -> Result<()> {
        if self.ground.exactly_once {
            return Ok(());
        }
        let queue = std::mem::take(&mut self.mine.borrow_mut().queue);
        let mut reached: BTreeMap<(usize, Partition), bool> = BTreeMap::new();
        let (there, queued): (Vec<_>, Vec<_>) = queue.into_iter().partition(|queued| {
            let place = (queued.topic, queued.partition);
            *reached.entry(place).or_insert_with(|| self.ground.faults.borrow_mut().chance(0.5))
        });
        self.mine.borrow_mut().queue = queued;
        self.produce(there)
    }

    /// What is for one partition of a topic is one request: taken whole, or not at all.
    fn produce(&self, queue: Vec<Queued>) -> Result<()> {
        let (lease, process) = (self.mine.borrow().lease, self.process.no);
        let mut refused = BTreeMap::new();
        for queued in &queue {
            if let Some(objection) = self.objection(queued) {
                refused.entry((queued.topic, queued.partition)).or_insert(objection);
                self.ground.faults.borrow_mut().hit(format!("refused: {}", objection.name()));
            }
        }
        for queued in queue {
            if let Some(&objection) = refused.get(&(queued.topic, queued.partition)) {
                self.refuse(&queued, objection);
                continue;
            }
            let Queued { topic, partition, record, .. } = queued;
            let mut cluster = self.ground.cluster.borrow_mut();
            if partition.0 as usize >= cluster.topics[topic].partitions.len() {
                return Err(failed("produce", "the topic does not have that partition"));
            }
            let done = match self.ground.exactly_once {
                true => cluster.produce((lease, process), (topic, partition), record),
                false => {
                    cluster.append(process, (topic, partition), record);
                    Ok(())
                }
            };
            drop(cluster);
            done.map_err(|refusal| self.refused("produce", refusal))?;
            let name = self.ground.cluster.borrow().topics[topic].name.clone();
            self.mine.borrow_mut().landed |= !self.place.outputs.is_shared(&name, partition);
        }
        Ok(())
    }

    /// A record of a request that was refused: brokers that do not say for which record of it may
    /// mean any, and say the same of all.
    fn refuse(&self, queued: &Queued, objection: Objection) {
        let Some(at) = queued.source else { return };
        let topic = self.ground.cluster.borrow().topics[queued.topic].clone();
        let sure = self.ground.names_refused;
        let takes = self.ground.tells_settings.then_some(deliver::Takes {
            within: topic.takes.within,
            keyed: topic.takes.keyed,
            bytes: Some(topic.takes.bytes_max),
            plain: true,
        });
        let topic = topic.name;
        let mut mine = self.mine.borrow_mut();
        match (self.objection(queued), sure) {
            (None, true) => mine.beside.push(at),
            (found, _) => {
                let objection = found.filter(|_| sure).unwrap_or(objection);
                mine.refusals.push(deliver::Refusal { at, topic, objection, sure, takes });
            }
        }
    }

    /// What its topic objects to.
    fn objection(&self, queued: &Queued) -> Option<Objection> {
        let takes = self.ground.cluster.borrow().topics[queued.topic].takes;
        takes.objections(&queued.record).into_iter().next()
    }

    /// Who is too large may be refused before anything is sent.
    fn refused_at_once(&self, queued: &Queued) -> Option<deliver::Refusal> {
        let objection = self.objection(queued).filter(|_| self.ground.refuses_at_once)?;
        let topic = self.ground.cluster.borrow().topics[queued.topic].name.clone();
        (objection == Objection::Size).then_some(())?;
        let (at, sure, takes) = (queued.source?, true, None);
        Some(deliver::Refusal { at, topic, objection, sure, takes })
    }

    pub(super) fn refused(&self, step: &'static str, refusal: Refusal) -> SessionError {
        match refusal {
            Refusal::Fenced => self.fenced(),
            Refusal::UnknownMember => failed(step, "the group does not know this member"),
            Refusal::NotOpen => failed(step, "no transaction is open"),
        }
    }

    pub(super) fn fenced(&self) -> SessionError {
        self.ground.faults.borrow_mut().hit("fenced");
        self.ground.note(|| format!("{}: fenced", self.place.name));
        SessionError::Fenced { id: self.place.name.clone(), reason: "a newer producer".into() }
    }

    pub(super) fn dead(&self) -> SessionError {
        SessionError::Fenced { id: self.place.name.clone(), reason: "its process is dead".into() }
    }

    /// News, if there are any for a consumer that has acted upon the last.
    pub(super) fn look_for_news(&self, consumer: &mut Consumer) {
        if consumer.told || !consumer.news.is_empty() {
            return;
        }
        let group = self.place.group;
        let mut faults = self.ground.faults.borrow_mut();
        let mut cluster = self.ground.cluster.borrow_mut();
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
    pub(super) fn fetch(&self, consumer: &mut Consumer) -> Option<Fetched> {
        let cluster = self.ground.cluster.borrow();
        let topic = &cluster.topics[self.place.input];
        let n = consumer.fetched.len();
        let mut faults = self.ground.faults.borrow_mut();
        let first = if n > 1 { faults.below(n as u64) as usize } else { 0 };
        for at in (0..n).map(|i| (first + i) % n) {
            let fetch = &mut consumer.fetched[at];
            if fetch.paused || fetch.stuck {
                continue;
            }
            let log = &topic.partitions[fetch.partition.0 as usize];
            let parted = fetch.epoch.and_then(|epoch| log.end_of(epoch));
            if !(log.start()..=log.end()).contains(&fetch.next)
                || parted.is_some_and(|end| end < fetch.next)
            {
                (fetch.stuck, consumer.interrupted) = (true, true);
                continue;
            }
            let Some((offset, record)) = log.next(fetch.next) else {
                if log.stable() > fetch.next {
                    fetch.next = log.stable();
                    fetch.position = Some(fetch.next);
                }
                continue;
            };
            let epoch = log.epoch_at(offset);
            fetch.next = offset + 1;
            (fetch.position, fetch.epoch) = (Some(fetch.next), Some(epoch));
            let position = Position { partition: fetch.partition, offset: Offset(offset as i64) };
            return Some(Fetched { position, epoch: epoch as i32, record: record.clone() });
        }
        None
    }

    /// Where reading begins again in fact: some records may come once more.
    pub(super) fn from(&self, partition: Partition, offset: Offset) -> usize {
        let again = {
            let mut faults = self.ground.faults.borrow_mut();
            if faults.chance(0.2) { faults.below(4) as i64 } else { 0 }
        };
        let cluster = self.ground.cluster.borrow();
        let log = &cluster.topics[self.place.input].partitions[partition.0 as usize];
        let least = (log.start() as i64).min(offset.0);
        (offset.0 - again).max(least) as usize
    }

    /// Offsets without a transaction.
    pub(super) fn commit_offsets(&self) -> Result<(), Refusal> {
        let mut mine = self.mine.borrow_mut();
        let offsets = std::mem::take(&mut mine.offsets);
        let member = mine.consumer.as_ref().map(|consumer| consumer.member);
        let mut cluster = self.ground.cluster.borrow_mut();
        let group = &mut cluster.groups[self.place.group];
        if !member.is_some_and(|member| group.has(member)) {
            return Err(Refusal::UnknownMember);
        }
        offsets.into_iter().for_each(|(partition, offset)| group.commit(partition, offset));
        Ok(())
    }
}

impl Mine {
    /// Nothing is open or on its way any more.
    pub(super) fn give_up(&mut self) {
        self.queue.clear();
        self.offsets.clear();
        (self.open, self.landed) = (false, false);
    }
}

impl Consumer {
    pub(super) fn fetch_of(&mut self, partition: Partition) -> Result<&mut Fetch> {
        let found = self.fetched.iter_mut().find(|fetch| fetch.partition == partition);
        found.ok_or_else(|| no_answer("partition that was not assigned"))
    }
}

pub(super) fn failed(step: &'static str, reason: &str) -> SessionError {
    SessionError::Transaction { step, reason: reason.into() }
}

pub(super) fn no_answer(what: &'static str) -> SessionError {
    SessionError::Exchange { what, reason: "no answer".into() }
}

pub(super) fn ended(reason: &str) -> SessionError {
    SessionError::Consumer { reason: reason.into() }
}
