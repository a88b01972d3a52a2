//! What a route did and has still to do, for `/metrics`.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use crate::record::Timestamp;

/// Counters of one route in this process.
#[derive(Debug, Default)]
pub struct Counters {
    pub name: String,
    pub kind: &'static str,
    /// Changes that the receiver took.
    pub sent: AtomicU64,
    /// Requests that only said again what still fires, and were taken.
    pub resent: AtomicU64,
    /// Requests that were not taken.
    pub failed: AtomicU64,
    /// Alerts that the receiver will never take.
    pub refused: AtomicU64,
    /// Records of the alerts topics that say nothing anybody could be told.
    pub unreadable: AtomicU64,
    /// Alerts that are read and not taken yet.
    pub pending: AtomicU64,
    /// Incidents that are said again.
    pub open: AtomicU64,
    /// Partitions of the alerts topics that are ours.
    pub partitions: AtomicU64,
    failing: AtomicBool,
    last_success: AtomicI64,
}

impl Counters {
    pub fn new(name: &str, kind: &'static str) -> Self {
        Self { name: name.to_owned(), kind, ..Self::default() }
    }

    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn set(counter: &AtomicU64, to: usize) {
        counter.store(to as u64, Ordering::Relaxed);
    }

    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// The receiver answered as it should.
    pub fn succeeded(&self, now: Timestamp) {
        self.last_success.store(now.0, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
    }

    /// It did not, or we cannot even ask.
    pub fn fails(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    pub fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// When it last answered as it should; 0 is never.
    pub fn last_success(&self) -> Timestamp {
        Timestamp(self.last_success.load(Ordering::Relaxed))
    }
}
