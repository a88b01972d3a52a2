//! A record that ends the process must not end it for ever.
//!
//! Whoever takes a partition over writes down where it begins and how often that was tried. Found
//! at the same offset again and again, the partition is read with care: one record at a time, each
//! announced before it is judged. A record that was announced twice and never got through has
//! ended two processes alone, and is dead-lettered unread.
//!
//! It cannot tell a record that crashes us from somebody who kills us, or stops us until the group
//! goes on without us, or lets us commit nothing until we have handed the partition over, twice while
//! only that record is judged, alone, after two starts without progress.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::Offset;

/// Key of the boot record in the state topic, in the partition of its number.
pub const BOOT_KEY: &[u8] = b"boot";

/// Starts without progress before a partition is read with care.
const STARTS_MAX: u32 = 2;
/// Times a record may be begun alone.
const ALONE_MAX: u32 = 2;

/// How often a partition was begun at one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Boot {
    /// Format version, 1.
    version: u32,
    /// Where the partition was taken over: its next offset.
    at: Offset,
    /// How often, this time included.
    starts: u32,
    /// In how many processes the record there was begun alone.
    alone: u32,
    /// This process is one of them.
    #[serde(skip)]
    begun: bool,
    /// How many records from there on may be the one that ended the last process.
    #[serde(skip)]
    suspects: usize,
}

impl Boot {
    /// Takes a partition over at `next`, after what the last one to do so wrote. What cannot be
    /// read counts as nothing: it guards against crashes, not against loss.
    /// A batch has up to `suspects` records: whichever ended a process may be any of them.
    pub fn take_over(before: Option<&[u8]>, next: Offset, suspects: usize) -> Self {
        let before = before.and_then(|bytes| serde_json::from_slice::<Self>(bytes).ok());
        match before {
            Some(before) if before.version == 1 && before.at == next => {
                Self { starts: before.starts.saturating_add(1), suspects, ..before }
            }
            _ => Self { version: 1, at: next, starts: 1, alone: 0, begun: false, suspects },
        }
    }

    /// Where the partition was taken over, as somebody wrote in `bytes`.
    pub fn taken_over_at(bytes: &[u8]) -> Option<Offset> {
        let boot: Self = serde_json::from_slice(bytes).ok()?;
        (boot.version == 1).then_some(boot.at)
    }

    /// Whether the next record, at or after `next`, must be begun alone.
    pub fn careful(&self, next: Offset) -> bool {
        self.at == next && self.starts > STARTS_MAX
    }

    /// Whether the record there has ended too many processes alone.
    pub fn is_spent(&self) -> bool {
        self.alone >= ALONE_MAX && !self.begun
    }

    /// The record there is about to be begun alone. However often this process tries, it can end
    /// only once.
    pub fn begin_alone(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.alone = self.alone.saturating_add(1);
        }
    }

    /// Whether this process has begun the record there alone and has said no more of it.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// The record there was judged, and we are still here: it has ended nothing. One after it may
    /// have: the care stays until there is progress.
    pub fn survived(&mut self) {
        *self = Self { alone: 0, begun: false, ..*self };
    }

    /// The record there is committed; the next one is a suspect too, up to a batch of them.
    pub fn move_on(&mut self, next: Offset) {
        let Some(suspects) = self.suspects.checked_sub(1) else { return };
        *self =
            Self { at: next, starts: STARTS_MAX + 1, alone: 0, begun: false, suspects, ..*self };
    }

    pub fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("plain data")
    }
}

/// For whoever looks from outside.
impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, starts, alone, .. } = self;
        write!(f, "starts at {at}: {starts}")?;
        if *alone > 0 { write!(f, ", alone with its record: {alone}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_spent_only_after_two_starts_in_vain_and_two_times_alone() {
        let at = Offset(7);
        let mut written: Option<Vec<u8>> = None;
        let mut begun = vec![];
        for _ in 0..6 {
            let mut boot = Boot::take_over(written.as_deref(), at, 5);
            begun.push((boot.careful(at), boot.is_spent()));
            if boot.careful(at) && !boot.is_spent() {
                boot.begin_alone();
            }
            written = Some(boot.to_bytes());
        }
        let (free, alone, spent) = ((false, false), (true, false), (true, true));
        assert_eq!(begun, [free, free, alone, alone, spent, spent]);
    }

    #[test]
    fn a_process_that_tries_again_and_again_counts_once() {
        let at = Offset(7);
        let mut boot = Boot::take_over(None, at, 5);
        for _ in 0..9 {
            boot.begin_alone();
            assert!(!boot.is_spent());
        }
        let mut next = Boot::take_over(Some(&boot.to_bytes()), at, 5);
        assert!(!next.is_spent(), "one process ended");
        next.begin_alone();
        assert!(!next.is_spent(), "this one is still here");
        let third = Boot::take_over(Some(&next.to_bytes()), at, 5);
        assert!(third.is_spent());
        next.survived();
        assert!(!Boot::take_over(Some(&next.to_bytes()), at, 5).is_spent());
    }

    #[test]
    fn a_batch_of_suspects_is_read_with_care_and_not_one_record_more() {
        let mut written = None;
        for _ in 0..3 {
            written = Some(Boot::take_over(written.as_deref(), Offset(7), 2).to_bytes());
        }
        let mut boot = Boot::take_over(written.as_deref(), Offset(7), 2);
        let mut careful = vec![];
        for next in (7..11).map(Offset) {
            careful.push(boot.careful(next));
            boot.move_on(next.next());
        }
        assert_eq!(careful, [true, true, true, false]);
    }

    #[test]
    fn progress_forgets_every_start() {
        let mut boot = Boot::take_over(None, Offset(7), 5);
        for _ in 0..5 {
            boot = Boot::take_over(Some(&boot.to_bytes()), Offset(7), 5);
        }
        assert!(boot.careful(Offset(7)));
        assert!(!boot.careful(Offset(8)));
        let later = Boot::take_over(Some(&boot.to_bytes()), Offset(8), 5);
        assert_eq!(later, Boot::take_over(None, Offset(8), 5));
    }

    #[test]
    fn what_cannot_be_read_counts_as_nothing() {
        let fresh = Boot::take_over(None, Offset(7), 5);
        assert_eq!(Boot::take_over(Some(b"{}"), Offset(7), 5), fresh);
        let newer = br#"{"version":2,"at":7,"starts":9,"alone":9}"#;
        assert_eq!(Boot::take_over(Some(newer), Offset(7), 5), fresh);
    }
}
