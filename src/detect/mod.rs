//! Detectors: frozen, row → score. One file each; this file holds the trait and the roster.

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

/// Scores rows; larger is more suspicious.
///
/// What it knows was learned by `fit` and is frozen: traffic cannot teach it, and a verdict
/// cannot depend on how the stream was cut into batches.
pub trait Detector: Send + Sync {
    /// Columns it reads; the pipeline fills each once per batch. It never runs a network.
    fn needs(&self) -> Columns;

    /// Writes one finite score ≥ 0 per row. Shapes: `rows.x` `[n, d]`, `scores` `[n]`; n may be 0.
    fn score(&self, rows: &Rows<'_>, scores: ArrayViewMut1<'_, f32>);

    /// How much each feature speaks against row `i`, `[d]`, none negative: a heat map.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32>;

    /// Which features carried row `i`'s score, and how much each.
    fn explain(&self, rows: &Rows<'_>, i: usize) -> Reasons {
        Reasons::of_parts(self.parts(rows, i).into_iter())
    }

    /// Replaces in `typical`, which is the corrected row `i` `[d]`, what it compares the row with
    /// instead: a person reads its reasons against that.
    fn typical(&self, _rows: &Rows<'_>, _i: usize, _typical: &mut [f32]) {}

    /// Where row `i` is strangest, on a grid of `side` × `side` over the image, row by row. `None` if it
    /// does not look for places. `scratch` is reused.
    fn strangest(
        &self,
        _rows: &Rows<'_>,
        _i: usize,
        _side: usize,
        _scratch: &mut Vec<f32>,
    ) -> Option<usize> {
        None
    }

    /// The same score with a gradient, `[n]`, for `redteam` to attack through; `None` if it has
    /// none: then nobody has shown what an attacker who knows it can do.
    ///
    /// # Errors
    /// If candle fails.
    #[cfg(feature = "fit")]
    fn soft(&self, _: &Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        Ok(None)
    }

    /// Puts what it learned where [`Kind::load`] finds it.
    fn save(&self, tensors: &mut Tensors);
}

/// What a detector is told about the rows it will see.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub schema: &'a Schema,
    /// Labels of the protected model; 1 without one.
    pub labels: usize,
    /// How many of the last numbers of `layers` are inputs of the model's last layer: learning asks.
    pub last_inputs: usize,
}

/// An entry of the roster: how one kind of detector comes to be.
pub struct Kind {
    pub name: &'static str,
    /// Columns that [`Kind::learn`] needs filled.
    pub needs: Columns,
    /// Whether it makes sense without a protected model.
    pub needs_protected_model: bool,
    /// How it joins the merged score where attacks of our own making weigh it.
    pub role: Role,
    /// Whether rows of this schema have what it looks at.
    pub suits: fn(&Schema) -> bool,
    /// Whether it is for references that may hold attacks, and learns from all of their rows.
    pub contaminated_only: bool,
    /// How much it counts in the merged score where it says what no other does: 1, less on rows that
    /// another was measured to score better, and more where it scores better than those of 1.
    /// `fit::guard::merge_weights` has the figures.
    pub voice: fn(&Schema) -> f32,
    /// Learns from clean rows; the same rows and generator teach it the same.
    #[cfg(feature = "fit")]
    pub learn: Learn,
    pub load: fn(&Tensors, Setting<'_>) -> Loaded,
}

/// How a detector learns.
#[cfg(feature = "fit")]
pub type Learn = fn(&Rows<'_>, Setting<'_>, &mut ChaCha8Rng) -> Box<dyn Detector>;

/// A detector out of a bundle.
pub type Loaded = Result<Box<dyn Detector>, TensorError>;

/// Every detector there is, in the order their scores appear in traces.
pub const ROSTER: &[Kind] = &[
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
];

/// The roster's entry called `name`.
pub fn kind(name: &str) -> Option<&'static Kind> {
    ROSTER.iter().find(|kind| kind.name == name)
}

#[cfg(all(test, feature = "fit"))]
mod conformance;
