//! How many values each key opened and sealed.
//!
//! Openers and sealers add to the counts atomically; the writer of the audit log takes them out now and then. Blind spot: what
//! somebody does with a copy of a key.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of one key.
#[derive(Debug)]
pub struct KeyUse {
    /// As the configuration calls the key.
    id: String,
    opened: AtomicU64,
    sealed: AtomicU64,
}

/// What they counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyCounts {
    pub opened: u64,
    pub sealed: u64,
}

impl KeyUse {
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), opened: AtomicU64::new(0), sealed: AtomicU64::new(0) }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key opened one more value.
    pub fn opened(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }

    /// The key sealed one more value.
    pub fn sealed(&self) {
        self.sealed.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted since this was asked the last time.
    pub fn take(&self) -> KeyCounts {
        let take = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        KeyCounts { opened: take(&self.opened), sealed: take(&self.sealed) }
    }
}

impl AddAssign for KeyCounts {
    fn add_assign(&mut self, more: Self) {
        self.opened += more.opened;
        self.sealed += more.sealed;
    }
}
