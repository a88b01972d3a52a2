//! Brokers and clock: topics, the transaction coordinator, the group coordinator.
//!
//! Transactions are those of before KIP-890: within one epoch of a producer a late request to end
//! a transaction ends whichever one is open when it arrives. Markers reach partitions one by one, or,
//! while the broker does not know who leads its partitions, none of a transaction's ever do: then the
//! next one of the same id that ends there takes the records with it, whichever way it ends.

pub mod group;
pub mod log;

use std::rc::Rc;

use self::group::{Group, MemberId};
use self::log::{Fate, PartitionLog, Topic, TxnId};
use crate::deliver::CRASH_LOOP_KEY;
use crate::record::{Offset, OwnedRecord, Partition};

/// Milliseconds since the world began.
pub type Ms = u64;

/// The whole cluster.
#[derive(Debug, Default)]
pub struct Cluster {
    pub now: Ms,
    /// How far the clock on the wall is off.
    pub skew: i64,
    pub topics: Vec<Topic>,
    pub groups: Vec<Group>,
    producers: Vec<Producer>,
    pub txns: Vec<Txn>,
    late: Vec<LateEnd>,
    unmarked: Vec<(Ms, TxnId, Place)>,
    /// Whatever ends before is acknowledged and not marked.
    pub leaderless_until: Ms,
    /// Where markers are missing.
    hung: Vec<(TxnId, Place)>,
    /// Members whose process is dead or stands still, and since when.
    silent: Vec<(usize, MemberId, Ms)>,
    committed: usize,
    /// Every announcement of a record that is begun alone, or of a partition begun.
    pub crash_loops: Vec<Announced>,
    pub timed_out: u64,
    pub late_ends: u64,
    pub evicted: u64,
    pub endless: u64,
}

/// A transactional id.
#[derive(Debug, Default)]
struct Producer {
    epoch: u32,
    open: Option<TxnId>,
}

/// A producer as its owner knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: usize,
    pub epoch: u32,
}

/// One transaction.
#[derive(Debug)]
pub struct Txn {
    pub lease: Lease,
    began: Ms,
    pub end: End,
    touched: Vec<Place>,
    pub outputs: Vec<(usize, Partition, Rc<OwnedRecord>)>,
    pub offsets: Vec<(usize, Partition, Offset)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Open,
    /// As the how-manieth of all.
    Committed(usize),
    Aborted,
}

/// A crash-loop record as it was sent.
#[derive(Debug)]
pub struct Announced {
    pub process: u32,
    /// `None` under at-least-once: it counts at once.
    pub txn: Option<TxnId>,
    pub partition: Partition,
    pub value: Vec<u8>,
}

/// Where a marker goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Log(usize, Partition),
    Group(usize),
}

#[derive(Debug)]
struct LateEnd {
    due: Ms,
    lease: Lease,
    commit: bool,
}

/// Why the cluster does not do what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A newer producer has the id.
    Fenced,
    /// The group does not know the member.
    UnknownMember,
    /// Nothing is open that could be ended.
    NotOpen,
}

/// A transaction older than this is aborted, and its producer fenced.
pub const TRANSACTION_MS: Ms = 4_000;
/// A member not heard of for this long is thrown out.
pub const SESSION_MS: Ms = 2_000;

impl Cluster {
    pub fn new(topics: Vec<Topic>, groups: Vec<Group>) -> Self {
        Self { topics, groups, ..Self::default() }
    }

    /// Takes a transactional id over: what was open under it is aborted, who had it is fenced.
    pub fn init(&mut self, id: usize) -> Lease {
        while self.producers.len() <= id {
            self.producers.push(Producer::default());
        }
        self.producers[id].epoch += 1;
        if let Some(txn) = self.producers[id].open.take() {
            self.end_txn(txn, false, 0);
        }
        self.mark_all_of(id);
        Lease { id, epoch: self.producers[id].epoch }
    }

    /// Appends a record to the open transaction, opening one.
    pub fn produce(
        &mut self,
        (lease, process): (Lease, u32),
        (topic, partition): (usize, Partition),
        record: Rc<OwnedRecord>,
    ) -> Result<(), Refusal> {
        let txn = self.open(lease)?;
        self.note_boot(process, Some(txn), partition, &record);
        self.txns[txn].touch(Place::Log(topic, partition));
        self.txns[txn].outputs.push((topic, partition, record.clone()));
        self.log(topic, partition).append(record, Some(txn));
        Ok(())
    }

