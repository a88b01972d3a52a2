//! What a follower is: a function of one topic of ours.

use crate::config::Stream;
use crate::deliver::FollowerFacts;
use crate::record::{Offset, Timestamp};
use crate::watch::Message;

/// Reads one topic of ours and remembers what it read.
///
/// A pure function of that topic: the same values at the same offsets give the same messages, however they were cut, and
/// whenever somebody began again.
pub trait Follower: Clone {
    /// Key of its state, in partition 0 of the state topic.
    const KEY: &'static [u8];
    /// What a person calls it: `client monitor`.
    const NAME: &'static str;

    /// The topic that it reads; it has one partition.
    fn topic(stream: &Stream) -> &str;

    /// A value of that topic which says what time it is.
    fn tick(at: Timestamp) -> Vec<u8>;

    /// Names the knowledge by which it works.
    fn baseline(&self) -> &str;

    /// The next offset to be read and counted.
    fn next(&self) -> Offset;

    /// From here on a restart reads again, and tells nothing, up to `next`. Never beyond `next`.
    fn low(&self) -> Offset;

    /// Reads the value at `offset`. One below `next` was counted before the restart: it is only remembered again.
    ///
    /// # Errors
    /// If it cannot be read: it is skipped.
    fn take(&mut self, offset: Offset, value: &[u8]) -> Result<(), String>;

    /// Passes over the record at `offset`.
    fn skip(&mut self, offset: Offset);

    /// What is to be told since this was last called, for the evidence topic.
    fn drain(&mut self, out: &mut Vec<Message>);

    /// What goes to the state topic, beside `next` and `low`.
    fn to_bytes(&self) -> Vec<u8>;

    /// The compacted topic of pages, of one that remembers more than a state holds: a page is written with a state, under a key of
    /// its own, and not with every one.
    fn pages_topic(_: &Stream) -> Option<&str> {
        None
    }

    /// Key and value of pages to be written with the next state, since this was last called.
    fn drain_pages(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        vec![]
    }

    /// How many bytes of pages wait.
    fn page_bytes(&self) -> usize {
        0
    }

    /// What an operator may know of it.
    fn facts(&self) -> FollowerFacts {
        FollowerFacts::default()
    }

    /// Takes a page as it was written, the oldest first, after it was restored and before it reads.
    ///
    /// # Errors
    /// If it cannot be read.
    fn load_page(&mut self, _key: &[u8], _value: &[u8]) -> Result<(), String> {
        Ok(())
    }

    /// This fresh one as its last commit left it, before it has read `low..next` again.
    ///
    /// # Errors
    /// If the state cannot be read.
    fn restore(&self, next: Offset, low: Offset, state: &[u8]) -> Result<Self, String>;

    /// This one, which has nothing to read again and reads on at `next`.
    #[must_use]
    fn starting_at(self, next: Offset) -> Self;

    /// This fresh one, of another revision, which goes on from what `last` knows.
    #[must_use]
    fn succeeding(self, last: &Self) -> Self;
}
