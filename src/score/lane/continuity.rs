//! Whether the input is still the log that a partition was read from.
//!
//! Offsets are names that the log may give again: a topic that was made anew, or whose newest records an
//! unclean election took, has other records under offsets that are done. And what retention deletes before
//! it is read is gone. Each is found by comparing what the brokers say now with what they said when
//! the partition was last read. It cannot see what came and went between two looks, nor a log that lost
//! its end and grew past it again under the same leader epoch.

use std::fmt;

use crate::record::{Extent, Offset};
use crate::watch::LossCause;

/// The log as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    pub extent: Extent,
    /// From there on it is another than it was when it was last read.
    pub parted: Option<Offset>,
}

/// Records that will never be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Discontinuity {
    pub cause: LossCause,
    /// How many offsets are gone unread; transaction markers are among them.
    pub unread: u64,
    /// Where reading would go on.
    pub next: Offset,
    /// Nobody may go on without being told to: other records stand under offsets that are done.
    pub ambiguous: bool,
}

impl Survey {
    /// What became of the log since it was as `was`, for a partition that was read up to `next`.
    pub fn since(&self, was: Option<&Extent>, next: Offset) -> Option<Discontinuity> {
        let Self { extent: now, parted } = self;
        let known_end = was.map_or(next, |was| was.end.max(next));
        let span = |from: Offset, to: Offset| (to.0 - from.0).max(0).cast_unsigned();
        if let Some(was) = was.and_then(|was| was.topic.as_ref())
            && now.topic.as_ref().is_some_and(|now| now != was)
        {
            let (cause, unread) = (LossCause::Anew, span(next, known_end));
            return Some(Discontinuity { cause, unread, next: now.start, ambiguous: true });
        }
        let shorter = (now.end < known_end).then_some(now.end);
        let at = parted.map_or(shorter, |at| Some(shorter.map_or(at, |end| end.min(at))));
        if let Some(at) = at {
            let unread = span(at.max(next), known_end);
            let (cause, ambiguous) = (LossCause::Truncation, at < next);
            // Of a topic without an id it cannot be said that it is the same: then all of it is read.
            let is_same = was.is_some_and(|was| was.topic.is_some());
            let next = if is_same || !ambiguous { at.min(next).max(now.start) } else { now.start };
            return Some(Discontinuity { cause, unread, next, ambiguous });
        }
        let (cause, unread) = (LossCause::Retention, span(next, now.start));
        (unread > 0).then_some(Discontinuity { cause, unread, next: now.start, ambiguous: false })
    }
}

impl fmt::Display for Discontinuity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, unread, next, .. } = self;
        match cause {
            LossCause::Retention => {
                write!(f, "{unread} records were deleted before they were read")
            }
            LossCause::Truncation => write!(
                f,
                "its log lost its newest records: what stands at offset {next} and above is another \
                 record than was read there, and at least {unread} records are gone unread"
            ),
            LossCause::Output => write!(f, "{unread} records of an output are gone"),
            LossCause::Anew => write!(
                f,
                "its topic was made anew: it begins at offset {next}, and at least {unread} records of the topic \
                 before are gone unread"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(topic: &str, start: i64, end: i64, epoch: i32) -> Extent {
        let (start, end, leader_epoch) = (Offset(start), Offset(end), Some(epoch));
        Extent { topic: Some(topic.into()), start, end, leader_epoch }
    }

    fn found(now: Extent, parted: Option<i64>, next: i64) -> Option<(LossCause, u64, i64, bool)> {
        let was = extent("a", 0, 350, 4);
        let survey = Survey { extent: now, parted: parted.map(Offset) };
        let found = survey.since(Some(&was), Offset(next))?;
        Some((found.cause, found.unread, found.next.0, found.ambiguous))
    }

    #[test]
    fn a_log_that_only_grew_is_the_same_whoever_leads_it() {
        assert_eq!(found(extent("a", 0, 350, 4), None, 350), None);
        assert_eq!(found(extent("a", 200, 900, 7), None, 200), None);
        let unknown = Extent { topic: None, leader_epoch: None, ..extent("", 0, 400, 0) };
        assert_eq!(found(unknown, None, 100), None);
        let first = Survey { extent: extent("a", 0, 5, 0), parted: None };
        assert_eq!(first.since(None, Offset(0)), None);
    }

    #[test]
    fn what_is_gone_unread_is_counted_and_another_record_under_a_done_offset_is_ambiguous() {
        use LossCause::{Anew, Retention, Truncation};
        for (now, parted, next, expected) in [
            (extent("a", 260, 400, 4), None, 100, (Retention, 160, 260, false)),
            // Read up to 100; 250 to 350 were never read, and nothing that was done is another record.
            (extent("a", 0, 250, 5), None, 100, (Truncation, 100, 100, false)),
            (extent("a", 0, 900, 5), Some(250), 100, (Truncation, 100, 100, false)),
            // Read up to 350: a hundred other records stand, or will, under offsets that are done.
            (extent("a", 0, 250, 5), None, 350, (Truncation, 0, 250, true)),
            (extent("a", 0, 900, 5), Some(250), 350, (Truncation, 0, 250, true)),
            (extent("a", 0, 900, 5), Some(250), 300, (Truncation, 50, 250, true)),
            (extent("b", 0, 900, 0), None, 300, (Anew, 50, 0, true)),
            (extent("b", 7, 9, 4), None, 350, (Anew, 0, 7, true)),
        ] {
            assert_eq!(
                found(now.clone(), parted, next),
                Some(expected),
                "{now:?} {parted:?} {next}"
            );
        }
    }
}
