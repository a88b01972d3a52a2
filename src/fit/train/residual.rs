//! The restorer of colour images: a correction added to the image, so small that the model answers what
//! it would have answered without the attack.
//!
//! Trained until it has converged: whole cycles of the learning rate, each from the best weights so far,
//! until one improves the loss on validation rows by less than a fiftieth. It learns from attacks of our
//! own, and from clean and disturbed rows as often: a restorer that only knows attacks spoils clean rows.
//!
//! Sizes and loss: a measured prototype of ours; prediction matching, G. Vacanti, A. Van Looveren,
//! arXiv:2002.09364.

use std::ops::ControlFlow;

use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::error::TrainError;
use super::function;
use super::trainer::{Course, Stopped, Trained};
use crate::fit::attack::{Image, TOGETHER, Victim, answers, disturb};
use crate::fit::graph::gradient::{Builder, Function, GradientError, float, int, ints, rows, word};
use crate::fit::progress::Progress;
use crate::fit::seed::{Use, block_stream};

/// Channels at the first size and at half of it.
const WIDE: usize = 24;
const DEEP: usize = 48;

/// Images of at least so many pixels a side are worked on in blocks of 2×2 pixels: a quarter of the cost.
const BLOCKS_FROM: usize = 24;

/// An image plus a correction of it, kept in [0, 1]. Two sizes, residual layers in between. 4.9 million
/// multiply-adds for 3×32×32, 3.9 million for 3×16×16.
///
/// # Errors
/// If candle does not take a weight.
pub fn residual((c, h, w): Image, rng: &mut ChaCha8Rng) -> Result<Function, GradientError> {
    let block = if h.min(w) >= BLOCKS_FROM { 2 } else { 1 };
    let mut b = Builder::new("restorer", c * h * w, rng);
    let whole = b.reshape(&b.input(), &[c, h, w]);
    let x = centred(&mut b, &whole, 2.0);
    // Sides that the second size does not divide get grey below and to the right, taken off again.
    let (tall, wide) = (h.next_multiple_of(2 * block), w.next_multiple_of(2 * block));
    let is_padded = (tall, wide) != (h, w);
    let x = if is_padded {
        let pads = b.ints(&[0, 0, 0, 0, 0, 0, (tall - h) as i64, (wide - w) as i64]);
        b.node("Pad", &[&x, &pads], vec![])
    } else {
        x
    };
    let first = blocks(&mut b, &x, (c, WIDE), block);
    let first = leaky(&mut b, &first);
    let deep = b.convolution(&first, (WIDE, DEEP), 3, 2, 2.0);
    let deep = leaky(&mut b, &deep);
    let more = b.convolution(&deep, (DEEP, DEEP), 3, 1, 1.0);
    let more = leaky(&mut b, &more);
    let deep = b.node("Add", &[&deep, &more], vec![]);
    let up = b.convolution(&deep, (DEEP, 4 * WIDE), 1, 1, 1.0);
    let up = double(&mut b, &up);
    let up = b.node("Add", &[&up, &first], vec![]);
    let more = b.convolution(&up, (WIDE, WIDE), 3, 1, 1.0);
    let more = leaky(&mut b, &more);
    let up = b.node("Add", &[&up, &more], vec![]);
    let mut correction = b.convolution(&up, (WIDE, c * block * block), 3, 1, 0.003);
    if block == 2 {
        correction = double(&mut b, &correction);
    }
    if is_padded {
        let [starts, ends, axes] = [[0, 0], [h as i64, w as i64], [2, 3]].map(|v| b.ints(&v));
        correction = b.node("Slice", &[&correction, &starts, &ends, &axes], vec![]);
    }
    let sum = b.node("Add", &[&whole, &correction], vec![]);
    let (zero, one) = (b.constant(&[], &[0.0]), b.constant(&[], &[1.0]));
    let held = b.node("Clip", &[&sum, &zero, &one], vec![]);
    b.finish(&held, c * h * w)
}

/// (x − .5) · `times`.
pub fn centred(b: &mut Builder<'_>, x: &str, times: f32) -> String {
    let (half, times) = (b.constant(&[], &[0.5]), b.constant(&[], &[times]));
    let x = b.node("Sub", &[x, &half], vec![]);
    b.node("Mul", &[&x, &times], vec![])
}

