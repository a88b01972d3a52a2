//! Marks of rows for the client monitor, and fingerprints if the bundle has them.

use std::ops::Range;

use crate::clients::{CleanMarks, PrintScratch, Prints, RowFacts, RowVisit, marks_of};
use crate::math::poisson_upper;
use crate::record::Rows;
use crate::watch::{Bins, Of, Signals, Usual};

/// How rows of a stream are marked.
#[derive(Clone, Debug)]
pub struct Marker {
    prints: Option<Prints>,
    pub clean: CleanMarks,
}

/// A share of clean rows that few rows are: those with the least confidence.
const LOW_SHARE: f64 = 0.02;
/// How often a share is larger than it is believed to be.
const MISS: f64 = 0.01;

impl Marker {
    /// `signals` and `prints` say how clean rows are, and `flagged` how many of them are flagged.
    pub fn new(signals: &Signals, flagged: Usual, prints: Option<Prints>) -> Self {
        let matched = prints.as_ref().map(|prints| prints.measured).filter(|m| m.threshold > 0);
        let share = |count: u64, rows: u64| poisson_upper(count, MISS) / rows.max(1) as f64;
        let clean = CleanMarks {
            flagged: flagged.share(),
            confidence: low_confidence(signals),
            // Beyond .1 % a share is no bound that was asked for, below it nothing is gained.
            matched: matched.map(|m| share(m.matched, m.rows).max(1e-3)),
        };
        Self { prints, clean }
    }

    /// This marker for rows that are compared with `horizon_rows` others. The longer the horizon, the more clean rows match.
    #[must_use]
    pub fn within(mut self, horizon_rows: usize) -> Self {
        let measured = self.prints.as_ref().map_or(1, |prints| prints.measured.horizon.max(1));
        let longer = (horizon_rows as f64 / measured as f64).max(1.0);
        self.clean.matched = self.clean.matched.map(|share| share * longer);
        self
    }

    /// Fingerprints of a family that make a match; 0: rows are not matched.
    pub fn threshold(&self) -> usize {
        self.prints.as_ref().map_or(0, |prints| prints.measured.threshold)
    }

    /// Whether there are fingerprints, whatever clean rows do.
    pub fn has_prints(&self) -> bool {
        self.prints.is_some()
    }
}

/// A confidence that few clean rows are below, and the share of those rows.
fn low_confidence(signals: &Signals) -> Option<(f32, f64)> {
    let at = signals.list().iter().position(|signal| signal.of == Of::Confidence)?;
    let Bins::Edges(edges) = &signals.list()[at].bins else { return None };
    let clean = signals.clean(at);
    let rows = clean.rows();
    let (mut below, mut found) = (0, None);
    for (&edge, &count) in edges.iter().zip(clean.bins()) {
        below += count;
        if below as f64 > LOW_SHARE * rows as f64 {
            break;
        }
        found = Some((edge, poisson_upper(below, MISS) / rows.max(1) as f64));
    }
    found.filter(|(edge, _)| *edge < 1.0)
}

/// Marks of the rows of a batch; buffers are reused.
#[derive(Debug, Default)]
pub struct RowMarks {
    visits: Vec<RowVisit>,
    scratch: PrintScratch,
}

impl RowMarks {
    pub fn clear(&mut self) {
        self.visits.clear();
    }

    pub fn all(&self) -> &[RowVisit] {
        &self.visits
    }

    /// Appends the marks of each of `rows[span]`, and returns where they are. `flagged` is the most suspicious row of a flagged
    /// record. Allocates for fingerprints, because they go into a message.
    pub fn mark(
        &mut self,
        marking: &Marker,
        rows: &Rows<'_>,
        span: Range<usize>,
        flagged: Option<usize>,
    ) -> Range<usize> {
        let start = self.visits.len();
        for row in span {
            let x = rows.x.row(row);
            let x = x.as_slice().expect("rows side by side");
            let confidence = marking.clean.confidence.map(|(low, _)| {
                let largest =
                    rows.answer.row(row).iter().copied().fold(f32::NEG_INFINITY, f32::max);
                (largest.exp(), low)
            });
            let facts = RowFacts { fault: false, flagged: flagged == Some(row), confidence };
            let mut visit = RowVisit { marks: marks_of(&facts), ..RowVisit::default() };
            if let Some(prints) = &marking.prints {
                let (print, cell) = prints.of(x, &mut self.scratch);
                visit.hash = prints.hash(x);
                (visit.prints, visit.cell) =
                    ((marking.threshold() > 0).then_some(print), Some(cell));
            }
            self.visits.push(visit);
        }
        start..self.visits.len()
    }
}

/// The visit of a record without rows.
pub fn fault_visit() -> RowVisit {
    let facts = RowFacts { fault: true, ..RowFacts::default() };
    RowVisit { marks: marks_of(&facts), ..RowVisit::default() }
}
