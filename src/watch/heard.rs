//! What is known of a partition by what its workers said last, and up to when all partitions are complete.
//!
//! The monitor closes windows by it, and so does the client monitor: what they are told may come late, out of order, or
//! not at all.

use serde::{Deserialize, Serialize};

use crate::alarm::WindowStart;
use crate::record::{Offset, Timestamp};

/// A partition that nobody speaks for, by the clock: its worker is gone, and others go on without
/// it. Longer than a rebalance after a crash takes; what it has to say later is late, not lost.
pub const GONE_AFTER_MS: i64 = 60_000;
/// A partition that is read to its end is waited for while its time is behind the clock by no more than so many
/// windows, and by no more than so long if windows are short: what it needs to be read, scored and committed.
const LAG_WINDOWS: i64 = 4;
pub const LAG_MS: i64 = 10_000;

/// Everything before this is complete. A partition has gone past a window when it is a whole
/// window further on: with several producers a window's last records come after the next one's
/// first, and whether they are counted in time must not hang on when a worker happened to
/// commit. What comes later still is late, not lost. Never later than the clock.
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

/// What was last heard of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// The window of its present; see `Monitor::watermark` for which earlier ones are complete.
    pub newest: WindowStart,
    /// The clock at that message.
    pub at: Timestamp,
    /// Its worker says that there is nothing to read.
    pub quiet: bool,
    /// The offsets of its last message: what lies below their end was counted.
    pub from: Offset,
    pub to: Offset,
    /// How far its present was behind the clock when it last spoke.
    pub lag_ms: i64,
    /// The clock since when all that it said was said at its end: it is not behind, whatever its stamps are. A
    /// single message may be, in the middle of a backlog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_since: Option<Timestamp>,
    /// The clock a while ago, and its present then: whether it catches up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<(Timestamp, WindowStart)>,
    /// It did not, though it spoke.
    pub stuck: bool,
}

impl Heard {
    /// A partition of which nothing was heard before the clock was `at`.
    pub fn unknown(at: Timestamp) -> Self {
        let (newest, from, to) = (Timestamp(0), Offset(0), Offset(0));
        let (lag_ms, read_since, before, stuck) = (0, None, None, false);
        Self { newest, at, quiet: false, from, to, lag_ms, read_since, before, stuck }
    }

    /// The first tick came: it counts as heard with it.
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

    /// Whether windows stay open until it has gone past them. Nobody waits for a partition that is silent, nor
    /// for one whose present is far behind the clock unless there is more to read and it comes nearer.
    pub fn is_waited_for(&self, clock: Timestamp, length: i64) -> bool {
        let speaks = !self.quiet && self.at.0 > clock.0 - GONE_AFTER_MS;
        let read_out = self.read_since.is_some_and(|since| clock.0 - since.0 >= length);
        let catches_up = !read_out && !self.stuck;
        speaks && (catches_up || self.lag_ms <= LAG_MS.max(LAG_WINDOWS * length))
    }
}
