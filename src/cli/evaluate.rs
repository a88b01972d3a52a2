//! `tripline evaluate`: a labelled table in, what the guard makes of it out.

use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use super::columns::File;
use crate::fit::evaluate::{Options, evaluate};
use crate::fit::progress::Reporter;
use crate::model::Runtime;
use crate::record::Probability;

/// Send a table through a bundle, as records, and say what it flags
///
/// With --label, rows that the label does not call clean count as attacks: the report then says how
/// well they are told from clean rows (AUROC) and how many are caught at the budget. Rows that fit
/// or calibrated the bundle flatter it: bring others.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Directory of the bundle
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,

    /// Rows: CSV, JSON lines, Parquet, .npy, .npz or IDX; all but Parquet also gzipped
    #[arg(long, value_name = "FILE")]
    data: PathBuf,

    #[command(flatten)]
    file: File,

    /// Share of clean records that may be flagged [default: the bundle's own]
    #[arg(long, value_name = "SHARE")]
    budget: Option<Probability>,

    /// Write the report as JSON too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
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
            reading: self.file.reading(),
            label: self.file.label(),
            data: self.data,
            budget: self.budget,
        };
        let mut reporter = Reporter::new(Duration::MAX);
        let evaluation = match evaluate(&options, &runtime, &mut reporter) {
            Ok(evaluation) => evaluation,
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::Failed;
            }
        };
        println!("{evaluation}");
        let Some(path) = self.out else { return Exit::Ok };
        let json = serde_json::to_string_pretty(&evaluation).expect("numbers and names");
        match std::fs::write(&path, json + "\n") {
            Ok(()) => Exit::Ok,
            Err(error) => {
                eprintln!("error: {}: {error}", path.display());
                Exit::Failed
            }
        }
    }
}
