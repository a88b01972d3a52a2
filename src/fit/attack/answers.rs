//! What the protected model says of rows that an attack is about.

use candle_core::{D, Tensor};
use rayon::prelude::*;

use crate::fit::graph::gradient::{Function, GradientError, rows};

/// Rows that go through a network together.
pub const TOGETHER: usize = 32;

/// The protected model's log-probabilities on `x` [n, d], `[n, k]`.
pub fn answers(model: &Function, x: &Tensor) -> Result<Tensor, GradientError> {
    Ok(candle_nn::ops::log_softmax(&model.apply(x)?, D::Minus1)?)
}

/// The label that the protected model gives each row of `x` [n · d].
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
