//! What is known of each partition: why it is paused, how long its records wait, how far it is behind.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Progress, lock, short};
use crate::record::{Offset, Partition, Timestamp};

/// Where a partition ends, and where we go on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    end: Option<Offset>,
    /// By the group, or by a worker of ours, which knows it earlier.
    committed: Option<Offset>,
    next: Option<Offset>,
}

/// Partitions that we name or count singly; more than a topic has that a process can serve.
pub(super) const PARTITIONS_MAX: usize = 4096;

impl Progress {
    /// Partitions that are assigned and not read now, for whatever reason.
    pub fn held(&self, partitions: usize) {
        self.stopped_partitions.store(partitions as u64, Ordering::Relaxed);
        if partitions == 0 {
            lock(&self.reasons).clear();
        }
    }

    /// Why `partition` is held still, for whoever asks `/ready`; the last reason given is shown.
    pub fn hold(&self, partition: Partition, reason: &str) {
        let mut reasons = lock(&self.reasons);
        if reasons.len() < PARTITIONS_MAX || reasons.contains_key(&partition) {
            reasons.insert(partition, short(reason).to_owned());
        }
    }

    /// `partition` is read again, or not ours any more: neither held nor behind, as far as we know.
    pub fn release(&self, partition: Partition) {
        lock(&self.reasons).remove(&partition);
        if let Some(place) = lock(&self.ends).get_mut(&partition) {
            place.next = None;
        }
    }

    /// Why each partition is held still, of those that a reason was given for.
    pub fn reasons(&self) -> Vec<(Partition, String)> {
        lock(&self.reasons).iter().map(|(&partition, why)| (partition, why.clone())).collect()
    }

    /// Records of `partition` wait since then, or none does.
    pub fn waits(&self, partition: Partition, since: Option<Timestamp>) {
        let mut waiting = lock(&self.waiting);
        match since {
            None => drop(waiting.remove(&partition)),
            Some(since) if waiting.len() < PARTITIONS_MAX || waiting.contains_key(&partition) => {
                waiting.insert(partition, (since, false));
            }
            Some(_) => {}
        }
    }

    /// Whether they have waited for longer than anybody should have to.
    pub fn stalls(&self, partition: Partition, stalled: bool) {
        if let Some(waiting) = lock(&self.waiting).get_mut(&partition) {
            waiting.1 = stalled;
        }
    }

    /// For how long records of each partition have waited of which none was committed meanwhile, and
    /// whether that is too long.
    pub fn stalled(&self, now: Timestamp) -> Vec<(Partition, Duration, bool)> {
        let waiting = lock(&self.waiting);
        let age = |since: Timestamp| {
            Duration::from_millis(now.0.saturating_sub(since.0).try_into().unwrap_or(0))
        };
        waiting.iter().map(|(&p, &(since, stalled))| (p, age(since), stalled)).collect()
    }

    /// Up to where `partition` may be read, its last stable offset, and below which its group has done it, or
    /// where it begins. Told every few seconds, never by the record path.
    pub fn ends(&self, partition: Partition, end: Offset, committed: Option<Offset>) {
        self.place(partition, |place| {
            place.end = Some(end);
            place.committed = committed.or(place.committed);
        });
    }

    /// Below where `partition` is committed by us, told once per commit.
    pub fn stands(&self, partition: Partition, next: Offset) {
        self.place(partition, |place| place.next = Some(next));
    }

    fn place(&self, partition: Partition, set: impl FnOnce(&mut Place)) {
        let mut ends = lock(&self.ends);
        if ends.len() < PARTITIONS_MAX || ends.contains_key(&partition) {
            set(ends.entry(partition).or_default());
        }
    }

    /// How many offsets of each partition lie between what is committed and its end, also of those that nobody
    /// reads: records, and in between markers of transactions.
    pub fn lags(&self) -> Vec<(Partition, i64)> {
        let ends = lock(&self.ends);
        let lag = |place: &Place| Some((place.end?.0 - place.next.or(place.committed)?.0).max(0));
        ends.iter().filter_map(|(&partition, place)| Some((partition, lag(place)?))).collect()
    }

    /// Nothing is ours any more.
    pub fn disown(&self) {
        lock(&self.reasons).clear();
        lock(&self.ends).values_mut().for_each(|place| place.next = None);
        lock(&self.waiting).clear();
        self.stopped_partitions.store(0, Ordering::Relaxed);
        self.firing.store(false, Ordering::Relaxed);
        self.alarm_level(0.0);
    }
}
