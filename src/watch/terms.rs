//! What the watches of a stream were promised: frozen for a baseline.

use super::scope::panels_max;
use super::{Hypothesis, Share, Source, Usual};
use crate::alarm::{Draws, Key, WindowStart};

/// What the watches were promised; frozen for a baseline.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Length of a window.
    pub window_ms: u64,
    /// At most one false alarm is expected per this time.
    pub false_page_ms: u64,
    /// At most one false resolve is expected per this time while half of a change remains.
    pub keep_firing_for_ms: u64,
    /// Rows of one window and watch that are ranked; the rest join the reference unranked. Bounds the
    /// monitor's work. 1 where rows of a window depend on each other.
    pub draws_max: u64,
    /// What is bet against: the panel has one bet, or one set of bets, for each.
    pub hypotheses: Vec<Hypothesis>,
    /// Keys of the draws, one per hypothesis.
    keys: Vec<Key>,
}

/// Rows of a window that are ranked unless a stream asks for fewer; the keyed order makes the choice
/// exact.
pub const DRAWS_MAX: u64 = 1000;

impl Terms {
    /// `baseline` and `stream` make the draws unpredictable for who does not know them.
    pub fn new(baseline: &str, stream: &str, hypotheses: Vec<Hypothesis>, time: Times) -> Self {
        let name = |of: &Hypothesis| format!("{}\0{}", of.watch.name(), of.feature);
        let keys = hypotheses.iter().map(|of| Key::new(baseline, stream, &name(of))).collect();
        let Times { window_ms, false_page_ms, keep_firing_for_ms } = time;
        Self {
            window_ms,
            false_page_ms,
            keep_firing_for_ms,
            draws_max: DRAWS_MAX,
            hypotheses,
            keys,
        }
    }

    /// These terms with a smaller part of the budget: others have so many hundredths of it.
    #[must_use]
    pub fn leaving(mut self, hundredths: u64) -> Self {
        for hypothesis in &mut self.hypotheses {
            hypothesis.stake = hypothesis.stake * (100 - hundredths.min(100)) / 100;
        }
        self
    }

    /// The rows of a window that `watch` ranks: in keyed order.
    pub(super) fn draws(
        &self,
        watch: usize,
        (share, window): (Share, WindowStart),
        counts: Vec<u32>,
    ) -> Draws {
        Draws::new(counts, self.draws_max, share.order(self.keys[watch], window))
    }

    /// At most this share of clean rows is flagged.
    pub fn usual(&self) -> Usual {
        let others = self.hypotheses.iter().find(|of| of.source == Source::Others);
        others.map_or(Usual::UNKNOWN, Hypothesis::bound)
    }

    /// Panels that a monitor has room for, where each partition has one: those beyond share the last.
    pub fn panels_max(&self) -> usize {
        panels_max(&self.hypotheses)
    }
}

/// Lengths of time that an operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub window_ms: u64,
    pub false_page_ms: u64,
    pub keep_firing_for_ms: u64,
}
