//! A score's rank among reference scores, as a number that keeps growing beyond the last of them.

/// Sorted reference scores and an exponential tail above their 98 % quantile: of ln(1 + score), since
/// detectors' scores are squares and ratios; of sums of surprises, which are logarithms already, of
/// the score itself ([`RankTail::of_sums`]).
///
/// The tail gives *order* beyond the reference, not a probability: whoever needs a p-value
/// calibrates what is made of it.
#[derive(Clone, Debug)]
pub struct RankTail {
    sorted: Vec<f32>,
    knee: f32,
    /// Surprise of the first score above the knee.
    start: f32,
    /// Mean excess over the knee, of ln(1 + score) or of the score.
    excess: f32,
    linear: bool,
}

/// Share of the reference above which the exponential tail takes over.
const TAIL_SHARE: f32 = 0.02;

impl RankTail {
    /// Shapes: `scores` `[m]`, m ≥ 1, finite and ≥ 0. O(m log m).
    ///
    /// # Panics
    /// If `scores` is empty or holds a number that is negative or not finite.
    pub fn new(scores: Vec<f32>) -> Self {
        Self::with(scores, false)
    }

    /// The tail for sums of surprises: beyond the reference they keep growing as they did in its tail.
    ///
    /// # Panics
    /// As [`RankTail::new`].
    pub fn of_sums(scores: Vec<f32>) -> Self {
        Self::with(scores, true)
    }

    fn with(mut scores: Vec<f32>, linear: bool) -> Self {
        assert!(!scores.is_empty(), "no reference scores");
        assert!(scores.iter().all(|s| s.is_finite() && *s >= 0.0), "a score is not in [0, ∞)");
        scores.sort_unstable_by(f32::total_cmp);
        let m = scores.len();
        let beyond = ((m as f32 * TAIL_SHARE) as usize).max(1);
        let knee = scores[m - beyond];
        let over = scores[m - beyond..].iter().map(|&s| over(s, knee, linear));
        let excess = over.sum::<f32>();
        let (above, excess) = match beyond < m && scores[m - beyond - 1] == knee {
            false => (beyond, (excess / beyond as f32).max(1e-6)),
            // The knee lies among equal scores: nearly all clean rows have nothing to report. The
            // rank then jumps above them, and one made-up excess of 1 keeps the few that are above,
            // or none, from claiming that the tail is short: nobody should outshout the others on
            // that ground.
            true => {
                let above = m - scores.partition_point(|s| *s <= knee);
                (above, (excess + 1.0) / (above + 1) as f32)
            }
        };
        let start = -((1 + above) as f32 / (m + 1) as f32).ln();
        Self { sorted: scores, knee, start, excess, linear }
    }

    pub fn sorted(&self) -> &[f32] {
        &self.sorted
    }

    /// −ln of the rank p-value of `score`, continued above the knee: 0 for the smallest, larger
    /// is more extreme, never decreasing, finite. O(log m).
    pub fn surprise(&self, score: f32) -> f32 {
        let m = self.sorted.len();
        if score <= self.knee {
            let at_least = m - self.sorted.partition_point(|&r| r < score);
            -((1 + at_least) as f32 / (m + 1) as f32).ln()
        } else {
            self.start + over(score, self.knee, self.linear) / self.excess
        }
    }
}

impl RankTail {
    /// How fast the surprise grows around `score`: of the ranks by a difference over a hundredth of
    /// them, beyond the knee exactly. ≥ 0; 0 where the ranks have no score to tell apart.
    pub fn slope(&self, score: f32) -> f32 {
        if score > self.knee {
            let steep = if self.linear { 1.0 } else { 1.0 + score };
            return (steep * self.excess).recip();
        }
        let m = self.sorted.len();
        let (at, reach) = (self.sorted.partition_point(|&r| r < score), (m / 200).max(1));
        let (low, high) = (at.saturating_sub(reach), (at + reach).min(m - 1));
        let width = self.sorted[high] - self.sorted[low];
        let rise = self.surprise(self.sorted[high]) - self.surprise(self.sorted[low]);
        if width > 0.0 { rise / width } else { 0.0 }
    }
}

/// How far `score` is above the knee.
fn over(score: f32, knee: f32, linear: bool) -> f32 {
    if linear { score - knee } else { score.ln_1p() - knee.ln_1p() }
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
            let (low, high) = (a.min(b), a.max(b));
            for tail in [RankTail::new(reference.clone()), RankTail::of_sums(reference)] {
                prop_assert!(tail.surprise(low) <= tail.surprise(high));
                prop_assert!(tail.surprise(high).is_finite() && tail.surprise(low) >= 0.0);
            }
        }
    }

    #[test]
    fn where_nearly_all_scores_are_zero_one_above_is_as_surprising_as_its_rank() {
        let check = |above: usize, score: f32, expected: f32| {
            let scores = (0..999).map(|i| if i < above { 0.01 } else { 0.0 }).collect();
            let surprise = RankTail::new(scores).surprise(score);
            assert!((surprise - expected).abs() < 0.02, "{surprise}, not {expected}");
        };
        check(3, 0.0, 0.0);
        // 1 + 3 of 1000 rows are that high: ln 250; none: ln 1000.
        check(3, 1e-3, 250.0_f32.ln());
        check(0, 1e-3, 1000.0_f32.ln());
        // One e-fold of the score beyond it adds about one, four or so with three short excesses.
        check(0, std::f32::consts::E - 1.0, 1000.0_f32.ln() + 1.0);
        check(3, std::f32::consts::E - 1.0, 250.0_f32.ln() + 4.0 / 1.03);
    }

    #[test]
    fn the_slope_is_that_of_the_surprise() {
        let scores: Vec<f32> = (1..2000).map(|i| (i as f32 / 100.0).powi(2)).collect();
        for tail in [RankTail::new(scores.clone()), RankTail::of_sums(scores)] {
            for score in [40.0, 250.0, 395.0, 500.0, 4000.0] {
                let step = 0.02 * score;
                let expected = tail.surprise(score + step) - tail.surprise(score - step);
                let got = tail.slope(score) * 2.0 * step;
                assert!((got - expected).abs() < 0.15 * expected, "{score}: {got}, not {expected}");
            }
        }
        assert_eq!(RankTail::new(vec![0.0; 100]).slope(0.0), 0.0);
    }

    #[test]
    fn a_sum_twice_as_far_beyond_the_knee_is_twice_as_surprising_beyond_it() {
        let tail = RankTail::of_sums((0..1000).map(|i| -(1.0 - i as f32 / 1000.0).ln()).collect());
        let knee = tail.surprise(tail.knee);
        let beyond = |far| tail.surprise(tail.knee + far) - knee;
        assert!((beyond(8.0) / beyond(4.0) - 2.0).abs() < 0.05, "{} {}", beyond(4.0), beyond(8.0));
    }

    #[test]
    fn the_median_of_the_reference_has_a_surprise_of_ln_two() {
        let tail = RankTail::new((0..999).map(|i| i as f32).collect());
        assert!((tail.surprise(500.0) - 2.0_f32.ln()).abs() < 0.01);
    }
}
