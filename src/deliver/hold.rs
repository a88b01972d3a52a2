//! Partitions that are ours and not read now, why, and when they are tried again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::error;

use super::{Backoff, Progress};
use crate::record::{Offset, Partition};

/// The partitions that are held.
#[derive(Debug)]
pub struct Holds {
    /// Who asks why looks here.
    progress: Arc<Progress>,
    held: BTreeMap<Partition, Hold>,
    /// How often the guard failed on the record at this offset, in a row.
    failures: BTreeMap<Partition, (Offset, u32)>,
}

/// One partition, held.
#[derive(Debug)]
pub struct Hold {
    since: Instant,
    until: Instant,
    why: Why,
    told: bool,
}

/// What a partition waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its last commit must be found, and an output for it be there.
    Restore(String),
    /// The record there cannot be read before somebody else answers.
    Supply { offset: Offset },
    /// The guard cannot score the record there, and it may not pass unscored.
    Guard { offset: Offset, reason: String },
    /// Not even a pointer to the record there is taken by its topic.
    Refused { offset: Offset },
}

/// Between two looks for a commit that another's open transaction may still hide.
const SOON: Duration = Duration::from_millis(300);
/// Between two looks when that has taken too long: somebody must do something.
const LATER: Duration = Duration::from_secs(5);
/// Before the guard is tried again on one record.
const GUARD: Backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(32) };

impl Hold {
    /// To be tried again at once.
    pub fn begin(now: Instant, why: Why) -> Self {
        Self::until(now, now, why)
    }

    pub fn until(until: Instant, now: Instant, why: Why) -> Self {
        Self { since: now, until, why, told: false }
    }
}

impl Holds {
    pub fn new(progress: Arc<Progress>) -> Self {
        Self { progress, held: BTreeMap::new(), failures: BTreeMap::new() }
    }

    pub fn contains(&self, partition: Partition) -> bool {
        self.held.contains_key(&partition)
    }

    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn partitions(&self) -> impl Iterator<Item = Partition> {
        self.held.keys().copied()
    }

    pub fn insert(&mut self, partition: Partition, hold: Hold) {
        self.progress.hold(partition, &hold.why.to_string());
        self.held.insert(partition, hold);
        self.progress.held(self.held.len());
    }

    /// Given back.
    pub fn remove(&mut self, partition: Partition) {
        self.release(partition);
        self.failures.remove(&partition);
    }

    /// Read again.
    pub fn release(&mut self, partition: Partition) {
        self.held.remove(&partition);
        self.progress.release(partition);
        self.progress.held(self.held.len());
    }

    pub fn clear(&mut self) {
        self.held.clear();
        self.failures.clear();
        self.progress.disown();
    }

    /// Those whose time has come.
    pub fn due(&self, now: Instant) -> Vec<Partition> {
        let due = self.held.iter().filter(|(_, hold)| hold.until <= now);
        due.map(|(&partition, _)| partition).collect()
    }

    /// A partition that cannot begin yet. Until `settle` is over that is what the death of another
    /// worker looks like; after that somebody must know.
    pub fn still(&mut self, partition: Partition, now: Instant, settle: Duration, why: Why) {
        let Some(hold) = self.held.get_mut(&partition) else { return };
        let late = now.saturating_duration_since(hold.since) >= settle;
        hold.until = now + if late { LATER } else { SOON };
        if late && (!hold.told || hold.why != why) {
            error!("partition {partition} is held still; the others go on: {why}");
            hold.told = true;
        }
        if hold.why != why {
            self.progress.hold(partition, &why.to_string());
            hold.why = why;
        }
    }

    /// A hold after the guard failed on a record, the longer the more often it did.
    pub fn guard(&mut self, partition: Partition, offset: Offset, reason: String, now: Instant) {
        self.again(partition, offset, Why::Guard { offset, reason }, now);
    }

    /// The same after its topic did not take even a pointer to the record at `offset`.
    pub fn refused(&mut self, partition: Partition, offset: Offset, now: Instant) {
        self.again(partition, offset, Why::Refused { offset }, now);
    }

    fn again(&mut self, partition: Partition, offset: Offset, why: Why, now: Instant) {
        let failed = self.failures.entry(partition).or_insert((offset, 0));
        if failed.0 != offset {
            *failed = (offset, 0);
        }
        failed.1 = failed.1.saturating_add(1);
        let wait = GUARD.after(failed.1);
        if failed.1 == 1 {
            error!("partition {partition} is held still; the others go on: {why}");
        }
        self.insert(partition, Hold::until(now + wait, now, why));
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restore(reason) => f.write_str(reason),
            Self::Supply { offset } => {
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
