//! Trains the autoencoder: the network whose version of a row is its *twin*.
//!
//! Bit for bit the same weights from the same seed, rows and machine: initial weights and order of
//! rows come from our own ChaCha streams, and candle is only the calculator. On another
//! CPU the sums round differently: the digests in a bundle name its weights, not its seed.
//!
//! It minimises squared error, so what is rare in the rows (a class of 1 %) is learned badly, and
//! what lies beyond the limits of [`Standard`] is not learned at all. It cannot tell attacked rows from
//! clean ones: whatever it is given becomes normal.

use std::ops::ControlFlow;

use ndarray::ArrayView2;

use super::layers::{Layer, Limits, Standard};
use super::split::{Use, permutation, stream};
use super::weights::{Inputs, Weights};

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// One seed, one network.
    pub seed: u64,
    /// The learning rate's one cycle is laid over these; early stopping may use fewer.
    pub epochs_max: usize,
    /// Rows per step.
    pub batch_rows: usize,
    /// Peak of the learning rate.
    pub rate_peak: f64,
    /// Epochs without a better validation loss before training stops.
    pub patience: usize,
}

/// What the network's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Pixels in [0, 1]: a sigmoid.
    Unit,
    /// Numbers of any unit: linear, trained on standardised values.
    Standardised,
}

/// A trained autoencoder, and how it came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Takes and gives rows in model units, `[n, d]`.
    pub layers: Vec<Layer>,
    /// What the rows are held to before the first layer; none for images.
    pub limits: Option<Limits>,
    /// Mean squared error per number on training rows in the epoch kept; of standardised numbers
    /// if the output is [`Output::Standardised`].
    pub loss: f64,
    /// The same on validation rows, with the weights kept.
    pub loss_validation: f64,
    /// The epoch whose weights were kept, from 1.
    pub epoch: usize,
    /// Epochs begun.
    pub epochs: usize,
    pub stopped: Stopped,
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// `epochs_max` were trained.
    Finished,
    /// The validation loss stopped falling.
    Early,
    /// The watcher said so: the result then depends on when, and is not reproducible.
    Asked,
    /// It never began: the network was brought along.
    Brought,
}

/// Where training stands, after each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// From 1.
    pub epoch: usize,
    pub epochs_max: usize,
    /// Step within the epoch, from 1.
    pub step: usize,
    pub steps: usize,
    /// Mean loss of the epoch so far.
    pub loss: f64,
    /// After the last step of an epoch.
    pub loss_validation: Option<f64>,
}

#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{train} training and {validation} validation rows; both need at least one")]
    NoRows { train: usize, validation: usize },
    #[error("the loss is {loss} in epoch {epoch}; look for huge values in the rows")]
    Diverged { loss: f64, epoch: usize },
    #[error("the watcher stopped training before the first epoch was done")]
    TooShort,
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}

impl Config {
    /// What we train with: 20 epochs, or for few rows as many as make 3000 steps, up to 300.
    ///
    /// 42 000 rows of 784 take about 5 s an epoch on two idle cores and come to an error of 7.0e-3
    /// on validation rows; a peak rate of 2e-3 instead of 5e-3 ends about 2 % worse.
    pub fn for_rows(rows: usize, seed: u64) -> Self {
        let batch_rows = 128;
        let steps = rows.div_ceil(batch_rows).max(1);
        let epochs_max = 3000_usize.div_ceil(steps).clamp(20, 300);
        Self { seed, epochs_max, batch_rows, rate_peak: 5e-3, patience: 5 }
    }
}

/// Widths of the network for rows of `d` numbers, `[d, hidden, code, hidden, d]`: 784-256-64-256-784,
/// and narrower for narrower rows, so that the code never has room for the whole row.
pub fn widths(d: usize) -> [usize; 5] {
    let hidden = (4 * d).clamp(8, 256);
    let code = (d / 4).clamp(2, 64).min(d.saturating_sub(1).max(1));
    [d, hidden, code, hidden, d]
}

