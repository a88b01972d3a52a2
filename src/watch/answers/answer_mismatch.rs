//! The deployed model answers with another label than the bundle's own model, although that one is sure.
//!
//! Sees a swapped, stale, damaged or exchanged model within few rows, also where shares of labels stay as they were. Of
//! flagged records it is watched too: a model with a backdoor agrees on clean rows, and differs on those with the trigger.
//! Blind to a difference in probabilities that changes no label.

use super::{AnswerClaim, AnswerWatch, DIFFERS, FLAGGED_DIFFERS};
use crate::alarm::{Event, Game};
use crate::record::Probability;
use crate::watch::{Concern, Watch};

/// `answer-mismatch`
#[derive(Debug)]
pub struct AnswerMismatch;

/// Times the bound that is bet on: for another model (.04 of the rows at a bound of .00046) up to answers of other
/// requests (.9). With .06 of the budget these page sooner than 3, 10 and 40 with .10 of it, where .04 of the rows or
/// more differ: after 118, 89, 22 and 5 rows (median of 4000 runs) instead of 132, 104, 27 and 6.
const TIMES: [f64; 3] = [10.0, 60.0, 100.0];
/// A flagged row may be odd to both models: rounding may change its label so many times as often.
const OF_FLAGGED: f64 = 10.0;

impl Watch for AnswerMismatch {
    fn name(&self) -> &'static str {
        "answer-mismatch"
    }

    fn hundredths(&self) -> u64 {
        8
    }

    fn concern(&self) -> Concern {
        Concern::Tampering
    }
}

impl AnswerWatch for AnswerMismatch {
    fn claims(&self, bound: Probability) -> Vec<AnswerClaim> {
        let bound = bound.get();
        let of_flagged = (OF_FLAGGED * bound).min(0.5);
        let differ = Game::Bounds(vec![Event::times(1..2, bound, TIMES)]);
        let flagged = Game::Bounds(vec![Event::times(1..2, of_flagged, TIMES)]);
        vec![
            AnswerClaim {
                feature: "answers that differ from the bundle's own model",
                cells: DIFFERS,
                game: differ,
                thousandths: 60,
            },
            AnswerClaim {
                feature: "answers to flagged records that differ from the bundle's own model",
                cells: FLAGGED_DIFFERS,
                game: flagged,
                thousandths: 20,
            },
        ]
    }
}
