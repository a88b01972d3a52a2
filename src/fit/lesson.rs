//! How the restorers and the likelihood are trained.
//!
//! The same rows, seed and machine give the same weights, bit for bit: rows and their order come
//! from our own streams, candle is only the calculator. It cannot tell a restorer that undoes
//! attacks from one that undoes *these* attacks: that is for the rows it never saw.

use std::ops::ControlFlow;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::attack::{TOGETHER, answers};
use super::gradient::{Function, GradientError, rows};
use super::split::permutation;
use super::train::{Progress, one_cycle};

/// How to train.
#[derive(Clone, Copy, Debug)]
pub struct Course {
    pub epochs: usize,
    pub batch_rows: usize,
    /// Peak of the learning rate's one cycle.
    pub rate_peak: f64,
}

/// Rows to restore, `[n · d]` each.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub clean: &'a [f32],
    pub attacked: &'a [f32],
    pub harmless: &'a [f32],
}

/// Rows of a batch that go through the networks together: what is in between stays in the cache,
/// and a processor takes the next while another is busy.
const PART: usize = 16;

/// Of such a part, how many are clean, attacked, harmlessly disturbed.
const MIX: [usize; 3] = [6, 8, 2];

/// Share of the loss that is about the answer; the rest is about the row.
const ANSWER: f64 = 0.9;

/// Squared errors of rows are small beside nats.
const ERROR: f64 = 10.0;

/// Trains `restorer` until the guarded model answers the same on what it gives as on the clean row:
/// .9 · KL(M(x) ‖ M(R(v))) + .1 · 10 · mse, where v is x, or x attacked; a row that is only
/// disturbed is one to be kept as it is. `scales` `[d]` turns errors into comparable units.
///
/// # Errors
/// If a network has no gradient.
pub fn restore(
    restorer: &Function,
    model: &Function,
    given: Rows<'_>,
    scales: &[f32],
    course: Course,
    rng: &mut ChaCha8Rng,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(), GradientError> {
    let d = scales.len();
    let n = given.clean.len() / d;
    let wanted = |x: &[f32]| -> Result<Vec<f32>, GradientError> {
        let mut out = vec![];
        for part in x.chunks(TOGETHER * d) {
            let answers = answers(model, &rows(part.to_vec(), d)?)?;
            out.extend(answers.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(out)
    };
    let (of_clean, of_harmless) = (wanted(given.clean)?, wanted(given.harmless)?);
    let k = of_clean.len() / n.max(1);
    let scales = Tensor::from_slice(scales, (1, d), &candle_core::Device::Cpu)?;
    let [clean, attacked, _] = MIX;
    let step = |part: &[usize]| -> Result<Tensor, GradientError> {
        let (mut v, mut x, mut z) = (vec![], vec![], vec![]);
        for (at, &i) in part.iter().enumerate() {
            let (from, to, answer) = match at % 16 {
                p if p < clean => (given.clean, given.clean, &of_clean),
                p if p < clean + attacked => (given.attacked, given.clean, &of_clean),
                _ => (given.harmless, given.harmless, &of_harmless),
            };
            v.extend_from_slice(&from[i * d..][..d]);
            x.extend_from_slice(&to[i * d..][..d]);
            z.extend_from_slice(&answer[i * k..][..k]);
        }
        let restored = restorer.apply(&rows(v, d)?)?;
        let error = restored.sub(&rows(x, d)?)?.broadcast_mul(&scales)?.sqr()?.mean_all()?;
        let (wanted, got) = (rows(z, k)?, answers(model, &restored)?);
        let kl = wanted.exp()?.mul(&wanted.sub(&got)?)?.sum(1)?.mean_all()?;
        Ok(((kl * ANSWER)? + (error * (ERROR * (1.0 - ANSWER)))?)?)
    };
    train(restorer, n, course, rng, watch, &step)
}

/// Trains `likelihood` to find the rows `x` [n · d] likely: the least mean −ln p of a pixel.
///
/// # Errors
/// If it has no gradient.
pub fn likely(
    likelihood: &Function,
    x: &[f32],
    d: usize,
    course: Course,
    rng: &mut ChaCha8Rng,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(), GradientError> {
    let step = |batch: &[usize]| -> Result<Tensor, GradientError> {
        let picked = batch.iter().flat_map(|&i| &x[i * d..][..d]).copied().collect();
        Ok(likelihood.apply(&rows(picked, d)?)?.mean_all()?)
    };
    train(likelihood, x.len() / d, course, rng, watch, &step)
}

fn train(
    function: &Function,
    n: usize,
    course: Course,
    rng: &mut ChaCha8Rng,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
    loss: &(dyn Fn(&[usize]) -> Result<Tensor, GradientError> + Sync),
) -> Result<(), GradientError> {
    let vars = function.variables();
    let batch_rows = course.batch_rows.clamp(1, n.max(1));
    let (steps, epochs_max) = (n / batch_rows, course.epochs);
    let parameters = ParamsAdamW { weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut optimizer = AdamW::new(vars.clone(), parameters)?;
    for epoch in 1..=epochs_max {
        let (order, mut sum) = (permutation(n, rng), 0.0);
        for (at, batch) in order.chunks_exact(batch_rows).enumerate() {
            let done = ((epoch - 1) * steps + at) as f64 / (steps * epochs_max) as f64;
            optimizer.set_learning_rate(one_cycle(done) * course.rate_peak);
            let (loss, slopes) = slopes(&vars, batch, loss)?;
            optimizer.step(&slopes)?;
            sum += loss;
            let (step, loss) = (at + 1, sum / (at + 1) as f64);
            if !loss.is_finite() {
                return Err(GradientError::Diverged { epoch, loss });
            }
            let progress = Progress { epoch, epochs_max, step, steps, loss, loss_validation: None };
            if watch(&progress).is_break() {
                return Ok(());
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
    loss: &(dyn Fn(&[usize]) -> Result<Tensor, GradientError> + Sync),
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
