//! A whole bundle as one differentiable function: what an attacker who holds it can climb.

use candle_core::{D, Tensor};

use super::error::RedteamError;
use crate::bundle::{
    AUTOENCODER, Bundle, LAYER_ODDS, LIKELIHOOD, NETWORKS, PIXEL_ODDS, PROTECTED_MODEL, RESTORER,
};
use crate::decide::Decider;
use crate::detect::{Detector, Setting, Soft, kind};
use crate::fit::attack::{TOGETHER, answers};
use crate::fit::graph::gradient::{Function, GradientError};
use crate::model::{Filled, Networks, Runtime};
use crate::record::Columns;

/// Networks, detectors and decider of one bundle, twice: as candle differentiates them, and as
/// ONNX Runtime and the record path compute them.
pub struct SoftGuard {
    pub model: Function,
    autoencoder: Option<Function>,
    restorer: Option<Function>,
    likelihood: Option<Function>,
    pixel_odds: Option<Function>,
    /// The protected model up to its second output, and what reads that.
    layers: Option<Function>,
    layer_odds: Option<Function>,
    detectors: Vec<(String, Box<dyn Detector>)>,
    pub decider: Decider,
    networks: Networks,
    width: usize,
}

/// What the guard makes of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    pub label: u32,
    pub flagged: bool,
}

/// What an attacker sees of some rows: answers, and each detector's score with a gradient, as far as
/// it has one.
pub struct View {
    /// `[n, k]` log-probabilities.
    pub answers: Tensor,
    /// One per detector, `[n]`.
    pub scores: Vec<Option<Tensor>>,
}

impl SoftGuard {
    /// # Errors
    /// If the bundle has no protected model, or one of its networks has no gradient.
    pub fn load(runtime: &Runtime, bundle: &Bundle) -> Result<Self, RedteamError> {
        let manifest = &bundle.manifest;
        let read = |file: &str| {
            let kind = NETWORKS.iter().find(|kind| kind.file == file).expect("a file of the list");
            let gradient = |error| RedteamError::Gradient { network: kind.name, error };
            bundle.network(file).map(Function::read).transpose().map_err(gradient)
        };
        let setting = Setting { schema: &manifest.schema, labels: manifest.labels, last_inputs: 0 };
        let mut detectors = vec![];
        for member in &manifest.detectors {
            let kind = kind(&member.kind)
                .ok_or_else(|| RedteamError::UnknownDetector(member.kind.clone()))?;
            let detector = (kind.load)(&bundle.tensors, setting)?;
            detectors.push((member.kind.clone(), detector));
        }
        let layers = bundle.network(PROTECTED_MODEL).map(Function::read_beside).transpose();
        let layers = layers
            .map_err(|error| RedteamError::Gradient { network: "the protected model", error })?;
        let layers = layers.flatten();
        Ok(Self {
            model: read(PROTECTED_MODEL)?.ok_or(RedteamError::NoProtectedModel)?,
            autoencoder: read(AUTOENCODER)?,
            pixel_odds: read(PIXEL_ODDS)?,
            layers,
            layer_odds: read(LAYER_ODDS)?,
            restorer: read(RESTORER)?,
            likelihood: read(LIKELIHOOD)?,
            detectors,
            decider: Decider::load(bundle, None)?,
            networks: Networks::load(runtime, bundle)?,
            width: manifest.schema.width(),
        })
    }

    /// The rows `z` [n, d] as the attacker sees them.
    ///
    /// # Errors
    /// If a network has no gradient.
    pub fn view(&self, z: &Tensor) -> Result<View, GradientError> {
        let none = || Tensor::zeros((z.dim(0)?, 0), z.dtype(), z.device());
        let optional = |function: &Option<Function>| match function {
            Some(function) => function.apply(z),
            None => Ok(none()?),
        };
        let answered = |version: &Tensor| match version.dim(1)? {
            0 => Ok(none()?),
            _ => answers(&self.model, version),
        };
        let (twin, restored) = (optional(&self.autoencoder)?, optional(&self.restorer)?);
        let layers = optional(&self.layers)?;
        let layer_odds = match &self.layer_odds {
            Some(function) => function.apply(&layers)?,
            None => none()?,
        };
        let soft = Soft {
            x: z.clone(),
            twin_answer: answered(&twin)?,
            restored_answer: answered(&restored)?,
            pixel_odds: optional(&self.pixel_odds)?,
            layers,
            layer_odds,
            surprisal: optional(&self.likelihood)?,
            answer: answers(&self.model, z)?,
            twin,
            restored,
        };
        let scores = self.detectors.iter().map(|(_, detector)| detector.soft(&soft));
        Ok(View { scores: scores.collect::<Result<_, _>>()?, answers: soft.answer })
    }

