//! Where the next revision waits for a thread.
//!
//! A lock is taken only while something is put in or taken out: whoever looks and finds nothing reads a flag.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Holds the newest of what was posted and not taken yet.
#[derive(Debug)]
pub struct Inbox<T> {
    full: AtomicBool,
    newest: Mutex<Option<T>>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self { full: AtomicBool::new(false), newest: Mutex::new(None) }
    }
}

impl<T> Inbox<T> {
    /// An inbox with something in it.
    pub fn with(first: T) -> Self {
        Self { full: AtomicBool::new(true), newest: Mutex::new(Some(first)) }
    }

    /// Puts `next` in, instead of what was not taken yet.
    pub fn post(&self, next: T) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = Some(next);
        self.full.store(true, Ordering::Release);
    }

    pub fn is_empty(&self) -> bool {
        !self.full.load(Ordering::Acquire)
    }

    pub fn take(&self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        self.full.store(false, Ordering::Release);
        newest.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_taken_and_once() {
        let inbox = Inbox::with(1);
        inbox.post(2);
        assert!(!inbox.is_empty());
        assert_eq!((inbox.take(), inbox.take()), (Some(2), None));
        assert!(inbox.is_empty());
    }
}
