//! From a merged score to a probability, by comparison with clean rows.

use crate::bundle::{TensorError, Tensors};
use crate::record::Probability;

/// Merged scores of `m` clean rows that nothing else was made from, sorted.
///
/// p = (1 + #{calibration ≥ s}) / (m + 1). If a clean record is exchangeable with the calibration
/// rows, P(p ≤ a) ≤ a for every a, whatever the detectors are and however they depend on each
/// other. It says nothing about clean traffic that differs from the calibration rows: that is
/// drift, and it is what the watches are for.
///
/// # Source
/// V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", 2005, §2.
#[derive(Clone, Debug)]
pub struct Calibration {
    sorted: Vec<f32>,
}

impl Calibration {
    /// # Panics
    /// If a score is not finite.
    pub fn new(mut scores: Vec<f32>) -> Self {
        assert!(scores.iter().all(|s| s.is_finite()), "a calibration score is not finite");
        scores.sort_unstable_by(f32::total_cmp);
        Self { sorted: scores }
    }

    pub fn rows(&self) -> usize {
        self.sorted.len()
    }

    /// In (0, 1]. O(log m).
    pub fn p(&self, score: f32) -> f64 {
        let m = self.sorted.len();
        let at_least = m - self.sorted.partition_point(|&s| s < score);
        (1 + at_least) as f64 / (m + 1) as f64
    }

    /// The least m for which any record can have p ≤ budget: 1 / (m + 1) ≤ budget.
    pub fn rows_needed(budget: Probability) -> usize {
        ((1.0 / budget.get()).ceil() - 1.0).min(usize::MAX as f64) as usize
    }

    pub(super) fn load(tensors: &Tensors) -> Result<Self, TensorError> {
        Ok(Self::new(tensors.vector(TENSOR, None)?.to_vec()))
    }

    pub(super) fn save(&self, tensors: &mut Tensors) {
        tensors.put(TENSOR, &[self.sorted.len()], self.sorted.clone());
    }
}

const TENSOR: &str = "calibration.merged";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn p_counts_the_calibration_scores_at_least_as_large() {
        let calibration = Calibration::new(vec![3.0, 1.0, 2.0, 2.0]);
        assert_eq!(calibration.p(0.0), 1.0);
        assert_eq!(calibration.p(2.0), 4.0 / 5.0);
        assert_eq!(calibration.p(9.0), 1.0 / 5.0);
    }

    #[test]
    fn one_percent_needs_ninety_nine_rows() {
        assert_eq!(Calibration::rows_needed("1%".parse().unwrap()), 99);
        assert_eq!(Calibration::rows_needed("100%".parse().unwrap()), 0);
    }

    proptest! {
        /// The promise, in its exact finite form: each of m + 1 exchangeable scores, compared with
        /// the others, has p ≤ a for at most a share a of them.
        #[test]
        fn at_most_the_budget_of_exchangeable_rows_is_flagged(
            scores in prop::collection::vec(0_u8..50, 2..120),
            a in 0.0_f64..1.0,
        ) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let flagged = (0..scores.len()).filter(|&i| {
                let mut others = scores.clone();
                let own = others.remove(i);
                Calibration::new(others).p(own) <= a
            });
            prop_assert!(flagged.count() as f64 <= a * scores.len() as f64 + 1e-9);
        }
    }
}
