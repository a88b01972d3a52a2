//! Transformations that take the attack out of a row. One step so far.

use crate::record::Schema;

/// Replaces a row by its autoencoder's version, kept inside the schema's bounds.
///
/// Removes what the autoencoder cannot express: small perturbations and most triggers. It also
/// removes detail: a clean image corrected this way may be classified differently.
#[derive(Clone, Debug)]
pub struct Reconstruct {
    bounds: Vec<(f32, f32)>,
}

impl Reconstruct {
    pub fn new(schema: &Schema) -> Self {
        Self { bounds: schema.bounds() }
    }

    /// Appends the sanitized row to `out`. Shape: `twin` `[d]`.
    pub fn apply(&self, twin: &[f32], out: &mut Vec<f32>) {
        out.extend(twin.iter().zip(&self.bounds).map(|(&v, &(min, max))| v.clamp(min, max)));
    }
}
