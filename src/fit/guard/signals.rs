//! What a stream's watches compare with: bins and clean counts of everything that is counted of a row.
//!
//! Bins end where rows of the calibration parts say, and other rows are counted in them: then ranks
//! are exactly uniform while nothing changes.

use super::columns::Table;
use super::detectors::Detectors;
use crate::bundle::Member;
use crate::decide::Decider;
use crate::record::Schema;
use crate::score::{Counted, signal_values};
use crate::watch::Signals;

/// Learns where bins end from `edges`, counts `clean`. `members` are those that the bundle keeps.
pub fn learn(
    (schema, members, labels): (&Schema, &[Member], usize),
    (detectors, decider): (&Detectors, &Decider),
    edges: &Table,
    clean: &[&Table],
) -> Signals {
    let mut signals = Signals::of(schema, members, labels);
    let of = |table: &Table, signals: &Signals| values(signals, members, detectors, decider, table);
    let learned = of(edges, &signals);
    signals.learn_edges(&learned);
    let counted: Vec<Vec<f32>> = clean.iter().flat_map(|table| of(table, &signals)).collect();
    signals.count_clean(&counted);
    signals.bound_places(learned.iter().chain(&counted));
    signals
}

/// The values of all signals, one row per row.
fn values(
    signals: &Signals,
    members: &[Member],
    detectors: &Detectors,
    decider: &Decider,
    table: &Table,
) -> Vec<Vec<f32>> {
    let rows = table.rows();
    let scores = detectors.scores(table);
    let merged = detectors.merged(decider, table);
    let kept: Vec<_> = detectors
        .each()
        .zip(&scores)
        .filter(|((name, _), _)| members.iter().any(|member| member.kind == *name))
        .collect();
    let mut scratch = vec![];
    let value = |row: usize| {
        let of_row: Vec<f32> = kept.iter().map(|(_, scores)| scores[row]).collect();
        let counted = Counted { rows, row, scores: &of_row, merged: merged[row] };
        let mut values = vec![];
        let detectors = kept.iter().map(|((_, detector), _)| *detector);
        signal_values(signals, counted, detectors, &mut scratch, &mut values);
        values
    };
    (0..rows.len()).map(value).collect()
}
