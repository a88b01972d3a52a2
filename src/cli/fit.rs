//! `tripline fit`: clean rows in, a bundle out.

use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use crate::fit::progress::Reporter;
use crate::fit::units::ImageShape;
use crate::fit::{Options, fit};
use crate::model::Runtime;
use crate::record::Probability;

/// Learn from clean rows what is normal, and write a bundle
///
/// Trains an autoencoder, lets every detector learn, calibrates them on rows that nothing was
/// fitted to, and tries the finished bundle on the record path. What is in the file becomes
/// normal: attacked rows in it will pass later.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Clean rows: .npy, .npz (key x or X, labels in y) or IDX, each also gzipped
    #[arg(long, value_name = "FILE")]
    data: PathBuf,

    /// Labels of the rows, in a file of their own; only for the accuracy in the report
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// What the bundle is called in alerts and metrics
    #[arg(long, value_name = "NAME")]
    name: String,

    /// Directory of the bundle; must not exist, or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,

    /// The rows are images: channels, height, width. Rows of two dimensions are taken as images of
    /// one channel by themselves
    #[arg(long, value_name = "CxHxW")]
    image: Option<ImageShape>,

    /// What an integer pixel is divided by to reach [0, 1]
    #[arg(long, value_name = "NUMBER", default_value_t = 255.0)]
    scale: f32,

    /// The classifier to protect, as ONNX: one input of f32 [batch, ...], logits or probabilities
    #[arg(long, value_name = "FILE")]
    guarded_model: Option<PathBuf>,

    /// Share of clean records that may be flagged
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    budget: Probability,

    /// Share of the rows that may be attacks: that many of the most isolated are left out of what is
    /// learned, and an isolation forest joins the detectors. Only for tables
    #[arg(long, value_name = "SHARE")]
    contaminated: Option<Probability>,

    /// The same seed, rows and machine give the same bundle
    #[arg(long, value_name = "NUMBER", default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: u64,

    /// Most epochs of training [default: 20, more for few rows]
    #[arg(long, value_name = "NUMBER")]
    epochs_max: Option<usize>,

    /// Minutes after which training stops with what it has; the result then depends on the machine
    #[arg(long, value_name = "NUMBER", default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes_max: u64,
}

impl Args {
    pub fn run(self) -> Exit {
        let runtime = match Runtime::load(None) {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::Config;
            }
        };
        let mut reporter = Reporter::new(Duration::from_secs(60 * self.minutes_max));
        let options = Options {
            data: self.data,
            labels: self.labels,
            name: self.name,
            out: self.out,
            image: self.image,
            scale: self.scale,
            guarded_model: self.guarded_model,
            budget: self.budget,
            contaminated: self.contaminated,
            seed: self.seed,
            epochs_max: self.epochs_max,
        };
        match fit(&options, &runtime, &mut reporter) {
            Ok(report) => {
                println!("{report}");
                Exit::Ok
            }
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }
}
