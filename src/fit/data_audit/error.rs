//! Why there is no audit.

use std::path::PathBuf;

use crate::fit::data::dataset::DataError;
use crate::fit::data::units::UnitsError;

/// Why rows cannot be audited.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Units(#[from] UnitsError),
    #[error(
        "{}: rows without labels; give --labels FILE, or an .npz with a key y", .0.display()
    )]
    NoLabels(PathBuf),
    #[error("{rows} rows; an audit wants {least} at least")]
    TooFew { rows: usize, least: usize },
    #[error("rows of the test file are {test} wide, those of the data {data}")]
    Width { test: usize, data: usize },
}
