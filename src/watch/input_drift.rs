//! A feature of the inputs, or a detector's score, is distributed in another way.
//!
//! Ranks rows among clean rows and all earlier ones. Blind to a change that leaves each feature by itself
//! distributed as before, and to what drifts so slowly that the reference drifts along: that is what
//! `slow_drift` is for.

use super::{Bins, Concern, Histogram, Hypothesis, Of, Source, Watch};
use crate::alarm::{Game, Reference};

/// `input-drift`
#[derive(Debug)]
pub struct InputDrift;

impl Watch for InputDrift {
    fn name(&self) -> &'static str {
        "input-drift"
    }

    fn hundredths(&self) -> u64 {
        30
    }

    fn concern(&self) -> Concern {
        Concern::Drift
    }

    fn needs_stationary_rows(&self) -> bool {
        true
    }

    fn of_histogram(&self, histogram: &Histogram<'_>) -> Vec<Hypothesis> {
        match histogram.signal.of {
            Of::Merged | Of::Place | Of::Confidence | Of::Label => vec![],
            _ => histogram.drift(&Self),
        }
    }
}

impl Histogram<'_> {
    /// All of its bins.
    pub(super) fn whole(&self) -> Source {
        Source::Signal { index: self.index, cells: self.cells.clone() }
    }

    /// Claims of `watch` that rows are distributed as before: ranked by their number or, where bins are
    /// numbered, bin by bin.
    pub(super) fn drift(&self, watch: &'static dyn Watch) -> Vec<Hypothesis> {
        let Self { signal, clean, .. } = self;
        let bins = match signal.bins {
            Bins::Edges(_) => {
                let game = Game::on_ranks(clean.clone());
                return vec![Hypothesis::new(watch, signal.name.clone(), self.whole(), game)];
            }
            Bins::Numbered(n) => n,
        };
        let of_bin = |bin: usize| {
            let (all, inside) = (clean.rows(), clean.bins()[bin]);
            let share = (inside as f64 + 0.5) / (all as f64 + 1.0);
            let game = Game::on_a_share(share, Reference::new(vec![all - inside, inside]), true);
            let source = Source::Bin { index: self.index, cells: self.cells.clone(), bin };
            Hypothesis::new(watch, format!("{} {bin}", signal.name), source, game)
        };
        (0..bins).filter(|&bin| Some(bin) != self.never_seen()).map(of_bin).collect()
    }

    /// The bin of values that no clean row had.
    pub(super) fn never_seen(&self) -> Option<usize> {
        matches!(self.signal.of, Of::Category(_)).then(|| self.signal.bins.count() - 1)
    }
}
