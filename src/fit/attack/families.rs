//! Families of attacks to weigh the detectors by: each is one kind at one strength.

use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::answers::labels;
use super::carlini::{Carlini, carlini};
use super::climb::{Climb, Goal, Norm, climb};
use super::ddn::{Ddn, ddn};
use super::paint::{patch, pick};
use super::pool::BLOCK;
use super::slope::Height;
use super::wide::Victim;
use crate::fit::graph::gradient::GradientError;
use crate::fit::seed::{Use, block_stream};

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
    /// Away from the label, at this strength.
    Climb(Climb, f32),
    /// Towards another label, drawn at random.
    Targeted(Climb, f32),
    /// Up the lead of the best other label.
    Lead(Climb, f32),
    Carlini(Carlini),
    Ddn(Ddn),
    /// A square whose side is this share of the image's.
    Patch(f32),
}

/// The families for grey images. Those that stay on the support stand for what is hard, and count
/// thrice.
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

/// The families for colour images of `d` numbers: strengths between those of the pool.
pub fn colour_families(d: usize) -> Vec<Family> {
    let max = Climb { norm: Norm::Max, steps: 12, random_start: true, on_support: false };
    let euclid = Climb { norm: Norm::Euclid, steps: 10, random_start: false, on_support: false };
    // A change .4 long, in `Norm::Euclid`'s strength.
    let l2 = 0.8 / (d as f32).sqrt();
    let ddn = Ddn { steps: 25, gamma: 0.06, overshoot: 1.0, margin: false };
    let further = Ddn { steps: 20, gamma: 0.1, overshoot: 1.3, margin: true };
    let each = [
        ("pgd", How::Climb(max, 1.5 / 255.0)),
        ("pgd", How::Climb(max, 3.0 / 255.0)),
        ("pgd", How::Climb(max, 6.0 / 255.0)),
        ("targeted pgd", How::Targeted(max, 4.0 / 255.0)),
        ("l2", How::Lead(euclid, l2)),
        ("ddn", How::Ddn(ddn)),
        ("ddn", How::Ddn(further)),
        ("patch", How::Patch(0.16)),
    ];
    each.map(|(name, how)| Family { name, how, weight: 1.0 }).into()
}

impl Family {
    /// What a report calls it.
    pub fn title(&self) -> String {
        match self.how {
            How::Climb(_, strength) | How::Targeted(_, strength) | How::Lead(_, strength) => {
                format!("{} {}", self.name, (strength * 1e4).round() / 1e4)
            }
            How::Carlini(how) => format!("{} {}", self.name, how.margin),
            How::Ddn(how) => format!("{} ×{}", self.name, how.overshoot),
            How::Patch(side) => format!("{} {side}", self.name),
        }
    }

    /// Attacked copies of the rows `x` [n · d] that the model gives `wanted` labels, as far as they
    /// move the answer, and the label that each had: fewer rows than went in.
    ///
    /// # Errors
    /// If the model has no gradient.
    pub fn successes(
        &self,
        victim: Victim<'_>,
        x: &[f32],
        wanted: &[u32],
        seed: u64,
    ) -> Result<(Vec<f32>, Vec<u32>), GradientError> {
        let d = victim.space.width();
        let attack = |(i, (rows, wanted)): (usize, (&[f32], &[u32]))| {
            let rng = &mut block_stream(seed, Use::Families, i);
            let (mut out, mut labels_before) = (vec![], vec![]);
            let attacked = self.attacked(victim, rows, wanted, rng)?;
            let got = labels(victim.model, &attacked, d)?;
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

    fn attacked(
        &self,
        victim: Victim<'_>,
        x: &[f32],
        own: &[u32],
        rng: &mut ChaCha8Rng,
    ) -> Result<Vec<f32>, GradientError> {
        let Victim { model, space, image, labels } = victim;
        match &self.how {
            How::Climb(how, strength) => {
                let strengths = vec![*strength; own.len()];
                how.run(model, space, x, &strengths, Goal::Away(own), rng)
            }
            How::Targeted(how, strength) => {
                let other =
                    |&own: &u32| (own + 1 + pick(rng, 0, labels.max(2) - 1) as u32) % labels as u32;
                let targets: Vec<u32> = own.iter().map(other).collect();
                how.run(model, space, x, &vec![*strength; own.len()], Goal::To(&targets), rng)
            }
            How::Lead(how, strength) => {
                let height = Height::Lead(own);
                let strengths = vec![*strength; own.len()];
                climb(how, space, x, &strengths, rng, &|z| height.of(model, z))
            }
            How::Carlini(how) => carlini(how, model, space, x, own),
            How::Ddn(how) => ddn(how, model, space, x, own),
            How::Patch(share) => {
                let side = (share * image.1.min(image.2) as f32).round().max(2.0) as usize;
                let sides = vec![side; own.len()];
                patch((model, space), image, x, &sides, 25, Goal::Away(own), rng)
            }
        }
    }
}