    /// Appends a record that counts at once.
    pub fn append(
        &mut self,
        process: u32,
        (topic, partition): (usize, Partition),
        record: Rc<OwnedRecord>,
    ) {
        self.note_boot(process, None, partition, &record);
        self.log(topic, partition).append(record, None);
    }

    fn note_boot(
        &mut self,
        process: u32,
        txn: Option<TxnId>,
        partition: Partition,
        record: &OwnedRecord,
    ) {
        if record.key.as_deref() == Some(CRASH_LOOP_KEY) && record.headers.is_empty() {
            let value = record.value.clone().unwrap_or_default();
            self.crash_loops.push(Announced { process, txn, partition, value });
        }
    }

    /// Adds offsets to the open transaction, opening one.
    pub fn add_offsets(
        &mut self,
        lease: Lease,
        (group, member): (usize, MemberId),
        next: &[(Partition, Offset)],
    ) -> Result<(), Refusal> {
        let txn = self.open(lease)?;
        // The transaction's coordinator notes the group before the group looks at who asks.
        self.txns[txn].touch(Place::Group(group));
        if !self.groups[group].has(member) {
            return Err(Refusal::UnknownMember);
        }
        let entries = next.iter().map(|&(partition, offset)| (group, partition, offset));
        self.txns[txn].offsets.extend(entries);
        self.groups[group].hold(txn, next);
        Ok(())
    }

    /// Ends whatever is open; its markers arrive within `spread`.
    pub fn end(&mut self, lease: Lease, commit: bool, spread: Ms) -> Result<(), Refusal> {
        self.check(lease)?;
        let txn = self.producers[lease.id].open.take().ok_or(Refusal::NotOpen)?;
        self.end_txn(txn, commit, spread);
        Ok(())
    }

    /// Ends the transaction by a request that arrives at `due`.
    pub fn end_late(&mut self, lease: Lease, commit: bool, due: Ms) {
        self.late.push(LateEnd { due, lease, commit });
    }

    /// Lets time pass, and happen what is due.
    pub fn pass(&mut self, ms: Ms) {
        self.now += ms;
        let now = self.now;
        while let Some(at) = self.late.iter().position(|end| end.due <= now) {
            let LateEnd { lease, commit, .. } = self.late.remove(at);
            self.late_ends += u64::from(self.end(lease, commit, 0).is_ok());
        }
        while let Some(at) = self.unmarked.iter().position(|(due, ..)| *due <= now) {
            let (_, txn, place) = self.unmarked.remove(at);
            self.mark(txn, place);
        }
        for id in 0..self.producers.len() {
            let open = self.producers[id].open;
            if let Some(txn) = open.filter(|&txn| self.txns[txn].began + TRANSACTION_MS < now) {
                self.producers[id] = Producer { epoch: self.producers[id].epoch + 1, open: None };
                self.end_txn(txn, false, 0);
                self.timed_out += 1;
            }
        }
        while let Some(at) = self.silent.iter().position(|(.., at)| at + SESSION_MS < now) {
            let (group, member, _) = self.silent.remove(at);
            self.evicted += u64::from(self.groups[group].has(member));
            self.groups[group].leave(member);
        }
    }

    /// Nothing is heard of a member any more.
    pub fn mute(&mut self, group: usize, member: MemberId) {
        self.silent.push((group, member, self.now));
    }

    /// A member is heard of again.
    pub fn hear(&mut self, group: usize, member: MemberId) {
        self.silent.retain(|(g, m, _)| (*g, *m) != (group, member));
    }

    pub fn topic(&self, name: &str) -> usize {
        let known = self.topics.iter().position(|topic| topic.name == name);
        known.expect("a topic of this world")
    }

    pub fn log(&mut self, topic: usize, partition: Partition) -> &mut PartitionLog {
        &mut self.topics[topic].partitions[partition.0 as usize]
    }

    /// The end of a partition, and up to where nothing in it is open.
    pub fn ends(&self, topic: usize, partition: Partition) -> (usize, usize) {
        let log = &self.topics[topic].partitions[partition.0 as usize];
        (log.end(), log.stable())
    }

    pub fn is_leaderless(&self) -> bool {
        self.now < self.leaderless_until
    }

