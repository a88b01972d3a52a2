//! How far a follower is: what it read, what it remembers, and how much waits.
//!
//! One thread writes. No number is about one client.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::answers::{WAIT_OCTAVES, Waits};
use crate::record::Timestamp;

/// What a follower says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FollowerFacts {
    /// Rows that it read, and windows that it closed, since it began here.
    pub rows: u64,
    pub windows: u64,
    /// What was before is judged; 0 is not known.
    pub judged_until: Timestamp,
    /// Of what it remembers, so many: clients, or halves that wait.
    pub entries: u64,
    /// Of these, so many had to go for want of room since it began here.
    pub forgotten: u64,
    /// Of the join of answers: from sending on to the answer, of each pair since it began here.
    pub waits: Waits,
}

/// Counters of a follower.
#[derive(Debug, Default)]
pub struct Following {
    rows: AtomicU64,
    windows: AtomicU64,
    entries: AtomicU64,
    forgotten: AtomicU64,
    wait_octaves: [AtomicU64; WAIT_OCTAVES],
    waits_sum_ms: AtomicU64,
    lag: AtomicU64,
}

impl Following {
    /// What it says now, and how many records of its topic it has not read.
    pub fn note(&self, facts: &FollowerFacts, lag: u64) {
        let FollowerFacts { rows, windows, entries, forgotten, waits, .. } = *facts;
        for (counter, now) in [
            (&self.rows, rows),
            (&self.windows, windows),
            (&self.entries, entries),
            (&self.forgotten, forgotten),
            (&self.waits_sum_ms, waits.sum_ms),
            (&self.lag, lag),
        ]
        .into_iter()
        .chain(self.wait_octaves.iter().zip(waits.octaves))
        {
            counter.store(now, Ordering::Relaxed);
        }
    }

    /// What it said last, without its time, and the records that it had not read then.
    pub fn facts(&self) -> (FollowerFacts, u64) {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let facts = FollowerFacts {
            rows: get(&self.rows),
            windows: get(&self.windows),
            judged_until: Timestamp(0),
            entries: get(&self.entries),
            forgotten: get(&self.forgotten),
            waits: Waits {
                octaves: std::array::from_fn(|octave| get(&self.wait_octaves[octave])),
                sum_ms: get(&self.waits_sum_ms),
            },
        };
        (facts, get(&self.lag))
    }
}
