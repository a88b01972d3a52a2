//! Steps up a gradient that stay within reach of the row: FGSM, PGD, their L2 forms.

use candle_core::{Tensor, Var};
use rand_chacha::ChaCha8Rng;

use super::answers::answers;
use super::space::Space;
use crate::fit::graph::gradient::{Function, GradientError, rows};
use crate::fit::seed::unit;

/// How one attack climbs. With one step from the row itself it is FGSM, else PGD.
///
/// # Source
/// I. Goodfellow, J. Shlens, C. Szegedy, arXiv:1412.6572; A. Madry et al., arXiv:1706.06083.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climb {
    pub norm: Norm,
    pub steps: usize,
    /// Begins anywhere within reach, not at the row.
    pub random_start: bool,
    /// Touches only the row's support.
    pub on_support: bool,
}

/// What strength bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Each column's change, in its unit.
    Max,
    /// The root of the sum of squares, in units times √d / 2: of the same order as `Max`.
    Euclid,
}

/// Where the answer shall go.
#[derive(Clone, Copy, Debug)]
pub enum Goal<'a> {
    /// Away from these labels, one a row.
    Away(&'a [u32]),
    /// To these labels.
    To(&'a [u32]),
}

impl Goal<'_> {
    /// Σ over rows of what an attacker wants large. Shape: `answers` `[n, k]` log-probabilities.
    pub fn sum(self, answers: &Tensor) -> Result<Tensor, GradientError> {
        let (labels, sign) = match self {
            Self::Away(labels) => (labels, -1.0),
            Self::To(labels) => (labels, 1.0),
        };
        let at = Tensor::from_slice(labels, (labels.len(), 1), answers.device())?;
        Ok((answers.gather(&at, 1)?.sum_all()? * sign)?)
    }
}

impl Climb {
    /// Attacks the rows `x` [n · d] with these strengths, one a row; what comes back is rounded to
    /// what records can say.
    ///
    /// # Errors
    /// If the model has no gradient.
    pub fn run(
        &self,
        model: &Function,
        space: &Space,
        x: &[f32],
        strengths: &[f32],
        goal: Goal<'_>,
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, GradientError> {
        climb(self, space, x, strengths, rng, &|z| goal.sum(&answers(model, z)?))
    }
}

/// Attacks rows so that any `height`, a sum over rows, grows.
///
/// # Errors
/// If `height` has no gradient.
pub fn climb(
    how: &Climb,
    space: &Space,
    x: &[f32],
    strengths: &[f32],
    rng: &mut ChaCha8Rng,
    height: &dyn Fn(&Tensor) -> Result<Tensor, GradientError>,
) -> Result<Vec<f32>, GradientError> {
    let d = space.width();
    // How far each number may go.
    let reach: Vec<f32> = x
        .iter()
        .enumerate()
        .map(|(i, &value)| {
            let j = i % d;
            let free = !how.on_support || space.supports(j, value);
            if free { strengths[i / d] * space.unit[j] } else { 0.0 }
        })
        .collect();
    let mut z = x.to_vec();
    if how.random_start && how.norm == Norm::Max {
        z.iter_mut().zip(&reach).for_each(|(z, reach)| *z += reach * (2.0 * unit(rng) - 1.0));
        hold(space, &mut z);
    }
    let stride = if how.steps == 1 { 1.0 } else { 2.5 / how.steps as f32 };
    for _ in 0..how.steps {
        let at = Var::from_tensor(&rows(z.clone(), d)?)?;
        let slopes = height(&at)?.backward()?;
        let Some(slope) = slopes.get(&at) else { break };
        let slope: Vec<f32> = slope.flatten_all()?.to_vec1()?;
        match how.norm {
            Norm::Max => {
                for (((z, x), slope), reach) in z.iter_mut().zip(x).zip(slope).zip(&reach) {
                    let step = if slope == 0.0 { 0.0 } else { slope.signum() };
                    *z = (*z + stride * reach * step).clamp(x - reach, x + reach);
                }
            }
            Norm::Euclid => {
                let parts = z.chunks_mut(d).zip(x.chunks(d)).zip(slope.chunks(d));
                for (((z, x), slope), reach) in parts.zip(reach.chunks(d)) {
                    euclid(z, x, slope, reach, stride);
                }
            }
        }
        hold(space, &mut z);
    }
    z.iter_mut().enumerate().for_each(|(i, z)| *z = space.nearest(i % d, *z));
    Ok(z)
}

/// One step of one row, in units of `reach`, then back onto the ball of radius √d / 2.
fn euclid(z: &mut [f32], x: &[f32], slope: &[f32], reach: &[f32], stride: f32) {
    let radius = (z.len() as f32).sqrt() / 2.0;
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    let steep = norm(&mut slope.iter().zip(reach).map(|(s, r)| s * r)).max(f32::MIN_POSITIVE);
    for ((z, slope), reach) in z.iter_mut().zip(slope).zip(reach) {
        *z += stride * radius * reach * (slope * reach / steep);
    }
    let far = norm(&mut z.iter().zip(x).zip(reach).map(|((z, x), r)| match *r {
        0.0 => 0.0,
        r => (z - x) / r,
    }));
    if far > radius {
        z.iter_mut().zip(x).for_each(|(z, x)| *z = x + (*z - x) * radius / far);
    }
}

fn hold(space: &Space, z: &mut [f32]) {
    let d = space.width();
    for (i, z) in z.iter_mut().enumerate() {
        *z = z.clamp(space.low[i % d], space.high[i % d]);
    }
}
