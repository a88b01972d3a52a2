//! A record that cannot be read: who tries what a stream takes sends many.
//!
//! A sender with a bug sends them too: it is told as a matter of access. It cannot see who sends what is read and wrong.

use super::{CleanMarks, Mark, MarkConcern, RowFacts};
use crate::watch::Keying;

/// `fault`
#[derive(Debug)]
pub struct FaultMark;

/// A share of unreadable records that is nobody's alarm, as in the watch `data-quality`.
const USUAL: f64 = 0.001;

impl Mark for FaultMark {
    fn name(&self) -> &'static str {
        "fault"
    }

    fn words(&self) -> &'static str {
        "cannot be read"
    }

    fn concern(&self) -> MarkConcern {
        MarkConcern::Access
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0006"]
    }

    fn clean_share(&self, _: &CleanMarks) -> Option<f64> {
        Some(USUAL)
    }

    fn is_for(&self, keying: Keying) -> bool {
        keying == Keying::Client
    }

    fn is_on(&self, row: &RowFacts) -> bool {
        row.fault
    }

    fn counts_faults(&self) -> bool {
        true
    }
}
