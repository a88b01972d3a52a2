//! Detectors that have learned, and what was made of their scores: the guard before it is a bundle.

use ndarray::Array1;

use super::columns::Table;
use super::merge_weights::weights;
use crate::bundle::{Member, Tensors};
use crate::decide::{BudgetTooSmall, Calibration, Decider, Merge};
use crate::detect::{Detector, Kind, ROSTER, Setting};
use crate::math::RankTail;
use crate::record::{Columns, Probability};

/// The detectors of a bundle in roster order.
pub struct Detectors(Vec<(&'static Kind, Box<dyn Detector>)>);

impl Detectors {
    /// Columns that learning and scoring need filled.
    pub fn needs(guarded: bool) -> Columns {
        roster(guarded).fold(Columns::X, |needs, kind| needs.and(kind.needs))
    }

    /// Every detector of the roster that makes sense here, learned from `train`.
    pub fn learn(train: &Table, setting: Setting<'_>, guarded: bool) -> Self {
        let learn = |kind: &'static Kind| (kind, (kind.learn)(&train.rows(), setting));
        Self(roster(guarded).map(learn).collect())
    }

    /// Scores of every row, one array `[n]` per detector.
    pub fn scores(&self, table: &Table) -> Vec<Array1<f32>> {
        let rows = table.rows();
        let score = |(_, detector): &(&Kind, Box<dyn Detector>)| {
            let mut scores = Array1::zeros(rows.len());
            detector.score(&rows, scores.view_mut());
            scores
        };
        self.0.iter().map(score).collect()
    }

    /// Calibrates twice, on rows that nothing was learned from and that do not overlap: each
    /// detector's ranks on `ranks`, what is merged of them on `merged`. `clean` is only scored.
    ///
    /// # Errors
    /// If `merged` has too few rows for `budget`.
    pub fn calibrate(
        &self,
        ranks: &Table,
        merged: &Table,
        clean: &Table,
        budget: Probability,
    ) -> Result<Decider, BudgetTooSmall> {
        let scores = self.scores(ranks);
        let tails: Vec<_> = scores.iter().map(|s| RankTail::new(s.to_vec())).collect();
        let surprise =
            |(scores, tail): (&Array1<f32>, &RankTail)| scores.mapv(|s| tail.surprise(s));
        let weights = weights(&scores.iter().zip(&tails).map(surprise).collect::<Vec<_>>());
        let names = self.0.iter().map(|(kind, _)| kind.name.to_owned());
        let members = names.zip(weights).map(|(kind, weight)| Member { kind, weight });
        let merge = Merge::new(members.zip(tails).collect());
        let calibration = Calibration::new(merge_rows(&self.scores(merged), |s| merge.score(s)));
        let clean = merge_rows(&self.scores(clean), |s| merge.score(s));
        Decider::new(merge, calibration, clean, budget)
    }

    /// Puts what all of them learned where a bundle keeps it.
    pub fn save(&self, tensors: &mut Tensors) {
        self.0.iter().for_each(|(_, detector)| detector.save(tensors));
    }
}

fn roster(guarded: bool) -> impl Iterator<Item = &'static Kind> {
    ROSTER.iter().filter(move |kind| guarded || !kind.needs_guarded_model)
}

/// `merge` of each row's scores, given one array per detector.
fn merge_rows(scores: &[Array1<f32>], merge: impl Fn(&[f32]) -> f32) -> Vec<f32> {
    let n = scores.first().map_or(0, Array1::len);
    let mut row = vec![0.0; scores.len()];
    let score = |i| {
        row.iter_mut().zip(scores).for_each(|(slot, scores)| *slot = scores[i]);
        merge(&row)
    };
    (0..n).map(score).collect()
}
