//! Why `fit` ends without a bundle.

use std::path::PathBuf;

use super::{brought, budget, data, export, gradient, guarded, memory, table, trainer, units};
use crate::bundle::TensorError;
use crate::decide::BudgetTooSmall;
use crate::model::ModelError;
use crate::record::Probability;
use crate::shell::bundle::BundleDirError;

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
    Train(#[from] trainer::TrainError),
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
