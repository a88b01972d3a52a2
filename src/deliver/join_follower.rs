//! The join of requests and answers as a follower of its topic.

use super::{Follower, FollowerFacts};
use crate::answers::{Join, tick_value};
use crate::config::Stream;
use crate::record::{Offset, Timestamp};
use crate::watch::Message;

/// Key of the join's state, in partition 0 of the state topic.
pub const JOIN_KEY: &[u8] = b"join";

impl Follower for Join {
    const KEY: &'static [u8] = JOIN_KEY;
    const NAME: &'static str = "join of answers";

    fn topic(stream: &Stream) -> &str {
        stream.answers.as_ref().map_or("", |answers| &answers.join_topic)
    }

    fn tick(at: Timestamp) -> Vec<u8> {
        tick_value(at)
    }

    /// Halves mean the same whatever bundle wrote them.
    fn baseline(&self) -> &'static str {
        "any"
    }

    fn next(&self) -> Offset {
        Self::next(self)
    }

    fn low(&self) -> Offset {
        Self::low(self)
    }

    fn take(&mut self, offset: Offset, value: &[u8]) -> Result<(), String> {
        Self::take(self, offset, value)
    }

    fn skip(&mut self, offset: Offset) {
        Self::skip(self, offset);
    }

    fn drain(&mut self, out: &mut Vec<Message>) {
        Self::drain(self, out);
    }

    fn to_bytes(&self) -> Vec<u8> {
        Self::to_bytes(self)
    }

    fn facts(&self) -> FollowerFacts {
        let (rows, windows, forgotten) = Self::counts(self);
        let entries = self.waiting() as u64;
        let (judged_until, waits) = (self.clock(), self.waits());
        FollowerFacts { rows, windows, judged_until, entries, forgotten, waits }
    }

    fn restore(&self, next: Offset, low: Offset, state: &[u8]) -> Result<Self, String> {
        Self::restore(self, next, low, state)
    }

    fn starting_at(self, next: Offset) -> Self {
        Self::starting_at(self, next)
    }

    fn succeeding(self, last: &Self) -> Self {
        Self::succeeding(self, last)
    }
}