    /// Names of the detectors that have no gradient: the attacks here go around them blindly.
    ///
    /// # Errors
    /// As [`SoftGuard::view`].
    pub fn unseen(&self, row: &Tensor) -> Result<Vec<String>, GradientError> {
        let view = self.view(row)?;
        let named = self.detectors.iter().zip(view.scores);
        Ok(named.filter(|(_, score)| score.is_none()).map(|((name, _), _)| name.clone()).collect())
    }

    /// What the record path makes of the rows `x` [n · d].
    ///
    /// # Errors
    /// If a network fails.
    pub fn decide(&mut self, x: &[f32]) -> Result<Vec<Decision>, RedteamError> {
        let needs = self.detectors.iter().fold(Columns::ANSWER, |n, (_, d)| n.and(d.needs()));
        let (mut filled, mut decisions) = (Filled::default(), vec![]);
        for part in x.chunks(TOGETHER * self.width) {
            self.networks.fill(needs, part, &mut filled)?;
            let rows = filled.rows(part);
            let mut scores = ndarray::Array2::zeros((rows.len(), self.detectors.len()));
            for ((_, detector), column) in self.detectors.iter().zip(scores.columns_mut()) {
                detector.score(&rows, column);
            }
            for (i, scores) in scores.rows().into_iter().enumerate() {
                let merged = self.decider.merge(scores.as_slice().expect("one row"));
                let flagged = self.decider.flags(self.decider.p(merged, 1));
                decisions.push(Decision { label: rows.label(i) as u32, flagged });
            }
        }
        Ok(decisions)
    }
}

/// Σ over rows of what an attacker wants: first another answer than `labels`, then no flag. A row
/// that has both is left alone. `weight` is how much a flag counts while the answer still stands.
///
/// # Source
/// O. Bryniarski et al., "Evading adversarial example detection defenses with orthogonal projected
/// gradient descent", arXiv:2106.15023, §4: selective gradients, here mixed by a weight.
///
/// # Errors
/// If candle fails.
pub fn selective(
    guard: &SoftGuard,
    view: &View,
    labels: &[u32],
    weight: f64,
    mut done: impl FnMut(usize),
) -> Result<Tensor, GradientError> {
    let n = labels.len();
    let got = view.answers.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let values: Vec<Vec<f32>> = view
        .scores
        .iter()
        .map(|score| match score {
            Some(score) => score.to_vec1::<f32>(),
            None => Ok(vec![0.0; n]),
        })
        .collect::<Result<_, _>>()?;
    let mut push = vec![0.0_f32; n];
    let mut slopes = vec![vec![0.0_f32; n]; values.len()];
    for i in 0..n {
        let scores: Vec<f32> = values.iter().map(|column| column[i]).collect();
        let loud = guard.decider.slopes(&scores);
        let fooled = got[i] != labels[i];
        if fooled && loud.iter().all(|slope| *slope == 0.0) {
            done(i);
            continue;
        }
        push[i] = f32::from(u8::from(!fooled));
        let share = if fooled { 1.0 } else { weight };
        slopes.iter_mut().zip(loud).for_each(|(s, slope)| s[i] = slope * share as f32);
    }
    let device = view.answers.device();
    let own = Tensor::from_slice(labels, (n, 1), device)?;
    let own = view.answers.gather(&own, 1)?.squeeze(1)?;
    let mut height = own.mul(&Tensor::from_vec(push, n, device)?)?.neg()?;
    for (score, slopes) in view.scores.iter().zip(slopes) {
        if let Some(score) = score {
            height = (height - score.mul(&Tensor::from_vec(slopes, n, device)?)?)?;
        }
    }
    Ok(height.sum_all()?)
}
