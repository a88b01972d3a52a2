//! What a person sees while `fit` runs: one bar on a terminal, plain lines anywhere else.

#![expect(
    clippy::disallowed_methods,
    reason = "how long training may take, and how long nothing was said"
)]

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Hears what `fit` is doing, and may end the training.
pub trait Watch {
    /// Something new begins.
    fn stage(&mut self, what: &str);
    /// Something that a person should know about the data.
    fn note(&mut self, note: &str) {
        self.stage(&format!("note: {note}"));
    }
    /// So many rows of a file were read, so large a share of it.
    fn reading(&mut self, rows: u64, done: f32);
    /// A training step is done.
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()>;
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

/// Reports on standard error, and stops training when its time is up.
#[derive(Debug)]
pub struct Reporter {
    bar: ProgressBar,
    plain: bool,
    train_max: Duration,
    training_since: Option<Instant>,
    validation: Option<f64>,
    said: Instant,
    /// Rows at the last look at the clock.
    read: u64,
}

/// Between two lines about the same thing where there is no terminal.
const QUIET: Duration = Duration::from_secs(10);

/// Rows between two looks at the clock.
const LOOK_ROWS: u64 = 4096;

impl Reporter {
    /// Training stops after `train_max`, with the best weights until then.
    pub fn new(train_max: Duration) -> Self {
        let bar = ProgressBar::no_length();
        let template = "{prefix} [{bar:30}] {percent}%  {msg}  {eta} left";
        let style = ProgressStyle::with_template(template).expect("a template we wrote");
        bar.set_style(style.progress_chars("=> "));
        let plain = bar.is_hidden();
        let (training_since, validation) = (None, None);
        Self { bar, plain, train_max, training_since, validation, said: Instant::now(), read: 0 }
    }
}

impl Watch for Reporter {
    fn stage(&mut self, what: &str) {
        self.bar.finish_and_clear();
        self.bar.reset();
        eprintln!("{what}");
    }

    fn reading(&mut self, rows: u64, done: f32) {
        // A look at the clock for every row would take longer than reading it.
        if rows.abs_diff(self.read) < LOOK_ROWS {
            return;
        }
        self.read = rows;
        if !self.plain {
            self.bar.set_length(1000);
            self.bar.set_prefix(format!("{rows} rows"));
            self.bar.set_position((1000.0 * done) as u64);
        } else if self.said.elapsed() > QUIET {
            self.said = Instant::now();
            eprintln!("{rows} rows, {:.0} %", 100.0 * done);
        }
    }

    fn progress(&mut self, p: &Progress) -> ControlFlow<()> {
        let since = *self.training_since.get_or_insert_with(|| {
            self.bar.reset();
            Instant::now()
        });
        if p.loss_validation.is_some() {
            self.validation = p.loss_validation;
        }
        let losses = match self.validation {
            Some(validation) => format!("loss {:.5}, validation {validation:.5}", p.loss),
            None => format!("loss {:.5}", p.loss),
        };
        if self.plain {
            if p.step == p.steps {
                let spent = since.elapsed();
                let left = spent.mul_f64(p.epochs_max as f64 / p.epoch as f64) - spent;
                let (epoch, of, left) = (p.epoch, p.epochs_max, left.as_secs());
                eprintln!("epoch {epoch} of {of}: {losses}, {left} s left");
            }
        } else {
            self.bar.set_length((p.epochs_max * p.steps) as u64);
            self.bar.set_prefix(format!("epoch {} of {}", p.epoch, p.epochs_max));
            self.bar.set_message(losses);
            self.bar.set_position(((p.epoch - 1) * p.steps + p.step) as u64);
        }
        match since.elapsed() > self.train_max {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
