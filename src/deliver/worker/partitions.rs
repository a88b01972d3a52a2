//! The partitions of a worker, each in one of three states.
//!
//! ```text
//!  assigned ──► Restoring ─────────────► Reading ◄──────────► Paused ──► revoked, lost: gone
//!                   ▲  its last commit      │  a record that     │
//!                   │  is found             │  cannot leave yet  │
//!                   └───────────────────────┴────────────────────┘
//!                     a transaction given up, a log that is another
//! ```
//!
//! Only a partition that is `Reading` is fetched. The other two wait, and are tried again when their pause is over.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::error;

use super::Slot;
use crate::deliver::{Backoff, Progress};
use crate::record::{Offset, Partition};

/// What a partition of ours is doing.
enum State {
    /// The offset at which it goes on is looked for.
    Restoring(Pause),
    /// Its records are fetched and scored.
    Reading(Slot),
    /// One of its records waits, and so do all behind it. The records before it have left.
    Paused(Slot, Pause),
}

/// Every partition that the group gave this worker.
pub struct Partitions {
    states: BTreeMap<Partition, State>,
    /// How often the record at this offset could not leave, in a row.
    failures: BTreeMap<Partition, (Offset, u32)>,
    /// Tells `/ready` why a partition waits.
    progress: Arc<Progress>,
}

/// Why a partition is not read, and until when.
#[derive(Debug)]
pub struct Pause {
    since: Instant,
    until: Instant,
    why: Why,
    reported: bool,
}

/// What a partition waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its last commit must be found, and an output for it be there.
    Restore(String),
    /// The record there cannot be read before somebody else answers.
    Missing { offset: Offset },
    /// The guard cannot score the record there, and it may not pass unscored.
    Guard { offset: Offset, reason: String },
    /// Not even a pointer to the record there is taken by its topic.
    Refused { offset: Offset },
}

/// Between two looks for a commit that another's open transaction may still hide.
const SOON: Duration = Duration::from_millis(300);
/// Between two looks when that has taken too long: somebody must do something.
const LATER: Duration = Duration::from_secs(5);
/// Before one record is tried again.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(32) };

impl Pause {
    /// To be tried again at once.
    pub fn begin(now: Instant, why: Why) -> Self {
        Self::until(now, now, why)
    }

    pub fn until(until: Instant, now: Instant, why: Why) -> Self {
        Self { since: now, until, why, reported: false }
    }
}

impl Partitions {
    pub fn new(progress: Arc<Progress>) -> Self {
        Self { states: BTreeMap::new(), failures: BTreeMap::new(), progress }
    }

    pub fn len(&self) -> usize {
        self.states.len()
    }

    pub fn is_reading(&self, partition: Partition) -> bool {
        matches!(self.states.get(&partition), Some(State::Reading(_)))
    }

    pub fn reading(&self) -> BTreeSet<Partition> {
        let slots = self.slots().map(|(partition, _)| partition);
        slots.filter(|&partition| self.is_reading(partition)).collect()
    }

    /// Whether the partition is restoring or paused.
    pub fn is_waiting(&self, partition: Partition) -> bool {
        matches!(self.states.get(&partition), Some(State::Restoring(_) | State::Paused(..)))
    }

    pub fn slot(&self, partition: Partition) -> Option<&Slot> {
        self.states.get(&partition)?.slot()
    }

    pub fn slot_mut(&mut self, partition: Partition) -> Option<&mut Slot> {
        self.states.get_mut(&partition)?.slot_mut()
    }

    /// The slots of partitions that are read or paused.
    pub fn slots(&self) -> impl Iterator<Item = (Partition, &Slot)> {
        self.states.iter().filter_map(|(&partition, state)| Some((partition, state.slot()?)))
    }

    pub fn slots_mut(&mut self) -> impl Iterator<Item = (Partition, &mut Slot)> {
        self.states
            .iter_mut()
            .filter_map(|(&partition, state)| Some((partition, state.slot_mut()?)))
    }

    /// The slots of partitions that are read or paused, and whether each is read.
    pub fn slots_and_states_mut(&mut self) -> impl Iterator<Item = (Partition, &mut Slot, bool)> {
        self.states.iter_mut().filter_map(|(&partition, state)| {
            let is_reading = matches!(state, State::Reading(_));
            Some((partition, state.slot_mut()?, is_reading))
        })
    }

    pub fn restoring(&self) -> impl Iterator<Item = Partition> {
        let restoring = self.states.iter().filter(|(_, state)| state.slot().is_none());
        restoring.map(|(&partition, _)| partition)
    }

    /// Where it goes on is known.
    pub fn read(&mut self, partition: Partition, slot: Slot) {
        self.set(partition, State::Reading(slot));
    }

    /// Where it goes on is looked for; what is not committed is forgotten.
    pub fn restore(&mut self, partition: Partition, pause: Pause) {
        self.set(partition, State::Restoring(pause));
    }

