//! A worker: it scores the records of some partitions and sends them on, in transactions.
//!
//! Each turn gathers a batch, scores it, puts the outputs into the open transaction, and commits when the interval is over.
//! Each partition has a lane, whose last commit is in the state topic. After a failure the worker aborts the
//! transaction, and each lane begins again at its last commit. A worker is a plain state machine. Kafka drives it on a thread, the
//! simulator drives it step by step.

mod adopt;
mod begin;
mod careful;
mod commit;
mod continuity;
mod halves;
mod outputs;
mod partitions;
mod rebalance;
mod visits;
mod work;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use self::continuity::Losses;
use self::halves::RequestHalves;
use self::partitions::Partitions;
use super::arrivals::Arrivals;
use super::recovery::{GivenUp, Recovery};
use super::refusal::Refusals;
use super::spans::OpenSpans;
use super::stall::Stalls;
use super::{CrashLoopGuard, Inbox, Progress, Scorer, Session, SessionError, SpanQueue};
use crate::config::Stream;
use crate::record::{Offset, Partition};
use crate::score::Lane;

pub use begin::begin as begin_lane;
pub use work::BATCH_BYTES_MAX;

/// Scores the partitions that its consumer group assigns to it.
pub struct Worker<S, R: Scorer> {
    session: S,
    parts: WorkerParts<R>,
    recovery: Recovery,
}

/// A worker without a session. It remembers what it announced, because a worker that is fenced has not ended.
pub struct Resting<R: Scorer>(WorkerParts<R>);

/// All of a worker but its session. The session lends messages out while the rest works on them.
struct WorkerParts<R: Scorer> {
    stream: Arc<Stream>,
    scorer: R,
    /// Where the next revision arrives.
    inbox: Arc<Inbox<R::Next>>,
    timing: Timing,
    partitions: Partitions,
    crash_loops: BTreeMap<Partition, CrashLoopGuard>,
    /// The crash-loop records that this worker sent last, also those of partitions that it has lost.
    said: BTreeMap<Partition, Vec<u8>>,
    /// Partitions whose crash-loop record is not in the log yet. Their records are not scored before it is.
    unannounced: BTreeSet<Partition>,
    /// Records that topics refused, until their partitions have passed them.
    refusals: Refusals,
    /// At-least-once: records that have arrived and are not sent again.
    arrivals: Arrivals,
    /// Partitions that make no progress.
    stalls: Stalls,
    /// Input records that are lost, until the monitor is told.
    losses: Losses,
    /// What the open transaction tells the join about records that it sends on.
    halves: RequestHalves,
    /// How many partitions each output topic has, as far as the brokers were asked.
    outputs: i32,
    /// When the open transaction began.
    opened: Option<Instant>,
    /// When a poll last returned nothing: then all records had been read.
    last_empty: Option<Instant>,
    progress: Arc<Progress>,
    /// Batches that are told once they are committed, if anybody wants that.
    spans: Option<OpenSpans>,
}

/// A lane, and what the worker knows of its partition.
struct Slot {
    lane: Lane,
    /// The next offset at the last commit. `None`: the state must be written even if the lane has not moved.
    committed: Option<Offset>,
    /// Whether this worker has committed an offset of the partition.
    written: bool,
    /// The lane at the last commit. `None` if another worker made that commit, or if the lane has read another log since.
    last: Option<Last>,
    /// Whether the lane passed offsets that readers never see (markers, aborted records). These are committed although no
    /// record is sent.
    passed_over: bool,
    /// When the lane passed them.
    passed_at: Instant,
    /// Whether the input or an output has grown since its end was last written into the state.
    unsaved: bool,
    /// When the last record of the partition was read.
    last_record: Instant,
    /// Whether the last message to the monitor said that the partition is read to its end.
    told_quiet: Option<bool>,
}

/// A slot as it was at a commit.
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
    /// After this time the state and the committed offset must agree. Before, a transaction that a dead worker left open may
    /// hide its last commit.
    pub state_agrees_after: Duration,
    /// A partition that makes no progress for so long, although there are records, is reported.
    pub stalled: Duration,
    /// Whether the committed offset may lie before the state's: under at-least-once it is written last.
    pub offsets_lag: bool,
}

