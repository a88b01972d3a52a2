//! The pool for colour images: nine kinds of attack, widely drawn, on rows and on other views of them.
//!
//! A guard learns what it is shown: the kinds differ in norm, sparsity, goal and strength. Strengths are
//! log-uniform around what a person hardly sees. What the pool does not have (a rotation, a search by
//! queries alone) the guard hears only as far as it resembles what the pool has.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::answers::labels;
use super::climb::{Climb, Goal, Norm, climb};
use super::ddn::{Ddn, ddn};
use super::paint::{Image, blend, patch, pick, sticker};
use super::slope::Height;
use super::space::Space;
use super::views::{augment, log_between};
use crate::fit::graph::gradient::{Function, GradientError};
use crate::fit::seed::{Use, block_stream, permutation, stream, unit};

/// Rows of the pool at most: beyond them rows are shown in fewer copies.
const ROWS_MAX: usize = 30_000;

/// Copies of a row at most: each is attacked in another way.
const COPIES_MAX: usize = 4;

/// Kinds of attack; those from [`PAINTED`] on are not meant to move an answer.
const KINDS: usize = 9;
pub const PAINTED: usize = 7;

/// Rows that are attacked together.
const BLOCK: usize = 32;

/// Blocks between two looks at the progress.
const BLOCKS: usize = 32;

/// Attacked rows and what they were made from, `[n · d]` each.
#[derive(Debug, Default)]
pub struct Wide {
    pub base: Vec<f32>,
    pub attacked: Vec<f32>,
    /// Of each row, the number of its kind.
    pub kinds: Vec<usize>,
    /// Whether the model's answer changed.
    pub moved: Vec<bool>,
}

/// What attacks are made with.
#[derive(Clone, Copy)]
pub struct Victim<'a> {
    pub model: &'a Function,
    pub space: &'a Space,
    pub image: Image,
    /// How many labels the model knows.
    pub labels: usize,
}

/// Attacks the rows `x` [n · d] in up to four copies; half of the blocks are of other views.
///
/// # Errors
/// If the model has no gradient.
pub fn wide(
    victim: Victim<'_>,
    x: &[f32],
    (seed, purpose): (u64, Use),
    done: &mut dyn FnMut(usize, usize),
) -> Result<Wide, GradientError> {
    let d = victim.space.width();
    let n = x.len() / d;
    let copies = (ROWS_MAX / n.max(1)).clamp(1, COPIES_MAX);
    let mut order = stream(seed, purpose);
    let blocks: Vec<(usize, Vec<usize>)> = (0..copies)
        .flat_map(|copy| {
            let order = permutation(n, &mut order);
            let blocks: Vec<Vec<usize>> = order.chunks(BLOCK).map(<[usize]>::to_vec).collect();
            blocks.into_iter().enumerate().map(move |(at, rows)| (at + 2 * copy, rows))
        })
        .collect();
    let numbered: Vec<_> = blocks.iter().enumerate().collect();
    let attack = |&(i, (turn, rows)): &(usize, &(usize, Vec<usize>))| {
        let rng = &mut block_stream(seed, purpose, i);
        let rows: Vec<f32> = rows.iter().flat_map(|&i| &x[i * d..][..d]).copied().collect();
        let base = match (turn / KINDS) % 2 == 1 {
            true => augment(victim.space, victim.image, &rows, rng),
            false => rows,
        };
        let own = labels(victim.model, &base, d)?;
        let kind = turn % KINDS;
        let attacked = attacked(victim, kind, &base, &own, rng)?;
        let got = labels(victim.model, &attacked, d)?;
        let moved = got.iter().zip(&own).map(|(got, own)| got != own).collect();
        Ok::<_, GradientError>(Wide { kinds: vec![kind; own.len()], base, attacked, moved })
    };
    let mut all = Wide::default();
    for some in numbered.chunks(BLOCKS) {
        let made: Vec<_> = some.par_iter().map(attack).collect();
        for block in made {
            let Wide { base, attacked, kinds, moved } = block?;
            all.base.extend(base);
            all.attacked.extend(attacked);
            all.kinds.extend(kinds);
            all.moved.extend(moved);
        }
        done(all.kinds.len(), n * copies);
    }
    Ok(all)
}

/// One kind of attack on the rows `x` [n · d], whose answers are `own`.
fn attacked(
    victim: Victim<'_>,
    kind: usize,
    x: &[f32],
    own: &[u32],
    rng: &mut ChaCha8Rng,
) -> Result<Vec<f32>, GradientError> {
    let Victim { model, space, image, labels } = victim;
    let counts = |rng: &mut ChaCha8Rng, low: f32, high: f32| -> Vec<f32> {
        own.iter().map(|_| log_between(rng, low, high) / 255.0).collect()
    };
    let other = |&own: &u32| (own + 1 + pick(rng, 0, labels.max(2) - 1) as u32) % labels as u32;
    let targets: Vec<u32> = own.iter().map(other).collect();
    let max = |steps| Climb { norm: Norm::Max, steps, random_start: true, on_support: false };
    let away = Height::Answer(Goal::Away(own));
    let lead = |rng: &mut ChaCha8Rng| match unit(rng) < 0.5 {
        true => Height::Lead(own),
        false => away,
    };
    let (how, strengths, height) = match kind {
        0 => (Climb { random_start: false, ..max(1) }, counts(rng, 1.0, 9.0), away),
        1 => (max(pick(rng, 3, 8)), counts(rng, 1.2, 9.0), away),
        2 => (max(5), counts(rng, 1.0, 6.0), Height::Lead(own)),
        3 => {
            // `Norm::Euclid` reaches √d / 2 times as far.
            let reach = 255.0 * 2.0 / (space.width() as f32).sqrt();
            let strengths = counts(rng, 0.12 * reach, 1.2 * reach);
            (Climb { norm: Norm::Euclid, ..max(5) }, strengths, lead(rng))
        }
        4 => {
            let far = if unit(rng) < 0.6 { 0.25 } else { 0.6 };
            let (overshoot, margin) = (1.0 + far * unit(rng), unit(rng) < 0.5);
            return ddn(&Ddn { steps: 12, gamma: 0.1, overshoot, margin }, model, space, x, own);
        }
        5 => (max(6), counts(rng, 2.0, 9.0), Height::Answer(Goal::To(&targets))),
        6 => {
            let goal = if unit(rng) < 0.6 { Goal::Away(own) } else { Goal::To(&targets) };
            let sides: Vec<usize> = own.iter().map(|_| side(image, rng)).collect();
            return patch((model, space), image, x, &sides, 9, goal, rng);
        }
        7 => return Ok(sticker(space, image, x, rng)),
        _ => return Ok(blend(space, image, x, rng)),
    };
    climb(&how, space, x, &strengths, rng, &|z| height.of(model, z))
}

/// The side of a patch: a tenth to a quarter of the image.
fn side((_, h, w): Image, rng: &mut ChaCha8Rng) -> usize {
    let size = h.min(w);
    let (low, high) = ((size / 10).max(2), (size / 4).max(2));
    pick(rng, low, high + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_three_to_eight_pixels_of_a_side_of_32_and_never_none() {
        let mut rng = stream(1, Use::Pool);
        let sides: Vec<usize> = (0..500).map(|_| side((3, 32, 32), &mut rng)).collect();
        assert_eq!((sides.iter().min(), sides.iter().max()), (Some(&3), Some(&8)));
        assert_eq!(side((3, 8, 8), &mut rng), 2);
    }
}
