//! Detectors: frozen, row → score. One file each; this file holds the trait and the roster.

mod isolation_forest;
mod local_residual;
mod mahalanobis;
mod nearest_prototypes;
mod prediction_match;
mod range;
mod rarity;
mod reconstruction;
mod tabular;
#[cfg(feature = "fit")]
mod whitening;

use ndarray::ArrayViewMut1;
#[cfg(feature = "fit")]
use rand_chacha::ChaCha8Rng;

use crate::bundle::{TensorError, Tensors};
use crate::record::{Columns, Reasons, Rows, Schema};

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

    /// Puts what it learned where [`Kind::load`] finds it.
    fn save(&self, tensors: &mut Tensors);
}

/// What a detector is told about the rows it will see.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    pub schema: &'a Schema,
    /// Labels of the guarded model; 1 without one.
    pub labels: usize,
}

/// An entry of the roster: how one kind of detector comes to be.
pub struct Kind {
    pub name: &'static str,
    /// Columns that [`Kind::learn`] needs filled.
    pub needs: Columns,
    /// Whether it makes sense without a guarded model.
    pub needs_guarded_model: bool,
    /// Whether rows of this schema have what it looks at.
    pub suits: fn(&Schema) -> bool,
    /// Whether it is for references that may hold attacks, and learns from all of their rows.
    pub contaminated_only: bool,
    /// How much it counts in the merged score where it says what no other does, in (0, 1]: 1, and
    /// less on rows that another was measured to judge better. `fit::merge_weights` has the figures.
    pub voice: fn(&Schema) -> f32,
    /// Learns from clean rows; the same rows and generator teach it the same.
    #[cfg(feature = "fit")]
    pub learn: fn(&Rows<'_>, Setting<'_>, &mut ChaCha8Rng) -> Box<dyn Detector>,
    pub load: fn(&Tensors, Setting<'_>) -> Loaded,
}

/// A detector out of a bundle.
pub type Loaded = Result<Box<dyn Detector>, TensorError>;

/// Every detector there is, in the order their scores appear in traces.
pub const ROSTER: &[Kind] = &[
    reconstruction::KIND,
    local_residual::KIND,
    prediction_match::KIND,
    nearest_prototypes::KIND,
    mahalanobis::KIND,
    isolation_forest::KIND,
    range::KIND,
    rarity::KIND,
];

/// The roster's entry called `name`.
pub fn kind(name: &str) -> Option<&'static Kind> {
    ROSTER.iter().find(|kind| kind.name == name)
}

#[cfg(all(test, feature = "fit"))]
mod conformance;
