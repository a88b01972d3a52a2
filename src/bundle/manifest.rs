//! What a bundle says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{BundleError, Digest, VERSION};
use crate::record::{Probability, Schema};

/// `manifest.toml`. Unknown keys are refused: a key we do not know may change what we must do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format version, [`VERSION`].
    pub version: u32,
    pub name: String,
    /// Share of clean records that may be flagged, unless the stream says otherwise.
    pub budget: Probability,
    /// How many labels the protected model knows; 1 without one.
    pub labels: usize,
    /// What the protected model's output means; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<AnswerKind>,
    /// Share of the budget for detectors of triggers, which are summed among themselves; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub triggers: Option<f32>,
    /// The steps that a flagged row takes before it is delivered, in their order; without it those of
    /// `sanitize::DEFAULT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<String>>,
    pub schema: Schema,
    /// The detectors whose scores are merged, in the order their scores appear in traces.
    pub detectors: Vec<Member>,
    pub clean: CleanShare,
    /// What correcting does to answers; absent without a protected model, and where it was not measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub correction: Option<Correction>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub dependence: Option<Dependence>,
    pub provenance: Provenance,
    /// SHA-256 of every other file.
    pub files: BTreeMap<String, Digest>,
}

/// What a classifier's output row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerKind {
    Logits,
    Probabilities,
}

/// One detector of the merged score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub kind: String,
    /// Its weight in the merged score, ≥ 0.
    pub weight: f32,
    #[serde(default, skip_serializing_if = "Role::is_attack")]
    pub role: Role,
}

/// How a detector joins the merged score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// In a weighted sum: attacks of our own making, or clean rows, can say how much it counts.
    #[default]
    Attack,
    /// Beside the sum: it is there for what no attack of ours shows.
    Trigger,
    /// In the sum with its weight, and with the detectors of triggers beside it.
    Both,
}

impl Role {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    fn is_attack(&self) -> bool {
        *self == Self::Attack
    }
}

/// What the finished guard did to clean rows that nothing was fitted or calibrated on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CleanShare {
    pub rows: u64,
    pub flagged: u64,
}

/// What correcting every row does to the protected model's answers, on rows that nothing was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correction {
    /// Clean rows that were corrected.
    pub rows: u64,
    /// Share of them that lose the right answer, less those that gain it; of rows without a label the
    /// model's own answer is the right one.
    pub lost: f64,
    /// The most that may be lost: beyond it `on_flagged = "correct"` is refused.
    pub loss_max: Probability,
    /// Share of attacks of our own that have their answer back; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub restored: Option<f64>,
    /// Labels that corrected attacks have wrongly more often than rightly: a record whose corrected
    /// version has one of them is held back.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub distrusted: Vec<u32>,
}

impl Correction {
    /// Whether it loses no more than it may.
    pub fn is_bearable(&self) -> bool {
        self.lost <= self.loss_max.get()
    }
}

/// How rows depend on those before them, if `fit` was told that they are in time order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dependence {
    /// Correlation time of the slowest feature.
    pub rows: f64,
    /// One row of so long a time stands for all of them; 0 if they do not depend on each other.
    pub slot_ms: u64,
    /// Whether the rows' law stays as it is; if not, only the slow watch of inputs can keep its promise.
    pub stationary: bool,
}

/// Where the bundle comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    pub data_sha256: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected_model_sha256: Option<Digest>,
    pub seed: u64,
    pub tripline: String,
    pub onnxruntime: String,
    pub rows: RowsUsed,
    pub epochs: u32,
    pub train_loss: f64,
    pub validation_loss: f64,
}

/// How many rows each part of the split had.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowsUsed {
    pub train: u64,
    pub validation: u64,
    pub ranks: u64,
    pub merged: u64,
    pub test: u64,
}

impl Manifest {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct VersionOnly {
            version: u32,
        }
        let bad = |e: toml::de::Error| BundleError::Manifest(e.to_string());
        let text = std::str::from_utf8(bytes).map_err(|e| BundleError::Manifest(e.to_string()))?;
        // The version first: a newer format should say so, not "unknown key".
        let VersionOnly { version } = toml::from_str(text).map_err(bad)?;
        if version != VERSION {
            return Err(BundleError::Version { got: version });
        }
        let manifest: Self = toml::from_str(text).map_err(bad)?;
        manifest.check().map_err(BundleError::Nonsense)?;
        Ok(manifest)
    }

    pub(super) fn write(&self) -> Vec<u8> {
        toml::to_string_pretty(self).expect("a manifest is plain data").into_bytes()
    }

    fn check(&self) -> Result<(), String> {
        self.schema.check().map_err(|e| e.to_string())?;
        if !(1..=Self::LABELS_MAX).contains(&self.labels) {
            return Err(format!("labels is {}, not 1 to {}", self.labels, Self::LABELS_MAX));
        }
        if self.answer.is_none() && self.labels != 1 {
            return Err(format!("{} labels without a protected model", self.labels));
        }
        if self.detectors.is_empty() {
            return Err("no detectors".into());
        }
        for (i, member) in self.detectors.iter().enumerate() {
            if !(member.weight.is_finite() && member.weight >= 0.0) {
                return Err(format!("the weight of {} is {}", member.kind, member.weight));
            }
            if self.detectors[..i].iter().any(|other| other.kind == member.kind) {
                return Err(format!("detector {} appears twice", member.kind));
            }
        }
        self.check_triggers()?;
        if self.steps.as_ref().is_some_and(Vec::is_empty) {
            return Err("steps names none".into());
        }
        if let Some(Dependence { rows, .. }) = self.dependence
            && !(rows.is_finite() && rows >= 1.0)
        {
            return Err(format!("rows depend on {rows} others"));
        }
        if let Some(Correction { lost, restored, .. }) = &self.correction
            && !(lost.abs() <= 1.0 && restored.is_none_or(|share| (0.0..=1.0).contains(&share)))
        {
            return Err(format!("correction loses {lost} and restores {restored:?}"));
        }
        if self.clean.flagged > self.clean.rows {
            return Err(format!(
                "{} of {} clean rows flagged",
                self.clean.flagged, self.clean.rows
            ));
        }
        Ok(())
    }

    fn check_triggers(&self) -> Result<(), String> {
        let of = |role| self.detectors.iter().filter(move |member| member.role == role);
        match self.triggers {
            Some(share) if !(share > 0.0 && share < 1.0) => {
                Err(format!("triggers is {share}, not a share of the budget"))
            }
            Some(_) if of(Role::Trigger).chain(of(Role::Both)).next().is_none() => {
                Err("triggers have a share of the budget and no detector".into())
            }
            Some(_) => Ok(()),
            None if of(Role::Both).chain(of(Role::Trigger)).next().is_some() => {
                Err("a detector of triggers, and no share of the budget for triggers".into())
            }
            None => Ok(()),
        }
    }

    /// More labels than any classifier we met has; bounds what a hostile manifest can ask for.
    pub const LABELS_MAX: usize = 1 << 16;
}
