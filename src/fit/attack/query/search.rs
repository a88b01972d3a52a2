//! From the row itself, column by column, wherever the answer for its label falls.

use rand_chacha::ChaCha8Rng;

use super::{Oracle, Terrain};
use crate::fit::seed::unit;
use crate::model::ModelError;

/// Columns that are tried; each costs two questions.
const TRIED: usize = 120;

/// Units that a number is moved by at a time: .01 to .3, log-uniform.
const STEP: (f32, f32) = (0.01, 0.3);

/// The rows `x` [n · d] moved away from their `own` labels; a row whose label stays comes back moved too.
/// A step is kept if the lead of the own label becomes smaller by it. Categories stay as they are.
///
/// # Errors
/// If the model fails.
///
/// # Source
/// P.-Y. Chen et al., "ZOO: zeroth order optimization based black-box attacks", arXiv:1708.03999, for
/// coordinates and scores; with accepted steps instead of differences, which are 0 for trees.
pub(super) fn search(
    oracle: &mut Oracle<'_>,
    terrain: &Terrain<'_>,
    (x, own): (&[f32], &[u32]),
    rng: &mut ChaCha8Rng,
) -> Result<Vec<f32>, ModelError> {
    let (d, space) = (terrain.space.width(), terrain.space);
    let numbers: Vec<usize> = (0..d).filter(|&j| terrain.is_number(j)).collect();
    let mut z = x.to_vec();
    if numbers.is_empty() {
        return Ok(z);
    }
    let mut leads = leads(oracle, &z, own)?;
    for _ in 0..TRIED {
        let tried: Vec<(usize, f32)> = own
            .iter()
            .map(|_| {
                let j = numbers[(unit(rng) * numbers.len() as f32) as usize];
                let size = STEP.0 * (STEP.1 / STEP.0).powf(unit(rng));
                // A whole number moves by one at least.
                (j, (size * space.unit[j]).max(space.step[j]))
            })
            .collect();
        for sign in [1.0, -1.0] {
            let mut rows = z.clone();
            for (i, &(j, step)) in tried.iter().enumerate() {
                // Once the label is another, the row is done.
                if leads[i] >= 0.0 {
                    let value = &mut rows[i * d + j];
                    *value = space.nearest(j, *value + sign * step);
                }
            }
            for (i, lead) in self::leads(oracle, &rows, own)?.into_iter().enumerate() {
                if lead < leads[i] {
                    leads[i] = lead;
                    z[i * d..][..d].copy_from_slice(&rows[i * d..][..d]);
                }
            }
        }
    }
    Ok(z)
}

/// By how much each row's own label leads the best other; below 0 the label is another.
fn leads(oracle: &mut Oracle<'_>, x: &[f32], own: &[u32]) -> Result<Vec<f32>, ModelError> {
    let k = oracle.width();
    let answers = oracle.answers(x)?;
    let lead = |(answers, &own): (&[f32], &u32)| {
        let others = answers.iter().enumerate().filter(|&(k, _)| k != own as usize);
        let other = others.map(|(_, &answer)| answer).fold(f32::NEG_INFINITY, f32::max);
        answers[own as usize] - other
    };
    Ok(answers.chunks(k).zip(own).map(lead).collect())
}
