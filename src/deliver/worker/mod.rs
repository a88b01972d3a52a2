//! The lanes of some partitions, and the transaction that carries what leaves them.
//!
//! A turn gathers a batch, takes it through scoring, puts what leaves into the open transaction and
//! commits when it is time. Nothing of a lane is kept anywhere else, so there is one way back from
//! every failure: give the transaction up, and begin again where the last commit stands. It is a
//! plain state machine: Kafka drives it on a thread, the simulator step by step.

mod adopt;
mod begin;
mod commit;
mod continuity;
mod halves;
mod outputs;
mod partitions;
mod state;
mod visits;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use self::continuity::Losses;
use self::halves::RequestHalves;
use self::state::Partitions;
use super::arrivals::Arrivals;
use super::recovery::{GivenUp, Recovery};
use super::refusal::Refusals;
use super::stall::Stalls;
use super::{CrashLoopGuard, Inbox, Progress, Scorer, Session, SessionError};
use crate::config::Stream;
use crate::record::{Offset, Partition};
use crate::score::Lane;

pub use begin::begin as begin_lane;
pub use work::BATCH_BYTES_MAX;

/// Scores the partitions that its group gives it.
pub struct Worker<S, R: Scorer> {
    session: S,
    desk: Desk<R>,
    recovery: Recovery,
}

/// A worker that has no session: what it announced it remembers, for whoever is fenced has not ended.
pub struct Resting<R: Scorer>(Desk<R>);

/// Everything of a worker but its session, which lends out messages while the rest works on them.
struct Desk<R: Scorer> {
    stream: Arc<Stream>,
    scorer: R,
    /// The next revision, once there is one.
    inbox: Arc<Inbox<R::Next>>,
    timing: Timing,
    partitions: Partitions,
    crash_loops: BTreeMap<Partition, CrashLoopGuard>,
    /// The crash-loop records that this worker sent last, also of partitions it has no more.
    said: BTreeMap<Partition, Vec<u8>>,
    /// Partitions whose crash-loop record is not in the log yet: nothing of them is judged before.
    unannounced: BTreeSet<Partition>,
    /// What topics did not take, until the partitions are past it.
    refusals: Refusals,
    /// What need not be sent again, under at-least-once.
    arrivals: Arrivals,
    /// Partitions that make no progress.
    stalls: Stalls,
    /// What is gone of the input, until the monitor is told.
    losses: Losses,
    /// Of what the open transaction sends on, for the join with answers.
    halves: RequestHalves,
    /// How many partitions every output topic has, as far as we asked.
    outputs: i32,
    /// When the open transaction began.
    opened: Option<Instant>,
    /// When a poll last came back empty: everything that was there had been read.
    last_empty: Option<Instant>,
    progress: Arc<Progress>,
}

/// A lane, and what the worker knows about its partition.
struct Slot {
    lane: Lane,
    /// The next offset as of the last commit; `None` if its state must be written, though it has not moved.
    committed: Option<Offset>,
    /// How it was at the last commit, if this worker made that and the lane has not gone on in another log since.
    last: Option<Last>,
    /// It went over what no reader is given: that is committed though nothing is sent.
    passed_over: bool,
    passed_at: Instant,
    /// Its topics were seen to reach further than the state says that was written last.
    unsaved: bool,
    last_record: Instant,
    /// What the monitor was told last, if it was told.
    told_quiet: Option<bool>,
}

/// What a slot was at a commit.
#[derive(Clone)]
struct Last {
    lane: Lane,
    told_quiet: Option<bool>,
}

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between commits.
    pub commit_interval: Duration,
    /// Until state and committed offset must fit: what a dead worker left open hides what it
    /// committed before.
    pub settle: Duration,
    /// Without progress, though there are records, before somebody must know.
    pub stalled: Duration,
    /// Whether offsets may lag behind the state that covers them: at-least-once writes them last.
    pub offsets_lag: bool,
}

/// Key of a lane's state in the state topic, in the partition of its number.
pub const LANE_KEY: &[u8] = b"lane";

/// How long an empty poll waits: bounds how late news and the end are noticed.
const POLL: Duration = Duration::from_millis(50);

