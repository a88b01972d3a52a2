//! A session over the simulated cluster. Every call is a step at which a fault may strike.
//!
//! The simulator cannot stop a process in the middle of a call. So after a process dies, every call of its sessions does
//! nothing and returns the error that it is fenced. The state machine then leaves, and writes nothing more to the log.

mod calls;
mod committing;
mod ending;
mod logs;
mod steps;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::cluster::group::{MemberId, News};
use super::cluster::{Lease, Ms, Refusal};
use super::ground::{Ground, Process};
use crate::deliver::{self, HangingTransactions, Outputs, SessionError};
use crate::record::{Extent, Offset, OwnedRecord, Partition, Position, Record, TopicPartition};

/// Member of a group with a producer of its own, on the simulated cluster.
pub struct Session {
    ground: Rc<Ground>,
    process: Rc<Process>,
    place: Role,
    /// The owner has nothing to do before.
    resume_at: Rc<Cell<Ms>>,
    /// Since when offsets are not told, or when they were last tried to be ended.
    offsets_missing: Cell<Option<Ms>>,
    /// When it last heard that its id is its own.
    used: Cell<Ms>,
    /// When somebody last looked at the input, and what was seen.
    looked_at: Cell<Option<Ms>>,
    look: RefCell<Option<BTreeMap<TopicPartition, Extent>>>,
    mine: RefCell<Mine>,
}

/// What a session reads and writes as.
#[derive(Clone, Debug)]
pub struct Role {
    /// For people.
    pub name: String,
    pub group: usize,
    pub input: usize,
    pub producer: usize,
    pub outputs: Outputs,
    /// Brokers are believed when they say that a transaction ended: a bug.
    pub believes: bool,
}

struct Mine {
    lease: Lease,
    consumer: Option<Consumer>,
    queue: Vec<Queued>,
    open: bool,
    /// Something of the open transaction has arrived where only we write.
    landed: bool,
    /// Under at-least-once, until the commit.
    offsets: Vec<(Partition, Offset)>,
    /// Whose offsets were sent last.
    moved: Vec<(Partition, Offset)>,
    /// What may hang of our id.
    hanging: HangingTransactions,
    /// Not taken, and not told yet; and what came with it.
    refusals: Vec<deliver::Refusal>,
    beside: Vec<Position>,
}

struct Consumer {
    member: MemberId,
    news: VecDeque<News>,
    /// Told, not acted upon yet.
    told: bool,
    /// It knows that the group threw it out.
    lost: bool,
    ended: bool,
    interrupted: bool,
    fetched: Vec<Fetch>,
}

struct Fetch {
    partition: Partition,
    next: usize,
    paused: bool,
    /// After what was read since it was begun, markers of transactions too.
    position: Option<usize>,
    /// Of the record that was read last.
    epoch: Option<usize>,
    /// The log does not have what is to be read next.
    stuck: bool,
}

impl Fetch {
    fn at(partition: Partition, next: usize) -> Self {
        Self { partition, next, paused: false, position: None, epoch: None, stuck: false }
    }
}

struct Queued {
    topic: usize,
    partition: Partition,
    record: Rc<OwnedRecord>,
    source: Option<Position>,
}

/// A record as it was fetched.
#[derive(Clone, Debug)]
pub struct Fetched {
    position: Position,
    epoch: i32,
    record: Rc<OwnedRecord>,
}

type Result<T, E = SessionError> = std::result::Result<T, E>;
impl Session {
    pub fn join(
        ground: &Rc<Ground>,
        process: &Rc<Process>,
        place: Role,
        resume_at: &Rc<Cell<Ms>>,
    ) -> Self {
        let lease = ground.cluster.borrow_mut().init(place.producer);
        let hanging = HangingTransactions::new(&place.outputs, ending::widths(ground, &place));
        let (queue, offsets, refusals, beside) = (vec![], vec![], vec![], vec![]);
        let (consumer, open, landed) = (None, false, false);
        let moved = vec![];
        let mine = Mine {
            lease,
            consumer,
            queue,
            open,
            landed,
            offsets,
            moved,
            hanging,
            refusals,
            beside,
        };
        let session = Self {
            ground: ground.clone(),
            process: process.clone(),
            place,
            resume_at: resume_at.clone(),
            offsets_missing: Cell::new(None),
            used: Cell::new(ground.now()),
            looked_at: Cell::new(None),
            look: RefCell::default(),
            mine: RefCell::new(mine),
        };
        session.subscribe();
        // What does not succeed now is tried again.
        let _ = session.end_open_transactions();
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
        let mut cluster = self.ground.cluster.borrow_mut();
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
}

/// A process that ends in order aborts what is open and leaves the group; a dead one does nothing.
impl Drop for Session {
    fn drop(&mut self) {
        if !self.process.alive.get() {
            return;
        }
        let mine = self.mine.borrow();
        let mut cluster = self.ground.cluster.borrow_mut();
        // A fenced producer has nothing to abort.
        let _ = cluster.end(mine.lease, false, 0);
        if let Some(consumer) = &mine.consumer {
            cluster.groups[self.place.group].leave(consumer.member);
        }
    }
}

impl deliver::Fetched for Fetched {
    fn record(&self) -> Record<'_> {
        self.record.at(self.position)
    }

    fn leader_epoch(&self) -> Option<i32> {
        Some(self.epoch)
    }
}
