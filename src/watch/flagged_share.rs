//! More records are flagged than the budget says.
//!
//! Records of the own bundle are ranked among clean ones; those that another bundle judged are held
//! against what that one says of itself. Blind to a campaign rarer than about half the budget.

use super::{Baseline, Concern, Hypothesis, Source, Usual, Watch};
use crate::alarm::{Event, Game, Reference};
use crate::record::Probability;

/// How clean records are flagged.
#[derive(Clone, Copy, Debug)]
pub struct Flagged {
    /// The share that may be.
    pub budget: Probability,
    /// Of so many clean records so many were.
    pub rows: u64,
    pub flagged: u64,
}

/// `flagged-share`
#[derive(Debug)]
pub struct FlaggedShare;

impl Watch for FlaggedShare {
    fn name(&self) -> &'static str {
        "flagged-share"
    }

    fn hundredths(&self) -> u64 {
        10
    }

    fn concern(&self) -> Concern {
        Concern::Attack
    }

    fn of_records(&self, clean: Flagged) -> Vec<Hypothesis> {
        let Flagged { budget, rows, flagged } = clean;
        let clean = Reference::new(vec![rows - flagged, flagged]);
        let own = Game::on_a_share(budget.get(), clean, false);
        let others = Game::Bounds(vec![others(Usual::new(budget.get(), rows, flagged))]);
        [
            ("flagged records", Source::Flagged, own),
            ("flagged records of another bundle", Source::Others, others),
        ]
        .map(|(name, source, game)| Hypothesis::new(&Self, name.into(), source, game))
        .into()
    }
}

/// More records of other bundles are flagged than those flag of clean ones.
pub(super) fn others(usual: Usual) -> Event {
    Event::times(1..2, usual.share(), [3.0, 10.0, 40.0])
}

impl Flagged {
    /// How it is told to a monitor of another bundle.
    pub fn baseline(self, baseline: &str) -> Baseline {
        let Self { budget, rows, flagged } = self;
        Baseline { baseline: baseline.into(), budget: budget.get(), rows, flagged }
    }
}
