//! The network that says how likely each pixel is, given the pixels around it.
//!
//! It knows the texture of clean rows, harmlessly disturbed ones among them, and nothing about
//! attacks or labels. It cannot see what keeps the texture.

use std::ops::ControlFlow;

use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;

use super::error::TrainError;
use super::function;
use super::trainer::{Course, Run};
use crate::fit::graph::gradient::{Builder, Function, GradientError, int, rows};
use crate::fit::progress::Progress;

/// −ln p of each pixel given the pixels around it, `[n, d]` → `[n, d]` in nats: what the
/// pseudo-likelihood is made of.
///
/// A 5×5 neighbourhood whose middle is masked, all channels of it; p is a mixture of three
/// discretised logistics, 0 and 1 taking what lies beyond them.
///
/// # Source
/// J. Besag, "Statistical analysis of non-lattice data", 1975; logistics: T. Salimans et al.,
/// PixelCNN++, arXiv:1701.05517, §2.1.
///
/// # Errors
/// If candle does not take a weight.
pub fn likelihood(
    (c, h, w): (usize, usize, usize),
    scale: f32,
    rng: &mut ChaCha8Rng,
) -> Result<Function, GradientError> {
    const WIDTH: usize = 16;
    const SIDE: usize = 5;
    const MIXED: usize = 3;
    let mut b = Builder::new("likelihood", c * h * w, rng);
    let x = b.reshape(&b.input(), &[c, h, w]);
    // A second set of planes says where a pixel is exactly 0: the background is a thing of its own.
    let dark = b.constant(&[], &[0.5 / scale]);
    let dark = b.node("Less", &[&x, &dark], vec![]);
    let (one, zero) = (b.constant(&[], &[1.0]), b.constant(&[], &[0.0]));
    let dark = b.node("Where", &[&dark, &one, &zero], vec![]);
    let both = b.node("Concat", &[&x, &dark], vec![int("axis", 1)]);
    let mut mask = [1.0; SIDE * SIDE];
    mask[SIDE * SIDE / 2] = 0.0;
    let mask = b.constant(&[1, 1, SIDE, SIDE], &mask);
    let seen = 2 * c * (SIDE * SIDE - 1);
    let kernel = b.weights(&[WIDTH, 2 * c, SIDE, SIDE], seen, 2.0);
    let kernel = b.node("Mul", &[&kernel, &mask], vec![]);
    let z = b.convolve(&both, &kernel, WIDTH, SIDE, 1);
    let z = b.relu(&z);
    let z = b.convolution(&z, (WIDTH, WIDTH), 1, 1, 2.0);
    let z = b.relu(&z);
    // What lies beyond an end counts for it: the edge of an end's interval is far outside.
    let (half, far) = (b.constant(&[], &[0.5 / scale]), b.constant(&[], &[1e3]));
    let (low, high) = (b.constant(&[], &[-1.0]), b.constant(&[], &[7.0]));
    let bounds = (b.constant(&[], &[-10.0]), b.constant(&[], &[10.0]));
    let least = (b.constant(&[], &[1e-7]), b.constant(&[], &[1.0]));
    let mut edge = |beyond: &str, limit: f32, op: &str| {
        let limit = b.constant(&[], &[limit]);
        let at_end = b.node(beyond, &[&x, &limit], vec![]);
        let at_end = b.node("Where", &[&at_end, &far, &half], vec![]);
        b.node(op, &[&x, &at_end], vec![])
    };
    let above = edge("Greater", 1.0 - 0.5 / scale, "Add");
    let below = edge("Less", 0.5 / scale, "Sub");
    let (mut likely, mut whole): (Option<String>, Option<String>) = (None, None);
    for _ in 0..MIXED {
        let [weight, centre, sharp] = [0, 1, 2].map(|_| b.convolution(&z, (WIDTH, c), 1, 1, 1.0));
        let weight = b.node("Clip", &[&weight, &bounds.0, &bounds.1], vec![]);
        let weight = b.node("Exp", &[&weight], vec![]);
        let centre = b.node("Sigmoid", &[&centre], vec![]);
        // 1 / spread, between e⁻¹ and e⁷.
        let sharp = b.node("Clip", &[&sharp, &low, &high], vec![]);
        let sharp = b.node("Exp", &[&sharp], vec![]);
        let [up, down] = [&above, &below].map(|edge| {
            let off = b.node("Sub", &[edge, &centre], vec![]);
            let off = b.node("Mul", &[&off, &sharp], vec![]);
            b.node("Sigmoid", &[&off], vec![])
        });
        let p = b.node("Sub", &[&up, &down], vec![]);
        let p = b.node("Mul", &[&p, &weight], vec![]);
        likely = Some(match likely {
            Some(sum) => b.node("Add", &[&sum, &p], vec![]),
            None => p,
        });
        whole = Some(match whole {
            Some(sum) => b.node("Add", &[&sum, &weight], vec![]),
            None => weight,
        });
    }
    let (likely, whole) = likely.zip(whole).expect("three are mixed");
    let p = b.node("Div", &[&likely, &whole], vec![]);
    let p = b.node("Clip", &[&p, &least.0, &least.1], vec![]);
    let log = b.node("Log", &[&p], vec![]);
    let surprisal = b.node("Neg", &[&log], vec![]);
    b.finish(&surprisal, c * h * w)
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
) -> Result<Run, TrainError> {
    let step = |batch: &[usize]| -> Result<Tensor, GradientError> {
        let picked = batch.iter().flat_map(|&i| &x[i * d..][..d]).copied().collect();
        Ok(likelihood.apply(&rows(picked, d)?)?.mean_all()?)
    };
    function::train(likelihood, x.len() / d, course, rng, watch, &step)
}
