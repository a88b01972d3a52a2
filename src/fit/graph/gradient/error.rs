//! Why a network is no function that can be differentiated here.

use crate::model::ModelError;

/// Why a network has no gradient here.
#[derive(Debug, thiserror::Error)]
pub enum GradientError {
    #[error("it is no ONNX file: {0}")]
    NotOnnx(#[from] prost::DecodeError),
    #[error("its {0} cannot be read")]
    Unreadable(String),
    #[error("operator {0} has no gradient here")]
    Operator(String),
    #[error("operator {op} is used with {what}, which has no gradient here")]
    Use { op: String, what: String },
    #[error("it gives {got} where ONNX Runtime gives {expected}, in column {column} of row {row}")]
    Differs { row: usize, column: usize, got: f32, expected: f32 },
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    #[error(transparent)]
    Model(#[from] ModelError),
}
