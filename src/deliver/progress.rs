//! What a thread has done so far: counters that others may read while it works.
//!
//! Written once per batch and once per commit, never per record. What became of records counts
//! only when it is committed: a transaction that is given up is done again, and nobody should see
//! its records twice. It cannot see what another process does; sums over a fleet are the scraper's.

mod alarm;
mod following;
mod partitions;
mod spread;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use alarm::Alarm;
pub use following::{FollowerFacts, Following};
pub use spread::{Durations, QUANTILES, Sizes, Spread, Values};

use self::partitions::Place;
use super::Objection;
use crate::record::{Action, Fault, Partition, Timestamp};
use crate::score::{Destination, Outcome};
use crate::watch::LossCause;

/// Counters of one worker or monitor.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records read and judged, those of transactions that were given up too.
    pub records: AtomicU64,
    /// Records committed, by the way they left.
    pub sanitized: AtomicU64,
    pub quarantined: AtomicU64,
    pub dead_lettered: AtomicU64,
    /// Of these, what looked attacked, whatever was done with it.
    pub flagged: AtomicU64,
    /// Of these, what passed because the guard could not score it.
    pub unscored: AtomicU64,
    /// No inputs of the model: they went on as they came.
    pub not_inputs: AtomicU64,
    /// By [`Fault::NAMES`].
    pub faults: [AtomicU64; Fault::NAMES.len()],
    /// Of these, what left otherwise than it should because a topic refused it, by
    /// [`Objection::NAMES`].
    pub refused: [AtomicU64; Objection::NAMES.len()],
    /// Offsets of the input that are gone unread, and of outputs.
    pub lost: AtomicU64,
    pub outputs_lost: AtomicU64,
    /// What the open transaction would add to all of the above.
    open: OpenCounts,
    pub commits: AtomicU64,
    /// Transactions given up and done again.
    pub failures: AtomicU64,
    /// Times another process took our transactional id over.
    pub fencings: AtomicU64,
    /// Changes of the assignment, and those that came while a transaction was open.
    pub rebalances: AtomicU64,
    pub rebalances_in_flight: AtomicU64,
    /// Times a partition was begun where its state ends, because its group told an older offset.
    pub offsets_behind_state: AtomicU64,
    /// Partitions that are ours now.
    pub partitions: AtomicU64,
    /// Partitions of ours that are held still now: their state does not fit, an output topic lacks
    /// them, or what scores them is not there.
    pub stopped_partitions: AtomicU64,
    /// Records of each batch.
    pub batch_records: Sizes,
    /// From the first record of a batch to the last one's place in the transaction.
    pub batch_durations: Durations,
    pub commit_durations: Durations,
    /// Of a monitor, and of a follower: whether it is at work, and up to when it judged.
    pub alarm: Alarm,
    /// Of a follower.
    pub following: Following,
    /// The monitor has an incident that is not over.
    firing: AtomicBool,
    /// Bits of an `f64`.
    alarm_level: AtomicU64,
    /// By which revision a worker works, and by which baseline another role does.
    revision: Mutex<String>,
    alive_at_ms: AtomicI64,
    beats: AtomicU64,
    doing: Mutex<&'static str>,
    joined: AtomicBool,
    standing: Mutex<Standing>,
    reasons: Mutex<BTreeMap<Partition, String>>,
    /// Since when records of a partition wait and none is committed, and whether that is too long.
    waiting: Mutex<BTreeMap<Partition, (Timestamp, bool)>>,
    /// Where each partition ends, and up to where we have committed it, as far as either is known.
    ends: Mutex<BTreeMap<Partition, Place>>,
}

/// Why a thread is not at work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// The thread works, or has not reported anything else.
    #[default]
    Ready,
    /// The thread tries to join its group.
    Joining { why: String },
    /// Another process has the thread's transactional id, as far as known since this time.
    Back { since: Timestamp, why: String },
}

/// Counters of what became of records.
const COUNTED: usize = LOST + 3;
const NOT_INPUTS: usize = LOST + 2;
const LOST: usize = 5 + Fault::NAMES.len() + Objection::NAMES.len();

/// What the open transaction would add, by the places above.
#[derive(Debug)]
struct OpenCounts([AtomicU64; COUNTED]);

// The standard library has this for arrays of up to 32.
impl Default for OpenCounts {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::default()))
    }
}

impl std::ops::Deref for OpenCounts {
    type Target = [AtomicU64; COUNTED];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Bytes of a reason: a sentence, whatever went into it.
const REASON_BYTES_MAX: usize = 600;

impl Progress {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    /// The thread works by this revision from here on; other roles than workers have a baseline.
    pub fn adopt(&self, revision: &str) {
        *lock(&self.revision) = revision.to_owned();
    }