/// Trains on the rows `train` of `x` [n, d], in model units, and keeps the weights that did best on
/// the rows `validation`. With a `standard` the output is numbers of any unit, else pixels.
///
/// `watch` hears of every step and may stop the training; then the best weights so far are
/// returned. Holds one batch, three copies of the weights and the gradients beside `x`.
///
/// # Errors
/// If there are no rows, the loss is no longer finite, or `watch` stops it before one epoch.
///
/// # Source
/// Adam: D. Kingma, J. Ba, arXiv:1412.6980, with bias correction. One cycle of the learning rate:
/// L. Smith, N. Topin, arXiv:1708.07120, cosine both ways. First weights: K. He et al.,
/// arXiv:1502.01852.
pub fn train(
    x: ArrayView2<'_, f32>,
    train: &[usize],
    validation: &[usize],
    standard: Option<&Standard>,
    config: &Config,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    if train.is_empty() || validation.is_empty() {
        let (train, validation) = (train.len(), validation.len());
        return Err(TrainError::NoRows { train, validation });
    }
    let output = standard.map_or(Output::Unit, |_| Output::Standardised);
    let rows = Inputs { x: x.view(), standard };
    let batch_rows = config.batch_rows.clamp(1, train.len());
    // A last, smaller batch would be noisier than the rest: the shuffle leaves out others each time.
    let steps = train.len() / batch_rows;
    let steps_total = (steps * config.epochs_max) as f64;
    let mut order_rng = stream(config.seed, Use::Shuffle);
    let mut weights = Weights::new(&rows, train, output, &mut stream(config.seed, Use::Weights));

    let mut best: Option<(Weights, Trained)> = None;
    let (mut stopped, mut epochs) = (Stopped::Finished, 0);
    'epochs: for epoch in 1..=config.epochs_max {
        epochs = epoch;
        let order = permutation(train.len(), &mut order_rng);
        let mut losses = 0.0;
        for (at, batch) in order.chunks_exact(batch_rows).enumerate() {
            let done = ((epoch - 1) * steps + at) as f64 / steps_total;
            let batch = rows.tensor(batch.iter().map(|&i| train[i]))?;
            losses += weights.step(&batch, one_cycle(done) * config.rate_peak)?;
            let (step, loss) = (at + 1, losses / (at + 1) as f64);
            if !loss.is_finite() {
                return Err(TrainError::Diverged { loss, epoch });
            }
            let epochs_max = config.epochs_max;
            let mut progress =
                Progress { epoch, epochs_max, step, steps, loss, loss_validation: None };
            if step == steps {
                let loss_validation = weights.loss(&rows, validation)?;
                if !loss_validation.is_finite() {
                    return Err(TrainError::Diverged { loss: loss_validation, epoch });
                }
                progress.loss_validation = Some(loss_validation);
                if best.as_ref().is_none_or(|(_, b)| loss_validation < b.loss_validation) {
                    let layers = Vec::new();
                    let (limits, stopped) = (standard.map(|s| s.limits.clone()), stopped);
                    let trained =
                        Trained { layers, limits, loss, loss_validation, epoch, epochs, stopped };
                    best = Some((weights.clone(), trained));
                }
            }
            if watch(&progress).is_break() {
                stopped = Stopped::Asked;
                break 'epochs;
            }
        }
        if best.as_ref().is_some_and(|(_, b)| epoch - b.epoch >= config.patience) {
            stopped = if epoch < config.epochs_max { Stopped::Early } else { stopped };
            break;
        }
    }
    let (weights, trained) = best.ok_or(TrainError::TooShort)?;
    let mut layers = weights.into_layers();
    if let Some(standard) = standard {
        standard.fold(&mut layers);
    }
    Ok(Trained { layers, epochs, stopped, ..trained })
}

