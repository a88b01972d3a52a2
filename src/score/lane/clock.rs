//! What time it is in a partition, and in which window a record counts.
//!
//! A sender may write any timestamp. So a record's own counts only while it agrees with its neighbours in the
//! log; else the record counts in the partition's current window. The rule looks at the log alone, never at a
//! clock on a wall: the same log gives the same windows, live and in replay, however it was cut.
//!
//! ```text
//!   the last 63 stamps, sorted    ········lo···middle···hi··········x     x: a stamp of a sender's making
//!   plausible up to               middle + 8 · min(middle − lo, hi − middle) + a window
//!   head                          the window of the latest plausible stamp; it goes forward
//!   a record counts in            its own window, if that is the head's or the one before; else in the head's
//! ```
//!
//! While fewer than half of any 63 records have stamps of an attacker's making, the middle one lies between
//! honest stamps. `lo` and `hi` say how far apart neighbours are: a backlog with an hour between two records is
//! as plausible as one with a millisecond.
//!
//! Cannot see: who is right where most neighbours lie, as in a partition that an attacker has to himself. What
//! those say is bounded by the monitor's clock (`monitor/monitor.rs`). After a gap in honest time the first 31
//! records count in the window before the gap, where they are late (see there).

use serde::{Deserialize, Serialize};

use crate::record::{Stamp, Timestamp};
use crate::watch::WindowStart;

/// The time of one partition: a plain value that moves with its records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Clock {
    /// Timestamps of the last records, in the order of their offsets.
    stamps: Vec<i64>,
    /// The timestamps, ascending.
    sorted: Vec<i64>,
    /// The window of the present, in milliseconds.
    head: i64,
}

/// Where a record counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dated {
    pub window: WindowStart,
    /// Of the record that stands in the middle of the last 63: its stamp is far from that of its neighbours,
    /// before and after it. Where there are fewer, nothing is said.
    pub misdated: bool,
}

/// Stamps that are asked. With 27 % of all stamps an attacker's, in chance order, the middle one of 63 is his once
/// in 20,000 records; of 31, in 300. Every one more is written with each commit, 2 to 5 bytes, and keeps records
/// longer in the old window after a gap.
const NEIGHBOURS: usize = 63;
/// From the middle stamp to the newest of evenly spaced ones it is 31 records, and from `lo` to the middle 8;
/// twice that, because spacing is chance.
const REACH: i64 = 8;
/// Honest clocks are this far apart at most: a stamp that is further from its neighbours is misdated, and a head
/// that is further ahead than this goes back.
const APART_MAX_MS: i64 = 300_000;
/// The end of the year 9999. Kafka's "no timestamp" is −1, which counts as 0; a producer may write any 64 bits,
/// and no window begins where adding its length would overflow.
const TIMESTAMP_MAX: i64 = 253_402_300_799_999;

impl Clock {
    /// Takes the next record of the partition.
    pub fn date(&mut self, stamp: Stamp, window_ms: u64) -> Dated {
        let length = window_ms as i64;
        let at = stamp.at.0.clamp(0, TIMESTAMP_MAX);
        if stamp.by_broker {
            self.stamps.clear();
            self.sorted.clear();
        }
        self.push(at);
        let present = self.present(length);
        if present >= self.head || present < self.head - APART_MAX_MS {
            self.head = present;
        }
        // Also of a head that is still the same: windows may have had another length when it was written.
        self.head = window_of(self.head, length);
        let own = window_of(at, length);
        let current = (self.head - length..=self.head).contains(&own);
        let window = Timestamp(if current { own } else { self.head });
        Dated { window, misdated: self.is_middle_misdated() }
    }

    /// The window of the present. No later record counts before the window before it, unless it goes back.
    pub fn head(&self) -> WindowStart {
        Timestamp(self.head)
    }

    fn push(&mut self, at: i64) {
        if self.stamps.len() == NEIGHBOURS {
            let oldest = self.stamps.remove(0);
            let place = self.sorted.binary_search(&oldest).expect("it was put there");
            self.sorted.remove(place);
        }
        self.stamps.push(at);
        let place = self.sorted.partition_point(|&stamp| stamp < at);
        self.sorted.insert(place, at);
    }

    /// The latest stamp that is plausible.
    fn present(&self, length: i64) -> i64 {
        let latest = self.middle() + self.reach() + length;
        let plausible = self.sorted.partition_point(|&stamp| stamp <= latest);
        self.sorted[plausible - 1]
    }

    fn middle(&self) -> i64 {
        self.sorted[(self.sorted.len() - 1) / 2]
    }

    /// How far from the middle neighbours may be, by how far apart they are around it. The smaller side: who
    /// writes the stamps of one side cannot widen it.
    fn reach(&self) -> i64 {
        let last = self.sorted.len() - 1;
        let (low, high) = (last * 3 / 8, last - last * 3 / 8);
        let middle = self.middle();
        REACH * (middle - self.sorted[low]).min(self.sorted[high] - middle)
    }

    fn is_middle_misdated(&self) -> bool {
        let whole = self.stamps.len() == NEIGHBOURS;
        let far = || (self.stamps[NEIGHBOURS / 2] - self.middle()).abs();
        whole && far() > APART_MAX_MS + self.reach()
    }
}

fn window_of(at: i64, length: i64) -> i64 {
    at - at % length
}

/// A clock as it is written: the first stamp, then each one's distance from the one before.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    head: i64,
    stamps: Vec<i64>,
}

impl From<Clock> for Written {
    fn from(Clock { stamps, head, .. }: Clock) -> Self {
        let before = std::iter::once(0).chain(stamps.iter().copied());
        Self {
            head,
            stamps: stamps.iter().zip(before).map(|(stamp, before)| stamp - before).collect(),
        }
    }
}

impl From<Written> for Clock {
    /// Whatever was written, what is read has as many stamps as a clock has at most, each in its range.
    fn from(Written { head, stamps }: Written) -> Self {
        let mut clock = Self { head: head.clamp(0, TIMESTAMP_MAX), ..Self::default() };
        let mut at = 0_i64;
        for step in stamps {
            at = at.saturating_add(step).clamp(0, TIMESTAMP_MAX);
            clock.push(at);
        }
        clock
    }
}

#[cfg(test)]
mod tests;