/// A 3×3 convolution over blocks of `block`×`block` pixels, each with all of its pixels as channels.
pub fn blocks(b: &mut Builder<'_>, x: &str, (from, to): (usize, usize), block: usize) -> String {
    let kernel = 3 * block;
    let w = b.weights(&[to, from, kernel, kernel], from * kernel * kernel, 2.0);
    let bias = b.trainable(&[to], &vec![0.0; to]);
    let attributes = vec![ints("pads", &[block as i64; 4]), ints("strides", &[block as i64; 2])];
    b.node("Conv", &[x, &w, &bias], attributes)
}

fn leaky(b: &mut Builder<'_>, x: &str) -> String {
    b.node("LeakyRelu", &[x], vec![float("alpha", 0.1)])
}

fn double(b: &mut Builder<'_>, x: &str) -> String {
    b.node("DepthToSpace", &[x], vec![int("blocksize", 2), word("mode", "CRD")])
}

/// Rows to learn from, `[n · d]` each.
#[derive(Clone, Copy)]
pub struct Pool<'a> {
    pub base: &'a [f32],
    pub attacked: &'a [f32],
}

/// Of sixteen rows that go through the networks together, how many are attacked and how many clean; the
/// others are disturbed.
const ATTACKED: usize = 8;
const CLEAN: usize = 5;

/// Squared errors of rows are small beside nats.
const ERROR: f64 = 10.0;

/// Rows of a step, steps of a cycle, cycles at most, and what a cycle must improve for another one.
const BATCH_ROWS: usize = 128;
const STEPS: usize = 700;
const CYCLES_MAX: usize = 3;
const IMPROVED: f64 = 0.98;

/// Peaks of the learning rate in the first cycle and in later ones.
const RATES: [f64; 2] = [5e-3, 4e-3];

/// Trains `restorer` until the protected model answers on R(attacked) and on R(disturbed) what it answers
/// on the row that both were made from: KL(M(x) ‖ M(R(v))) of both halves, and 10 · the mean squared
/// error. `epochs_max` limits the epochs of all cycles together.
///
/// # Errors
/// If a network has no gradient.
pub fn teach(
    restorer: &Function,
    victim: Victim<'_>,
    (taught, validation): (Pool<'_>, Pool<'_>),
    (seed, epochs_max): (u64, Option<usize>),
    rng: &mut ChaCha8Rng,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let n = taught.base.len() / victim.space.width();
    let steps = (n / BATCH_ROWS.min(n.max(1))).max(1);
    let epochs = STEPS.div_ceil(steps).min(epochs_max.unwrap_or(usize::MAX)).max(1);
    let given = wanted(victim, taught.base)?;
    let step = |part: &[usize]| loss(restorer, victim, taught, &given, part, seed);
    let mut trained = Trained {
        loss: f64::INFINITY,
        loss_validation: f64::INFINITY,
        epoch: 0,
        epochs: 0,
        stopped: Stopped::Finished,
    };
    let mut best: Vec<Tensor> = vec![];
    for cycle in 0..CYCLES_MAX {
        let rate_peak = RATES[cycle.min(1)];
        let clip = Some(1.0);
        let course =
            Course { epochs_max: epochs, batch_rows: BATCH_ROWS, rate_peak, patience: None, clip };
        let done = trained.epochs;
        let mut last = None;
        // Epochs of all cycles are told, whether or not the last of them will be needed.
        let mut told = |p: &Progress| {
            let (epoch, epochs_max) = (done + p.epoch, CYCLES_MAX * epochs);
            watch(last.insert(Progress { epoch, epochs_max, ..*p }))
        };
        let run = function::train(restorer, n, course, rng, &mut told, &step)?;
        trained.epochs += run.epochs;
        let got = mean_loss(restorer, victim, validation, seed)?;
        if let Some(last) = last {
            let _ = watch(&Progress { loss_validation: Some(got), ..last });
        }
        let before = trained.loss_validation;
        if got < before {
            (trained.loss_validation, trained.epoch) = (got, trained.epochs);
            let kept = restorer.variables().into_iter().map(|var| var.as_tensor().copy());
            best = kept.collect::<Result<_, _>>()?;
        } else {
            for (var, kept) in restorer.variables().iter().zip(&best) {
                var.set(kept)?;
            }
        }
        trained.stopped = run.stopped;
        let is_limited = epochs_max.is_some_and(|most| trained.epochs + epochs > most);
        if run.stopped == Stopped::Asked || is_limited {
            break;
        }
        if got > IMPROVED * before {
            trained.stopped = Stopped::Early;
            break;
        }
    }
    let all: Vec<usize> = (0..n.min(2048)).collect();
    let mut sum = 0.0;
    for part in all.chunks(16) {
        let loss = step(part)?;
        sum += f64::from(loss.to_scalar::<f32>()?) * part.len() as f64;
    }
    trained.loss = sum / all.len().max(1) as f64;
    Ok(trained)
}

