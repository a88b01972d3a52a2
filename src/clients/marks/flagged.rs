//! A flagged row: of one client a few are many.
//!
//! Of the stream as a whole the watch `flagged-share` speaks already. It cannot see what no detector sees.

use super::{CleanMarks, Mark, MarkConcern, RowFacts};
use crate::watch::Keying;

/// `flagged`
#[derive(Debug)]
pub struct FlaggedMark;

impl Mark for FlaggedMark {
    fn name(&self) -> &'static str {
        "flagged"
    }

    fn words(&self) -> &'static str {
        "were flagged"
    }

    fn concern(&self) -> MarkConcern {
        MarkConcern::Attack
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0043", "AML.T0015"]
    }

    fn clean_share(&self, clean: &CleanMarks) -> Option<f64> {
        Some(clean.flagged)
    }

    fn is_for(&self, keying: Keying) -> bool {
        keying != Keying::Stream
    }

    fn is_on(&self, row: &RowFacts) -> bool {
        row.flagged
    }
}