    /// What is open or has no marker, in words.
    pub fn unsettled(&self) -> Vec<String> {
        let open =
            self.producers.iter().enumerate().filter(|(_, producer)| producer.open.is_some());
        let open = open.map(|(id, _)| format!("a transaction of id {id} is open"));
        let hung = self.hung.iter().filter(|&&(txn, place)| self.matters(txn, place));
        let hung = hung.map(|&(txn, place)| {
            let Txn { lease, began, .. } = &self.txns[txn];
            format!("no marker in {place:?} for {lease:?} of {began} ms")
        });
        open.chain(hung).collect()
    }

    /// Whether anybody can tell that a marker is missing: of a group that holds nothing nobody can.
    fn matters(&self, txn: TxnId, place: Place) -> bool {
        match place {
            Place::Log(..) => true,
            Place::Group(group) => self.groups[group].holds(txn),
        }
    }

    /// Somebody aborts by hand what hangs of ids that nobody will use again.
    pub fn abort_hanging(&mut self, is_used: impl Fn(usize) -> bool) {
        let hung = self.hung.extract_if(.., |(txn, _)| !is_used(self.txns[*txn].lease.id));
        for (txn, place) in hung.collect::<Vec<_>>() {
            self.mark_as(txn, place, false);
        }
    }

    /// Whether nothing is open, unmarked or on its way.
    pub fn is_at_rest(&self) -> bool {
        self.unmarked.is_empty()
            && self.late.is_empty()
            && !self.hung.iter().any(|&(txn, place)| self.matters(txn, place))
            && self.producers.iter().all(|producer| producer.open.is_none())
    }

    /// Whether a newer producer has taken this one's id over.
    pub fn check(&self, lease: Lease) -> Result<(), Refusal> {
        match self.producers[lease.id].epoch == lease.epoch {
            true => Ok(()),
            false => Err(Refusal::Fenced),
        }
    }

    fn open(&mut self, lease: Lease) -> Result<TxnId, Refusal> {
        self.check(lease)?;
        if let Some(txn) = self.producers[lease.id].open {
            return Ok(txn);
        }
        // A new transaction waits until the last one's markers have arrived.
        self.mark_all_of(lease.id);
        let txn = self.txns.len();
        self.txns.push(Txn {
            lease,
            began: self.now,
            end: End::Open,
            touched: vec![],
            outputs: vec![],
            offsets: vec![],
        });
        self.producers[lease.id].open = Some(txn);
        Ok(txn)
    }

    fn end_txn(&mut self, txn: TxnId, commit: bool, spread: Ms) {
        self.txns[txn].end = match commit {
            true => End::Committed(self.committed),
            false => End::Aborted,
        };
        self.committed += usize::from(commit);
        if self.is_leaderless() {
            self.endless += 1;
            self.hung.extend(self.txns[txn].touched.iter().map(|&place| (txn, place)));
            return;
        }
        for (i, place) in self.txns[txn].touched.clone().into_iter().enumerate() {
            match spread {
                0 => self.mark(txn, place),
                // Scattered, and the same for a seed: places are touched in one order.
                _ => {
                    let due = self.now + (i as Ms * 7919 + txn as Ms * 104_729) % spread;
                    self.unmarked.push((due, txn, place));
                }
            }
        }
    }

    fn mark_all_of(&mut self, id: usize) {
        while let Some(at) =
            self.unmarked.iter().position(|&(_, txn, _)| self.txns[txn].lease.id == id)
        {
            let (_, txn, place) = self.unmarked.remove(at);
            self.mark(txn, place);
        }
    }

    /// A marker arrives, and ends all that its id left there.
    fn mark(&mut self, txn: TxnId, place: Place) {
        let committed = matches!(self.txns[txn].end, End::Committed(_));
        let id = self.txns[txn].lease.id;
        let same = |hung: &mut (TxnId, Place)| hung.1 == place && self.txns[hung.0].lease.id == id;
        let hung: Vec<_> = self.hung.extract_if(.., same).collect();
        for (older, place) in hung {
            self.mark_as(older, place, committed);
        }
        self.mark_as(txn, place, committed);
    }

    fn mark_as(&mut self, txn: TxnId, place: Place, committed: bool) {
        if !committed {
            self.txns[txn].end = End::Aborted;
        }
        match place {
            Place::Log(topic, partition) => {
                let fate = if committed { Fate::Committed } else { Fate::Aborted };
                self.log(topic, partition).mark(txn, fate);
            }
            Place::Group(group) => self.groups[group].mark(txn, committed),
        }
    }
}

impl Txn {
    fn touch(&mut self, place: Place) {
        if !self.touched.contains(&place) {
            self.touched.push(place);
        }
    }
}

#[cfg(test)]
mod tests;
