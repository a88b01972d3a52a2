//! Trains a network that has one description, its ONNX graph, down any loss that candle can
//! differentiate.

use std::ops::ControlFlow;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::error::TrainError;
use super::trainer::{self, Course, Learner, Run};
use crate::fit::graph::gradient::{Function, GradientError};
use crate::fit::progress::Progress;

/// The mean loss of some rows, numbered from 0.
pub type Loss<'a> = dyn Fn(&[usize]) -> Result<Tensor, GradientError> + Sync + 'a;

/// Rows of a batch that go through the networks together: what is in between stays in the cache,
/// and a processor takes the next while another is busy.
const PART: usize = 16;

/// Trains `function` on `n` rows down `loss`.
///
/// # Errors
/// If `loss` has no gradient, or is no longer finite.
pub fn train(
    function: &Function,
    n: usize,
    course: Course,
    rng: &mut ChaCha8Rng,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    loss: &Loss<'_>,
) -> Result<Run, TrainError> {
    let variables = function.variables();
    let parameters = ParamsAdamW { weight_decay: 0.0, ..ParamsAdamW::default() };
    let optimizer = AdamW::new(variables.clone(), parameters)?;
    trainer::train(
        &mut Pupil { variables, optimizer, loss, clip: course.clip },
        n,
        course,
        rng,
        watch,
    )
}

/// What of a function is trained, with its optimizer.
struct Pupil<'a> {
    variables: Vec<Var>,
    optimizer: AdamW,
    loss: &'a Loss<'a>,
    clip: Option<f64>,
}

impl Learner for Pupil<'_> {
    fn step(&mut self, batch: &[usize], rate: f64) -> Result<f64, TrainError> {
        self.optimizer.set_learning_rate(rate);
        let (loss, mut slopes) = slopes(&self.variables, batch, self.loss)?;
        if let Some(most) = self.clip {
            clip(&self.variables, &mut slopes, most)?;
        }
        self.optimizer.step(&slopes)?;
        Ok(loss)
    }
}

/// Shortens the gradient over all of `vars` to a length of `most`.
fn clip(vars: &[Var], slopes: &mut GradStore, most: f64) -> candle_core::Result<()> {
    let mut square = 0.0;
    for slope in vars.iter().filter_map(|var| slopes.get(var)) {
        square += f64::from(slope.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let length = square.sqrt();
    if length > most {
        for var in vars {
            if let Some(slope) = slopes.get(var) {
                let shorter = (slope * (most / length))?;
                slopes.insert(var, shorter);
            }
        }
    }
    Ok(())
}

/// The mean loss of a batch and its slopes, part by part; summed in order, so that threads do not
/// show in the result.
fn slopes(
    vars: &[Var],
    batch: &[usize],
    loss: &Loss<'_>,
) -> Result<(f64, GradStore), GradientError> {
    let part = |rows: &[usize]| -> Result<(f64, GradStore), GradientError> {
        let loss = (loss(rows)? * (rows.len() as f64 / batch.len() as f64))?;
        Ok((f64::from(loss.to_scalar::<f32>()?), loss.backward()?))
    };
    let parts: Vec<_> = batch.par_chunks(PART).map(part).collect();
    let mut parts = parts.into_iter();
    let (mut sum, mut slopes) = parts.next().expect("a batch has rows")?;
    for part in parts {
        let (loss, others) = part?;
        sum += loss;
        for var in vars {
            if let Some(other) = others.get(var) {
                let all = match slopes.get(var) {
                    Some(slope) => (slope + other)?,
                    None => other.clone(),
                };
                slopes.insert(var, all);
            }
        }
    }
    Ok((sum, slopes))
}
