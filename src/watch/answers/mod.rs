//! What the deployed model answered, beside what the bundle's own model says of the same rows: which cells are counted, and
//! what is bet on them.
//!
//! The pairs have a panel and a part of the page budget of their own: they come later than records do, and a stream
//! whose answers nobody reads loses nothing.
//!
//! Blind to a model that agrees with the bundle's own on every row, and to one that was bad already when `fit` saw it.

mod actual_answers;
mod answer_mismatch;
mod missing_answers;

use std::ops::Range;

use super::{Hypothesis, Source, Watch};
use crate::alarm::{Game, STAKE_ONE};
use crate::record::Probability;

pub use actual_answers::ActualAnswers;
pub use answer_mismatch::AnswerMismatch;
pub use missing_answers::MissingAnswers;

/// Rows of pairs whose own margin is large: with the same label, and with another.
pub const DIFFERS: Range<usize> = 0..2;
/// Rows of flagged records whose own margin is large: with the same label, and with another.
pub const FLAGGED_DIFFERS: Range<usize> = 2..4;
/// The largest difference between two probabilities of a label, by octave: bin b is from 2^(b-24) up to twice that.
pub const DISTANCE: Range<usize> = 4..28;
/// The probability of the answered label, in 32nds.
pub const CONFIDENCE: Range<usize> = 28..60;
/// From sending on to the answer, by octave of milliseconds.
pub const LATENCY: Range<usize> = 60..84;
/// Records sent on: answered, and unanswered within the horizon.
pub const UNANSWERED: Range<usize> = 84..86;
/// Answers: of records sent on, and of records that nobody knows.
pub const ORPHANS: Range<usize> = 86..88;
/// Answered labels; the last cell is of all beyond.
pub const LABELS: Range<usize> = 88..152;

/// Hundredths of the page budget of a stream whose answers are read. The other watches have the rest.
pub const ANSWER_HUNDREDTHS: u64 = 10;

/// A claim about pairs, and its thousandths of the page budget.
#[derive(Debug)]
pub struct AnswerClaim {
    pub feature: &'static str,
    pub cells: Range<usize>,
    pub game: Game,
    pub thousandths: u64,
}

/// Watches pairs of own and deployed answers.
pub trait AnswerWatch: Watch {
    /// What it claims, where a share of rows beyond `bound` that differ is somebody's alarm.
    fn claims(&self, bound: Probability) -> Vec<AnswerClaim>;
}

/// The hypotheses about pairs: their stakes are [`ANSWER_HUNDREDTHS`] together, or less where `moves` says that rows move by
/// themselves or depend on each other.
pub fn answer_hypotheses(bound: Probability, moves: bool) -> Vec<Hypothesis> {
    let mut all = of(&AnswerMismatch, bound);
    if !moves {
        all.extend(of(&ActualAnswers, bound));
    }
    all.extend(of(&MissingAnswers, bound));
    all
}

/// The others' part of the budget, where answers are watched too.
pub fn beside_answers(hypotheses: &mut [Hypothesis]) {
    for hypothesis in hypotheses {
        hypothesis.stake = hypothesis.stake * (100 - ANSWER_HUNDREDTHS) / 100;
    }
}

fn of<W: AnswerWatch>(watch: &'static W, bound: Probability) -> Vec<Hypothesis> {
    let claims = watch.claims(bound).into_iter();
    let hypothesis = |claim: AnswerClaim| {
        let AnswerClaim { feature, cells, game, thousandths } = claim;
        let stake = STAKE_ONE * thousandths / 1000;
        let source = Source::Pairs { cells };
        Hypothesis { stake, ..Hypothesis::new(watch, feature.to_owned(), source, game) }
    };
    claims.map(hypothesis).collect()
}

/// What a bin of these cells stands for, for a person: the lower edge, in the unit of the cells.
pub fn lower_edge(cells: &Range<usize>, bin: usize) -> f64 {
    match cells {
        cells if *cells == DISTANCE => 2.0_f64.powi(bin as i32 - 24),
        cells if *cells == CONFIDENCE => bin as f64 / 32.0,
        cells if *cells == LATENCY => 2.0_f64.powi(bin as i32),
        _ => bin as f64,
    }
}

#[cfg(test)]
mod tests;
