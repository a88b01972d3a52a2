//! Offline: learns from clean rows what `tripline run` will call normal, and writes a bundle.
//!
//! Rows, whatever the format → model units → five disjoint parts → autoencoder → ONNX → columns → detectors → ranks →
//! merged score → bundle → the same bundle read back and put on the record path. The same file,
//! options and machine give the same bundle, bit for bit.
//!
//! It cannot tell whether the rows it is given are clean: an attack among them becomes normal.

pub mod array;
pub mod attack;
mod attack_weights;
mod autoencoder;
pub mod brought;
pub mod budget;
mod check;
mod columns;
pub mod data;
pub mod evaluate;
pub mod export;
pub mod gradient;
mod guard;
pub mod guarded;
pub mod infer;
pub mod layers;
pub mod lesson;
pub mod likelihood;
pub mod memory;
pub mod measured;
mod merge_weights;
mod networks;
mod onnx;
pub mod progress;
mod record;
pub mod redteam;
pub mod reference;
pub mod report;
pub mod restorer;
mod settle;
pub mod split;
pub mod table;
pub mod train;
pub mod units;
mod weights;

use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::bundle::{
    Bundle, CleanShare, Digest, Manifest, Provenance, RowsUsed, TensorError, Tensors, VERSION,
};
use crate::decide::{BudgetTooSmall, Version};
use crate::detect::Setting;
use crate::model::{ModelError, Networks, Onnx, Runtime};
use crate::record::{Columns, Probability, Rows, Schema};
use crate::shell::bundle::{self as bundle_dir, BundleDirError};
use ndarray::Array2;

use columns::Table;
use guard::{Detectors, Wanted, Weighed};
use guarded::Guarded;
use infer::Hints;
use measured::Parts;
use memory::Memory;
use networks::Learned;
use reference::{Attacks, Reference};
use report::{Accuracy, Report};
use table::Reading;
use train::Progress;
use units::ImageShape;

/// What to learn from, and what to make of it.
#[derive(Clone, Debug)]
pub struct Options {
    pub data: PathBuf,
    pub labels: Option<PathBuf>,
    pub name: String,
    /// The bundle's directory; must not exist, or be empty.
    pub out: PathBuf,
    pub image: Option<ImageShape>,
    /// What an integer pixel is divided by.
    pub scale: f32,
    pub guarded_model: Option<PathBuf>,
    /// Share of clean records that may be flagged.
    pub budget: Probability,
    /// Share of the rows that may be attacks: left out of what is learned. `None`: all are clean.
    pub contaminated: Option<Probability>,
    /// At most 2⁶³ − 1: the manifest's integers have a sign.
    pub seed: u64,
    /// `None`: as many as the rows ask for, see [`train::Config::for_rows`].
    pub epochs_max: Option<usize>,
    /// How a table is read.
    pub reading: Reading,
    /// What a table's columns are.
    pub hints: Hints,
    /// Learn from so many of the clean rows, drawn by the seed.
    pub sample: Option<usize>,
    /// Unless given, what the system says is available.
    pub memory_max: Option<Memory>,
    /// An autoencoder of the user's own, kept instead of training one.
    pub autoencoder: Option<PathBuf>,
}

