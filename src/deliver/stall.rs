//! Partitions that make no progress although there are records.
//!
//! Whatever the cause: a hold, a topic that refuses everything, a transaction that is given up again and
//! again, a transaction that a sender leaves open, a batch that the client cannot read. A partition waits while it is
//! held, while records of it were judged and are not committed, or while it ends further on and its records do not
//! reach us. It has moved when its group's offset has. It cannot see a worker that hangs: the thread's own beat is for
//! that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::Progress;
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::Stall;

/// Who watches the partitions of a worker.
#[derive(Debug)]
pub struct Stalls {
    patience: Duration,
    /// Who asks looks here.
    progress: Arc<Progress>,
    watched: BTreeMap<Partition, Watched>,
}

#[derive(Debug, Default)]
struct Watched {
    /// Committed when its records began to wait.
    committed: Option<Offset>,
    since: Option<Instant>,
    /// Since when the partition has had no record to wait for, although nothing was committed.
    idle: Option<Instant>,
    /// Whether the partition has made no progress for too long.
    stalled: bool,
    /// When the monitor was last told so.
    told: Option<Instant>,
}

/// A partition that is read and has nothing to commit for so long has no records: shorter, and it may be
/// between two tries.
const IDLE: Duration = Duration::from_secs(2);
/// A monitor that forgot it, with the bundle it had, is told again.
const AGAIN: Duration = Duration::from_secs(600);

impl Stalls {
    pub fn new(patience: Duration, progress: Arc<Progress>) -> Self {
        Self { patience, progress, watched: BTreeMap::new() }
    }

    /// How `partition` stands now: what is committed of it, as far as that is known, and whether
    /// records of it wait.
    pub fn look(
        &mut self,
        partition: Partition,
        committed: Option<Offset>,
        waits: bool,
        (now, wall): (Instant, Timestamp),
    ) {
        let watched = self.watched.entry(partition).or_default();
        let has_moved = committed.is_some() && committed > watched.committed;
        watched.committed = committed.max(watched.committed);
        watched.idle = (!waits).then(|| watched.idle.unwrap_or(now));
        let is_idle =
            watched.idle.is_some_and(|since| now.saturating_duration_since(since) >= IDLE);
        if (has_moved || is_idle) && watched.since.take().is_some() {
            self.progress.waits(partition, None);
        }
        if waits && watched.since.is_none() {
            watched.since = Some(now);
            self.progress.waits(partition, Some(wall));
        }
        let age = watched.since.map(|since| now.saturating_duration_since(since));
        let stalled = age.is_some_and(|age| age >= self.patience);
        if stalled && !watched.stalled {
            let next = watched.committed.map(|offset| offset.0);
            error!(%partition, next, "no progress for {:?} although records wait", self.patience);
        } else if !stalled && watched.stalled {
            info!(%partition, "it goes on");
        }
        if stalled != watched.stalled {
            watched.stalled = stalled;
            self.progress.stalls(partition, stalled);
        }
    }

    /// What the monitor must hear.
    pub fn untold(&self, now: Instant) -> Vec<Stall> {
        let due = |watched: &Watched| match watched.told {
            None => watched.stalled,
            Some(at) => !watched.stalled || now.saturating_duration_since(at) >= AGAIN,
        };
        let due = self.watched.iter().filter(|(_, watched)| due(watched));
        let said = due.map(|(&partition, watched)| Stall {
            partition,
            at: watched.committed.unwrap_or(Offset(0)),
            over: !watched.stalled,
        });
        said.collect()
    }

    /// The monitor will hear of these.
    pub fn told(&mut self, said: &[Stall], now: Instant) {
        for stall in said {
            if let Some(watched) = self.watched.get_mut(&stall.partition) {
                watched.told = (!stall.over).then_some(now);
            }
        }
    }

    /// Partitions that are ours no more: whoever has them says how they stand.
    pub fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.watched.remove(partition);
            self.progress.waits(*partition, None);
        }
    }

    pub fn clear(&mut self) {
        let all: Vec<Partition> = self.watched.keys().copied().collect();
        self.forget(&all);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
mod tests {
    use super::*;

    const AT: Partition = Partition(3);

    /// What is told, after each of these: seconds, what is committed, whether records wait.
    fn told(seen: &[(u64, i64, bool)]) -> Vec<(u64, bool)> {
        let progress = Arc::new(Progress::default());
        let mut stalls = Stalls::new(Duration::from_secs(60), progress.clone());
        let (began, mut said) = (Instant::now(), vec![]);
        for &(second, committed, waits) in seen {
            let now = began + Duration::from_secs(second);
            let wall = Timestamp(1000 * second as i64);
            stalls.look(AT, Some(Offset(committed)), waits, (now, wall));
            let untold = stalls.untold(now);
            stalls.told(&untold, now);
            said.extend(untold.iter().map(|stall| (second, stall.over)));
            let is_stalled = progress.stalled(wall).iter().any(|(_, _, stalled)| *stalled);
            assert_eq!(is_stalled, said.last().is_some_and(|(_, over)| !over), "{second} s");
        }
        said
    }

    #[test]
    fn a_partition_whose_records_wait_for_a_minute_is_said_to_stand_still_until_it_moves() {
        let seen = [(0, 7, true), (59, 7, true), (60, 7, true), (90, 7, true), (91, 8, true)];
        assert_eq!(told(&seen), [(60, false), (91, true)]);
        // It moves once a while.
        assert_eq!(told(&[(0, 7, true), (59, 8, true), (118, 9, true)]), []);
        // Between two tries nothing waits, for a moment.
        let tries = [(0, 7, true), (30, 7, false), (31, 7, true), (61, 7, true)];
        assert_eq!(told(&tries), [(61, false)]);
    }

    #[test]
    fn a_partition_without_records_never_stands_still_and_one_that_has_none_left_goes_on() {
        assert_eq!(told(&[(0, 7, false), (500, 7, false)]), []);
        assert_eq!(told(&[(0, 7, true), (30, 7, false), (33, 7, false), (70, 7, true)]), []);
        let held = [(0, 7, true), (60, 7, true), (61, 7, false), (63, 7, false)];
        assert_eq!(told(&held), [(60, false), (63, true)]);
    }

    #[test]
    fn what_still_stands_is_told_again() {
        assert_eq!(
            told(&[(0, 7, true), (60, 7, true), (661, 7, true)]),
            [(60, false), (661, false)]
        );
    }
}
