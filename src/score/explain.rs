//! What can be said about one row beyond its verdict. It may take its time: it is asked about flagged
//! rows, and by people.
//!
//! It sees the row as the guard saw it. What the model that is protected would answer to the
//! corrected row it does not know: nobody asked it.

use super::Guard;
use super::columns::Scored;
use crate::record::{Reasons, Rows};

/// One scored row.
pub struct Explanation<'a> {
    guard: &'a Guard,
    scored: &'a Scored,
    rows: Rows<'a>,
    row: usize,
}

impl<'a> Explanation<'a> {
    pub(super) fn new(guard: &'a Guard, scored: &'a Scored, x: &'a [f32], row: usize) -> Self {
        Self { guard, scored, rows: scored.rows(x), row }
    }

    /// Which of the rows that were scored together it is, from 0.
    pub fn row(&self) -> usize {
        self.row
    }

    /// The row as it was scored, `[d]`.
    pub fn x(&self) -> &'a [f32] {
        let d = self.rows.x.ncols();
        &self.rows.x.to_slice().expect("rows side by side")[self.row * d..][..d]
    }

    /// Appends what would be delivered instead of it, flagged or not, `[d]`.
    pub fn corrected(&self, out: &mut Vec<f32>) {
        let x = self.rows.x.to_slice().expect("rows side by side");
        self.scored.sanitized(self.guard, x, self.row, out);
    }

    /// Every detector's score, `[k]`.
    pub fn scores(&self) -> &'a [f32] {
        self.scored.scores(self.row)
    }

    /// Every detector's share of the merged score, `[k]`.
    pub fn shares(&self) -> Vec<f32> {
        let mut shares = vec![];
        self.guard.decider.shares(self.scores(), &mut shares);
        shares
    }

    /// Index of the detector that adds most.
    pub fn leading(&self) -> usize {
        self.guard.decider.leading(self.scores())
    }

    /// Why the leading detector scores it as it does, against what is typical: the corrected row, or
    /// what the detector compares with instead. That is left in `typical`.
    pub fn reasons(&self, typical: &mut Vec<f32>) -> Reasons {
        typical.clear();
        self.corrected(typical);
        let leading = &self.guard.detectors[self.leading()];
        leading.typical(&self.rows, self.row, typical);
        let reasons = leading.explain(&self.rows, self.row);
        reasons.against(self.x(), typical)
    }

    /// How much each feature speaks against the row, to the leading detector, `[d]`.
    pub fn heat(&self) -> Vec<f32> {
        self.guard.detectors[self.leading()].parts(&self.rows, self.row)
    }
}
