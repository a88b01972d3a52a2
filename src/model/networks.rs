//! The networks of a bundle, and the columns they fill.

use std::time::Duration;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Deadline, ModelError, Network, Runtime};
use crate::bundle::{AnswerKind, Bundle, Manifest};
use crate::math::log_softmax_rows;
use crate::record::{Columns, Rows};

/// The autoencoder and, if the bundle has one, the guarded model. One per worker thread.
pub struct Networks {
    autoencoder: Network,
    guarded: Option<(Network, AnswerKind)>,
    width: usize,
}

/// Columns of one batch, owned; [`Filled::rows`] lends them.
#[derive(Debug, Default)]
pub struct Filled {
    width: usize,
    labels: usize,
    twin: Vec<f32>,
    answer: Vec<f32>,
    twin_answer: Vec<f32>,
}

impl Networks {
    /// # Errors
    /// If a network does not load or does not fit the bundle's schema and labels.
    pub fn load(runtime: &Runtime, bundle: &Bundle) -> Result<Self, ModelError> {
        Self::from_onnx(
            runtime,
            &bundle.manifest,
            &bundle.autoencoder,
            bundle.guarded_model.as_deref(),
        )
    }

    fn from_onnx(
        runtime: &Runtime,
        manifest: &Manifest,
        autoencoder: &[u8],
        guarded: Option<&[u8]>,
    ) -> Result<Self, ModelError> {
        let guarded = manifest.answer.zip(guarded);
        let networks = Self::new(runtime, manifest.schema.width(), autoencoder, guarded)?;
        match &networks.guarded {
            Some((network, _)) if network.outputs() != manifest.labels => {
                Err(ModelError::Signature {
                    network: "the guarded model",
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
    pub fn new(
        runtime: &Runtime,
        width: usize,
        autoencoder: &[u8],
        guarded: Option<(AnswerKind, &[u8])>,
    ) -> Result<Self, ModelError> {
        let autoencoder = Network::load(runtime, "the autoencoder", autoencoder, width)?;
        if autoencoder.outputs() != width {
            return Err(ModelError::Signature {
                network: "the autoencoder",
                expected: format!("{width} outputs per row"),
                got: autoencoder.outputs().to_string(),
            });
        }
        let guarded = match guarded {
            Some((kind, onnx)) => {
                Some((Network::load(runtime, "the guarded model", onnx, width)?, kind))
            }
            None => None,
        };
        Ok(Self { autoencoder, guarded, width })
    }

    /// The same, but no run takes longer than `limit`.
    ///
    /// # Errors
    /// If there is no thread to look at the clock.
    pub fn limited_to(self, limit: Duration) -> Result<Self, ModelError> {
        let deadline = Deadline::new(limit)?;
        let guarded = self.guarded.map(|(network, kind)| (network.limited(deadline.clone()), kind));
        Ok(Self { autoencoder: self.autoencoder.limited(deadline), guarded, ..self })
    }

    /// How many labels the guarded model knows; 1 without one.
    pub fn labels(&self) -> usize {
        self.guarded.as_ref().map_or(1, |(network, _)| network.outputs())
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
        filled.twin.clear();
        filled.answer.clear();
        filled.twin_answer.clear();
        if needs.contains(Columns::TWIN) || needs.contains(Columns::TWIN_ANSWER) {
            self.autoencoder.run(x, &mut filled.twin)?;
        }
        let Some((network, kind)) = &mut self.guarded else { return Ok(()) };
        if needs.contains(Columns::ANSWER) {
            answer(network, *kind, x, &mut filled.answer)?;
        }
        if needs.contains(Columns::TWIN_ANSWER) {
            answer(network, *kind, &filled.twin, &mut filled.twin_answer)?;
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
        }
    }

    /// Row `i` of the twin column.
    pub fn twin(&self, i: usize) -> &[f32] {
        &self.twin[i * self.width..][..self.width]
    }
}
