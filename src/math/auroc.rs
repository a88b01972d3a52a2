//! How well a score orders two groups.

/// Probability that a random number of `high` exceeds one of `low`, ties counting half: the area
/// under the ROC curve. NaN if either is empty. O(n log n).
///
/// # Source
/// H. B. Mann, D. R. Whitney, "On a test of whether one of two random variables is stochastically
/// larger than the other", 1947: U / (n · m).
pub fn auroc(low: &[f32], high: &[f32]) -> f64 {
    let mut sorted = low.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let wins = |&h: &f32| {
        let below = sorted.partition_point(|&l| l < h);
        let not_above = sorted.partition_point(|&l| l <= h);
        (below + not_above) as f64 / 2.0
    };
    high.iter().map(wins).sum::<f64>() / (low.len() as f64 * high.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_is_half_a_win() {
        // Pairs: 3 > 1, 3 > 2, 2 > 1, 2 = 2: 3.5 of 4.
        assert_eq!(auroc(&[1.0, 2.0], &[3.0, 2.0]), 0.875);
        assert_eq!(auroc(&[1.0], &[1.0]), 0.5);
        assert!(auroc(&[], &[1.0]).is_nan());
    }
}
