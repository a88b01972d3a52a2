//! Why a network cannot be trained, or taken as it is.

use std::path::PathBuf;

use super::brought::BroughtError;
use crate::fit::graph::export::TooLarge;
use crate::fit::graph::gradient::GradientError;
use crate::model::ModelError;

/// Why there is no network.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error("{train} training and {validation} validation rows; both need at least one")]
    NoRows { train: usize, validation: usize },
    #[error("the loss is {loss} in epoch {epoch}; look for huge values in the rows")]
    Diverged { loss: f64, epoch: usize },
    #[error("the watcher stopped training before the first epoch was done")]
    TooShort,
    #[error("the autoencoder {}: {source}", path.display())]
    AutoencoderFile { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Brought(#[from] BroughtError),
    #[error("a network cannot be trained: {0}")]
    Gradient(#[from] GradientError),
    #[error(transparent)]
    Export(#[from] TooLarge),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("candle: {0}")]
    Candle(#[from] candle_core::Error),
}
