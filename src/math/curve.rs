//! What a threshold on a score tells of two groups.
//!
//! A score only orders: nothing here knows what a number means, nor which threshold will be chosen.
//! `low` are scores of the group that should stay below, `high` of the one that should not.

use std::cmp::Ordering;

/// One threshold: how much of either group exceeds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corner {
    /// Share of `low`: false positives.
    pub fpr: f64,
    /// Share of `high`: true positives.
    pub tpr: f64,
}

/// The least threshold that at most `share` of `low` *exceed*: what equals it stays below, so ties
/// never count as told apart. With fewer than 1 / `share` numbers it is the largest of them; −∞ if
/// there is none. O(n).
pub fn threshold(low: &[f32], share: f64) -> f32 {
    // 0.07 · 100 is a little more than 7 in floating point, and 0.29 · 100 a little less than 29.
    let above = (share * low.len() as f64 * (1.0 + 1e-12)) as usize;
    if above >= low.len() {
        return f32::NEG_INFINITY;
    }
    let mut low = low.to_vec();
    *low.select_nth_unstable_by(above, |a, b| b.total_cmp(a)).1
}

/// How many of `scores` exceed `threshold`.
pub fn exceeding(scores: &[f32], threshold: f32) -> usize {
    scores.iter().filter(|&&score| score > threshold).count()
}

/// The ROC curve: a corner for every different score, from (0, 0) to (1, 1). O(n log n).
pub fn roc(low: &[f32], high: &[f32]) -> Vec<Corner> {
    let share = |count: usize, of: &[f32]| count as f64 / of.len().max(1) as f64;
    let mut corners = vec![Corner { fpr: 0.0, tpr: 0.0 }];
    steps(low, high, |lows, highs| {
        corners.push(Corner { fpr: share(lows, low), tpr: share(highs, high) });
    });
    corners
}

/// Average precision: the mean over `high` of the precision at the highest threshold that catches it;
/// scores that are equal are caught together. NaN if `high` is empty. O(n log n).
///
/// It depends on how many there are of either group, as precision does.
///
/// # Source
/// M. Zhu, "Recall, precision and average precision", 2004; the sum without interpolation, as
/// scikit-learn's `average_precision_score`.
pub fn average_precision(low: &[f32], high: &[f32]) -> f64 {
    let (mut before, mut sum) = (0, 0.0);
    steps(low, high, |lows, highs| {
        sum += (highs - before) as f64 * highs as f64 / (highs + lows).max(1) as f64;
        before = highs;
    });
    sum / high.len() as f64
}

/// For every different score, from the largest down: how many of `low` and of `high` reach it.
fn steps(low: &[f32], high: &[f32], mut each: impl FnMut(usize, usize)) {
    let sorted = |scores: &[f32]| {
        let mut scores = scores.to_vec();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        scores
    };
    let (low, high) = (sorted(low), sorted(high));
    let (mut i, mut j) = (0, 0);
    while i < low.len() || j < high.len() {
        let score = match (low.get(i), high.get(j)) {
            (Some(a), Some(b)) if a.total_cmp(b) == Ordering::Less => *b,
            (Some(a), _) => *a,
            (None, Some(b)) => *b,
            (None, None) => break,
        };
        i += low[i..].partition_point(|s| s.total_cmp(&score) != Ordering::Less);
        j += high[j..].partition_point(|s| s.total_cmp(&score) != Ordering::Less);
        each(i, j);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::math::auroc;

    #[test]
    fn a_threshold_lets_no_more_exceed_it_than_the_share_and_ties_do_not() {
        let low = [1.0, 2.0, 3.0, 3.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let check = |share, at, above| {
            assert_eq!(threshold(&low, share), at, "{share}");
            assert_eq!(exceeding(&low, at), above, "{share}");
        };
        check(0.0, 8.0, 0);
        check(0.05, 8.0, 0);
        check(0.3, 5.0, 3);
        check(0.5, 3.0, 5);
        check(0.6, 3.0, 5);
        check(0.8, 2.0, 8);
        check(1.0, f32::NEG_INFINITY, 10);
    }

    /// scikit-learn 1.9: `roc_auc_score`, `average_precision_score`, and the largest `tpr` of
    /// `roc_curve(drop_intermediate=False)` at `fpr` ≤ 0.1. The scores are made below, in integers,
    /// so that Python makes the same: `low[i] = i * 37 % 101 // 2`, `high[j] = 15 + j * 53 % 89 // 2`.
    #[test]
    fn areas_and_shares_are_those_of_scikit_learn_ties_included() {
        let low: Vec<f32> = (0..200).map(|i| (i * 37 % 101 / 2) as f32).collect();
        let high: Vec<f32> = (0..70).map(|j| (15 + j * 53 % 89 / 2) as f32).collect();
        let near = |got: f64, expected: f64| assert!((got - expected).abs() < 1e-12, "{got}");
        near(auroc(&low, &high), 0.723_285_714_285_714_3);
        near(average_precision(&low, &high), 0.538_332_476_731_143_3);
        let caught = exceeding(&high, threshold(&low, 0.1)) as f64 / 70.0;
        near(caught, 23.0 / 70.0);
        let best = roc(&low, &high).iter().filter(|c| c.fpr <= 0.1).fold(0.0, |t, c| c.tpr.max(t));
        near(best, 23.0 / 70.0);
    }

    fn scores() -> impl Strategy<Value = Vec<f32>> {
        let score = prop_oneof![(0_u8..20).prop_map(f32::from), Just(f32::INFINITY)];
        prop::collection::vec(score, 1..60)
    }

    proptest! {
        #[test]
        fn the_roc_rises_encloses_the_auroc_and_passes_through_every_threshold(
            low in scores(),
            high in scores(),
            share in 0.0_f64..1.0,
        ) {
            let corners = roc(&low, &high);
            prop_assert!(corners.is_sorted_by(|a, b| a.fpr <= b.fpr && a.tpr <= b.tpr));
            let last = Corner { fpr: 1.0, tpr: 1.0 };
            prop_assert_eq!(corners.last(), Some(&last));
            let area: f64 = corners
                .windows(2)
                .map(|pair| (pair[1].fpr - pair[0].fpr) * (pair[0].tpr + pair[1].tpr) / 2.0)
                .sum();
            prop_assert!((area - auroc(&low, &high)).abs() < 1e-9);
            let at = threshold(&low, share);
            prop_assert!(exceeding(&low, at) as f64 <= share * low.len() as f64 + 1e-9);
            let caught = exceeding(&high, at) as f64 / high.len() as f64;
            let best = corners.iter().filter(|c| c.fpr <= share).map(|c| c.tpr).fold(0.0, f64::max);
            prop_assert!((caught - best).abs() < 1e-12);
        }

        #[test]
        fn a_larger_share_catches_no_fewer(low in scores(), high in scores(), a in 0.0_f64..1.0, b in 0.0_f64..1.0) {
            let caught = |share| exceeding(&high, threshold(&low, share));
            prop_assert!(caught(a.min(b)) <= caught(a.max(b)));
        }
    }
}
