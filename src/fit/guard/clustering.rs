//! For how many independent rows a row of a group counts.
//!
//! Frames of one track, records of one session: where one is flagged, its neighbours are too. So fewer
//! rows than there are say what share of clean rows is flagged, and the interval around it is wider. It
//! is measured where flagging happens, at the top twentieth of the scores: further up there are too few.

use std::collections::BTreeMap;

/// Share of the rows whose clustering is measured.
const TOP: f64 = 0.05;

/// The design effect, at least 1: the variance of the number of rows among the highest twentieth of
/// `scores` `[n]`, drawn by `groups` `[n]`, over that of n independent rows. O(n log n).
///
/// # Panics
/// If there is not one group per score.
///
/// # Source
/// L. Kish, "Survey Sampling", 1965, §5.4.
pub fn effect(scores: &[f32], groups: &[i64]) -> f64 {
    assert_eq!(scores.len(), groups.len());
    let n = scores.len();
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let Some(&least) = sorted.get(n - ((TOP * n as f64) as usize).min(n)) else { return 1.0 };
    let mut each: BTreeMap<i64, [f64; 2]> = BTreeMap::new();
    let mut high = 0.0;
    for (&score, &group) in scores.iter().zip(groups) {
        let [rows, above] = each.entry(group).or_default();
        *rows += 1.0;
        *above += f64::from(u8::from(score >= least));
        high += f64::from(u8::from(score >= least));
    }
    let share = high / n as f64;
    let independent = n as f64 * share * (1.0 - share);
    if each.len() < 2 || independent == 0.0 {
        return 1.0;
    }
    let of_groups: f64 = each.values().map(|[rows, above]| (above - share * rows).powi(2)).sum();
    let of_groups = of_groups * each.len() as f64 / (each.len() - 1) as f64;
    (of_groups / independent).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_flagged_in_whole_groups_count_as_one_each_and_scattered_ones_as_many() {
        let n = 2000;
        let groups: Vec<i64> = (0..n).map(|i| i / 10).collect();
        let together: Vec<f32> = groups.iter().map(|g| (g * 7919 % 200) as f32).collect();
        // Ten rows flagged at once: as if there were a tenth of the rows.
        let got = effect(&together, &groups);
        assert!((9.0..11.0).contains(&got), "{got}");
        let scattered: Vec<f32> = (0..n).map(|i| (i * 7919 % 2003) as f32).collect();
        assert!(effect(&scattered, &groups) < 1.5);
        assert_eq!(effect(&[1.0; 5], &[1; 5]), 1.0);
        assert_eq!(effect(&[], &[]), 1.0);
    }
}
