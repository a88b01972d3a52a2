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
    /// Where the exponential tail begins, the share of rows at or above it, and its mean excess.
    knee: f32,
    beyond: f64,
    excess: f64,
}

/// Rows that the tail is fitted to: the largest 2 %, at least 10.
const TAIL_SHARE: f64 = 0.02;
const TAIL_ROWS_MIN: usize = 10;

impl Calibration {
    /// # Panics
    /// If a score is not finite.
    pub fn new(mut scores: Vec<f32>) -> Self {
        assert!(scores.iter().all(|s| s.is_finite()), "a calibration score is not finite");
        scores.sort_unstable_by(f32::total_cmp);
        let m = scores.len();
        let tail = ((m as f64 * TAIL_SHARE) as usize).max(TAIL_ROWS_MIN).min(m);
        let knee = scores.get(m - tail).copied().unwrap_or(0.0);
        let excess: f64 = scores[m - tail..].iter().map(|&s| f64::from(s - knee)).sum();
        let excess = (excess / tail.max(1) as f64).max(1e-6);
        Self { sorted: scores, knee, beyond: (1 + tail) as f64 / (m + 1) as f64, excess }
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

    /// p of a record of `rows` rows whose most suspicious one has this `score`: in (0, 1].
    ///
    /// For one row it is [`Calibration::p`]. For more it is that times `rows` (Bonferroni: valid
    /// whatever the rows of a record have to do with each other). A score beyond all of calibration
    /// has a p of at most 1 / (m + 1), too coarse to be multiplied by many rows; there the tail of
    /// the calibration scores is continued as an exponential. That is an extrapolation: it bounds
    /// the flagged share of clean records of more than budget · (m + 1) rows only as far as their
    /// scores fall that fast. O(log m).
    pub fn p_of_record(&self, score: f32, rows: usize) -> f64 {
        let p = self.p(score);
        if rows <= 1 {
            return p;
        }
        let beyond_all = self.sorted.last().is_some_and(|&last| score > last);
        let p = match beyond_all {
            true => p.min(self.beyond * (-f64::from(score - self.knee) / self.excess).exp()),
            false => p,
        };
        (p * rows as f64).clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// The largest score of a single row that is not flagged at `budget`; −∞ if all are.
    pub fn threshold(&self, budget: Probability) -> f32 {
        let flagged = |at: &&f32| self.p(**at) <= budget.get();
        let passing = self.sorted.iter().rev().find(|at| !flagged(at));
        passing.copied().unwrap_or(f32::NEG_INFINITY)
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
    fn a_record_of_many_rows_is_held_to_the_budget_of_one() {
        let calibration = Calibration::new((0..999).map(|i| i as f32 / 100.0).collect());
        assert_eq!(calibration.p_of_record(9.5, 1), calibration.p(9.5));
        assert!((calibration.p_of_record(9.5, 3) - 3.0 * calibration.p(9.5)).abs() < 1e-12);
        assert_eq!(calibration.p_of_record(0.0, 3), 1.0);
        // 1000 rows: the best rank alone would be p = 1, yet a score far beyond all decides.
        assert!(calibration.p_of_record(9.98, 1000) > 0.5);
        assert!(calibration.p_of_record(12.0, 1000) < 1e-6);
    }

    proptest! {
        #[test]
        fn a_larger_score_has_no_larger_p_and_more_rows_no_smaller(
            scores in prop::collection::vec(0.0_f32..50.0, 1..200),
            (a, b) in (0.0_f32..90.0, 0.0_f32..90.0),
            (j, k) in (1..500_usize, 1..500_usize),
        ) {
            let calibration = Calibration::new(scores);
            let p = |s, rows| calibration.p_of_record(s, rows);
            prop_assert!(p(a.max(b), k) <= p(a.min(b), k));
            // A single row is judged by ranks alone, so only several are compared with more.
            prop_assert!(p(a, j.min(k) + 1) <= p(a, j.max(k) + 1));
            prop_assert!(p(a, k) > 0.0 && p(a, k) <= 1.0);
        }
    }

    #[test]
    fn what_is_at_the_threshold_passes_and_what_is_above_is_flagged() {
        let calibration = Calibration::new((0..999).map(|i| i as f32).collect());
        let budget: Probability = "1%".parse().unwrap();
        let threshold = calibration.threshold(budget);
        assert!(calibration.p(threshold) > 0.01 && calibration.p(threshold + 0.5) <= 0.01);
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
