//! Which attacks: a broad pool to learn from, and families to weigh the detectors by.

use rand_chacha::ChaCha8Rng;

use rayon::prelude::*;

use super::answers::labels;
use super::carlini::{Carlini, carlini};
use super::climb::{Climb, Goal, Norm};
use super::space::Space;
use crate::fit::graph::gradient::{Function, GradientError};
use crate::fit::seed::{Use, stream, unit};

/// One kind of attack at one strength.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    pub name: &'static str,
    pub how: How,
    /// How much its rows count beside another family's.
    pub weight: f32,
}

#[derive(Clone, Copy, Debug)]
pub enum How {
    Climb(Climb, f32),
    Carlini(Carlini),
}

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
const BLOCK: usize = 32;

/// Blocks between two looks at the progress.
const BLOCKS: usize = 128;

/// A block's own numbers: who computes it does not show.
fn block_stream(seed: u64, purpose: Use, block: usize) -> ChaCha8Rng {
    let mut rng = stream(seed, purpose);
    rng.set_stream(purpose as u64 | (1 + block as u64) << 8);
    rng
}

/// The families that weigh the detectors. Those that stay on the support stand for what is hard,
/// and count thrice.
pub fn families() -> Vec<Family> {
    let climb = |norm, steps, on_support: bool| {
        let random_start = norm == Norm::Max && steps > 1 && !on_support;
        Climb { norm, steps, random_start, on_support }
    };
    let mut families = vec![];
    for strength in [0.03, 0.05, 0.1, 0.2] {
        let (fgsm, pgd) = (climb(Norm::Max, 1, false), climb(Norm::Max, 12, false));
        families.push(Family { name: "fgsm", how: How::Climb(fgsm, strength), weight: 1.0 });
        families.push(Family { name: "pgd", how: How::Climb(pgd, strength), weight: 1.0 });
    }
    for strength in [0.07, 0.14] {
        let how = How::Climb(climb(Norm::Euclid, 10, false), strength);
        families.push(Family { name: "l2", how, weight: 1.0 });
    }
    for margin in [0.0, 5.0] {
        let how = How::Carlini(Carlini { margin, ..Carlini::default() });
        families.push(Family { name: "carlini-wagner", how, weight: 1.0 });
    }
    for strength in [0.05, 0.1, 0.2] {
        let how = How::Climb(climb(Norm::Max, 10, true), strength);
        families.push(Family { name: "pgd on support", how, weight: 3.0 });
    }
    families
}

impl Family {
    /// What a report calls it.
    pub fn title(&self) -> String {
        match self.how {
            How::Climb(_, strength) => format!("{} {strength}", self.name),
            How::Carlini(how) => format!("{} {}", self.name, how.margin),
        }
    }

    /// Attacked copies of the rows `x` [n · d] that `model` gives `wanted` labels, as far as they
    /// move the answer, and the label that each had: fewer rows than went in.
    ///
    /// # Errors
    /// If the model has no gradient.
    pub fn successes(
        &self,
        model: &Function,
        space: &Space,
        x: &[f32],
        wanted: &[u32],
        seed: u64,
    ) -> Result<(Vec<f32>, Vec<u32>), GradientError> {
        let d = space.width();
        let attack = |(i, (rows, wanted)): (usize, (&[f32], &[u32]))| {
            let rng = &mut block_stream(seed, Use::Families, i);
            let (mut out, mut labels_before) = (vec![], vec![]);
            let attacked = match &self.how {
                How::Climb(climb, strength) => {
                    let strengths = vec![*strength; wanted.len()];
                    climb.run(model, space, rows, &strengths, Goal::Away(wanted), rng)?
                }
                How::Carlini(how) => carlini(how, model, space, rows, wanted)?,
            };
            let got = labels(model, &attacked, d)?;
            let moved = attacked.chunks(d).zip(got).zip(wanted).filter(|((_, got), w)| got != *w);
            moved.for_each(|((row, _), &label)| {
                out.extend_from_slice(row);
                labels_before.push(label);
            });
            Ok::<_, GradientError>((out, labels_before))
        };
        let blocks: Vec<_> = x.chunks(BLOCK * d).zip(wanted.chunks(BLOCK)).enumerate().collect();
        let attacked: Vec<_> = blocks.into_par_iter().map(attack).collect();
        let (mut out, mut labels) = (vec![], vec![]);
        for some in attacked {
            let (rows, own) = some?;
            out.extend(rows);
            labels.extend(own);
        }
        Ok((out, labels))
    }
}
