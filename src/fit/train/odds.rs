//! Two small networks that are taught by attacks of our own which rows were attacked: one from the
//! pixels, one from the protected model's inner layers.
//!
//! They learn from attacks *whose answer changed*: an attack without effect is a disturbed row. Families
//! weigh the same, however many of their rows there are. What they are blind to stands in
//! `detect/learned_pixels.rs` and `detect/learned_layers.rs`.

use std::ops::ControlFlow;

use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;

use super::error::TrainError;
use super::function;
use super::residual::{blocks, centred};
use super::trainer::Course;
use crate::fit::attack::Image;
use crate::fit::graph::gradient::{Builder, Function, GradientError, int, ints, rows};
use crate::fit::progress::Progress;

/// Log-odds from the pixels, `[n, c · h · w]` → `[n, 1]`: three convolutions, means and maxima over
/// places, two layers. .8 million multiply-adds for 3×32×32.
///
/// # Errors
/// If candle does not take a weight.
pub fn pixels((c, h, w): Image, rng: &mut ChaCha8Rng) -> Result<Function, GradientError> {
    const WIDE: usize = 12;
    const DEEP: usize = 24;
    const HIDDEN: usize = 48;
    let block = if h.min(w) >= 24 { 2 } else { 1 };
    let mut b = Builder::new("pixel odds", c * h * w, rng);
    let x = b.reshape(&b.input(), &[c, h, w]);
    let x = centred(&mut b, &x, 4.0);
    let x = blocks(&mut b, &x, (c, WIDE), block);
    let x = b.relu(&x);
    let x = b.convolution(&x, (WIDE, DEEP), 3, 2, 2.0);
    let x = b.relu(&x);
    let x = b.convolution(&x, (DEEP, DEEP), 3, 1, 2.0);
    let x = b.relu(&x);
    let side = |size: usize| size.div_ceil(block).div_ceil(2);
    let whole = [side(h) as i64, side(w) as i64];
    let kernel = || vec![ints("kernel_shape", &whole), ints("strides", &[1, 1])];
    let mean = b.node("AveragePool", &[&x], kernel());
    let most = b.node("MaxPool", &[&x], kernel());
    let both = b.node("Concat", &[&mean, &most], vec![int("axis", 1)]);
    let both = b.reshape(&both, &[2 * DEEP]);
    let z = b.dense(&both, 2 * DEEP, HIDDEN, 2.0);
    let z = b.relu(&z);
    let z = b.dense(&z, HIDDEN, 1, 0.1);
    b.finish(&z, 1)
}

/// Log-odds from inner layers, `[n, t]` → `[n, 1]`, the first `labels` of which are the logits. The largest
/// of these says which row of an embedding is added. `mean` and `deviation` `[t]` standardize.
///
/// # Errors
/// If candle does not take a weight.
pub fn layers(
    labels: usize,
    (mean, deviation): (&[f32], &[f32]),
    rng: &mut ChaCha8Rng,
) -> Result<Function, GradientError> {
    const HIDDEN: usize = 96;
    const LAST: usize = 48;
    let t = mean.len();
    let mut b = Builder::new("layer odds", t, rng);
    let x = b.input();
    let [start, end, axis] = [0, labels as i64, 1].map(|v| b.ints(&[v]));
    let logits = b.node("Slice", &[&x, &start, &end, &axis], vec![]);
    let most = b.node("ReduceMax", &[&logits], vec![ints("axes", &[1])]);
    let label = b.node("Equal", &[&logits, &most], vec![]);
    let (one, zero) = (b.constant(&[], &[1.0]), b.constant(&[], &[0.0]));
    let label = b.node("Where", &[&label, &one, &zero], vec![]);
    let (mean, deviation) = (b.constant(&[t], mean), b.constant(&[t], deviation));
    let z = b.node("Sub", &[&x, &mean], vec![]);
    let z = b.node("Div", &[&z, &deviation], vec![]);
    // What lies far outside of what was seen is far, not infinitely so.
    let (low, high) = (b.constant(&[], &[-10.0]), b.constant(&[], &[10.0]));
    let z = b.node("Clip", &[&z, &low, &high], vec![]);
    let z = b.dense(&z, t, HIDDEN, 1.0);
    let embedded = b.dense(&label, labels, HIDDEN, 1.0);
    let z = b.node("Add", &[&z, &embedded], vec![]);
    let z = b.relu(&z);
    let z = b.dense(&z, HIDDEN, LAST, 2.0);
    let z = b.relu(&z);
    let z = b.dense(&z, LAST, 1, 0.1);
    b.finish(&z, 1)
}

/// Rows to learn from.
pub struct Curriculum<'a> {
    /// How many there are.
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
    /// The rows of a part, as they are shown: `[part · width]`.
    pub show: &'a (dyn Fn(&[usize]) -> Vec<f32> + Sync),
    /// Whether row i was attacked.
    pub attacked: &'a [bool],
    /// How much row i counts; 1 on average.
    pub weights: &'a [f32],
}

