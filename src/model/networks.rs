//! The networks of a bundle, and the columns they fill.

use std::time::Duration;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Deadline, ModelError, Network, Runtime};
use crate::bundle::{AnswerKind, Bundle};
use crate::math::log_softmax_rows;
use crate::record::{Columns, Rows};

/// What messages call the networks of a bundle, in the order of [`Bundle::networks`].
pub const NETWORKS: [&str; 4] = [AUTOENCODER, PROTECTED, RESTORER, LIKELIHOOD];
const AUTOENCODER: &str = "the autoencoder";
pub(super) const PROTECTED: &str = "the guarded model";
const RESTORER: &str = "the restorer";
const LIKELIHOOD: &str = "the likelihood";

/// The networks of a bundle. One set per worker thread.
pub struct Networks {
    autoencoder: Network,
    guarded: Option<(Network, AnswerKind)>,
    restorer: Option<Network>,
    likelihood: Option<Network>,
    width: usize,
}

/// ONNX files of the networks; all but the autoencoder may be absent.
#[derive(Clone, Copy, Debug)]
pub struct Onnx<'a> {
    pub autoencoder: &'a [u8],
    pub guarded: Option<(AnswerKind, &'a [u8])>,
    pub restorer: Option<&'a [u8]>,
    pub likelihood: Option<&'a [u8]>,
}

/// Columns of one batch, owned; [`Filled::rows`] lends them.
#[derive(Debug, Default)]
pub struct Filled {
    width: usize,
    labels: usize,
    twin: Vec<f32>,
    answer: Vec<f32>,
    twin_answer: Vec<f32>,
    restored: Vec<f32>,
    restored_answer: Vec<f32>,
    surprisal: Vec<f32>,
}

impl Networks {
    /// # Errors
    /// If a network does not load or does not fit the bundle's schema and labels.
    pub fn load(runtime: &Runtime, bundle: &Bundle) -> Result<Self, ModelError> {
        let manifest = &bundle.manifest;
        let onnx = Onnx {
            autoencoder: &bundle.autoencoder,
            guarded: manifest.answer.zip(bundle.guarded_model.as_deref()),
            restorer: bundle.restorer.as_deref(),
            likelihood: bundle.likelihood.as_deref(),
        };
        let networks = Self::new(runtime, manifest.schema.width(), onnx)?;
        match &networks.guarded {
            Some((network, _)) if network.outputs() != manifest.labels => {
                Err(ModelError::Signature {
                    network: PROTECTED,
                    expected: format!("{} answers, as the manifest says", manifest.labels),
                    got: network.outputs().to_string(),
                })
            }
            _ => Ok(networks),
        }
    }

