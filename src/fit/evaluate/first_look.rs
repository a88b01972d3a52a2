//! What a cheap first look would keep: how many flagged rows are left if only rows that the learned detectors find odd go
//! on to the costly columns.
//!
//! The learned detectors read the row and one run of the protected model. All others need the restorer and a second run. Nothing is
//! skipped today: this says what skipping would cost.

use serde::Serialize;

use crate::decide::Decider;
use crate::math::{exceeding, threshold};

/// The detectors of the first look.
const FIRST: [&str; 2] = ["learned-pixels", "learned-layers"];

/// Of the rows that the whole guard flags, the shares that are kept if so many of the clean rows go on; none if it flags none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FirstLook {
    pub kept_at_10pct: Option<f64>,
    pub kept_at_20pct: Option<f64>,
    pub kept_at_30pct: Option<f64>,
}

impl FirstLook {
    /// Of first-look scores of clean rows `[m]` and of a suspect `[n]`, and its merged scores `[n]`, of which those from `flagged_from` on are
    /// flagged. Ties with the threshold do not go on. O(m + n).
    pub fn of(clean: &[f32], suspect: &[f32], merged: &[f32], flagged_from: f32) -> Self {
        let rows = suspect.iter().zip(merged).filter(|(_, merged)| **merged >= flagged_from);
        let flagged: Vec<f32> = rows.map(|(first, _)| *first).collect();
        let kept = |share| {
            let kept = exceeding(&flagged, threshold(clean, share));
            (!flagged.is_empty()).then(|| kept as f64 / flagged.len() as f64)
        };
        Self { kept_at_10pct: kept(0.1), kept_at_20pct: kept(0.2), kept_at_30pct: kept(0.3) }
    }
}

/// First-look scores `[n]`: what the learned detectors add to the merged sum. Shapes: `kinds` `[k]`, `scores` merged and each detector's,
/// `[1 + k][n]`. `None` for a bundle without learned detectors. O(k n log m).
pub fn first_scores(decider: &Decider, kinds: &[String], scores: &[Vec<f32>]) -> Option<Vec<f32>> {
    let is_first = |kind: &String| FIRST.contains(&kind.as_str());
    let first: Vec<usize> = (0..kinds.len()).filter(|&i| is_first(&kinds[i])).collect();
    let sum = |row: usize| first.iter().map(|&i| decider.part(i, scores[1 + i][row])).sum();
    (!first.is_empty()).then(|| (0..scores[0].len()).map(sum).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_flagged_rows_those_above_the_clean_quantile_are_kept_and_of_none_nothing_is_said() {
        let clean: Vec<f32> = (0..100).map(|i| i as f32).collect();
        // Four rows are flagged; of these 3 exceed 89, the rest 79 and 69 too.
        let (first, merged) = ([95.0, 91.0, 90.0, 89.0, 99.0], [9.0, 8.0, 7.0, 7.0, 1.0]);
        let got = FirstLook::of(&clean, &first, &merged, 7.0);
        let [ten, twenty, thirty] = [Some(0.75), Some(1.0), Some(1.0)];
        let expected =
            FirstLook { kept_at_10pct: ten, kept_at_20pct: twenty, kept_at_30pct: thirty };
        assert_eq!(got, expected);
        assert_eq!(FirstLook::of(&clean, &first, &merged, 10.0).kept_at_10pct, None);
    }
}