/// Share of the peak rate when a share `done` of all steps lies behind: from 1/25 up over the
/// first fifth, then down to 1/10 000.
pub(super) fn one_cycle(done: f64) -> f64 {
    const UP: f64 = 0.2;
    let cosine = |from: f64, to: f64, t: f64| {
        to + (from - to) * (1.0 + (std::f64::consts::PI * t).cos()) / 2.0
    };
    if done < UP {
        cosine(0.04, 1.0, done / UP)
    } else {
        cosine(1.0, 1e-4, (done - UP) / (1.0 - UP))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::fit::layers::forward;
    use crate::fit::weights::unit;

    fn quiet(_: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// 400 rows of `d` numbers near a plane of 2 dimensions, in [0, 1].
    fn plane(d: usize) -> Array2<f32> {
        let mut rng = stream(5, Use::Split);
        let mut x = Array2::zeros((400, d));
        for mut row in x.rows_mut() {
            let (a, b) = (unit(&mut rng), unit(&mut rng));
            for (j, value) in row.iter_mut().enumerate() {
                let t = j as f32 / d as f32;
                *value = 0.1 + 0.8 * (t * a + (1.0 - t) * b);
            }
        }
        x
    }

    fn rows() -> (Vec<usize>, Vec<usize>) {
        ((0..300).collect(), (300..400).collect())
    }

    fn config(epochs_max: usize) -> Config {
        Config { epochs_max, batch_rows: 32, ..Config::for_rows(300, 3) }
    }

    fn error(layers: &[Layer], x: ArrayView2<'_, f32>) -> f32 {
        (forward(layers, x) - x).mapv(|v| v * v).mean().unwrap()
    }

    #[test]
    fn the_same_seed_gives_the_same_bits_and_another_seed_does_not() {
        let (x, (t, v)) = (plane(80), rows());
        let fit = |seed| {
            let config = Config { seed, ..config(2) };
            train(x.view(), &t, &v, None, &config, &mut quiet).unwrap()
        };
        let bits = |trained: &Trained| {
            let layers = trained.layers.iter();
            let all = layers.flat_map(|l| l.w.iter().chain(&l.b).map(|v| v.to_bits()));
            all.collect::<Vec<_>>()
        };
        let (first, second) = (fit(3), fit(3));
        assert_eq!(bits(&first), bits(&second));
        assert_eq!(first.loss_validation.to_bits(), second.loss_validation.to_bits());
        assert_ne!(bits(&first), bits(&fit(4)));
    }

    #[test]
    fn the_loss_reported_is_the_loss_of_the_layers_returned() {
        let (x, (t, v)) = (plane(20), rows());
        let trained = train(x.view(), &t, &v, None, &config(10), &mut quiet).unwrap();
        let got = error(&trained.layers, x.slice(ndarray::s![300.., ..]));
        assert!((f64::from(got) / trained.loss_validation - 1.0).abs() < 1e-3, "{got} {trained:?}");
    }

    #[test]
    fn rows_near_a_plane_are_reproduced_and_rows_off_it_are_not() {
        let (x, (t, v)) = (plane(20), rows());
        let variance = x.var(0.0);
        let trained = train(x.view(), &t, &v, None, &config(100), &mut quiet).unwrap();
        let clean = error(&trained.layers, x.view());
        assert!(clean < 0.02 * variance, "{clean} of {variance}");
        let mut dirty = x.clone();
        dirty.column_mut(7).mapv_inplace(|v| 1.0 - v);
        assert!(error(&trained.layers, dirty.view()) > 3.0 * clean);
    }

    #[test]
    fn numbers_of_any_unit_are_learned_in_their_unit() {
        let (x, (t, v)) = (plane(6), rows());
        let unit = |j: usize| [1.0, 1e6, 1e-6, 20.0, 3.0, 1.0][j];
        let scaled = Array2::from_shape_fn(x.dim(), |(i, j)| 100.0 * unit(j) + unit(j) * x[[i, j]]);
        let config = config(60);
        let standard = Standard::of(scaled.view(), &t, &[]);
        let trained = train(scaled.view(), &t, &v, Some(&standard), &config, &mut quiet).unwrap();
        let twin = forward(&trained.layers, scaled.view());
        for j in 0..6 {
            let residual = (&twin.column(j) - &scaled.column(j)).mapv(|r| r / unit(j));
            assert!(residual.var(0.0) < 0.1 * x.column(j).var(0.0), "feature {j}");
        }
    }

    #[test]
    fn training_stops_when_the_validation_loss_does_not_fall() {
        // Noise: the more is learned by heart, the worse the validation rows get.
        let mut rng = stream(6, Use::Split);
        let x = Array2::from_shape_simple_fn((60, 64), || unit(&mut rng));
        let (t, v): (Vec<_>, Vec<_>) = ((0..30).collect(), (30..60).collect());
        let config = Config { patience: 3, ..config(300) };
        let trained = train(x.view(), &t, &v, None, &config, &mut quiet).unwrap();
        assert_eq!(trained.stopped, Stopped::Early);
        assert_eq!(trained.epochs, trained.epoch + 3);
    }

    #[test]
    fn the_watcher_can_stop_after_an_epoch_and_gets_the_best_so_far() {
        let (x, (t, v)) = (plane(20), rows());
        let stop_at = |epoch: usize| {
            let mut watch = |p: &Progress| match p.epoch >= epoch {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            };
            train(x.view(), &t, &v, None, &config(9), &mut watch)
        };
        let trained = stop_at(3).unwrap();
        assert_eq!((trained.stopped, trained.epoch <= 2), (Stopped::Asked, true));
        assert!(matches!(stop_at(1), Err(TrainError::TooShort)));
    }

    #[test]
    fn a_loss_that_is_not_finite_is_an_error_not_a_network() {
        let x = Array2::from_elem((400, 8), f32::MAX);
        let (t, v) = rows();
        let got = train(x.view(), &t, &v, None, &config(2), &mut quiet);
        assert!(matches!(got, Err(TrainError::Diverged { .. })), "{got:?}");
        let got = train(x.view(), &[], &v, None, &config(2), &mut quiet);
        assert!(matches!(got, Err(TrainError::NoRows { train: 0, .. })), "{got:?}");
    }

    #[test]
    fn the_code_is_narrower_than_the_row_for_every_width_it_can_be() {
        assert_eq!(widths(784), [784, 256, 64, 256, 784]);
        assert_eq!(widths(9), [9, 36, 2, 36, 9]);
        assert_eq!(widths(1), [1, 8, 1, 8, 1]);
        assert!((2..2000).all(|d| widths(d)[2] < d));
    }
}