    /// Networks over rows of `width`, before there is a bundle: how `fit` starts.
    ///
    /// # Errors
    /// If a network does not load or does not take rows of `width`.
    pub fn new(runtime: &Runtime, width: usize, onnx: Onnx<'_>) -> Result<Self, ModelError> {
        let same_width = |name: &'static str, onnx: &[u8]| {
            let network = Network::load(runtime, name, onnx, width)?;
            if network.outputs() == width {
                return Ok(network);
            }
            Err(ModelError::Signature {
                network: name,
                expected: format!("{width} outputs per row"),
                got: network.outputs().to_string(),
            })
        };
        let guarded = match onnx.guarded {
            Some((kind, onnx)) => Some((Network::load(runtime, PROTECTED, onnx, width)?, kind)),
            None => None,
        };
        Ok(Self {
            autoencoder: same_width(AUTOENCODER, onnx.autoencoder)?,
            guarded,
            restorer: onnx.restorer.map(|onnx| same_width(RESTORER, onnx)).transpose()?,
            likelihood: onnx.likelihood.map(|onnx| same_width(LIKELIHOOD, onnx)).transpose()?,
            width,
        })
    }

    /// The same, but no run takes longer than `limit`.
    ///
    /// # Errors
    /// If there is no thread to look at the clock.
    pub fn limited_to(self, limit: Duration) -> Result<Self, ModelError> {
        let deadline = Deadline::new(limit)?;
        let limited = |network: Network| network.limited(deadline.clone());
        Ok(Self {
            autoencoder: limited(self.autoencoder),
            guarded: self.guarded.map(|(network, kind)| (limited(network), kind)),
            restorer: self.restorer.map(limited),
            likelihood: self.likelihood.map(limited),
            width: self.width,
        })
    }

    /// How many labels the guarded model knows; 1 without one.
    pub fn labels(&self) -> usize {
        self.guarded.as_ref().map_or(1, |(network, _)| network.outputs())
    }

    /// How many columns there can be as wide as a row, the rows themselves among them, and how many
    /// of answers.
    pub fn columns(&self) -> (usize, usize) {
        let (restored, surprisal) = (self.restorer.is_some(), self.likelihood.is_some());
        (2 + usize::from(restored) + usize::from(surprisal), 2 + usize::from(restored))
    }

    /// Fills the columns in `needs` for the rows `x`, `[n · width]`.
    ///
    /// # Errors
    /// If a network fails or gives a number that is not finite.
    pub fn fill(
        &mut self,
        needs: Columns,
        x: &[f32],
        filled: &mut Filled,
    ) -> Result<(), ModelError> {
        filled.width = self.width;
        filled.labels = self.labels();
        let columns = [
            &mut filled.twin,
            &mut filled.answer,
            &mut filled.twin_answer,
            &mut filled.restored,
            &mut filled.restored_answer,
            &mut filled.surprisal,
        ];
        columns.into_iter().for_each(Vec::clear);
        if needs.contains(Columns::TWIN) || needs.contains(Columns::TWIN_ANSWER) {
            self.autoencoder.run(x, &mut filled.twin)?;
        }
        let restored = Columns::RESTORED.and(Columns::RESTORED_ANSWER);
        if let Some(restorer) = self.restorer.as_mut().filter(|_| needs.meets(restored)) {
            restorer.run(x, &mut filled.restored)?;
        }
        if let Some(likelihood) = &mut self.likelihood
            && needs.contains(Columns::SURPRISAL)
        {
            likelihood.run(x, &mut filled.surprisal)?;
        }
        let Some((network, kind)) = &mut self.guarded else { return Ok(()) };
        if needs.contains(Columns::ANSWER) {
            answer(network, *kind, x, &mut filled.answer)?;
        }
        if needs.contains(Columns::TWIN_ANSWER) {
            answer(network, *kind, &filled.twin, &mut filled.twin_answer)?;
        }
        if needs.contains(Columns::RESTORED_ANSWER) {
            answer(network, *kind, &filled.restored, &mut filled.restored_answer)?;
        }
        Ok(())
    }
}

fn answer(
    network: &mut Network,
    kind: AnswerKind,
    x: &[f32],
    out: &mut Vec<f32>,
) -> Result<(), ModelError> {
    network.run(x, out)?;
    if kind == AnswerKind::Probabilities {
        // ln p are logits of p; the floor keeps ln 0 finite.
        out.iter_mut().for_each(|p| *p = p.max(f32::MIN_POSITIVE).ln());
    }
    let shape = (out.len() / network.outputs(), network.outputs());
    log_softmax_rows(ArrayViewMut2::from_shape(shape, out).expect("whole rows"));
    Ok(())
}

impl Filled {
    /// The columns beside the rows they were filled from, `x` [n · width].
    ///
    /// # Panics
    /// If `x` is not what [`Networks::fill`] saw.
    pub fn rows<'a>(&'a self, x: &'a [f32]) -> Rows<'a> {
        let n = x.len() / self.width;
        let view = |values: &'a [f32], width: usize| {
            let width = if values.is_empty() { 0 } else { width };
            ArrayView2::from_shape((n, width), values).expect("columns of these rows")
        };
        Rows {
            x: view(x, self.width),
            twin: view(&self.twin, self.width),
            answer: view(&self.answer, self.labels),
            twin_answer: view(&self.twin_answer, self.labels),
            restored: view(&self.restored, self.width),
            restored_answer: view(&self.restored_answer, self.labels),
            surprisal: view(&self.surprisal, self.width),
        }
    }
}
