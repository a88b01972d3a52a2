//! Why a bundle cannot be attacked.

use std::path::PathBuf;

use crate::bundle::TensorError;
use crate::decide::DeciderError;
use crate::fit::data::dataset::DataError;
use crate::fit::data::units::UnitsError;
use crate::fit::graph::gradient::GradientError;
use crate::model::ModelError;
use crate::shell::bundle::BundleDirError;

#[derive(Debug, thiserror::Error)]
pub enum RedteamError {
    #[error(transparent)]
    Folder(#[from] BundleDirError),
    #[error("the bundle guards no model: there is nothing to fool")]
    NoProtectedModel,
    #[error("the bundle names detector {0:?}, which this build does not have")]
    UnknownDetector(String),
    #[error("{network} cannot be differentiated: {error}")]
    Gradient { network: &'static str, error: GradientError },
    #[error("an attack failed: {0}")]
    Attack(#[from] GradientError),
    #[error("an attack failed: {0}")]
    Candle(#[from] candle_core::Error),
    #[error(transparent)]
    Tensor(#[from] TensorError),
    #[error(transparent)]
    Decider(#[from] DeciderError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Units(#[from] UnitsError),
    #[error("{}: rows are {got} wide; the bundle's are {expected}", file.display())]
    Width { file: PathBuf, got: usize, expected: usize },
    #[error("{}: no row that the model has right and the guard passes", .0.display())]
    NoRows(PathBuf),
}
