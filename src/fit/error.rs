//! Why `fit` ends without a bundle.

use std::path::PathBuf;

use super::data::reference::ReferenceError;
use super::import::ImportError;
use super::train::error::TrainError;
use super::train::protected::ProtectedError;
use crate::bundle::TensorError;
use crate::decide::BudgetTooSmall;
use crate::model::ModelError;
use crate::record::Probability;
use crate::shell::bundle::BundleDirError;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(
        "--contaminated {share} leaves out rows by their numbers and categories, at most half of \
         them: give a share of at most 50%, and only for a table"
    )]
    Contaminated { share: Probability },
    #[error("the protected model {}: {source}", path.display())]
    ProtectedFile { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Protected(#[from] ProtectedError),
    #[error(transparent)]
    Train(#[from] TrainError),
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
