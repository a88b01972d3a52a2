//! What a thread has done so far: counters that others may read while it works.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::record::Timestamp;

/// Counters of one worker or judge. Written once per batch, never per record.
#[derive(Debug, Default)]
pub struct Progress {
    pub records: AtomicU64,
    pub sanitized: AtomicU64,
    pub quarantined: AtomicU64,
    pub dead_lettered: AtomicU64,
    pub commits: AtomicU64,
    pub commit_micros: AtomicU64,
    /// Transactions given up and done again.
    pub failures: AtomicU64,
    /// Times another process took our transactional id over.
    pub fencings: AtomicU64,
    /// Changes of the assignment, and those that came while a transaction was open.
    pub rebalances: AtomicU64,
    pub rebalances_in_flight: AtomicU64,
    /// Partitions that are ours now.
    pub partitions: AtomicU64,
    /// Partitions of ours that are held still now: their state does not fit, an output topic lacks
    /// them, or what judges them is not there.
    pub stopped_partitions: AtomicU64,
    alive_at_ms: AtomicI64,
    beats: AtomicU64,
    joined: AtomicBool,
}

impl Progress {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// A batch was read, judged and put into the open transaction.
    pub fn batched(&self, records: usize, took: Duration) {
        let _ = took;
        Self::add(&self.records, records as u64);
    }

    /// A transaction was committed.
    pub fn committed(&self, took: Duration) {
        Self::add(&self.commits, 1);
        Self::add(&self.commit_micros, took.as_micros() as u64);
    }

    /// A transaction was given up; `fenced` by another process.
    pub fn gave_up(&self, fenced: bool) {
        Self::add(&self.failures, 1);
        Self::add(&self.fencings, u64::from(fenced));
    }

    /// The group gave partitions to this thread or took them; `in_flight` records were in the open
    /// transaction then.
    pub fn rebalanced(&self, partitions: usize, in_flight: bool) {
        Self::add(&self.rebalances, 1);
        Self::add(&self.rebalances_in_flight, u64::from(in_flight));
        self.partitions.store(partitions as u64, Ordering::Relaxed);
    }

    /// Partitions that are assigned and not read now, for whatever reason.
    pub fn held(&self, partitions: usize) {
        self.stopped_partitions.store(partitions as u64, Ordering::Relaxed);
    }

    /// Says that the thread went around once more.
    pub fn beat(&self, now: Timestamp) {
        self.alive_at_ms.store(now.0, Ordering::Relaxed);
        Self::add(&self.beats, 1);
    }

    /// How often it did.
    pub fn beats(&self) -> u64 {
        Self::get(&self.beats)
    }

    pub fn join(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    /// Whether the thread has joined its group and went around within `patience`.
    pub fn is_ready(&self, now: Timestamp, patience: Duration) -> bool {
        self.joined.load(Ordering::Relaxed) && self.is_alive(now, patience)
    }

    /// Whether the thread went around within `patience`.
    pub fn is_alive(&self, now: Timestamp, patience: Duration) -> bool {
        let age = now.0 - self.alive_at_ms.load(Ordering::Relaxed);
        age <= patience.as_millis() as i64
    }
}
