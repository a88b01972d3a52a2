//! Records that were sent on and never answered, and answers of records that nobody sent on.
//!
//! How many are lost where nothing is wrong, nobody has told us: the stream itself does. Blind to a share that was so
//! from the first record on.

use super::{AnswerClaim, AnswerWatch, ORPHANS, UNANSWERED};
use crate::alarm::{Game, Reference};
use crate::record::Probability;
use crate::watch::{Concern, Watch};

/// `missing-answers`
#[derive(Debug)]
pub struct MissingAnswers;

/// What a share is bet against before the stream has shown its own.
const USUAL: f64 = 0.01;

impl Watch for MissingAnswers {
    fn name(&self) -> &'static str {
        "missing-answers"
    }

    fn hundredths(&self) -> u64 {
        1
    }

    fn concern(&self) -> Concern {
        Concern::Quality
    }
}

impl AnswerWatch for MissingAnswers {
    fn claims(&self, _: Probability) -> Vec<AnswerClaim> {
        let game = || Game::on_a_share(USUAL, Reference::new(vec![0, 0]), false);
        vec![
            AnswerClaim {
                feature: "records without an answer",
                cells: UNANSWERED,
                game: game(),
                thousandths: 3,
            },
            AnswerClaim {
                feature: "answers without a record",
                cells: ORPHANS,
                game: game(),
                thousandths: 2,
            },
        ]
    }
}
