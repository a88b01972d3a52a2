//! More records than usual have a merged score among the largest.
//!
//! Hears a campaign that stays below the threshold of single records. Blind to one that is rarer than
//! the clean rows with such scores.

use std::borrow::Cow;

use super::{Concern, Histogram, Hypothesis, Of, Watch};
use crate::alarm::{Bets, Game, Measure};

/// `score-tail`
#[derive(Debug)]
pub struct ScoreTail;

impl Watch for ScoreTail {
    fn name(&self) -> &'static str {
        "score-tail"
    }

    fn hundredths(&self) -> u64 {
        20
    }

    fn concern(&self) -> Concern {
        Concern::Attack
    }

    fn of_histogram(&self, histogram: &Histogram<'_>) -> Vec<Hypothesis> {
        if histogram.signal.of != Of::Merged {
            return vec![];
        }
        let bets = Cow::Borrowed(Bets::on_the_tail());
        let game = Game::Ranks { bets, clean: histogram.clean.clone(), measure: Measure::Tail };
        vec![Hypothesis::new(&Self, histogram.signal.name.clone(), histogram.whole(), game)]
    }
}