impl<R: Scorer> Resting<R> {
    /// A worker that has not begun.
    pub fn new(
        scorer: R,
        inbox: Arc<Inbox<R::Next>>,
        stream: Arc<Stream>,
        timing: Timing,
        progress: Arc<Progress>,
    ) -> Self {
        progress.adopt(&scorer.revision());
        Self(Desk {
            halves: RequestHalves::new(&stream),
            stream,
            scorer,
            inbox,
            timing,
            partitions: Partitions::new(progress.clone()),
            crash_loops: BTreeMap::new(),
            said: BTreeMap::new(),
            unannounced: BTreeSet::new(),
            refusals: Refusals::default(),
            arrivals: Arrivals::default(),
            stalls: Stalls::new(timing.stalled, progress.clone()),
            losses: Losses::default(),
            outputs: 0,
            opened: None,
            last_empty: None,
            progress,
        })
    }

    /// Goes to work, with nothing yet; the group will tell.
    pub fn join<S: Session>(self, session: S) -> Worker<S, R> {
        Worker { session, desk: self.0, recovery: Recovery::default() }
    }
}

impl<S: Session, R: Scorer> Worker<S, R> {
    /// A worker that has nothing yet; the group will tell.
    pub fn new(
        session: S,
        scorer: R,
        inbox: Arc<Inbox<R::Next>>,
        stream: Arc<Stream>,
        timing: Timing,
        progress: Arc<Progress>,
    ) -> Self {
        Resting::new(scorer, inbox, stream, timing, progress).join(session)
    }

    /// Forgets what is its own, and hands its session back. Nothing is committed.
    pub fn rest(mut self) -> (S, Resting<R>) {
        self.desk.clear();
        self.desk.opened = None;
        (self.session, Resting(self.desk))
    }

    /// One batch, and whatever else is due. Waits a little if there is nothing to do.
    ///
    /// # Errors
    /// Only [`SessionError::Fenced`]: leave, touch nothing. Everything else is dealt with here.
    pub fn turn(&mut self) -> Result<(), SessionError> {
        self.desk.progress.beat(self.session.wall());
        self.desk.look(&self.session);
        let step = match self.recovery.advance(&mut self.session) {
            Ok(true) => self.desk.turn(&self.session),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        step.or_else(|error| self.give_up(error))
    }

    /// Commits what was read: the last thing a worker does.
    pub fn finish(mut self) {
        let partitions: Vec<Partition> = self.desk.crash_loops.keys().copied().collect();
        if self.recovery.is_over()
            && let Err(error) = self.desk.part_with(&self.session, &partitions)
        {
            // Not committed is not done: whoever comes next does it again.
            warn!(%error, "the last commit failed");
        }
    }

    /// The partitions that are read now, and where each goes on.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.desk.partitions.slots().map(|(_, slot)| &slot.lane)
    }

    /// Every lane begins again where its last commit stands: as it was then, if all since is undone; else it is
    /// read from the log.
    fn give_up(&mut self, error: SessionError) -> Result<(), SessionError> {
        let Self { session, desk, recovery } = self;
        desk.halves.clear();
        let GivenUp { error, undone } = recovery.give_up(error, session, &desk.progress)?;
        let begun = match error {
            SessionError::Consumer { .. } => Err(error),
            SessionError::Refused { refusals, beside } => {
                desk.refused(session, &refusals, &beside, undone)
            }
            error => {
                desk.refusals.settle();
                desk.arrivals.unknown();
                desk.forget_uncommitted(session, &error.to_string())
            }
        };
        if begun.is_err() {
            // The consumer will be new, and the group will say again what is ours.
            desk.clear();
            recovery.begin(session.now());
            session.discard_consumer();
        }
        Ok(())
    }
}

impl<R: Scorer> Desk<R> {
    fn turn<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        self.adopt(session)?;
        self.rebalance(session)?;
        self.wake(session)?;
        self.check_input(session)?;
        if !self.losses.is_told() {
            self.commit(session)?;
        }
        self.tell_stalls(session)?;
        let started = session.now();
        let records = self.work(session)?;
        if records > 0 {
            self.progress.batched(records, session.now().saturating_duration_since(started));
        }
        self.tell_presence(session)?;
        let now = session.now();
        self.opened = session.is_open().then(|| self.opened.unwrap_or(now));
        let age = self.opened.map(|at| now.saturating_duration_since(at)).unwrap_or_default();
        // Quiet for a tenth of the interval: commit at once, latency is free.
        let idle = records == 0 && age >= self.timing.commit_interval / 10;
        if idle || age >= self.timing.commit_interval {
            self.commit(session)?;
        }
        self.rebalance(session)
    }
}

impl Slot {
    fn new(lane: Lane, committed: Option<Offset>, now: Instant) -> Self {
        Self {
            lane,
            committed,
            last: None,
            passed_over: false,
            passed_at: now,
            unsaved: false,
            last_record: now,
            told_quiet: None,
        }
    }
}