/// The key of a lane's state. It is in the state topic, in the partition with the same number.
pub const LANE_KEY: &[u8] = b"lane";

/// How long a poll waits if there is nothing. A change of assignment, or the end, is noticed that late.
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
        Self(WorkerParts {
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
            spans: None,
        })
    }

    /// It tells `queue` of each batch that it commits. `group` is its consumer group.
    pub fn telling(mut self, queue: SpanQueue, group: String) -> Self {
        let WorkerParts { stream, scorer, spans, .. } = &mut self.0;
        *spans = Some(OpenSpans::new(queue, group, stream, scorer.revision()));
        self
    }

    /// Begins. The group will assign partitions later.
    pub fn join<S: Session>(self, session: S) -> Worker<S, R> {
        Worker { session, parts: self.0, recovery: Recovery::default() }
    }
}

impl<S: Session, R: Scorer> Worker<S, R> {
    /// A worker without partitions. The group will assign them.
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

    /// Gives its partitions up and returns its session. Nothing is committed.
    pub fn rest(mut self) -> (S, Resting<R>) {
        self.parts.clear();
        self.parts.opened = None;
        self.parts.tell(OpenSpans::clear);
        (self.session, Resting(self.parts))
    }

    /// One turn: a batch, and whatever else is due. It waits a moment if there is nothing to do.
    ///
    /// # Errors
    /// Only [`SessionError::Fenced`]: the caller must leave and touch nothing. All other errors are dealt with here.
    pub fn turn(&mut self) -> Result<(), SessionError> {
        self.parts.progress.beat(self.session.wall());
        self.parts.look(&self.session);
        let step = match self.recovery.advance(&mut self.session) {
            Ok(true) => self.parts.turn(&self.session),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        step.or_else(|error| self.give_up(error))
    }

    /// Commits what was read. It is the last thing that a worker does.
    pub fn finish(mut self) {
        let partitions: Vec<Partition> = self.parts.crash_loops.keys().copied().collect();
        if self.recovery.is_over()
            && let Err(error) = self.parts.part_with(&self.session, &partitions)
        {
            // What is not committed is done again by the next worker.
            warn!(%error, "the last commit failed");
        }
    }

    /// The lanes of the partitions that are read now.
    pub fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.parts.partitions.slots().map(|(_, slot)| &slot.lane)
    }

    /// Every lane begins again at its last commit. If everything since is undone, the lane is as it was then. Otherwise its
    /// state is read from the log.
    fn give_up(&mut self, error: SessionError) -> Result<(), SessionError> {
        let Self { session, parts, recovery } = self;
        parts.halves.clear();
        parts.tell(OpenSpans::clear);
        let GivenUp { error, undone } = recovery.give_up(error, session, &parts.progress)?;
        let begun = match error {
            SessionError::Consumer { .. } => Err(error),
            SessionError::Refused { refusals, beside } => {
                parts.refused(session, &refusals, &beside, undone)
            }
            error => {
                parts.refusals.forget_attempts();
                parts.arrivals.unknown();
                parts.forget_uncommitted(session, &error.to_string())
            }
        };
        if begun.is_err() {
            // The consumer will be a new one, and the group will assign partitions to it.
            parts.clear();
            recovery.begin(session.now());
            session.discard_consumer();
        }
        Ok(())
    }
}

impl<R: Scorer> WorkerParts<R> {
    /// Does `what` with the batches of the open transaction, if anybody is told of batches.
    fn tell(&mut self, what: impl FnOnce(&mut OpenSpans)) {
        if let Some(spans) = &mut self.spans {
            what(spans);
        }
    }

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
        // Nothing came for a tenth of the interval. A commit now costs nothing and saves latency.
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
            written: false,
            last: None,
            passed_over: false,
            passed_at: now,
            unsaved: false,
            last_record: now,
            told_quiet: None,
        }
    }
}
