//! Detectors: each gives a row a score. Each has a file of its own; this file has the trait and the list.

mod colour;
mod isolation_forest;
mod layer_mahalanobis;
mod learned_layers;
mod learned_pixels;
mod local_residual;
mod mahalanobis;
mod nearest_prototypes;
mod neighbourhood;
mod neighbours;
mod pairs;
mod prediction_match;
mod prototypes;
mod pseudo_likelihood;
mod range;
mod rarity;
mod reconstruction;
mod restored_margin;
mod restored_match;
mod restored_residual;
mod restored_soft_match;
mod sampled_neighbours;
mod scaled_neighbours;
#[cfg(feature = "fit")]
mod soft;
mod tabular;
mod texture;
mod trimmed_neighbours;
mod unsteady_answer;
#[cfg(feature = "fit")]
mod whitening;

use ndarray::ArrayViewMut1;
#[cfg(feature = "fit")]
use rand_chacha::ChaCha8Rng;

use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Reasons, Rows, Schema};

pub use pairs::Pairs;
#[cfg(feature = "fit")]
pub use soft::Soft;
#[cfg(feature = "fit")]
pub use unsteady_answer::SIZES;

/// Scores rows; larger is more suspicious.
///
/// `fit` has taught it, and nothing changes it afterwards. So traffic cannot teach it, and a verdict does not depend on how
/// the stream was cut into batches.
pub trait Detector: Send + Sync {
    /// The columns that it reads; each is computed once for a batch. A detector never runs a network.
    fn needs(&self) -> Columns;

    /// Writes a finite score ≥ 0 for each row. Shapes: `rows.x` `[n, d]`, `scores` `[n]`; n may be 0.
    fn score(&self, rows: &Rows<'_>, scores: ArrayViewMut1<'_, f32>);

    /// How much each feature adds to the suspicion of row `i`, `[d]`, none negative: a heat map.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32>;

    /// The features behind row `i`'s score, with the share of each.
    fn explain(&self, rows: &Rows<'_>, i: usize) -> Reasons {
        Reasons::of_parts(self.parts(rows, i).into_iter())
    }

    /// `typical` is the corrected row `i`, `[d]`. Where this detector compares the row with other values, it puts those in: a
    /// person reads the reasons against them.
    fn typical(&self, _rows: &Rows<'_>, _i: usize, _typical: &mut [f32]) {}

    /// How strange each place of row `i` is, on a grid of `side` × `side` over the image, row by row. `None` if this detector
    /// does not look at places. `scratch` is reused.
    fn strangest(
        &self,
        _rows: &Rows<'_>,
        _i: usize,
        _side: usize,
        _scratch: &mut Vec<f32>,
    ) -> Option<usize> {
        None
    }

    /// The score as a candle tensor with a gradient, `[n]`: `redteam` attacks a detector through it. `None` if it has no
    /// gradient. Then nobody measures what an attacker can do who knows the detector.
    ///
    /// # Errors
    /// If candle fails.
    #[cfg(feature = "fit")]
    fn soft(&self, _: &Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        Ok(None)
    }

    /// Saves what it learned, for [`Kind::load`].
    fn save(&self, tensors: &mut Tensors);
}

/// What a detector is told of the rows that it will score.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub schema: &'a Schema,
    /// The number of labels of the protected model; 1 without a model.
    pub labels: usize,
    /// How many of the last numbers of `layers` are inputs of the model's last layer. Only learning needs it.
    pub last_inputs: usize,
}

/// An entry of the list: how one kind of detector is made.
pub struct Kind {
    pub name: &'static str,
    /// The columns that [`Kind::learn`] needs.
    pub needs: Columns,
    /// Whether it needs a protected model.
    pub needs_protected_model: bool,
    /// How it joins the merged score if our own attacks set the weights.
    pub role: Role,
    /// Whether rows of this schema have what it looks for.
    pub suits: fn(&Schema) -> bool,
    /// Whether it is meant for training rows that may hold attacks, and learns from all of them.
    pub contaminated_only: bool,
    /// The cap of its weight in the merged score, where our own attacks set no weights. Most have 1. The cap is smaller for data
    /// on which other detectors do better, and larger for data on which it does better than most. `fit::guard::merge_weights` has
    /// the figures.
    pub voice: fn(&Schema) -> f32,
    /// Learns from clean rows. The same rows and the same generator give the same detector.
    #[cfg(feature = "fit")]
    pub learn: Learn,
    pub load: fn(&Tensors, Setting<'_>) -> Loaded,
}

/// How a detector learns.
#[cfg(feature = "fit")]
pub type Learn = fn(&Rows<'_>, Setting<'_>, &mut ChaCha8Rng) -> Box<dyn Detector>;

/// Makes a detector from a bundle.
pub type Loaded = Result<Box<dyn Detector>, TensorError>;

/// All detectors, in the order of their scores in traces.
pub const ALL: &[Kind] = &[
    reconstruction::KIND,
    local_residual::KIND,
    prediction_match::KIND,
    nearest_prototypes::KIND,
    scaled_neighbours::KIND,
    mahalanobis::KIND,
    isolation_forest::KIND,
    trimmed_neighbours::KIND,
    sampled_neighbours::KIND,
    range::KIND,
    rarity::KIND,
    restored_match::KIND,
    pseudo_likelihood::KIND,
    restored_soft_match::KIND,
    restored_margin::KIND,
    learned_pixels::KIND,
    learned_layers::KIND,
    layer_mahalanobis::KIND,
    restored_residual::KIND,
    unsteady_answer::KIND,
];

/// The entry of the list called `name`.
pub fn kind(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name)
}

#[cfg(all(test, feature = "fit"))]
mod conformance;
