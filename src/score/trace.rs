//! What the trace header of a record says.

use super::Guard;
use super::outcome::{Outcome, Span};
use crate::decide::Mode;
use crate::emit::Trace;
use crate::record::{Action, Record};

/// `scores` are those of the record's most suspicious row, `[k]`, and `shares` each detector's share of them, or none.
/// `corrected`: what leaves is the corrected version.
pub fn trace<'a>(
    guard: &Guard,
    record: &Record<'_>,
    outcome: &Outcome,
    span: &Span,
    (scores, shares): (&'a [f32], &'a [f32]),
    corrected: bool,
) -> Trace<'a> {
    let verdict = outcome.judged.ok().filter(|_| !outcome.unscored);
    Trace {
        flagged: verdict.is_some_and(|verdict| verdict.action != Action::Pass),
        corrected,
        fault: outcome.judged.is_err(),
        observed: guard.policy.mode == Mode::Observe,
        unscored: outcome.unscored,
        source: record.at,
        bundle: guard.digest().prefix(),
        revision: guard.revision(),
        p: verdict.map_or(f32::NAN, |verdict| verdict.p),
        merged: verdict.map_or(f32::NAN, |verdict| verdict.score),
        rows: span.rows.len() as u32,
        row: if verdict.is_some() { (span.worst - span.rows.start) as u32 } else { 0 },
        scores,
        shares,
        reasons: verdict.map(|verdict| verdict.reasons).unwrap_or_default(),
    }
}
