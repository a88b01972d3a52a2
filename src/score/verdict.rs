//! The verdict of a record: that of its most suspicious row, given how many rows it has.

use std::ops::Range;

use super::columns::Scored;
use super::{Explanation, Guard};
use crate::record::{Action, Reasons, Verdict};

/// Stands for the verdict of a record until it is scored.
pub const UNJUDGED: Verdict =
    Verdict { action: Action::Pass, p: 1.0, score: 0.0, reasons: Reasons::NONE };

/// The verdict of the record whose rows are `rows` of `x`, and the row that it is about. `typical` is scratch.
pub fn verdict(
    guard: &Guard,
    scored: &Scored,
    x: &[f32],
    rows: Range<usize>,
    typical: &mut Vec<f32>,
) -> (usize, Verdict) {
    let n = rows.len();
    let (worst, score) = worst(scored, rows);
    let p = guard.decider.p(score, n);
    let action = guard.decider.action(p, guard.policy);
    let reasons = match action {
        Action::Pass => Reasons::default(),
        _ => Explanation::new(guard, scored, x, worst).reasons(typical),
    };
    (worst, Verdict { action, p: p as f32, score, reasons })
}

/// The most suspicious of `rows`, the first of equals, and its merged score.
pub fn worst(scored: &Scored, rows: Range<usize>) -> (usize, f32) {
    let mut worst = (rows.start, f32::NEG_INFINITY);
    for row in rows {
        let merged = scored.merged(row);
        if merged > worst.1 {
            worst = (row, merged);
        }
    }
    worst
}
