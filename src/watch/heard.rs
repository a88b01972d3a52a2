//! The last message of each partition's worker, and the time up to which all partitions are complete.
//!
//! The monitor and the client monitor close windows by that time. Messages may come late, out of order, or not at all.

use serde::{Deserialize, Serialize};

use crate::alarm::WindowStart;
use crate::record::{Offset, Timestamp};

/// After this long without a message, by the clock, a partition has no worker, and windows close without it. This is longer
/// than a rebalance after a crash takes. What comes later is late, not lost.
pub const GONE_AFTER_MS: i64 = 60_000;
/// Windows wait for a partition that is read to its end while its time is behind the clock by at most this many windows, or
/// by at most this long if windows are short: the time that reading, scoring and committing take.
const LAG_WINDOWS: i64 = 4;
pub const LAG_MS: i64 = 10_000;

/// All partitions are complete before this time. A partition is past a window when it is one whole window further: with
/// several producers the last records of a window come after the first ones of the next, and whether these
/// count in time must not depend on when a worker commits. What comes even later is late, not lost. This time is never after the
/// clock.
pub fn watermark<'h>(
    partitions: impl Iterator<Item = &'h Heard>,
    clock: Timestamp,
    length: i64,
) -> Timestamp {
    let waited_for = |heard: &&Heard| heard.is_waited_for(clock, length);
    let slowest = partitions.filter(waited_for).map(|heard| heard.newest);
    let behind = |newest: WindowStart| Timestamp(newest.0 - length);
    slowest.min().map_or(clock, |slowest| behind(slowest).min(clock))
}

/// The last message of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The window of its present; see `Monitor::watermark` for which earlier ones are complete.
    pub newest: WindowStart,
    /// The clock at that message.
    pub at: Timestamp,
    /// Its worker wrote that there is nothing to read.
    pub quiet: bool,
    /// The offsets of its last message: what lies below their end was counted.
    pub from: Offset,
    pub to: Offset,
    /// How far its time was behind the clock at its last message.
    pub lag_ms: i64,
    /// Since this time of the clock, every message was written at the partition's end: it is not behind, whatever its
    /// timestamps are. One message alone proves nothing: it may come from the middle of a backlog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_since: Option<Timestamp>,
    /// The clock a while ago, and the partition's time then: they show whether it catches up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<(Timestamp, WindowStart)>,
    /// Whether the partition did not catch up although it sent messages.
    pub stuck: bool,
}

impl Heard {
    /// A partition without a message before the clock was `at`.
    pub fn unknown(at: Timestamp) -> Self {
        let (newest, from, to) = (Timestamp(0), Offset(0), Offset(0));
        let (lag_ms, read_since, before, stuck) = (0, None, None, false);
        Self { newest, at, quiet: false, from, to, lag_ms, read_since, before, stuck }
    }

    /// The first tick came: the partition counts as heard at it.
    pub fn begin_at(&mut self, clock: Timestamp) {
        (self.at, self.lag_ms, self.before) = (clock, clock.0 - self.newest.0, None);
    }

    /// Its next message, of these offsets, at the end of which its present was `head`, now that the clock is `self.at`.
    pub fn hear(&mut self, (from, to): (Offset, Offset), head: WindowStart, read_out: bool) {
        (self.from, self.to) = (from, to);
        self.read_since = read_out.then(|| self.read_since.unwrap_or(self.at));
        self.newest = head;
        self.lag_ms = self.at.0 - self.newest.0;
        let (clock, newest) = *self.before.get_or_insert((self.at, self.newest));
        let passed_ms = self.at.0 - clock.0;
        if passed_ms >= GONE_AFTER_MS {
            self.stuck = self.newest.0 - newest.0 <= passed_ms;
            self.before = Some((self.at, self.newest));
        }
    }

    /// Whether windows stay open until it is past them. They do not wait for a silent partition, nor for one whose time is far
    /// behind the clock, unless it has more to read and catches up.
    pub fn is_waited_for(&self, clock: Timestamp, length: i64) -> bool {
        let speaks = !self.quiet && self.at.0 > clock.0 - GONE_AFTER_MS;
        let read_out = self.read_since.is_some_and(|since| clock.0 - since.0 >= length);
        let catches_up = !read_out && !self.stuck;
        speaks && (catches_up || self.lag_ms <= LAG_MS.max(LAG_WINDOWS * length))
    }
}
