//! Attacks of our own making: what the restorer learns to undo and the merge learns to hear.
//!
//! All of them follow the gradient of the guarded model and stay where an attacker has to stay:
//! inside the schema's bounds, at the resolution of the record, and, every second time, on the
//! row's *support* (features that are not at their usual value): an attack that dirties an exactly
//! black background is easy to see, and a defence learned from such attacks alone sees nothing else.
//!
//! A guard that is good against these can still be blind to others. None of them looks at the
//! guard itself: `redteam` has attacks that do.

mod carlini;
mod climb;
mod harmless;
mod pool;
mod space;

pub use carlini::{Carlini, carlini};
pub use climb::{Climb, Goal, Norm, climb};
pub use harmless::harmless;
pub use pool::{Family, families, pool};
pub use space::Space;

use candle_core::{D, Tensor};
use rayon::prelude::*;

use super::graph::gradient::{Function, GradientError, rows};

/// Rows that go through a network together.
pub const TOGETHER: usize = 32;

/// The guarded model's log-probabilities on `x` [n, d], `[n, k]`.
pub fn answers(model: &Function, x: &Tensor) -> Result<Tensor, GradientError> {
    Ok(candle_nn::ops::log_softmax(&model.apply(x)?, D::Minus1)?)
}

/// The label that the guarded model gives each row of `x` [n · d].
pub fn labels(model: &Function, x: &[f32], d: usize) -> Result<Vec<u32>, GradientError> {
    let mut labels = Vec::with_capacity(x.len() / d);
    let part = |part: &[f32]| -> Result<Vec<u32>, GradientError> {
        let z = model.apply(&rows(part.to_vec(), d)?)?;
        Ok(z.argmax(D::Minus1)?.to_vec1::<u32>()?)
    };
    let parts: Vec<_> = x.par_chunks(TOGETHER * d).map(part).collect();
    for part in parts {
        labels.extend(part?);
    }
    Ok(labels)
}

#[cfg(test)]
mod tests;
