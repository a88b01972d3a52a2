//! `tripline redteam`: a bundle and clean rows in, what gets around the guard out.

use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use crate::fit::progress::Reporter;
use crate::fit::redteam::{Options, redteam};
use crate::model::Runtime;

/// Attack a bundle, as one who knows the model and as one who holds the bundle
///
/// Prints, for each strength, the share of rows that fool the protected model and the share that fools
/// it and passes the guard. No guard of this kind withstands an attacker who holds the bundle.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Directory of the bundle
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,

    /// Clean rows that the bundle was not fitted to: .npy, .npz (key x, labels in y) or IDX, each
    /// also gzipped; shape and scale of an image are the bundle's own
    #[arg(long, value_name = "FILE")]
    data: PathBuf,

    /// Labels of the rows, in a file of their own; without any, the model's own answers count
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// How many rows are attacked
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    rows: usize,

    /// Largest change of a feature: of a pixel as a share of its range, of a number in
    /// threes of its deviation
    #[arg(long, value_name = "SHARE", value_delimiter = ',', default_values_t = [0.05, 0.1, 0.2])]
    strength: Vec<f32>,

    /// Steps of each attack
    #[arg(long, value_name = "NUMBER", default_value_t = 50)]
    steps: usize,

    /// Random starts of each adaptive attack, each with three weights of the flag
    #[arg(long, value_name = "NUMBER", default_value_t = 2)]
    restarts: usize,

    /// Draws rows and starts
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,

    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
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
        let options = Options {
            bundle: self.bundle,
            data: self.data,
            labels: self.labels,
            rows: self.rows.max(1),
            strengths: self.strength,
            steps: self.steps.max(1),
            restarts: self.restarts.max(1),
            seed: self.seed,
        };
        match redteam(&options, &runtime, &mut Reporter::new(Duration::MAX)) {
            Ok(report) if self.json => {
                println!("{}", serde_json::to_string_pretty(&report).expect("numbers and names"));
                Exit::Ok
            }
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