    /// By which revision, or baseline, the thread works; empty before it has begun.
    pub fn revision(&self) -> String {
        lock(&self.revision).clone()
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// A batch was read, judged and put into the open transaction. One without records is a poll
    /// that came back empty.
    pub fn batched(&self, records: usize, took: Duration) {
        if records > 0 {
            Self::add(&self.records, records as u64);
            self.batch_records.count(records as u64);
            self.batch_durations.count(took.as_micros() as u64);
        }
    }

    /// Notes that these records are in the open transaction. They count once it is committed.
    pub fn sent(&self, outcomes: &[Outcome]) {
        let mut more = [0_u64; COUNTED];
        for outcome in outcomes {
            more[match outcome.destination {
                Destination::Sanitized => 0,
                Destination::Quarantine => 1,
                Destination::DeadLetter => 2,
            }] += 1;
            match &outcome.judged {
                _ if outcome.not_input => more[NOT_INPUTS] += 1,
                _ if outcome.unscored => more[4] += 1,
                Ok(verdict) => more[3] += u64::from(verdict.action != Action::Pass),
                Err(fault) => {
                    let at = Fault::NAMES.iter().position(|&name| name == fault.name());
                    more[5 + at.expect("every fault has a name")] += 1;
                }
            }
        }
        let moved = self.open.iter().zip(more).filter(|&(_, n)| n > 0);
        moved.for_each(|(counter, n)| Self::add(counter, n));
    }

    /// A record leaves otherwise than it should because a topic refused it.
    pub fn refused(&self, objection: Objection) {
        Self::add(&self.open[5 + Fault::NAMES.len() + objection.index()], 1);
    }

    /// Records of the input are gone unread, or of an output, as the open transaction says.
    pub fn lost(&self, cause: LossCause, records: u64) {
        Self::add(&self.open[LOST + usize::from(cause == LossCause::Output)], records);
    }

    /// A transaction was committed.
    pub fn committed(&self, took: Duration) {
        for (open, done) in self.open.iter().zip(self.counted()) {
            Self::add(done, open.swap(0, Ordering::Relaxed));
        }
        Self::add(&self.commits, 1);
        self.commit_durations.count(took.as_micros() as u64);
    }

    /// A transaction was given up, because it failed or because its partitions were lost; `fenced`
    /// by another process.
    pub fn gave_up(&self, fenced: bool) {
        self.open.iter().for_each(|open| open.store(0, Ordering::Relaxed));
        Self::add(&self.failures, 1);
        Self::add(&self.fencings, u64::from(fenced));
    }

    /// What [`Progress::sent`] and [`Progress::refused`] count, in their order.
    fn counted(&self) -> impl Iterator<Item = &AtomicU64> {
        let Self { sanitized, quarantined, dead_lettered, flagged, unscored, .. } = self;
        let routes = [sanitized, quarantined, dead_lettered, flagged, unscored];
        routes.into_iter().chain(&self.faults).chain(&self.refused).chain([
            &self.lost,
            &self.outputs_lost,
            &self.not_inputs,
        ])
    }

    /// The group gave partitions to this thread or took them; `in_flight` records were in the open
    /// transaction then.
    pub fn rebalanced(&self, partitions: usize, in_flight: bool) {
        Self::add(&self.rebalances, 1);
        Self::add(&self.rebalances_in_flight, u64::from(in_flight));
        self.partitions.store(partitions as u64, Ordering::Relaxed);
    }

    /// The sum of the capitals of the monitor's bets. At 1 the alarm fires.
    pub fn alarm_level(&self, level: f64) {
        self.alarm_level.store(level.to_bits(), Ordering::Relaxed);
    }

    pub fn get_alarm_level(&self) -> f64 {
        f64::from_bits(self.alarm_level.load(Ordering::Relaxed))
    }

    /// Whether the monitor has an incident that is not over.
    pub fn firing(&self, yes: bool) {
        self.firing.store(yes, Ordering::Relaxed);
    }

    pub fn is_firing(&self) -> bool {
        self.firing.load(Ordering::Relaxed)
    }

    /// Says that the thread went around once more.
    pub fn beat(&self, now: Timestamp) {
        self.alive_at_ms.store(now.0, Ordering::Relaxed);
        Self::add(&self.beats, 1);
    }

    /// What the thread is about to do that may take long: what it hangs in, if it hangs.
    pub fn doing(&self, what: &'static str) {
        *lock(&self.doing) = what;
    }

    /// What it began last.
    pub fn last_begun(&self) -> &'static str {
        *lock(&self.doing)
    }

    /// How often it did.
    pub fn beats(&self) -> u64 {
        Self::get(&self.beats)
    }

    /// The thread could not join its group yet, and tries again.
    pub fn wait_to_join(&self, why: &str) {
        *lock(&self.standing) = Standing::Joining { why: short(why).to_owned() };
    }

    /// Another process has the thread's transactional id: it has left its group, and looks again.
    pub fn stand_back(&self, since: Timestamp, why: &str) {
        self.disown();
        self.partitions.store(0, Ordering::Relaxed);
        self.joined.store(false, Ordering::Relaxed);
        *lock(&self.standing) = Standing::Back { since, why: short(why).to_owned() };
    }

    /// The thread has what it needs to work.
    pub fn stand_ready(&self) {
        *lock(&self.standing) = Standing::Ready;
    }

    pub fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }

    pub fn join(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    /// Whether the thread has joined its group.
    pub fn has_joined(&self) -> bool {
        self.joined.load(Ordering::Relaxed)
    }

    /// How long ago the thread went around; `None` if it never did.
    pub fn beat_age(&self, now: Timestamp) -> Option<Duration> {
        let at = self.alive_at_ms.load(Ordering::Relaxed);
        (at != 0).then(|| Duration::from_millis(u64::try_from(now.0 - at).unwrap_or(0)))
    }

    /// Whether the thread has joined its group and went around within `patience`.
    pub fn is_ready(&self, now: Timestamp, patience: Duration) -> bool {
        self.has_joined() && self.is_alive(now, patience)
    }

    /// Whether the thread went around within `patience`.
    pub fn is_alive(&self, now: Timestamp, patience: Duration) -> bool {
        self.beat_age(now).is_some_and(|age| age <= patience)
    }
}

fn short(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]
}

/// What is inside is replaced whole: a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(super) mod tests;
