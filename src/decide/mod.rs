//! The scores of a row → one merged score → one p-value → an action.

mod calibration;
mod correction;
mod merge;
mod policy;

use crate::bundle::{Bundle, Member, TensorError, Tensors};
use crate::record::{Action, Probability};

pub use calibration::Calibration;
pub use correction::Version;
pub use merge::Merge;
pub use policy::{Mode, OnFlagged, OnGuardFailure, Policy};

/// Everything between the detectors' scores and an action. It never changes, and all workers share it.
#[derive(Clone, Debug)]
pub struct Decider {
    merge: Merge,
    calibration: Calibration,
    budget: Probability,
    /// Merged scores of clean rows that nothing was fitted on: the reference of the evidence.
    clean: Vec<f32>,
}

/// Why a budget cannot be kept.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "a budget of {budget} needs at least {needed} calibration rows; the bundle has {rows}: \
     raise the budget, or fit with more data"
)]
pub struct BudgetTooSmall {
    pub budget: Probability,
    pub rows: usize,
    pub needed: usize,
}

/// Why a [`Decider`] cannot be made from a bundle.
#[derive(Debug, thiserror::Error)]
pub enum DeciderError {
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error(transparent)]
    Budget(#[from] BudgetTooSmall),
}

impl Decider {
    /// `clean` are merged scores of rows that neither `merge` nor `calibration` was made from.
    ///
    /// # Errors
    /// If the calibration cannot support `budget`: fewer rows than one flagged row needs.
    pub fn new(
        merge: Merge,
        calibration: Calibration,
        clean: Vec<f32>,
        budget: Probability,
    ) -> Result<Self, BudgetTooSmall> {
        let needed = Calibration::rows_needed(budget);
        if calibration.rows() < needed {
            return Err(BudgetTooSmall { budget, rows: calibration.rows(), needed });
        }
        Ok(Self { merge, calibration, budget, clean })
    }

    /// From a bundle; `budget` overrides the bundle's own.
    ///
    /// # Errors
    /// If a tensor is missing or misshapen, or the budget is too small for the calibration.
    pub fn load(bundle: &Bundle, budget: Option<Probability>) -> Result<Self, DeciderError> {
        let manifest = &bundle.manifest;
        let merge = Merge::load(&bundle.tensors, &manifest.detectors, manifest.triggers)?;
        let calibration = Calibration::load(&bundle.tensors)?;
        let clean = bundle.tensors.vector(CLEAN, None)?.to_vec();
        Ok(Self::new(merge, calibration, clean, budget.unwrap_or(manifest.budget))?)
    }

    pub fn save(&self, tensors: &mut Tensors) {
        self.merge.save(tensors);
        self.calibration.save(tensors);
        tensors.put(CLEAN, &[self.clean.len()], self.clean.clone());
    }

    /// The detectors and their weights, in the order of their scores.
    pub fn members(&self) -> Vec<Member> {
        self.merge.members()
    }

    /// The share of the budget that detectors of triggers have together, if they are summed.
    pub fn triggers(&self) -> Option<f32> {
        self.merge.triggers()
    }

    pub fn budget(&self) -> Probability {
        self.budget
    }

    /// The merged score of one row. Shape: `scores` `[k]`, in the order of `detect::ALL`.
    pub fn merge(&self, scores: &[f32]) -> f32 {
        self.merge.score(scores)
    }

    /// The p-value of a record of `rows` rows, the most suspicious of which has this merged score.
    pub fn p(&self, merged: f32, rows: usize) -> f64 {
        self.calibration.p_of_record(merged, rows)
    }

    /// The largest record whose p-value is a rank and nothing else.
    pub fn rows_max(&self) -> usize {
        (self.budget.get() * (self.calibration.rows() + 1) as f64) as usize
    }

    /// What detector `i` adds to the sum with this score; 0 if it stands beside the sum. O(log m).
    pub fn part(&self, i: usize, score: f32) -> f32 {
        self.merge.part(i, score)
    }

    /// Index of the detector with the largest part of the merged score of a row. Shape: `scores` `[k]`.
    pub fn leading(&self, scores: &[f32]) -> usize {
        self.merge.leading(scores)
    }

    /// Each detector's share of the merged score of a row, into `shares` `[k]`. All are 0 if the score is 0. Shape: `scores`
    /// `[k]`.
    pub fn shares(&self, scores: &[f32], shares: &mut Vec<f32>) {
        self.merge.shares(scores, shares);
    }

    /// The slope of the merged score above the threshold, in each detector's score. 0 for a row that passes. Shape: `[k]`
    /// both.
    pub fn slopes(&self, scores: &[f32]) -> Vec<f32> {
        self.merge.slopes(scores, self.calibration.threshold(self.budget))
    }

    /// Whether a row with this p-value is flagged.
    pub fn flags(&self, p: f64) -> bool {
        p <= self.budget.get()
    }

    /// How many of the clean rows held out for this purpose are flagged, and how many there are.
    pub fn clean_flagged(&self) -> (u64, u64) {
        let flagged = self.clean.iter().filter(|&&s| self.flags(self.calibration.p(s))).count();
        (flagged as u64, self.clean.len() as u64)
    }

    /// What `policy` wants for a row with this p-value.
    pub fn action(&self, p: f64, policy: Policy) -> Action {
        match (self.flags(p), policy.on_flagged) {
            (false, _) => Action::Pass,
            (true, OnFlagged::Correct) => Action::Correct,
            (true, OnFlagged::Quarantine) => Action::Quarantine,
        }
    }
}

const CLEAN: &str = "clean.merged";
