//! What the deployed model answers changes: labels, probabilities, how far they are from the own ones.
//!
//! Ranks pairs among all earlier ones, and so begins without knowledge. It sees a model in another precision, and a
//! small change of weights that changes no label. Blind to what was so from the first pair on, and to how long answers take:
//! rows of one commit share their wait, and waits follow the load, so no rank among earlier ones means anything.

use super::{AnswerClaim, AnswerWatch, CONFIDENCE, DISTANCE, LABELS};
use crate::alarm::{Game, Reference};
use crate::record::Probability;
use crate::watch::{Concern, Watch};

/// `actual-answers`
#[derive(Debug)]
pub struct ActualAnswers;

impl Watch for ActualAnswers {
    fn name(&self) -> &'static str {
        "actual-answers"
    }

    fn hundredths(&self) -> u64 {
        1
    }

    fn concern(&self) -> Concern {
        Concern::Drift
    }

    fn needs_stationary_rows(&self) -> bool {
        true
    }
}

impl AnswerWatch for ActualAnswers {
    fn claims(&self, _: Probability) -> Vec<AnswerClaim> {
        let claim = |feature, cells: std::ops::Range<usize>, thousandths| {
            let game = Game::on_ranks(Reference::new(vec![0; cells.len()]));
            AnswerClaim { feature, cells, game, thousandths }
        };
        vec![
            claim("distance of answered probabilities from the own ones", DISTANCE, 5),
            claim("answered labels", LABELS, 4),
            claim("answered confidence", CONFIDENCE, 3),
        ]
    }
}
