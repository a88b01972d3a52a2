//! The training loop: every network that `fit` trains goes through it.
//!
//! It knows epochs, the order of the rows, the learning rate and when to stop. It does not know what
//! a step is: a [`Learner`] takes it. Bit for bit the same weights from the same seed, rows and
//! machine: the order of the rows comes from our own ChaCha streams, candle is only the calculator.
//! On another CPU the sums round differently.
//!
//! It cannot tell attacked rows from clean ones: whatever it is given becomes normal.

use std::ops::ControlFlow;

use rand_chacha::ChaCha8Rng;

use super::error::TrainError;
use crate::fit::progress::Progress;
use crate::fit::seed::permutation;

/// How to train.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Course {
    /// The learning rate's one cycle is laid over these; early stopping may use fewer.
    pub epochs_max: usize,
    /// Rows per step.
    pub batch_rows: usize,
    /// Peak of the learning rate.
    pub rate_peak: f64,
    /// Epochs without a better validation loss before training stops; `None` for a learner that
    /// has no validation rows.
    pub patience: Option<usize>,
    /// A step's gradient is at most so long, if something is said.
    pub clip: Option<f64>,
}

/// A network with its optimizer: what the loop moves.
pub trait Learner {
    /// One step down the loss of the training rows `batch`, numbered from 0; the mean loss before
    /// the step.
    ///
    /// # Errors
    /// If the network has no gradient.
    fn step(&mut self, batch: &[usize], rate: f64) -> Result<f64, TrainError>;

    /// The loss on rows that no step is taken on, if there are such rows.
    ///
    /// # Errors
    /// If the network fails.
    fn validate(&mut self) -> Result<Option<f64>, TrainError> {
        Ok(None)
    }

    /// Told when the weights are the best so far by [`Self::validate`].
    fn keep(&mut self) {}
}

/// How a training went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Epochs begun.
    pub epochs: usize,
    pub stopped: Stopped,
    /// `None` without validation rows, and before one epoch is done.
    pub best: Option<Best>,
}

/// The epoch that did best on validation rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// From 1.
    pub epoch: usize,
    /// Mean loss of that epoch's steps.
    pub loss: f64,
    pub loss_validation: f64,
}

/// What the report says of an autoencoder's training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trained {
    /// Mean squared error per number on training rows in the epoch kept; of standardised numbers
    /// unless the rows are images.
    pub loss: f64,
    /// Mean squared error per number on validation rows, with the weights kept.
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

