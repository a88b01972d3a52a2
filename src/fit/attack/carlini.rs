//! The smallest change that moves the answer.

use candle_core::{D, Tensor, Var};

use super::space::Space;
use crate::fit::graph::gradient::{Function, GradientError, rows};

/// Carlini and Wagner's attack with a fixed price, Adam on the row itself, held to its bounds.
///
/// Departs from the paper: no change of variables, one price instead of a search for it. It finds
/// changes that are small, not the smallest.
///
/// # Source
/// N. Carlini, D. Wagner, arXiv:1608.04644, §V.
#[derive(Clone, Copy, Debug)]
pub struct Carlini {
    /// How much larger the wrong logit shall be.
    pub margin: f64,
    pub steps: usize,
    /// Price of a logit in squared units of change.
    pub price: f64,
    /// Length of a step, in units.
    pub rate: f32,
}

impl Default for Carlini {
    fn default() -> Self {
        Self { margin: 0.0, steps: 60, price: 2.0, rate: 0.04 }
    }
}

/// Attacks the rows `x` [n · d] away from `labels`. A row for which nothing was found comes back as
/// it was.
///
/// # Errors
/// If the model has no gradient.
pub fn carlini(
    how: &Carlini,
    model: &Function,
    space: &Space,
    x: &[f32],
    labels: &[u32],
) -> Result<Vec<f32>, GradientError> {
    let (d, n) = (space.width(), labels.len());
    let units: Vec<f32> = space.unit.iter().map(|u| if *u > 0.0 { 1.0 / u } else { 0.0 }).collect();
    let device = candle_core::Device::Cpu;
    let units = Tensor::from_vec(units, (1, d), &device)?;
    let (start, own) = (rows(x.to_vec(), d)?, Tensor::from_slice(labels, (n, 1), &device)?);
    let (mut z, mut m, mut v) = (x.to_vec(), vec![0.0_f32; x.len()], vec![0.0_f32; x.len()]);
    let (mut best, mut nearest) = (x.to_vec(), vec![f32::INFINITY; n]);
    for step in 1..=how.steps as i32 {
        let at = Var::from_tensor(&rows(z.clone(), d)?)?;
        let logits = model.apply(&at)?;
        let mine = logits.gather(&own, 1)?;
        // The largest other logit: mine is pushed out of the way.
        let away = Tensor::full(-1e9_f32, (n, 1), &device)?;
        let other = logits.scatter(&own, &away, 1)?.max_keepdim(D::Minus1)?;
        let lead = ((mine - other)? + how.margin)?.squeeze(1)?;
        let moved = at.sub(&start)?.broadcast_mul(&units)?.sqr()?.sum(1)?;
        let (leads, far) = (lead.to_vec1::<f32>()?, moved.to_vec1::<f32>()?);
        for i in 0..n {
            if leads[i] <= 0.0 && far[i] < nearest[i] {
                nearest[i] = far[i];
                best[i * d..][..d].copy_from_slice(&z[i * d..][..d]);
            }
        }
        let loss = (moved + (lead.relu()? * how.price)?)?.sum_all()?;
        let slopes = loss.backward()?;
        let Some(slope) = slopes.get(&at) else { break };
        let slope: Vec<f32> = slope.flatten_all()?.to_vec1()?;
        let (fast, slow) = (1.0 - 0.9_f32.powi(step), 1.0 - 0.999_f32.powi(step));
        for (i, slope) in slope.into_iter().enumerate() {
            let j = i % d;
            let slope = slope * space.unit[j];
            m[i] = 0.9 * m[i] + 0.1 * slope;
            v[i] = 0.999 * v[i] + 0.001 * slope * slope;
            let move_by = how.rate * space.unit[j] * (m[i] / fast) / ((v[i] / slow).sqrt() + 1e-8);
            z[i] = (z[i] - move_by).clamp(space.low[j], space.high[j]);
        }
    }
    best.iter_mut().enumerate().for_each(|(i, z)| *z = space.nearest(i % d, *z));
    Ok(best)
}
