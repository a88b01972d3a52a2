//! Why there is no evaluation.

use crate::fit::data::table::TableError;
use crate::model::ModelError;
use crate::score::{GuardError, GuardFailure};
use crate::shell;

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Folder(#[from] shell::bundle::BundleDirError),
    #[error("the bundle cannot score: {0}")]
    Guard(#[from] GuardError),
    #[error(transparent)]
    Failed(#[from] GuardFailure),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Table(#[from] TableError),
}
