//! A score's rank among reference scores, as a number that keeps growing beyond the last of them.

/// Sorted reference scores and an exponential tail above their 98 % quantile.
///
/// The tail gives *order* beyond the reference, not a probability: whoever needs a p-value
/// calibrates what is made of it.
#[derive(Clone, Debug)]
pub struct RankTail {
    sorted: Vec<f32>,
    knee: f32,
    /// Mean excess of ln(1 + score) over the knee.
    excess: f32,
}

/// Share of the reference above which the exponential tail takes over.
const TAIL_SHARE: f32 = 0.02;

impl RankTail {
    /// Shapes: `scores` `[m]`, m ≥ 1, finite and ≥ 0. O(m log m).
    ///
    /// # Panics
    /// If `scores` is empty or holds a number that is negative or not finite.
    pub fn new(mut scores: Vec<f32>) -> Self {
        assert!(!scores.is_empty(), "no reference scores");
        assert!(scores.iter().all(|s| s.is_finite() && *s >= 0.0), "a score is not in [0, ∞)");
        scores.sort_unstable_by(f32::total_cmp);
        let m = scores.len();
        let beyond = ((m as f32 * TAIL_SHARE) as usize).max(1);
        let knee = scores[m - beyond];
        let excess = scores[m - beyond..].iter().map(|s| s.ln_1p() - knee.ln_1p()).sum::<f32>();
        // A reference of equal scores has no excess; anything above it is then simply far.
        let excess = (excess / beyond as f32).max(1e-6);
        Self { sorted: scores, knee, excess }
    }

    pub fn sorted(&self) -> &[f32] {
        &self.sorted
    }

    /// −ln of the rank p-value of `score`, continued above the knee: 0 for the smallest, larger
    /// is more extreme, never decreasing, finite. O(log m).
    pub fn surprise(&self, score: f32) -> f32 {
        let m = self.sorted.len();
        let below_knee = |s: f32| {
            let at_least = m - self.sorted.partition_point(|&r| r < s);
            -((1 + at_least) as f32 / (m + 1) as f32).ln()
        };
        if score <= self.knee {
            below_knee(score)
        } else {
            below_knee(self.knee) + (score.ln_1p() - self.knee.ln_1p()) / self.excess
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_larger_score_is_never_less_surprising(
            reference in prop::collection::vec(0.0_f32..1e6, 1..300),
            a in 0.0_f32..1e9,
            b in 0.0_f32..1e9,
        ) {
            let tail = RankTail::new(reference);
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(tail.surprise(low) <= tail.surprise(high));
            prop_assert!(tail.surprise(high).is_finite() && tail.surprise(low) >= 0.0);
        }
    }

    #[test]
    fn the_median_of_the_reference_has_a_surprise_of_ln_two() {
        let tail = RankTail::new((0..999).map(|i| i as f32).collect());
        assert!((tail.surprise(500.0) - 2.0_f32.ln()).abs() < 0.01);
    }
}
