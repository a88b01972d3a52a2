//! The filled columns and the detectors' scores of some rows.

use ndarray::ArrayViewMut2;

use super::Guard;
use crate::model::{Filled, ModelError, Networks};
use crate::record::Rows;
use crate::sanitize::Suspect;

/// Columns and scores of `n` rows; buffers are reused.
#[derive(Debug, Default)]
pub struct Scored {
    filled: Filled,
    detectors: usize,
    /// `[n · detectors]`.
    scores: Vec<f32>,
    /// `[n]`.
    merged: Vec<f32>,
}

impl Scored {
    /// Fills the columns once and lets every detector score. Shape: `x` [n · d], n may be 0.
    pub fn run(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        x: &[f32],
    ) -> Result<(), ModelError> {
        networks.fill(guard.needs, x, &mut self.filled)?;
        let rows = self.filled.rows(x);
        self.detectors = guard.detectors.len();
        self.scores.clear();
        self.scores.resize(rows.len() * self.detectors, 0.0);
        let shape = (rows.len(), self.detectors);
        let mut scores =
            ArrayViewMut2::from_shape(shape, &mut self.scores).expect("one score each");
        for (detector, column) in guard.detectors.iter().zip(scores.columns_mut()) {
            detector.score(&rows, column);
        }
        self.merged.clear();
        let each = self.scores.chunks_exact(self.detectors.max(1));
        self.merged.extend(each.map(|scores| guard.decider.merge(scores)));
        Ok(())
    }

    pub fn rows<'a>(&'a self, x: &'a [f32]) -> Rows<'a> {
        self.filled.rows(x)
    }

    /// Scores of row `i`, `[detectors]`.
    pub fn scores(&self, i: usize) -> &[f32] {
        &self.scores[i * self.detectors..][..self.detectors]
    }

    /// The merged score of row `i`.
    pub fn merged(&self, i: usize) -> f32 {
        self.merged[i]
    }

    /// Appends what is delivered instead of row `i` of `x`, if it is flagged, `[d]`.
    pub fn sanitized(&self, guard: &Guard, x: &[f32], i: usize, out: &mut Vec<f32>) {
        let (rows, start) = (self.filled.rows(x), out.len());
        let version = guard.decider.version(&rows, i, self.scores(i));
        out.extend(rows.x.row(i));
        let suspect = Suspect { rows, row: i, version };
        guard.steps.iter().for_each(|step| step.apply(&suspect, &mut out[start..]));
    }
}
