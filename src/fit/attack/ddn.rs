//! The smallest L2 change that moves the answer, in few steps.

use super::answers::labels;
use super::climb::Goal;
use super::slope::{Height, length, normalize, slope};
use super::space::Space;
use crate::fit::graph::gradient::{Function, GradientError};

/// Decoupled direction and norm: a step along the gradient, then a sphere that shrinks while the answer
/// is moved and grows while it is not. For images: a unit is the range of a pixel.
///
/// # Source
/// J. Rony et al., "Decoupling direction and norm for efficient gradient-based L2 adversarial attacks
/// and defenses", arXiv:1811.09600.
#[derive(Clone, Copy, Debug)]
pub struct Ddn {
    pub steps: usize,
    /// How much the sphere shrinks or grows in a step.
    pub gamma: f32,
    /// What the found change is multiplied by.
    pub overshoot: f32,
    /// Climbs the lead of the best other label; else away from the label's probability.
    pub margin: bool,
}

/// Attacks the rows `x` [n · d] away from `own` labels. A row for which nothing was found gets the last
/// change tried.
///
/// # Errors
/// If the model has no gradient.
pub fn ddn(
    how: &Ddn,
    model: &Function,
    space: &Space,
    x: &[f32],
    own: &[u32],
) -> Result<Vec<f32>, GradientError> {
    let (d, n) = (space.width(), own.len());
    let height = match how.margin {
        true => Height::Lead(own),
        false => Height::Answer(Goal::Away(own)),
    };
    let settle = |change: &[f32], out: &mut Vec<f32>, times: f32| {
        out.clear();
        let moved = x.iter().zip(change).enumerate();
        out.extend(moved.map(|(i, (x, v))| space.nearest(i % d, x + times * v)));
    };
    let (mut change, mut radius) = (vec![0.0_f32; x.len()], vec![0.3_f32; n]);
    let (mut best, mut nearest) = (vec![0.0_f32; x.len()], vec![f32::INFINITY; n]);
    let mut z = vec![];
    for step in 0..how.steps {
        settle(&change, &mut z, 1.0);
        let got = labels(model, &z, d)?;
        for i in 0..n {
            let own_change = &change[i * d..][..d];
            if got[i] != own[i] && length(own_change) < nearest[i] {
                nearest[i] = length(own_change);
                best[i * d..][..d].copy_from_slice(own_change);
            }
            radius[i] *= if got[i] == own[i] { 1.0 + how.gamma } else { 1.0 - how.gamma };
        }
        let done = step as f32 / how.steps as f32;
        let stride = (0.5 * (1.0 + (std::f32::consts::PI * done).cos()) + 0.02) * 2.0;
        let mut up = slope(model, &z, d, height)?;
        normalize(&mut up, d);
        for (i, (change, up)) in change.iter_mut().zip(up).enumerate() {
            *change += stride * radius[i / d] * up;
        }
        normalize(&mut change, d);
        change.iter_mut().enumerate().for_each(|(i, v)| *v *= radius[i / d]);
    }
    for i in (0..n).filter(|&i| nearest[i].is_infinite()) {
        best[i * d..][..d].copy_from_slice(&change[i * d..][..d]);
    }
    settle(&best, &mut z, how.overshoot);
    Ok(z)
}