/// Hears what `fit` is doing, and may end the training.
pub trait Watch {
    /// Something new begins.
    fn stage(&mut self, what: &str);
    /// So many rows of a file were read, so large a share of it.
    fn reading(&mut self, rows: u64, done: f32);
    /// A training step is done.
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()>;
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    #[error(transparent)]
    Data(#[from] data::DataError),
    #[error(transparent)]
    Table(#[from] table::TableError),
    #[error("{}: arrays have no names: the options for columns are for CSV, JSON lines and Parquet", .0.display())]
    NoColumns(PathBuf),
    #[error("{}: a table has no --image and no --labels: name its labels with --label", .0.display())]
    NoArrays(PathBuf),
    #[error(transparent)]
    Memory(memory::TooMuch),
    #[error(transparent)]
    Units(#[from] units::UnitsError),
    #[error(transparent)]
    Budget(#[from] budget::Unsupported),
    #[error(
        "--contaminated {share} leaves out rows by their numbers and categories, at most half of \
         them: give a share of at most 50%, and only for a table"
    )]
    Contaminated { share: Probability },
    #[error("the guarded model {}: {source}", path.display())]
    GuardedFile { path: PathBuf, source: std::io::Error },
    #[error("the autoencoder {}: {source}", path.display())]
    AutoencoderFile { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Brought(#[from] brought::BroughtError),
    #[error("a network cannot be trained: {0}")]
    Gradient(#[from] gradient::GradientError),
    #[error(transparent)]
    Guarded(#[from] guarded::GuardedError),
    #[error(transparent)]
    Train(#[from] train::TrainError),
    #[error(transparent)]
    Export(#[from] export::TooLarge),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Decider(#[from] BudgetTooSmall),
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error(transparent)]
    Folder(#[from] BundleDirError),
    #[error("the bundle was written but is not sound: {0}")]
    SelfCheck(String),
}

/// Learns a bundle and writes it. What can be refused is refused before the training begins.
///
/// Memory: the rows twice, and the columns of the training part, 2 · d + 2 · k numbers a row.
///
/// # Errors
/// See [`FitError`]; nothing is left in `options.out` unless it says "was written".
pub fn fit(
    options: &Options,
    runtime: &Runtime,
    watch: &mut dyn Watch,
) -> Result<Report, FitError> {
    bundle_dir::check_free(&options.out)?;
    let Reference { x, y, schema, mut split, digest: data_digest, attacks } =
        Reference::load(options, Some(options.budget), watch)?;
    let d = x.ncols();
    let guarded = match &options.guarded_model {
        Some(path) => {
            let source = |source| FitError::GuardedFile { path: path.clone(), source };
            let onnx = std::fs::read(path).map_err(source)?;
            let sample: Vec<f32> =
                split.validation.iter().flat_map(|&i| x.row(i).to_vec()).collect();
            Some(Guarded::read(runtime, onnx, &sample, d)?)
        }
        None => None,
    };

    let mut wanted = Wanted {
        setting: Setting { schema: &schema, labels: 1 },
        guarded: guarded.is_some(),
        networks: Columns::X,
        contaminated: options.contaminated.is_some(),
        seed: options.seed,
    };
    let all = match options.contaminated {
        Some(_) => Table::of(&x, &split.train),
        None => Table::of(&x, &[]),
    };
    if let Some(share) = options.contaminated {
        watch.stage("leaving out the most isolated rows");
        let kept = guard::trimmed(&all, share, wanted).filter(|_| share.get() <= 0.5);
        let kept = kept.ok_or(FitError::Contaminated { share })?;
        split.train = kept.into_iter().map(|i| split.train[i]).collect();
    }

    let lesson = networks::Lesson {
        options,
        runtime,
        schema: &schema,
        x: &x,
        y: y.as_deref(),
        split: &split,
        guarded: guarded.as_ref(),
    };
    let Learned { autoencoder, restorer, likelihood, trained, usual, weighing, no_gradient } =
        lesson.learn(watch)?;

    watch.stage("learning what is normal");
    let onnx = Onnx {
        autoencoder: &autoencoder,
        guarded: guarded.as_ref().map(|guarded| (guarded.kind, guarded.onnx.as_slice())),
        restorer: restorer.as_deref(),
        likelihood: likelihood.as_deref(),
    };
    let mut networks = Networks::new(runtime, d, onnx)?;
    wanted.setting.labels = networks.labels();
    if restorer.is_some() {
        wanted.networks = wanted.networks.and(Columns::RESTORED);
    }
    if likelihood.is_some() {
        wanted.networks = wanted.networks.and(Columns::SURPRISAL);
    }
    let needs = wanted.needs();
    let every = |x: &Array2<f32>| (0..x.nrows()).collect::<Vec<usize>>();
    let usual = Table::fill(&mut networks, needs, &usual, &every(&usual))?;
    let detectors = Detectors::learn(&usual, &all, wanted);
    let mut fill = |part: &[usize]| Table::fill(&mut networks, needs, &x, part);

    watch.stage("calibrating");
    let test = fill(&split.test)?;
    let (ranks, merged) = (fill(&split.ranks)?, fill(&split.merged)?);
    let validation = fill(&split.validation)?;
    let mut whole = |x: &Array2<f32>| Table::fill(&mut networks, needs, x, &every(x));
    let weighed = match &weighing {
        None => None,
        Some(weighing) => {
            let mut attacks = vec![];
            for own in &weighing.attacks {
                attacks.push((whole(&own.x)?, own.weight));
            }
            let (clean, harmless) = (whole(&weighing.clean)?, whole(&weighing.harmless)?);
            Some(Weighed { clean, harmless, attacks })
        }
    };
    let decider = detectors.calibrate(&ranks, &merged, &test, options.budget, weighed.as_ref())?;
    let attacked = match &attacks {
        Some(Attacks { x, labels, .. }) if !labels.is_empty() => Some(whole(x)?),
        _ => None,
    };
    let parts =
        Parts { validation: &validation, ranks: &ranks, test: &test, attacks: attacked.as_ref() };
    let mut measured = detectors.measure(&decider, parts);
    if let Some((weighing, weighed)) = weighing.zip(weighed.as_ref()) {
        measured.own = detectors.own(&decider, &test, &weighing, weighed);
    }
    let accuracy = y.filter(|_| guarded.is_some()).map(|y| {
        let versions = detectors.versions(&decider, &test);
        accuracy(&test.rows(), &versions, &split.test, &y)
    });

    let mut tensors = Tensors::default();
    let members = detectors.save(&decider, &mut tensors);
    decider.save(&mut tensors);
    let (flagged, rows) = decider.clean_flagged();
    let count = |part: &Vec<usize>| part.len() as u64;
    let manifest = Manifest {
        version: match restorer.is_some() || likelihood.is_some() {
            _ if decider.triggers().is_some() => VERSION,
            true => 2,
            false => 1,
        },
        name: options.name.clone(),
        budget: options.budget,
        labels: wanted.setting.labels,
        answer: guarded.as_ref().map(|guarded| guarded.kind),
        triggers: decider.triggers(),
        detectors: members,
        clean: CleanShare { rows, flagged },
        provenance: Provenance {
            data_sha256: Digest(data_digest),
            guarded_model_sha256: guarded.as_ref().map(|guarded| guarded.digest),
            seed: options.seed,
            tripline: env!("CARGO_PKG_VERSION").into(),
            onnxruntime: runtime.build(),
            rows: RowsUsed {
                train: count(&split.train),
                validation: count(&split.validation),
                ranks: count(&split.ranks),
                merged: count(&split.merged),
                test: count(&split.test),
            },
            epochs: trained.epochs as u32,
            train_loss: trained.loss,
            validation_loss: trained.loss_validation,
        },
        files: Default::default(),
        schema,
    };
    let bundle = Bundle {
        manifest: manifest.clone(),
        digest: Digest([0; 32]),
        autoencoder,
        guarded_model: guarded.map(|guarded| guarded.onnx),
        restorer,
        likelihood,
        tensors,
    };
    watch.stage("checking the bundle on the record path");
    bundle_dir::write(&options.out, &bundle.into_files())?;
    let digest = check::check(runtime, &options.out, &x, &split.test)?;
    let attacks = attacks.map(|attacks| (attacks.labels.len(), attacks.refused));
    let folder = options.out.clone();
    Ok(Report { folder, digest, manifest, trained, accuracy, measured, attacks, no_gradient })
}

/// The schema that [`fit`] would learn, to be looked at or mended first.
///
/// # Errors
/// As [`fit`] for what it reads.
pub fn schema(options: &Options, watch: &mut dyn Watch) -> Result<Schema, FitError> {
    Ok(Reference::load(options, None, watch)?.schema)
}

/// How often the guarded model gives row `part[i]` its label `y[part[i]]`; corrected in `versions[i]`.
fn accuracy(rows: &Rows<'_>, versions: &[Version], part: &[usize], y: &[i64]) -> Accuracy {
    let right = |label: &dyn Fn(usize) -> usize| {
        (0..part.len()).filter(|&i| label(i) as i64 == y[part[i]]).count()
    };
    Accuracy {
        rows: part.len(),
        right: right(&|i| rows.label(i)),
        right_corrected: right(&|i| guard::label_of(rows, versions[i], i)),
    }
}

#[cfg(test)]
mod tests;
