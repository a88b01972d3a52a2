//! Rows worth looking at: suspects that passed with the lowest score, clean rows that were flagged hardest.
//!
//! A handful is no sample: it shows how a guard fails at its worst, not how it fails on the whole.

use crate::record::{Action, Reasons, Verdict};
use crate::score::Explanation;

/// One row and everything there is to say about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Specimen {
    /// Position in its file, from 0.
    pub row: u64,
    pub action: Action,
    pub p: f32,
    pub score: f32,
    /// What its label says, if it has one.
    pub truth: Option<i64>,
    /// What the protected model answers to it, and to the corrected row.
    pub answers: Option<(usize, usize)>,
    /// Each detector's share of the merged score, in the bundle's order.
    pub shares: Vec<f32>,
    /// Which of them is the largest: `heat` and `reasons` are its.
    pub leading: usize,
    /// The row as it was scored, what a correction makes of it, and how much each feature speaks
    /// against it, `[d]` each.
    pub x: Vec<f32>,
    pub corrected: Vec<f32>,
    pub heat: Vec<f32>,
    pub reasons: Reasons,
    /// What the leading detector compares the row with, `[d]`.
    pub typical: Vec<f32>,
}

/// The few rows of a file with the lowest or the highest scores.
#[derive(Debug)]
pub(super) struct Shelf {
    most: usize,
    /// What a score is multiplied by, so that the rows wanted have the largest.
    sign: f32,
    kept: Vec<Specimen>,
}

impl Shelf {
    pub fn of_lowest(most: usize) -> Self {
        Self { most, sign: -1.0, kept: vec![] }
    }

    pub fn of_highest(most: usize) -> Self {
        Self { most, sign: 1.0, kept: vec![] }
    }

    /// Looks at a row if it is stranger, or more ordinary, than one that is kept; the first of
    /// equals stays.
    pub fn offer(
        &mut self,
        verdict: Verdict,
        look: &Explanation<'_>,
        (row, truth): (u64, Option<i64>),
        answers: Option<(usize, usize)>,
    ) {
        let rank = |score: f32| self.sign * score;
        let at = self.kept.partition_point(|kept| rank(kept.score) >= rank(verdict.score));
        if at == self.most {
            return;
        }
        let (mut corrected, mut typical) = (vec![], vec![]);
        look.corrected(&mut corrected);
        let specimen = Specimen {
            row,
            action: verdict.action,
            p: verdict.p,
            score: verdict.score,
            truth,
            answers,
            shares: look.shares(),
            leading: look.leading(),
            x: look.x().to_vec(),
            heat: look.heat(),
            reasons: look.reasons(&mut typical),
            corrected,
            typical,
        };
        self.kept.insert(at, specimen);
        self.kept.truncate(self.most);
    }

    /// What is kept, the most extreme first.
    pub fn into_kept(self) -> Vec<Specimen> {
        self.kept
    }
}
