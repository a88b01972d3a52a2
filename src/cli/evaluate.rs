//! `tripline evaluate`: rows whose nature is known in, what the guard makes of them out.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::Exit;
use super::columns::File;
use crate::fit::evaluate::{
    EvaluateError, Named, Options, Rows, Trial, compare, drift, evaluate, html,
};
use crate::fit::progress::Reporter;
use crate::model::Runtime;
use crate::record::Probability;

/// Send rows through a bundle, as records, and say what it flags and how well it tells attacks
///
/// Either one table with --data, whose --label says of each row whether it is clean; or --clean with
/// any number of --suspect beside it. Rows that fit or calibrated the bundle flatter it: bring
/// others.
///
/// A FILE of --clean or --suspect may be cut down: FILE@5000..10000 takes rows 5000 to 9999 (counted
/// from 0), FILE#success those where the array of that name in an .npz (or the column of a table) is
/// true, FILE#y=1 and FILE#label!=normal those where it has, or has not, that value; both together
/// are FILE@..500#success. Arrays of bytes or other integers are divided by the schema's scale.
///
/// If the bundle has a protected model and the rows have labels (key y of an .npz, --labels, --truth),
/// its accuracy is told too: on the rows as they are, if all were corrected, and on what is delivered
/// under mode = "enforce", on_flagged = "correct".
#[derive(clap::Args, Clone, Debug)]
#[command(group = clap::ArgGroup::new("rows").required(true))]
pub struct Args {
    /// Directory of the bundle
    #[arg(long, value_name = "DIR")]
    bundle: PathBuf,

    /// Clean and attacked rows together: CSV, JSON lines, Parquet, .npy, .npz or IDX; all but
    /// Parquet also gzipped, CSV and JSON also in Zstandard or zip
    #[arg(long, value_name = "FILE", group = "rows")]
    data: Option<PathBuf>,

    /// Clean rows, in the same formats
    #[arg(long, value_name = "FILE[@FROM..TO][#COLUMN]", group = "rows", conflicts_with_all = ["label", "normal"])]
    clean: Option<Rows>,

    /// Rows to be told from the clean ones, under a name of their own; can be given many times
    #[arg(long, value_name = "NAME=FILE[@FROM..TO][#COLUMN]", requires = "clean")]
    suspect: Vec<Named>,

    /// Labels of the clean rows, as .npy or IDX, if their file does not have them
    #[arg(long, value_name = "FILE", requires = "clean")]
    labels: Option<PathBuf>,

    /// The column of tables with the label that the protected model should give, from 0
    #[arg(long, value_name = "COLUMN", requires = "clean")]
    truth: Option<String>,

    #[command(flatten)]
    file: File,

    #[command(flatten)]
    drift: Drift,

    /// Share of clean records that may be flagged [default: the bundle's own]
    #[arg(long, value_name = "SHARE")]
    budget: Option<Probability>,

    /// Print JSON instead of words
    #[arg(long)]
    json: bool,

    /// Write a page with curves, histograms and the rows that went worst; it needs no other file
    #[arg(long, value_name = "FILE", requires = "clean")]
    html: Option<PathBuf>,

    /// Write the report as JSON too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How rows are dealt out as streams.
#[derive(clap::Args, Clone, Debug)]
struct Drift {
    /// Deal the rows out as streams instead, and say how often the alarm rings for nothing, how soon for
    /// each suspect, and what it names
    #[arg(long, requires = "clean")]
    drift: bool,

    /// Share of a stream's rows that are a suspect's
    #[arg(long, value_name = "SHARE", default_value = "10%", requires = "drift")]
    mix: Probability,

    /// How many streams
    #[arg(long, value_name = "N", default_value_t = 40, requires = "drift")]
    runs: usize,

    /// Rows of a stream
    #[arg(long, value_name = "N", default_value_t = 5000, requires = "drift")]
    records: usize,

    /// Rows of a stream before the suspect's begin
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "drift")]
    before: usize,

    /// One false page is allowed per so many rows
    #[arg(long, value_name = "ROWS", default_value_t = 50_000, requires = "drift")]
    per: u64,

    /// Rows of a window
    #[arg(long, value_name = "ROWS", default_value_t = 100, requires = "drift")]
    window: u64,

    /// The clean rows are one stream, in the order of their file
    #[arg(long, requires = "drift")]
    in_order: bool,

    /// Rank one row of every window: for rows that depend on their neighbours
    #[arg(long, requires = "drift")]
    one_of_window: bool,
}

/// Missed, caught and wrongly flagged rows that a page shows, of each file as many.
const SPECIMENS: usize = 6;

impl Args {
    pub fn run(self) -> Exit {
        let mut names: Vec<&str> = self.suspect.iter().map(|s| s.name.as_str()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            eprintln!("error: two suspects are called {:?}", pair[0]);
            return Exit::Config;
        }
        let runtime = match Runtime::load(None) {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::Config;
            }
        };
        match self.report(&runtime) {
            Ok(()) => Exit::Ok,
            Err(error) => {
                eprintln!("error: {error}");
                Exit::Failed
            }
        }
    }

    fn report(self, runtime: &Runtime) -> Result<(), String> {
        let mut reporter = Reporter::new(Duration::MAX);
        let words = |error: EvaluateError| error.to_string();
        let Some(clean) = self.clean else {
            let options = Options {
                bundle: self.bundle,
                reading: self.file.reading(),
                label: self.file.label(),
                data: self.data.expect("one of the two is required"),
                budget: self.budget,
            };
            let evaluation = evaluate(&options, runtime, &mut reporter).map_err(words)?;
            return say(&evaluation, self.json, self.out.as_deref());
        };
        if self.drift.drift {
            let Drift { mix, runs, records, before, per, window, in_order, one_of_window, .. } =
                self.drift;
            let trial = drift::Trial {
                bundle: self.bundle,
                clean,
                suspects: self.suspect,
                reading: self.file.reading(),
                budget: self.budget,
                mix,
                runs,
                records,
                before,
                period: per.max(1),
                window: window.max(1),
                in_order,
                one_of_window,
            };
            let report = drift::drift(&trial, runtime, &mut reporter).map_err(words)?;
            return say(&report, self.json, self.out.as_deref());
        }
        let trial = Trial {
            bundle: self.bundle,
            clean,
            labels: self.labels,
            suspects: self.suspect,
            reading: self.file.reading(),
            truth: self.truth,
            budget: self.budget,
            specimens: if self.html.is_some() { SPECIMENS } else { 0 },
        };
        let report = compare(&trial, runtime, &mut reporter).map_err(words)?;
        if let Some(path) = &self.html {
            write(path, html::page(&report))?;
        }
        say(&report, self.json, self.out.as_deref())
    }
}

/// Prints the report, and writes it to `out` as JSON.
fn say<T: Serialize + Display>(report: &T, json: bool, out: Option<&Path>) -> Result<(), String> {
    let text = serde_json::to_string_pretty(report).expect("numbers and names");
    match json {
        true => println!("{text}"),
        false => println!("{report}"),
    }
    let Some(path) = out else { return Ok(()) };
    write(path, text + "\n")
}

fn write(path: &Path, text: String) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
