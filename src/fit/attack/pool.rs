//! The pool for grey images and for tables: attacks to learn from, off and on the row's support.

use rayon::prelude::*;

use super::climb::{Climb, Goal, Norm};
use super::space::Space;
use crate::fit::graph::gradient::{Function, GradientError};
use crate::fit::seed::{Use, block_stream, unit};

/// Attacked copies of the rows `x` [n · d], whose answers shall move away from `labels`; in turn,
/// by blocks of rows, FGSM, PGD in 3 and 6 steps, L2, and PGD towards a label drawn at random.
/// Strengths are log-uniform in .02 to .2; every second block only touches the support.
///
/// # Errors
/// If the model has no gradient.
pub fn pool(
    model: &Function,
    space: &Space,
    x: &[f32],
    labels: &[u32],
    k: usize,
    seed: u64,
    done: &mut dyn FnMut(usize),
) -> Result<Vec<f32>, GradientError> {
    let d = space.width();
    let attack = |(i, (rows, labels)): (usize, (&[f32], &[u32]))| {
        let rng = &mut block_stream(seed, Use::Pool, i);
        let strengths: Vec<f32> = labels.iter().map(|_| 0.02 * 10.0_f32.powf(unit(rng))).collect();
        let norm = if i % 5 == 3 { Norm::Euclid } else { Norm::Max };
        let steps = [1, 3, 6, 5, 4][i % 5];
        let random_start = !matches!(i % 5, 0 | 3);
        let climb = Climb { norm, steps, random_start, on_support: (i / 5) % 2 == 1 };
        let targets: Vec<u32> = labels.iter().map(|_| (unit(rng) * k as f32) as u32).collect();
        let goal = if i % 5 == 4 { Goal::To(&targets) } else { Goal::Away(labels) };
        climb.run(model, space, rows, &strengths, goal, rng)
    };
    let blocks: Vec<_> = x.chunks(BLOCK * d).zip(labels.chunks(BLOCK)).enumerate().collect();
    let mut out = Vec::with_capacity(x.len());
    for some in blocks.chunks(BLOCKS) {
        let attacked: Vec<_> = some.par_iter().map(|&block| attack(block)).collect();
        for rows in attacked {
            out.extend(rows?);
        }
        done(out.len() / d);
    }
    Ok(out)
}

/// Rows of one kind of attack, which go through the networks together: so few that what is in
/// between stays in the cache, and that every kind, on and off the support, meets a few hundred rows.
pub(super) const BLOCK: usize = 32;

/// Blocks between two looks at the progress.
const BLOCKS: usize = 128;
