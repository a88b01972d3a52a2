//! Detectors that have learned, and what was made of their scores: the guard before it is a bundle.

use ndarray::Array1;

use super::columns::Table;
use crate::bundle::{Bundle, Member, Tensors};
use crate::decide::{Calibration, Decider, Merge};
use crate::detect::{Detector, Kind, ROSTER, Setting};
use crate::math::RankTail;
use crate::record::{Columns, Probability};

use super::FitError;

/// The detectors of a bundle in roster order.
pub struct Detectors(Vec<(&'static Kind, Box<dyn Detector>)>);

impl Detectors {
    /// Columns that learning and scoring need filled.
    pub fn needs(guarded: bool) -> Columns {
        roster(guarded).fold(Columns::X, |needs, kind| needs | kind.needs)
    }

    /// Every detector of the roster that makes sense here, learned from `train`.
    pub fn learn(train: &Table, setting: Setting<'_>, guarded: bool) -> Self {
        let learn = |kind: &'static Kind| (kind, (kind.learn)(&train.rows(), setting));
        Self(roster(guarded).map(learn).collect())
    }

    /// Those of a bundle.
    ///
    /// # Errors
    /// If the bundle names a detector we do not have, or lacks what one learned.
    pub fn load(bundle: &Bundle) -> Result<Self, FitError> {
        let manifest = &bundle.manifest;
        let setting = Setting { schema: &manifest.schema, labels: manifest.labels };
        let load = |member: &Member| {
            let kind = crate::detect::kind(&member.kind)
                .ok_or_else(|| FitError::SelfCheck(format!("no detector {:?}", member.kind)))?;
            Ok((kind, (kind.load)(&bundle.tensors, setting)?))
        };
        manifest.detectors.iter().map(load).collect::<Result<_, _>>().map(Self)
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
    ) -> Result<Decider, FitError> {
        let tails = self.scores(ranks).into_iter().map(|scores| RankTail::new(scores.to_vec()));
        let merge = Merge::new(self.members().into_iter().zip(tails).collect());
        let calibration = Calibration::new(merge_rows(&self.scores(merged), |s| merge.score(s)));
        let clean = merge_rows(&self.scores(clean), |s| merge.score(s));
        Ok(Decider::new(merge, calibration, clean, budget)?)
    }

    /// The merged score of every row, `[n]`.
    pub fn merged(&self, decider: &Decider, table: &Table) -> Vec<f32> {
        merge_rows(&self.scores(table), |scores| decider.weigh(scores).0)
    }

    pub fn members(&self) -> Vec<Member> {
        let member = |kind: &Kind| Member { kind: kind.name.into(), weight: weight(kind.name) };
        self.0.iter().map(|(kind, _)| member(kind)).collect()
    }

    pub fn save(&self, tensors: &mut Tensors) {
        self.0.iter().for_each(|(_, detector)| detector.save(tensors));
    }
}

/// A detector's weight in the merged score.
fn weight(_kind: &str) -> f32 {
    1.0
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
