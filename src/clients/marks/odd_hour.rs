//! A client comes in an hour of the day in which it never came: somebody else may be using its account.
//!
//! Only the first row of an hour counts. It cannot see who keeps to the client's hours, nor a client that comes at all hours.

use super::{CleanMarks, Habit, Mark, MarkConcern, RowFacts};
use crate::watch::Keying;

/// `odd-hour`
#[derive(Debug)]
pub struct OddHourMark;

impl Mark for OddHourMark {
    fn name(&self) -> &'static str {
        "odd-hour"
    }

    fn words(&self) -> &'static str {
        "came in an hour of the day that is new to their client"
    }

    fn concern(&self) -> MarkConcern {
        MarkConcern::Access
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0012", "AML.T0040"]
    }

    fn clean_share(&self, _: &CleanMarks) -> Option<f64> {
        None
    }

    fn is_for(&self, keying: Keying) -> bool {
        keying == Keying::Client
    }

    fn is_on(&self, _: &RowFacts) -> bool {
        false
    }

    fn habit(&self) -> Option<Habit> {
        Some(Habit::Hour)
    }
}
