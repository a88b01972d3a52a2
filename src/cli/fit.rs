//! `tripline fit`: clean rows in, a bundle out.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::time::Duration;

use super::Exit;
use super::columns::Columns;
use crate::fit::data::memory::Memory;
use crate::fit::data::options::ModelHints;
use crate::fit::data::units::ImageShape;
use crate::fit::progress::Reporter;
use crate::fit::{Options, fit, schema};
use crate::model::Runtime;
use crate::record::Probability;

/// Learn from clean rows what is normal, and write a bundle
///
/// Trains an autoencoder, lets every detector learn, calibrates them on rows that nothing was
/// fitted to, and tries the finished bundle on the record path. What is in the file becomes
/// normal: attacked rows in it will pass later, unless --label says which they are.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Clean rows: CSV, JSON lines, Parquet, .npy, .npz (key x or X, labels in y) or IDX; all but
    /// Parquet also gzipped, CSV and JSON also in Zstandard or zip
    #[arg(long, value_name = "FILE")]
    data: PathBuf,

    #[command(flatten)]
    columns: Columns,

    /// Labels of the rows, in a file of their own; only for the accuracy in the report
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,

    /// What the bundle is called in alerts and metrics
    #[arg(long, value_name = "NAME", required_unless_present = "schema_only")]
    name: Option<String>,

    /// Directory of the bundle; must not exist, or be empty
    #[arg(long, value_name = "DIR", required_unless_present = "schema_only")]
    out: Option<PathBuf>,

    /// Print the schema that would be learned, as TOML for --schema, and learn nothing
    #[arg(long)]
    schema_only: bool,

    /// An autoencoder of your own, as ONNX: one input of f32 [batch, d], one output [batch, d], in
    /// the rows' own units. Kept as it is; only what goes around it is learned
    #[arg(long, value_name = "FILE")]
    autoencoder: Option<PathBuf>,

    /// Learn from so many of the clean rows, drawn by the seed
    #[arg(long, value_name = "NUMBER")]
    sample: Option<usize>,

    /// Memory the rows may take, such as 2GiB [default: what the system says is available]
    #[arg(long, value_name = "SIZE")]
    memory_max: Option<Memory>,

    /// The rows are images: channels, height, width. Rows of two dimensions are taken as images of
    /// one channel by themselves
    #[arg(long, value_name = "CxHxW")]
    image: Option<ImageShape>,

    /// What an integer pixel is divided by to reach [0, 1]
    #[arg(long, value_name = "NUMBER", default_value_t = 255.0)]
    scale: f32,

    /// The classifier to protect, as ONNX, as it was exported: what its inputs and outputs are is found
    /// and said in the report
    #[arg(long, alias = "guarded-model", value_name = "FILE")]
    protected_model: Option<PathBuf>,

    /// Which features an input of the protected model takes, if their names do not say it
    #[arg(long, value_name = "INPUT=COLUMN,COLUMN", value_parser = model_input,
        requires = "protected_model")]
    model_input: Vec<(String, Vec<String>)>,

    /// Which output of the protected model is its answer, if it has several; NAME=logit if it is one
    /// number, the logit of the second of two labels
    #[arg(long, value_name = "NAME", requires = "protected_model")]
    model_output: Option<String>,

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

    /// The rows are in time order, one every so long, "1s" or "24h": measures how much they depend on those
    /// before them and whether they stay as they are, and writes into the bundle how a stream of them
    /// must be watched
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    every: Option<Duration>,

    /// Signs the bundle with this key, a PEM of an EC key on P-256: the signature lies beside the folder, in the format of
    /// OpenSSF Model Signing. `bundle_key` of a stream takes the public key
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,

    /// Share of clean rows that may lose the right answer if every row is corrected; where it is more,
    /// on_flagged = "correct" is refused
    #[arg(long, value_name = "SHARE", default_value = "2%")]
    correction_loss_max: Probability,

    /// Attack a table's model that has no gradient, such as trees, by asking it. The bundle then also asks it about eight copies of
    /// every row: five times the cost, and strange rows that are no attack have half of the budget
    #[arg(long)]
    query_attacks: bool,

    /// The array of an .npz with a whole number per row that says which rows belong together, such as
    /// frames of one video: no group is in two parts, and the interval counts groups
    #[arg(long, value_name = "ARRAY")]
    group: Option<String>,

    /// Most epochs of training [default: 20, more for few rows]
    #[arg(long, value_name = "NUMBER")]
    epochs_max: Option<usize>,

    /// Minutes after which training stops with what it has; the result then depends on the machine
    #[arg(long, value_name = "NUMBER", default_value_t = 120,
        value_parser = clap::value_parser!(u64).range(1..=10_000))]
    minutes_max: u64,
}

/// What the libraries that train read from the environment at start, with what suits training:
/// parts of a batch are already worked on side by side, and memory that was given back is soon
/// wanted again.
const SETTINGS: [(&str, &str); 3] = [
    ("CANDLE_NUM_THREADS", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "1073741824"),
    ("MALLOC_TRIM_THRESHOLD_", "4294967296"),
];

/// Becomes the same program with [`SETTINGS`], unless it is that already or somebody chose. If that
/// fails, training is slower and nothing else.
fn with_settings() {
    if std::env::var_os(SETTINGS[0].0).is_none()
        && let Ok(program) = std::env::current_exe()
    {
        let arguments = std::env::args_os().skip(1);
        let _ = std::process::Command::new(program).args(arguments).envs(SETTINGS).exec();
    }
}

impl Args {
    pub fn run(self) -> Exit {
        with_settings();
        let failed = |error: &dyn std::fmt::Display| {
            eprintln!("error: {error}");
            Exit::Failed
        };
        let hints = match self.columns.hints() {
            Ok(hints) => hints,
            Err(error) => return failed(&error),
        };
        let mut reporter = Reporter::new(Duration::from_secs(60 * self.minutes_max));
        let options = Options {
            data: self.data,
            labels: self.labels,
            name: self.name.unwrap_or_default(),
            out: self.out.unwrap_or_default(),
            image: self.image,
            scale: self.scale,
            protected_model: self.protected_model,
            model_hints: ModelHints { inputs: self.model_input, output: self.model_output },
            budget: self.budget,
            contaminated: self.contaminated,
            seed: self.seed,
            epochs_max: self.epochs_max,
            group: self.group,
            correction_loss_max: self.correction_loss_max,
            query_attacks: self.query_attacks,
            reading: self.columns.reading(),
            hints,
            sample: self.sample,
            memory_max: self.memory_max,
            autoencoder: self.autoencoder,
            every: self.every,
            sign_key: self.sign_key,
        };
        if self.schema_only {
            return match schema(&options, &mut reporter) {
                Ok(schema) => {
                    print!("{}", toml::to_string(&schema).expect("a schema can be written"));
                    Exit::Ok
                }
                Err(error) => failed(&error),
            };
        }
        let runtime = match Runtime::load(None) {
            Ok(runtime) => runtime,
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::Config;
            }
        };
        match fit(&options, &runtime, &mut reporter) {
            Ok(report) => {
                println!("{report}");
                Exit::Ok
            }
            Err(error) => failed(&error),
        }
    }
}

fn model_input(text: &str) -> Result<(String, Vec<String>), String> {
    let split = || {
        let (name, columns) = text.split_once('=')?;
        let columns: Vec<String> = columns.split(',').map(|name| name.trim().to_owned()).collect();
        columns.iter().all(|name| !name.is_empty()).then(|| (name.to_owned(), columns))
    };
    split().ok_or_else(|| format!("{text:?} is no INPUT=COLUMN,COLUMN"))
}