/// The mean loss of `restorer` on the rows of `pool`.
///
/// # Errors
/// If a network has no gradient.
fn mean_loss(
    restorer: &Function,
    victim: Victim<'_>,
    pool: Pool<'_>,
    seed: u64,
) -> Result<f64, GradientError> {
    let wanted = wanted(victim, pool.base)?;
    let all: Vec<usize> = (0..pool.base.len() / victim.space.width()).collect();
    let part = |part: &[usize]| {
        let loss = loss(restorer, victim, pool, &wanted, part, seed)?;
        Ok(f64::from(loss.to_scalar::<f32>()?) * part.len() as f64)
    };
    let parts: Vec<Result<f64, GradientError>> = all.par_chunks(16).map(part).collect();
    Ok(parts.into_iter().sum::<Result<f64, _>>()? / all.len().max(1) as f64)
}

/// The model's log-probabilities on the rows `x` [n · d], `[n · k]`.
fn wanted(victim: Victim<'_>, x: &[f32]) -> Result<Vec<f32>, GradientError> {
    let d = victim.space.width();
    let part = |part: &[f32]| -> Result<Vec<f32>, GradientError> {
        let answers = answers(victim.model, &rows(part.to_vec(), d)?)?;
        Ok(answers.flatten_all()?.to_vec1()?)
    };
    let parts: Vec<_> = x.par_chunks(TOGETHER * d).map(part).collect();
    parts.into_iter().collect::<Result<Vec<_>, _>>().map(|parts| parts.concat())
}

/// The mean loss of the rows `part` of `pool`, whose answers shall be `wanted` `[n · k]`.
fn loss(
    restorer: &Function,
    victim: Victim<'_>,
    pool: Pool<'_>,
    wanted: &[f32],
    part: &[usize],
    seed: u64,
) -> Result<Tensor, GradientError> {
    let (d, k) = (victim.space.width(), victim.labels);
    let (mut v, mut x, mut z) = (vec![], vec![], vec![]);
    // Drawn anew whenever other rows come together.
    let drawn = part.iter().fold(0, |sum: usize, i| sum.wrapping_mul(31).wrapping_add(*i));
    let rng = &mut block_stream(seed, Use::Views, drawn % (1 << 40));
    for (at, &i) in part.iter().enumerate() {
        let base = &pool.base[i * d..][..d];
        match at % 16 {
            p if p < ATTACKED => v.extend_from_slice(&pool.attacked[i * d..][..d]),
            p if p < ATTACKED + CLEAN => v.extend_from_slice(base),
            _ => v.extend(disturb(victim.space, victim.image, base, rng)),
        }
        x.extend_from_slice(base);
        z.extend_from_slice(&wanted[i * k..][..k]);
    }
    let restored = restorer.apply(&rows(v, d)?)?;
    let error = restored.sub(&rows(x, d)?)?.sqr()?.mean_all()?;
    let (wanted, got) = (rows(z, k)?, answers(victim.model, &restored)?);
    let kl = wanted.exp()?.mul(&wanted.sub(&got)?)?.sum(1)?.mean_all()?;
    // Two halves, a mean each.
    Ok(((kl * 2.0)? + (error * ERROR)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::seed::stream;
    use crate::model::{Network, Runtime};

    #[test]
    fn a_new_restorer_changes_an_image_of_any_size_hardly_and_runs_as_onnx() {
        let runtime = Runtime::load(None).unwrap();
        for image @ (c, h, w) in [(3, 32, 32), (3, 16, 16), (2, 27, 25), (1, 9, 6)] {
            let d = c * h * w;
            let network = residual(image, &mut stream(1, Use::Restorer)).unwrap();
            let x: Vec<f32> = (0..2 * d).map(|i| (i % 17) as f32 / 17.0).collect();
            let onnx = network.into_onnx().unwrap().unwrap();
            let function = Function::read(&onnx).unwrap();
            let mut network = Network::load(&runtime, "the restorer", &onnx, d).unwrap();
            function.agrees(&mut network, &x, false).unwrap();
            let mut out = vec![];
            network.run(&x, &mut out).unwrap();
            let far = x.iter().zip(&out).map(|(a, b)| (a - b).abs()).sum::<f32>() / x.len() as f32;
            assert!(far < 0.1, "{image:?}: {far}");
        }
    }
}
