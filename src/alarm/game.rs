//! What bets are against: that rows are distributed as clean ones, or that a share of rows stays within a bound.

use std::borrow::Cow;
use std::ops::Range;

use super::{Bets, Reference, ScaledFloat};

/// A hypothesis with the bets against it.
#[derive(Clone, Debug)]
pub enum Game {
    /// Rows are ranked among clean rows and all earlier ones.
    Ranks {
        bets: Cow<'static, Bets>,
        clean: Reference,
        /// How far a window is from the reference: tells when a change began and ended.
        measure: Measure,
    },
    /// Shares of rows are held against fixed bounds.
    Bounds(Vec<Event>),
}

/// How far a window is from the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// By mean and spread of its ranks.
    Ranks,
    /// By the share of rows in the highest bin. It is unusual if larger, and with `down` also if smaller.
    Share { down: bool },
    /// By the share of rows among the highest hundredth.
    Tail,
}

/// The event that more than the share `bound` of rows is in `bins`.
#[derive(Clone, Debug)]
pub struct Event {
    pub bins: Range<usize>,
    pub bound: f64,
    /// For each bet: what it pays for a row in the bins, and for one outside.
    pub bets: Vec<(ScaledFloat, ScaledFloat)>,
}

/// 1.0 of a stake.
pub const STAKE_ONE: u64 = 1 << 20;

impl Game {
    /// Bets on ranks of a number: that it shifted, or that it spreads wider or narrower.
    pub fn on_ranks(clean: Reference) -> Self {
        let bets = Cow::Borrowed(Bets::on_ranks());
        Self::Ranks { bets, clean, measure: Measure::Ranks }
    }

    /// Bets that the share of rows in the second of two bins is larger than `share`, its usual value. With `down` some bet that it
    /// is smaller.
    pub fn on_a_share(share: f64, clean: Reference, down: bool) -> Self {
        let bets = Cow::Owned(Bets::on_a_share(share, down));
        Self::Ranks { bets, clean, measure: Measure::Share { down } }
    }

    /// How many bets there are.
    pub fn bets(&self) -> usize {
        match self {
            Self::Ranks { bets, .. } => bets.count(),
            Self::Bounds(events) => events.iter().map(|event| event.bets.len()).sum(),
        }
    }

    /// Usual counts by bin: those of clean rows, or of rows at the bound.
    pub fn usual(&self) -> Vec<u64> {
        match self {
            Self::Ranks { clean, .. } => clean.bins().to_vec(),
            Self::Bounds(events) => at_bound(events[0].bound),
        }
    }
}

impl Event {
    /// One bet for each of `alternatives`: that the share is this large, at most half-way between the bound and 1.
    pub fn new(bins: Range<usize>, bound: f64, alternatives: impl Iterator<Item = f64>) -> Self {
        let bound = bound.clamp(1e-9, 1.0);
        let bet = |p1: f64| {
            if bound >= 0.98 {
                // This bet cannot win. Only its stake is lost; no promise depends on it.
                return (ScaledFloat::below(0.0), ScaledFloat::below(0.0));
            }
            let p1 = p1.min((1.0 + bound) / 2.0);
            (ScaledFloat::below(p1 / bound), ScaledFloat::below((1.0 - p1) / (1.0 - bound)))
        };
        Self { bins, bound, bets: alternatives.map(bet).collect() }
    }

    /// Bets that the share is so many times the bound.
    pub fn times(bins: Range<usize>, bound: f64, times: [f64; 3]) -> Self {
        Self::new(bins, bound, times.into_iter().map(|times| bound * times))
    }
}

/// Counts by bin of a million rows at the bound.
pub fn at_bound(bound: f64) -> Vec<u64> {
    let within = (bound * 1e6) as u64;
    vec![1_000_000 - within, within]
}
