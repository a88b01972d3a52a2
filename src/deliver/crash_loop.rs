//! A record that crashes the process must not crash it for ever.
//!
//! When a worker takes a partition over it writes a *crash-loop record*: the partition's next offset, and how many
//! workers have started there. If several start at the same offset without progress, the partition is read with care:
//! one record at a time, each announced in the crash-loop record before it is scored. A record that was announced by
//! two processes and was never committed has crashed both, and is dead-lettered unread.
//!
//! Blind spot: it cannot tell a crash from a kill. A record is dead-lettered unread too if, after two starts without
//! progress, the process is twice killed, stopped or unable to commit while that record alone is scored.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::record::Offset;

/// Key of the crash-loop record in the state topic, in the partition of its number.
pub const CRASH_LOOP_KEY: &[u8] = b"crash-loop";

/// Starts without progress before a partition is read with care.
const STARTS_MAX: u32 = 2;
/// How many processes may score one record alone.
const ALONE_MAX: u32 = 2;

/// How many workers have started a partition at one offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrashLoopGuard {
    /// Format version, 1.
    version: u32,
    /// The partition's next offset when it was taken over.
    at: Offset,
    /// How many workers started there, this one included.
    starts: u32,
    /// How many processes began to score the record there alone.
    alone: u32,
    /// This process is one of them.
    #[serde(skip)]
    begun: bool,
    /// How many records from there on may have crashed the last process.
    #[serde(skip)]
    suspects: usize,
}

impl CrashLoopGuard {
    /// Takes a partition over at `next`. `before` is the last crash-loop record; one that cannot be read is ignored.
    /// A batch has up to `suspects` records, and any of them may have crashed the last process.
    pub fn take_over(before: Option<&[u8]>, next: Offset, suspects: usize) -> Self {
        let before = before.and_then(|bytes| serde_json::from_slice::<Self>(bytes).ok());
        match before {
            Some(before) if before.version == 1 && before.at == next => {
                Self { starts: before.starts.saturating_add(1), suspects, ..before }
            }
            _ => Self { version: 1, at: next, starts: 1, alone: 0, begun: false, suspects },
        }
    }

    /// The offset in a crash-loop record.
    pub fn taken_over_at(bytes: &[u8]) -> Option<Offset> {
        let crash_loop: Self = serde_json::from_slice(bytes).ok()?;
        (crash_loop.version == 1).then_some(crash_loop.at)
    }

    /// Whether the record at `next` must be scored alone.
    pub fn careful(&self, next: Offset) -> bool {
        self.at == next && self.starts > STARTS_MAX
    }

    /// Whether the record there has crashed as many processes as it may.
    pub fn is_spent(&self) -> bool {
        self.alone >= ALONE_MAX && !self.begun
    }

    /// The record there is about to be scored alone. This process counts once, however often it tries.
    pub fn begin_alone(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.alone = self.alone.saturating_add(1);
        }
    }

    /// Whether this process announced the record there and has not reported a result.
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// The record there was scored without a crash. A later record of the batch may be the cause, so the partition is
    /// still read with care until there is progress.
    pub fn survived(&mut self) {
        *self = Self { alone: 0, begun: false, ..*self };
    }

    /// The record there is committed. The next one may be the cause too, up to a batch of records.
    pub fn move_on(&mut self, next: Offset) {
        let Some(suspects) = self.suspects.checked_sub(1) else { return };
        *self =
            Self { at: next, starts: STARTS_MAX + 1, alone: 0, begun: false, suspects, ..*self };
    }

    pub fn to_bytes(self) -> Vec<u8> {
        serde_json::to_vec(&self).expect("plain data")
    }
}

/// As `tripline state show` prints it.
impl fmt::Display for CrashLoopGuard {
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
            let mut crash_loop = CrashLoopGuard::take_over(written.as_deref(), at, 5);
            begun.push((crash_loop.careful(at), crash_loop.is_spent()));
            if crash_loop.careful(at) && !crash_loop.is_spent() {
                crash_loop.begin_alone();
            }
            written = Some(crash_loop.to_bytes());
        }
        let (free, alone, spent) = ((false, false), (true, false), (true, true));
        assert_eq!(begun, [free, free, alone, alone, spent, spent]);
    }

    #[test]
    fn a_process_that_tries_again_and_again_counts_once() {
        let at = Offset(7);
        let mut crash_loop = CrashLoopGuard::take_over(None, at, 5);
        for _ in 0..9 {
            crash_loop.begin_alone();
            assert!(!crash_loop.is_spent());
        }
        let mut next = CrashLoopGuard::take_over(Some(&crash_loop.to_bytes()), at, 5);
        assert!(!next.is_spent(), "one process ended");
        next.begin_alone();
        assert!(!next.is_spent(), "this one is still here");
        let third = CrashLoopGuard::take_over(Some(&next.to_bytes()), at, 5);
        assert!(third.is_spent());
        next.survived();
        assert!(!CrashLoopGuard::take_over(Some(&next.to_bytes()), at, 5).is_spent());
    }

    #[test]
    fn a_batch_of_suspects_is_read_with_care_and_not_one_record_more() {
        let mut written = None;
        for _ in 0..3 {
            written = Some(CrashLoopGuard::take_over(written.as_deref(), Offset(7), 2).to_bytes());
        }
        let mut crash_loop = CrashLoopGuard::take_over(written.as_deref(), Offset(7), 2);
        let mut careful = vec![];
        for next in (7..11).map(Offset) {
            careful.push(crash_loop.careful(next));
            crash_loop.move_on(next.next());
        }
        assert_eq!(careful, [true, true, true, false]);
    }

    #[test]
    fn progress_forgets_every_start() {
        let mut crash_loop = CrashLoopGuard::take_over(None, Offset(7), 5);
        for _ in 0..5 {
            crash_loop = CrashLoopGuard::take_over(Some(&crash_loop.to_bytes()), Offset(7), 5);
        }
        assert!(crash_loop.careful(Offset(7)));
        assert!(!crash_loop.careful(Offset(8)));
        let later = CrashLoopGuard::take_over(Some(&crash_loop.to_bytes()), Offset(8), 5);
        assert_eq!(later, CrashLoopGuard::take_over(None, Offset(8), 5));
    }

    #[test]
    fn what_cannot_be_read_counts_as_nothing() {
        let fresh = CrashLoopGuard::take_over(None, Offset(7), 5);
        assert_eq!(CrashLoopGuard::take_over(Some(b"{}"), Offset(7), 5), fresh);
        let newer = br#"{"version":2,"at":7,"starts":9,"alone":9}"#;
        assert_eq!(CrashLoopGuard::take_over(Some(newer), Offset(7), 5), fresh);
    }
}
