//! A client comes from a new origin so shortly after another one that nobody travels so fast: two people use one account.
//!
//! Of two origins within one window the order does not count. It cannot tell a second device from a second person, nor
//! see two people behind one origin.

use super::{CleanMarks, Habit, Mark, MarkConcern, RowFacts};
use crate::watch::Keying;

/// `travel`
#[derive(Debug)]
pub struct TravelMark;

impl Mark for TravelMark {
    fn name(&self) -> &'static str {
        "travel"
    }

    fn words(&self) -> &'static str {
        "came from a new origin while their client was at another"
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
        Some(Habit::Travel)
    }
}
