//! The attacks, one after the other on the same rows, and who gets through.

use std::cell::RefCell;
use std::path::PathBuf;

use candle_core::Tensor;

use super::error::RedteamError;
use super::report::{Line, Report};
use super::soft_guard::{SoftGuard, selective};
use crate::fit::attack::{Carlini, Climb, Goal, Norm, Space, carlini, climb};
use crate::fit::data::dataset::Dataset;
use crate::fit::data::units::{self, ImageShape};
use crate::fit::graph::gradient::rows;
use crate::fit::progress::Watch;
use crate::fit::seed::{Use, permutation, stream};
use crate::model::Runtime;
use crate::record::{Feature, Schema};
use crate::shell::bundle as bundle_dir;

/// What to attack, and how hard.
#[derive(Clone, Debug)]
pub struct Options {
    pub bundle: PathBuf,
    /// Clean rows, as arrays.
    pub data: PathBuf,
    pub labels: Option<PathBuf>,
    /// Rows attacked: drawn by the seed from those that the model has right and that pass.
    pub rows: usize,
    /// Largest change of a feature, in units: 1 is the whole range of a pixel.
    pub strengths: Vec<f32>,
    pub steps: usize,
    pub restarts: usize,
    pub seed: u64,
}

/// How much a flag counts while the answer still stands: tried in turn, the attacker keeps the best.
const WEIGHTS: [f64; 3] = [0.0, 0.3, 1.0];

/// Rows that are attacked together.
const PART: usize = 20;

/// Attacks `options.bundle`.
///
/// # Errors
/// If the bundle or the rows cannot be read, or a network has no gradient.
pub fn redteam(
    options: &Options,
    runtime: &Runtime,
    watch: &mut dyn Watch,
) -> Result<Report, RedteamError> {
    let bundle = bundle_dir::read(&options.bundle)?;
    let manifest = &bundle.manifest;
    let d = manifest.schema.width();
    let mut guard = SoftGuard::load(runtime, &bundle)?;
    watch.stage(&format!("reading {}", options.data.display()));
    let mut set = Dataset::load(&options.data, options.labels.as_deref())?;
    if set.x.ncols() != d {
        let (file, got) = (options.data.clone(), set.x.ncols());
        return Err(RedteamError::Width { file, got, expected: d });
    }
    // Flat rows of bytes are an image too, if the bundle's are.
    let (image, scale) = image(&manifest.schema).unzip();
    units::to_model_units(&mut set, image, scale.unwrap_or(1.0))?;
    let all: Vec<usize> = (0..set.x.nrows()).collect();
    let space = Space::of(&manifest.schema, set.x.view(), &all);
    let (x, labels) = victims(options, &set, &mut guard)?;
    let unseen = guard.unseen(&rows(x[..d].to_vec(), d)?)?;
    let mut trial = Trial { options, space, x, labels, guard, attacks: vec![] };
    for &strength in &options.strengths {
        // Where no value is usual, the support is everywhere.
        let has_support = trial.space.usual.iter().any(Option::is_some);
        for on_support in [false, true].into_iter().take(1 + usize::from(has_support)) {
            watch.stage(&format!("PGD {strength}{}", if on_support { " on support" } else { "" }));
            trial.blind(strength, on_support)?;
            watch.stage(&format!("adaptive {strength}"));
            trial.adaptive(strength, on_support)?;
        }
    }
    watch.stage("Carlini and Wagner");
    trial.least()?;
    Ok(Report {
        bundle: manifest.name.clone(),
        digest: bundle.digest.to_string(),
        budget: trial.guard.decider.budget(),
        rows: trial.labels.len(),
        steps: options.steps,
        restarts: options.restarts,
        unseen,
        attacks: trial.attacks,
    })
}

/// The one image that rows of `schema` are, and what its pixels are divided by.
fn image(schema: &Schema) -> Option<(ImageShape, f32)> {
    let mut seen = schema.features.iter().filter(|feature| feature.width() > 0);
    match (seen.next(), seen.next()) {
        (Some(&Feature::Image { channels, height, width, scale, .. }), None) => {
            Some((ImageShape { channels, height, width }, scale))
        }
        _ => None,
    }
}

/// Rows to attack, `[n · d]`, and their labels.
fn victims(
    options: &Options,
    set: &Dataset,
    guard: &mut SoftGuard,
) -> Result<(Vec<f32>, Vec<u32>), RedteamError> {
    let (mut x, mut labels) = (vec![], vec![]);
    let order = permutation(set.x.nrows(), &mut stream(options.seed, Use::Sample));
    for part in order.chunks(PART) {
        let rows: Vec<f32> = part.iter().flat_map(|&i| set.x.row(i)).copied().collect();
        let judged = guard.decide(&rows)?;
        for ((&i, row), judged) in part.iter().zip(rows.chunks(set.x.ncols())).zip(judged) {
            let right = set.y.as_ref().is_none_or(|y| y[i] == i64::from(judged.label));
            if right && !judged.flagged && labels.len() < options.rows {
                x.extend_from_slice(row);
                labels.push(judged.label);
            }
        }
        if labels.len() == options.rows {
            break;
        }
    }
    match labels.is_empty() {
        true => Err(RedteamError::NoRows(options.data.clone())),
        false => Ok((x, labels)),
    }
}

