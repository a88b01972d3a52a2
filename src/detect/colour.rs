//! What the detectors of colour images share.

use crate::record::{Feature, Rows, Schema};

/// Whether rows of this schema are one image of several channels. On grey images with an exactly black
/// background the recipe for colour was not measured to be better; see docs/detection.md.
pub(super) fn suits(schema: &Schema) -> bool {
    let mut seen = schema.features.iter().filter(|feature| feature.width() > 0);
    matches!((seen.next(), seen.next()), (Some(Feature::Image { channels: 2.., .. }), None))
}

/// Squared changes that the restorer made to row `i`, `[d]`.
pub(super) fn changed(rows: &Rows<'_>, i: usize) -> Vec<f32> {
    let pairs = rows.x.row(i).into_iter().zip(rows.restored.row(i));
    pairs.map(|(x, restored)| (x - restored) * (x - restored)).collect()
}

/// What log-odds `z` mean as a ratio: larger for a larger z, finite and ≥ 0 for every f32 that is finite.
pub(super) fn odds(z: f32) -> f32 {
    (z + LIFT).clamp(-60.0, 60.0).exp()
}

/// Added to log-odds: ranks continue beyond the last clean row by ln(1 + score), which is a straight
/// line only where the score is above 1; clean rows' largest log-odds are about −2.
const LIFT: f32 = 4.0;

/// [`odds`] with a gradient: `[n, 1]` → `[n]`.
#[cfg(feature = "fit")]
pub(super) fn soft_odds(z: &candle_core::Tensor) -> candle_core::Result<candle_core::Tensor> {
    (z.squeeze(1)? + f64::from(LIFT))?.clamp(-60f32, 60f32)?.exp()
}
