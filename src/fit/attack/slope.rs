//! The gradient of what an attacker wants, and the two things attackers of labels want.

use candle_core::{D, Tensor, Var};

use super::answers::answers;
use super::climb::Goal;
use crate::fit::graph::gradient::{Function, GradientError, rows};

/// What an attack climbs, summed over rows.
#[derive(Clone, Copy, Debug)]
pub enum Height<'a> {
    /// The log-probability: away from a label or towards one.
    Answer(Goal<'a>),
    /// How far the best other label leads these: its slope does not vanish where the model is sure.
    Lead(&'a [u32]),
}

impl Height<'_> {
    /// Of the rows `z` [n, d].
    ///
    /// # Errors
    /// If the model has no gradient.
    pub fn of(self, model: &Function, z: &Tensor) -> Result<Tensor, GradientError> {
        match self {
            Self::Answer(goal) => goal.sum(&answers(model, z)?),
            Self::Lead(labels) => {
                let logits = model.apply(z)?;
                let own = Tensor::from_slice(labels, (labels.len(), 1), logits.device())?;
                let away = Tensor::full(-1e9_f32, (labels.len(), 1), logits.device())?;
                let other = logits.scatter(&own, &away, 1)?.max_keepdim(D::Minus1)?;
                Ok((other - logits.gather(&own, 1)?)?.sum_all()?)
            }
        }
    }
}

/// The gradient of `height` at the rows `z` [n · d]; zeros where there is none.
///
/// # Errors
/// If the model has no gradient.
pub fn slope(
    model: &Function,
    z: &[f32],
    d: usize,
    height: Height<'_>,
) -> Result<Vec<f32>, GradientError> {
    let at = Var::from_tensor(&rows(z.to_vec(), d)?)?;
    let slopes = height.of(model, &at)?.backward()?;
    match slopes.get(&at) {
        Some(slope) => Ok(slope.flatten_all()?.to_vec1()?),
        None => Ok(vec![0.0; z.len()]),
    }
}

/// Makes every row of `v` [n · d] as long as 1; rows of zeros stay.
pub fn normalize(v: &mut [f32], d: usize) {
    for row in v.chunks_mut(d) {
        let norm = length(row).max(1e-12);
        row.iter_mut().for_each(|v| *v /= norm);
    }
}

/// Euclidean length.
pub fn length(row: &[f32]) -> f32 {
    row.iter().map(|v| v * v).sum::<f32>().sqrt()
}
