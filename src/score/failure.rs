//! The guard itself cannot score. Not the record's doing: that is a fault.

use crate::model::ModelError;
use crate::record::{Missing, Position};

/// The guard itself failed, and its policy is to let nothing pass unscored.
#[derive(Debug, thiserror::Error)]
#[error("partition {}, offset {}: the guard cannot score: {error}", at.partition, at.offset)]
pub struct GuardFailure {
    /// The first record that cannot be scored even alone.
    pub at: Position,
    pub error: Unscorable,
    /// No record can be scored, as far as was tried.
    pub all: bool,
}

/// What keeps a record from being scored.
#[derive(Debug, thiserror::Error)]
pub enum Unscorable {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{0} was not fetched")]
    Missing(#[from] Missing),
}

impl GuardFailure {
    /// Whether it is about every record of the batch, not about the one at `at`.
    pub fn is_of_all(&self) -> bool {
        self.all
    }

    pub(super) fn of_all(at: Position, error: ModelError) -> Self {
        Self { at, error: error.into(), all: true }
    }
}
