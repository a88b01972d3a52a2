//! What a person asks of `fit`.

use std::path::PathBuf;
use std::time::Duration;

use super::hints::Hints;
use super::memory::Memory;
use super::table::Reading;
use super::units::ImageShape;
use crate::record::Probability;

/// What is said about the inputs and outputs of the protected model; the rest is found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelHints {
    /// Inputs, and the features that each takes.
    pub inputs: Vec<(String, Vec<String>)>,
    /// The output that is the answer; with `=logit` if it is the logit of two labels.
    pub output: Option<String>,
}

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
    pub protected_model: Option<PathBuf>,
    pub model_hints: ModelHints,
    /// Share of clean records that may be flagged.
    pub budget: Probability,
    /// Share of the rows that may be attacks: left out of what is learned. `None`: all are clean.
    pub contaminated: Option<Probability>,
    /// At most 2⁶³ − 1: the manifest's integers have a sign.
    pub seed: u64,
    /// `None`: as many as the rows ask for, see [`dense::course`](crate::fit::train::dense::course).
    pub epochs_max: Option<usize>,
    /// Share of clean rows that correcting them all may take the right answer from.
    pub correction_loss_max: Probability,
    /// Whether a table's model without a gradient is attacked by asking it; the bundle then asks it about copies of each row too.
    pub query_attacks: bool,
    /// The array of an `.npz` that says which rows belong together: no group is in two parts.
    pub group: Option<String>,
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
    /// The rows are in time order, one every so long.
    pub every: Option<Duration>,
    /// The private key that signs the bundle.
    pub sign_key: Option<PathBuf>,
}
