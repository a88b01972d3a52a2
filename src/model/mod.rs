//! ONNX networks as a capability: they fill columns, and nothing else runs them.

mod deadline;
mod network;
mod networks;
mod runtime;

pub use deadline::Deadline;
pub use network::{ModelError, Network};
pub use networks::{Filled, Networks, Onnx};
pub use runtime::{Runtime, RuntimeError};
