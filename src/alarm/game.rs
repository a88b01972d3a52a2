//! What is bet on: that rows come as clean ones did, or that a share of them stays within a bound.

use std::borrow::Cow;
use std::ops::Range;

use super::{Bets, Reference, ScaledFloat};

/// What is bet on.
#[derive(Clone, Debug)]
pub enum Game {
    /// Rows are ranked among clean rows and all earlier ones.
    Ranks {
        bets: Cow<'static, Bets>,
        clean: Reference,
        /// What is counted of a change to find its start and to see it end.
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
    /// By the share of rows in its highest bin or, `down`, also by that being smaller.
    Share { down: bool },
    /// By the share of rows among the highest hundredth.
    Tail,
}

/// Rows in `bins` are more than the share `bound` of all.
#[derive(Clone, Debug)]
pub struct Event {
    pub bins: Range<usize>,
    pub bound: f64,
    /// What a row pays that is in them, and one that is not; one pair per bet.
    pub bets: Vec<(ScaledFloat, ScaledFloat)>,
}

/// 1.0 of a stake.
pub const STAKE_ONE: u64 = 1 << 20;

impl Game {
    /// On ranks of a number: shifted, wider or narrower.
    pub fn on_ranks(clean: Reference) -> Self {
        let bets = Cow::Borrowed(Bets::on_ranks());
        Self::Ranks { bets, clean, measure: Measure::Ranks }
    }

    /// On the share of rows in the second of two bins, which is about `share`; `down`: also on that being
    /// smaller.
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

    /// Counts by bin of what is usual: clean rows, or rows at the bound.
    pub fn usual(&self) -> Vec<u64> {
        match self {
            Self::Ranks { clean, .. } => clean.bins().to_vec(),
            Self::Bounds(events) => at_bound(events[0].bound),
        }
    }
}

impl Event {
    /// Bets that the share is the bound times or plus so much, at most half-way to 1.
    pub fn new(bins: Range<usize>, bound: f64, alternatives: impl Iterator<Item = f64>) -> Self {
        let bound = bound.clamp(1e-9, 1.0);
        let bet = |p1: f64| {
            if bound >= 0.98 {
                // It cannot win; its stake is lost, and nothing that was promised.
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
