//! A client comes from where it never came: somebody may have taken its account over.
//!
//! Only the first row from an origin counts. One new origin never pages; several within days do. It cannot see who comes from the
//! client's own network, nor a client that changes its origin at every visit: of such a one it is usual.

use super::{CleanMarks, Habit, Mark, MarkConcern, RowFacts};
use crate::watch::Keying;

/// `new-origin`
#[derive(Debug)]
pub struct NewOriginMark;

impl Mark for NewOriginMark {
    fn name(&self) -> &'static str {
        "new-origin"
    }

    fn words(&self) -> &'static str {
        "came from an origin that is new to their client"
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
        Some(Habit::Origin)
    }
}
