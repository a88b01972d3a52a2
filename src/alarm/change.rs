//! Since when? The start that makes the windows since then stand out most.

use std::ops::Range;

use super::{Measure, Reference};

/// How far some rows are from what was expected, and how much chance moves that: the sum of
/// something per row, and its variance.
#[derive(Clone, Copy, Debug, Default)]
pub struct Excess {
    pub sum: f64,
    pub variance: f64,
}

/// Index of the window since when excess² / variance is largest, looking back from the newest.
pub fn start_of_change(windows: &[Vec<Excess>]) -> usize {
    let dimensions = windows.first().map_or(0, Vec::len);
    let mut since = vec![Excess::default(); dimensions];
    let mut best = (windows.len() - 1, 0.0_f64);
    for (i, window) in windows.iter().enumerate().rev() {
        for (since, excess) in since.iter_mut().zip(window) {
            since.sum += excess.sum;
            since.variance += excess.variance;
            let strength = since.sum * since.sum / since.variance.max(1e-9);
            if strength > best.1 {
                best = (i, strength);
            }
        }
    }
    best.0
}

/// Counts, not the ranks that the alarm plays on: those of rows that are all alike are all
/// tie-break, and would drown a few that stand out in noise.
pub fn excesses(measure: Measure, reference: &Reference, counts: &[u32]) -> Vec<Excess> {
    let rows = f64::from(counts.iter().sum::<u32>());
    let all = reference.rows() as f64 + 1.0;
    match measure {
        Measure::Share { down } => {
            let share = (reference.bins()[1] as f64 + 0.5) / all;
            let sum = f64::from(counts[1]) - share * rows;
            let sum = if down { sum } else { sum.max(0.0) };
            vec![Excess { sum, variance: share * rows }]
        }
        Measure::Tail => {
            let (mut above, mut expected, mut seen) = (0, 0.0, 0.0);
            for (&count, &usual) in counts.iter().zip(reference.bins()).rev() {
                if (above + usual) as f64 > 0.01 * all && above > 0 {
                    break;
                }
                above += usual;
                expected = above as f64 / all;
                seen += f64::from(count);
            }
            let expected = expected.max(1.0 / all);
            vec![Excess { sum: (seen - expected * rows).max(0.0), variance: expected * rows }]
        }
        Measure::Ranks => {
            let (mut below, mut shift, mut spread) = (0, 0.0, 0.0);
            for (&count, &usual) in counts.iter().zip(reference.bins()) {
                let rank = (below as f64 + usual as f64 / 2.0 + 0.5) / all;
                below += usual;
                shift += f64::from(count) * (rank - 0.5);
                spread += f64::from(count) * (6.0 * rank * rank - 6.0 * rank + 1.0);
            }
            // Variances of uniform ranks.
            let of = |sum, variance| Excess { sum, variance: variance * rows };
            vec![of(shift, 1.0 / 12.0), of(spread, 1.0 / 5.0)]
        }
    }
}

/// Rows in `bins`, and all of them.
pub fn hits(counts: &[u32], bins: &Range<usize>) -> (u64, u64) {
    let sum = |counts: &[u32]| counts.iter().map(|&count| u64::from(count)).sum();
    (sum(&counts[bins.clone()]), sum(counts))
}
