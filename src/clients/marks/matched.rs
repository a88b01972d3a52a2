//! A near-duplicate of another row: who searches for an adversarial row asks hundreds of times about nearly the same one.
//!
//! It needs the other rows, so the client monitor finds it. It cannot see probes louder than .3 of the range of a pixel:
//! those are flagged.

use super::{CleanMarks, Mark, MarkConcern, RowFacts};
use crate::watch::Keying;

/// Its place in the list.
pub const MATCHED: usize = 0;

/// `matched`
#[derive(Debug)]
pub struct MatchedMark;

impl Mark for MatchedMark {
    fn name(&self) -> &'static str {
        "matched"
    }

    fn words(&self) -> &'static str {
        "are near-duplicates of other rows"
    }

    fn concern(&self) -> MarkConcern {
        MarkConcern::Attack
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0043.001", "AML.T0042"]
    }

    fn clean_share(&self, clean: &CleanMarks) -> Option<f64> {
        clean.matched
    }

    fn is_for(&self, _: Keying) -> bool {
        true
    }

    fn is_on(&self, _: &RowFacts) -> bool {
        false
    }
}
