//! What a thread has done so far: counters that others may read while it works.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::clock;

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
    /// Partitions held still because their state could not be restored.
    pub stopped_partitions: AtomicU64,
    alive_at_ms: AtomicI64,
    joined: AtomicBool,
}

impl Progress {
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    pub fn committed(&self, took: Duration) {
        Self::add(&self.commits, 1);
        Self::add(&self.commit_micros, took.as_micros() as u64);
    }

    /// Says that the thread went around once more.
    pub fn beat(&self) {
        self.alive_at_ms.store(clock::now().0, Ordering::Relaxed);
    }

    pub fn join(&self) {
        self.joined.store(true, Ordering::Relaxed);
    }

    /// Whether the thread has joined its group and went around within `patience`.
    pub fn is_ready(&self, patience: Duration) -> bool {
        self.joined.load(Ordering::Relaxed) && self.is_alive(patience)
    }

    /// Whether the thread went around within `patience`.
    pub fn is_alive(&self, patience: Duration) -> bool {
        let age = clock::now().0 - self.alive_at_ms.load(Ordering::Relaxed);
        age <= patience.as_millis() as i64
    }
}