/// Trains `network` to give each row the log-odds of having been attacked: the logistic loss.
///
/// # Errors
/// If the network has no gradient.
pub fn teach(
    network: &Function,
    curriculum: &Curriculum<'_>,
    course: Course,
    rng: &mut ChaCha8Rng,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<(), TrainError> {
    let step = |part: &[usize]| -> Result<Tensor, GradientError> {
        let z = network.apply(&rows((curriculum.show)(part), curriculum.width)?)?;
        // ln(1 + e^∓z), without e of a large number.
        let of = |f: &dyn Fn(usize) -> f32| rows(part.iter().map(|&i| f(i)).collect(), 1);
        let sign = of(&|i| if curriculum.attacked[i] { -1.0 } else { 1.0 })?;
        let z = z.mul(&sign)?;
        let loss = (z.relu()? + (z.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
        Ok(loss.mul(&of(&|i| curriculum.weights[i])?)?.mean_all()?)
    };
    function::train(network, curriculum.rows, course, rng, watch, &step)?;
    Ok(())
}

/// Weights of rows, 1 on average: attacked ones count as much as all others together, and every kind
/// of attack as much as another. `kinds[i]` is `None` for a row that was not attacked.
pub fn weights(kinds: &[Option<usize>]) -> Vec<f32> {
    let most = kinds.iter().flatten().max().map_or(0, |most| most + 1);
    let mut counts = vec![0_usize; most];
    kinds.iter().flatten().for_each(|&kind| counts[kind] += 1);
    let families = counts.iter().filter(|&&count| count > 0).count().max(1);
    let others = kinds.iter().filter(|kind| kind.is_none()).count().max(1);
    let half = kinds.len() as f32 / 2.0;
    let weight = |kind: &Option<usize>| match kind {
        Some(kind) => half / (families * counts[*kind]) as f32,
        None => half / others as f32,
    };
    kinds.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::seed::{Use, stream, unit};

    #[test]
    fn attacks_count_as_much_as_the_rest_and_a_rare_kind_as_much_as_a_frequent_one() {
        let kinds = [Some(0), Some(0), Some(0), Some(2), None, None];
        let got = weights(&kinds);
        assert!((got.iter().sum::<f32>() - 6.0).abs() < 1e-5);
        assert!((got[..3].iter().sum::<f32>() - 1.5).abs() < 1e-5 && (got[3] - 1.5).abs() < 1e-5);
    }

    fn course() -> Course {
        Course { epochs_max: 12, batch_rows: 32, rate_peak: 5e-3, patience: None, clip: Some(1.0) }
    }

    #[test]
    fn a_checked_patch_is_told_from_flat_images_and_odds_of_layers_hang_on_the_label() {
        let quiet = &mut |_: &Progress| ControlFlow::Continue(());
        let mut rng = stream(1, Use::PixelLogit);
        let (n, image) = (256, (2, 8, 8));
        let mut x: Vec<f32> = (0..n * 128).map(|_| 0.4 + 0.1 * unit(&mut rng)).collect();
        let attacked: Vec<bool> = (0..n).map(|i| i % 2 == 1).collect();
        for (i, row) in x.chunks_mut(128).enumerate().filter(|(i, _)| i % 2 == 1) {
            let from = i % 5 * 8 + i % 4;
            [0, 9, 18].iter().for_each(|step| row[from + step] += 0.4);
        }
        let show =
            |part: &[usize]| part.iter().flat_map(|&i| &x[i * 128..][..128]).copied().collect();
        let curriculum = Curriculum {
            rows: n,
            width: 128,
            show: &show,
            attacked: &attacked,
            weights: &vec![1.0; n],
        };
        let network = pixels(image, &mut rng).unwrap();
        teach(&network, &curriculum, course(), &mut rng, quiet).unwrap();
        let z: Vec<f32> = network
            .apply(&rows(x.clone(), 128).unwrap())
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let right =
            z.iter().zip(&attacked).filter(|(z, attacked)| (**z > 0.0) == **attacked).count();
        assert!(right > 240, "{right} of 256");

        // Label 0 with a positive third number is an attack, label 1 with a negative one.
        let x: Vec<f32> = (0..n * 3).map(|_| 2.0 * unit(&mut rng) - 1.0).collect();
        let attacked: Vec<bool> = x.chunks(3).map(|r| (r[0] > r[1]) == (r[2] > 0.0)).collect();
        let show = |part: &[usize]| part.iter().flat_map(|&i| &x[i * 3..][..3]).copied().collect();
        let curriculum = Curriculum {
            rows: n,
            width: 3,
            show: &show,
            attacked: &attacked,
            weights: &vec![1.0; n],
        };
        let network = layers(2, (&[0.0; 3], &[0.6; 3]), &mut rng).unwrap();
        let course = Course { epochs_max: 60, ..course() };
        teach(&network, &curriculum, course, &mut rng, quiet).unwrap();
        let z: Vec<f32> = network
            .apply(&rows(x.clone(), 3).unwrap())
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let right =
            z.iter().zip(&attacked).filter(|(z, attacked)| (**z > 0.0) == **attacked).count();
        assert!(right > 240, "{right} of 256");
    }
}
