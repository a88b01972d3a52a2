//! A row of whose label the model is less sure than of nearly all clean rows: who copies a model, or walks along the border
//! between two labels, asks about such rows.
//!
//! The model's largest probability stands for the margin; of two labels they are the same. It cannot see a copy that is
//! made with rows like any others.

use super::{CleanMarks, Mark, MarkConcern, RowFacts};
use crate::watch::Keying;

/// `low-margin`
#[derive(Debug)]
pub struct LowMarginMark;

impl Mark for LowMarginMark {
    fn name(&self) -> &'static str {
        "low-margin"
    }

    fn words(&self) -> &'static str {
        "lie near the border between two labels"
    }

    fn concern(&self) -> MarkConcern {
        MarkConcern::Attack
    }

    fn atlas(&self) -> &'static [&'static str] {
        &["AML.T0024.002", "AML.T0043.001"]
    }

    fn clean_share(&self, clean: &CleanMarks) -> Option<f64> {
        clean.confidence.map(|(_, share)| share)
    }

    fn is_for(&self, keying: Keying) -> bool {
        // Of a cell that lies at a border it says nothing.
        keying == Keying::Client
    }

    fn is_on(&self, row: &RowFacts) -> bool {
        row.confidence.is_some_and(|(confidence, low)| confidence <= low)
    }
}