    /// Pauses a partition: no record of it is read for now.
    pub fn pause(&mut self, partition: Partition, pause: Pause) {
        let state = match self.states.remove(&partition) {
            Some(State::Reading(slot) | State::Paused(slot, _)) => State::Paused(slot, pause),
            _ => State::Restoring(pause),
        };
        self.set(partition, state);
    }

    /// Pauses a partition because the guard failed on the record at `offset`. Each failure there makes the pause longer.
    pub fn guard_failed(
        &mut self,
        partition: Partition,
        offset: Offset,
        reason: String,
        now: Instant,
    ) {
        self.pause_again(partition, offset, Why::Guard { offset, reason }, now);
    }

    /// Pauses a partition because a topic refused even a pointer to the record at `offset`.
    pub fn refused(&mut self, partition: Partition, offset: Offset, now: Instant) {
        self.pause_again(partition, offset, Why::Refused { offset }, now);
    }

    fn pause_again(&mut self, partition: Partition, offset: Offset, why: Why, now: Instant) {
        let failed = self.failures.entry(partition).or_insert((offset, 0));
        if failed.0 != offset {
            *failed = (offset, 0);
        }
        failed.1 = failed.1.saturating_add(1);
        let wait = AGAIN.after(failed.1);
        if failed.1 == 1 {
            error!("partition {partition} is paused; the others go on: {why}");
        }
        self.pause(partition, Pause::until(now + wait, now, why));
    }

    /// Its pause is over.
    pub fn resume(&mut self, partition: Partition) {
        match self.states.remove(&partition) {
            Some(State::Paused(slot, _)) => self.set(partition, State::Reading(slot)),
            Some(state) => drop(self.states.insert(partition, state)),
            None => {}
        }
    }

    /// Where it goes on cannot be known yet. Until `patience` is over that is what the death of another
    /// worker looks like; after that somebody must know.
    pub fn restore_later(
        &mut self,
        partition: Partition,
        now: Instant,
        patience: Duration,
        why: Why,
    ) {
        let Some(State::Restoring(pause)) = self.states.get_mut(&partition) else { return };
        let late = now.saturating_duration_since(pause.since) >= patience;
        pause.until = now + if late { LATER } else { SOON };
        if late && (!pause.reported || pause.why != why) {
            error!("partition {partition} is paused; the others go on: {why}");
            pause.reported = true;
        }
        if pause.why != why {
            self.progress.hold(partition, &why.to_string());
            pause.why = why;
        }
    }

    /// Partitions whose pause is over.
    pub fn due(&self, now: Instant) -> Vec<Partition> {
        let due = self.states.iter().filter(|(_, state)| {
            matches!(state, State::Restoring(p) | State::Paused(_, p) if p.until <= now)
        });
        due.map(|(&partition, _)| partition).collect()
    }

    /// Given back.
    pub fn forget(&mut self, partition: Partition) {
        self.states.remove(&partition);
        self.failures.remove(&partition);
        self.progress.release(partition);
        self.count();
    }

    /// Every partition that is read or paused is forgotten: the group says next what is ours.
    pub fn forget_slots(&mut self) {
        let slots: Vec<Partition> = self.slots().map(|(partition, _)| partition).collect();
        for partition in slots {
            self.states.remove(&partition);
            self.progress.release(partition);
        }
        self.count();
    }

    pub fn clear(&mut self) {
        self.states.clear();
        self.failures.clear();
        self.progress.disown();
    }

    fn set(&mut self, partition: Partition, state: State) {
        match &state {
            State::Reading(_) => self.progress.release(partition),
            State::Restoring(pause) | State::Paused(_, pause) => {
                self.progress.hold(partition, &pause.why.to_string());
            }
        }
        self.states.insert(partition, state);
        self.count();
    }

    fn count(&self) {
        let waiting = self.states.values().filter(|state| !matches!(state, State::Reading(_)));
        self.progress.held(waiting.count());
    }
}

impl State {
    fn slot(&self) -> Option<&Slot> {
        match self {
            Self::Restoring(_) => None,
            Self::Reading(slot) | Self::Paused(slot, _) => Some(slot),
        }
    }

    fn slot_mut(&mut self) -> Option<&mut Slot> {
        match self {
            Self::Restoring(_) => None,
            Self::Reading(slot) | Self::Paused(slot, _) => Some(slot),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore(reason) => f.write_str(reason),
            Self::Missing { offset } => {
                write!(f, "the schema of the record at offset {offset} cannot be had")
            }
            Self::Guard { offset, reason } => {
                write!(f, "the record at offset {offset} cannot be scored: {reason}")
            }
            Self::Refused { offset } => write!(
                f,
                "no topic takes the record at offset {offset}, nor a pointer to it; `tripline check \
                 --connect` compares what topics take"
            ),
        }
    }
}