/// Attacks on the same rows, one after the other.
struct Trial<'a> {
    options: &'a Options,
    space: Space,
    x: Vec<f32>,
    labels: Vec<u32>,
    guard: SoftGuard,
    attacks: Vec<Line>,
}

impl Trial<'_> {
    /// An attacker who knows the model and not the guard.
    fn blind(&mut self, strength: f32, on_support: bool) -> Result<(), RedteamError> {
        let how = Climb {
            norm: Norm::Max,
            steps: self.options.steps,
            random_start: !on_support,
            on_support,
        };
        let d = self.space.width();
        let mut rng = stream(self.options.seed, Use::Families);
        let mut attacked = vec![];
        for (rows, labels) in self.x.chunks(PART * d).zip(self.labels.chunks(PART)) {
            let goal = Goal::Away(labels);
            let strengths = vec![strength; labels.len()];
            let guard = &self.guard;
            attacked.extend(how.run(
                &guard.model,
                &self.space,
                rows,
                &strengths,
                goal,
                &mut rng,
            )?);
        }
        let (fooled, passed) = self.outcome(&attacked)?;
        self.note("PGD", Some(strength), on_support, &fooled, &passed);
        Ok(())
    }

    /// An attacker who holds the bundle, and keeps the best of all tries.
    fn adaptive(&mut self, strength: f32, on_support: bool) -> Result<(), RedteamError> {
        let how =
            Climb { norm: Norm::Max, steps: self.options.steps, random_start: true, on_support };
        let (d, n) = (self.space.width(), self.labels.len());
        let mut rng = stream(self.options.seed, Use::Families);
        let (mut fooled, mut passed) = (vec![false; n], vec![false; n]);
        for try_ in 0..self.options.restarts * WEIGHTS.len() {
            let weight = WEIGHTS[try_ % WEIGHTS.len()];
            let left: Vec<usize> = (0..n).filter(|&i| !passed[i]).collect();
            for part in left.chunks(PART) {
                let pick = |i: &usize| self.x[i * d..][..d].iter().copied();
                let rows: Vec<f32> = part.iter().flat_map(pick).collect();
                let labels: Vec<u32> = part.iter().map(|&i| self.labels[i]).collect();
                let strengths = vec![strength; part.len()];
                // Where a row stood when it had both: rounding at the end may cost it one.
                let kept = RefCell::new(rows.clone());
                let guard = &self.guard;
                let height = |z: &Tensor| {
                    let (view, at) = (guard.view(z)?, z.flatten_all()?.to_vec1::<f32>()?);
                    selective(guard, &view, &labels, weight, |i| {
                        kept.borrow_mut()[i * d..][..d].copy_from_slice(&at[i * d..][..d]);
                    })
                };
                let last = climb(&how, &self.space, &rows, &strengths, &mut rng, &height)?;
                let mut kept = kept.into_inner();
                kept.iter_mut().enumerate().for_each(|(i, z)| *z = self.space.nearest(i % d, *z));
                for candidate in [last, kept] {
                    for (&i, judged) in part.iter().zip(self.guard.decide(&candidate)?) {
                        let wrong = judged.label != self.labels[i];
                        fooled[i] |= wrong;
                        passed[i] |= wrong && !judged.flagged;
                    }
                }
            }
        }
        self.note("adaptive", Some(strength), on_support, &fooled, &passed);
        Ok(())
    }

    /// The least change that moves the answer, and one that moves it well.
    fn least(&mut self) -> Result<(), RedteamError> {
        let d = self.space.width();
        for (name, margin) in [("C&W", 0.0), ("C&W, confident", 5.0)] {
            let how = Carlini { margin, steps: self.options.steps.max(50), ..Carlini::default() };
            let mut attacked = vec![];
            for (rows, labels) in self.x.chunks(PART * d).zip(self.labels.chunks(PART)) {
                attacked.extend(carlini(&how, &self.guard.model, &self.space, rows, labels)?);
            }
            let (fooled, passed) = self.outcome(&attacked)?;
            self.note(name, None, false, &fooled, &passed);
        }
        Ok(())
    }

    fn outcome(&mut self, attacked: &[f32]) -> Result<(Vec<bool>, Vec<bool>), RedteamError> {
        let judged = self.guard.decide(attacked)?;
        let each = judged.iter().zip(&self.labels).map(|(judged, &label)| {
            let wrong = judged.label != label;
            (wrong, wrong && !judged.flagged)
        });
        Ok(each.unzip())
    }

    fn note(
        &mut self,
        attack: &'static str,
        strength: Option<f32>,
        on_support: bool,
        fooled: &[bool],
        passed: &[bool],
    ) {
        let share = |which: &[bool]| {
            which.iter().filter(|&&it| it).count() as f64 / which.len().max(1) as f64
        };
        let (fooled, passed) = (share(fooled), share(passed));
        self.attacks.push(Line { attack, strength, on_support, fooled, passed });
    }
}