/// Trains `learner` on `n` rows in an order drawn from `rng`.
///
/// `watch` hears of every step and may stop the training.
///
/// # Errors
/// If a step fails, or the loss is no longer finite.
///
/// # Source
/// One cycle of the learning rate: L. Smith, N. Topin, arXiv:1708.07120, cosine both ways.
pub fn train(
    learner: &mut dyn Learner,
    n: usize,
    course: Course,
    rng: &mut ChaCha8Rng,
    watch: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Run, TrainError> {
    let Course { epochs_max, rate_peak, patience, .. } = course;
    let batch_rows = course.batch_rows.clamp(1, n.max(1));
    // A last, smaller batch would be noisier than the rest: the shuffle leaves out others each time.
    let steps = n / batch_rows;
    let steps_total = (steps * epochs_max) as f64;
    let mut run = Run { epochs: 0, stopped: Stopped::Finished, best: None };
    for epoch in 1..=epochs_max {
        run.epochs = epoch;
        let (order, mut losses) = (permutation(n, rng), 0.0);
        for (at, batch) in order.chunks_exact(batch_rows).enumerate() {
            let done = ((epoch - 1) * steps + at) as f64 / steps_total;
            losses += learner.step(batch, one_cycle(done) * rate_peak)?;
            let step = at + 1;
            let loss = finite(losses / step as f64, epoch)?;
            let mut loss_validation = None;
            if step == steps {
                loss_validation = learner.validate()?;
            }
            if let Some(loss_validation) = loss_validation {
                finite(loss_validation, epoch)?;
                if run.best.is_none_or(|best| loss_validation < best.loss_validation) {
                    run.best = Some(Best { epoch, loss, loss_validation });
                    learner.keep();
                }
            }
            if watch(&Progress { epoch, epochs_max, step, steps, loss, loss_validation }).is_break()
            {
                run.stopped = Stopped::Asked;
                return Ok(run);
            }
        }
        let waited = run.best.map(|best| epoch - best.epoch);
        if waited.zip(patience).is_some_and(|(waited, patience)| waited >= patience) {
            if epoch < epochs_max {
                run.stopped = Stopped::Early;
            }
            break;
        }
    }
    Ok(run)
}

fn finite(loss: f64, epoch: usize) -> Result<f64, TrainError> {
    if loss.is_finite() { Ok(loss) } else { Err(TrainError::Diverged { loss, epoch }) }
}

/// Share of the peak rate when a share `done` of all steps lies behind: from 1/25 up over the
/// first fifth, then down to 1/10 000.
fn one_cycle(done: f64) -> f64 {
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
    use super::*;
    use crate::fit::seed::{Use, stream};

    /// Notes what it is asked; its validation losses are given.
    #[derive(Default)]
    struct Notes {
        batches: Vec<Vec<usize>>,
        rates: Vec<f64>,
        losses: Vec<f64>,
        epoch: usize,
        kept: Vec<usize>,
    }

    impl Learner for Notes {
        fn step(&mut self, batch: &[usize], rate: f64) -> Result<f64, TrainError> {
            self.batches.push(batch.to_vec());
            self.rates.push(rate);
            Ok(1.0)
        }

        fn validate(&mut self) -> Result<Option<f64>, TrainError> {
            self.epoch += 1;
            Ok(self.losses.get(self.epoch - 1).copied())
        }

        fn keep(&mut self) {
            self.kept.push(self.epoch);
        }
    }

    fn run(notes: &mut Notes, n: usize, course: Course) -> Run {
        let quiet = &mut |_: &Progress| ControlFlow::Continue(());
        train(notes, n, course, &mut stream(1, Use::Shuffle), quiet).unwrap()
    }

    const COURSE: Course =
        Course { epochs_max: 4, batch_rows: 3, rate_peak: 2.0, patience: Some(2), clip: None };

    #[test]
    fn an_epoch_shows_every_row_at_most_once_in_whole_batches() {
        let mut notes = Notes::default();
        let got = run(&mut notes, 10, COURSE);
        assert_eq!(got, Run { epochs: 4, stopped: Stopped::Finished, best: None });
        assert_eq!(notes.batches.len(), 4 * 3);
        for epoch in notes.batches.chunks(3) {
            let mut rows = epoch.concat();
            rows.sort_unstable();
            rows.dedup();
            assert_eq!((rows.len(), rows.iter().all(|&i| i < 10)), (9, true), "{epoch:?}");
        }
    }

    #[test]
    fn the_rate_goes_up_to_its_peak_and_down_once() {
        let mut notes = Notes::default();
        run(&mut notes, 30, Course { epochs_max: 10, ..COURSE });
        let top = notes.rates.iter().position(|&rate| rate == 2.0).expect("a peak");
        assert_eq!(top, 20);
        assert!(notes.rates[..=top].is_sorted() && notes.rates[top..].is_sorted_by(|a, b| a >= b));
    }

    #[test]
    fn the_best_epoch_is_kept_and_patience_ends_the_training() {
        let mut notes = Notes { losses: vec![3.0, 1.0, 2.0, 1.0], ..Notes::default() };
        let best = Some(Best { epoch: 2, loss: 1.0, loss_validation: 1.0 });
        let got = run(&mut notes, 9, Course { epochs_max: 9, ..COURSE });
        assert_eq!(got, Run { epochs: 4, stopped: Stopped::Early, best });
        assert_eq!(notes.kept, [1, 2]);
    }
}
