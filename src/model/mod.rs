//! ONNX networks as a capability: they fill columns, and nothing else runs them.

mod deadline;
pub mod graph;
mod network;
mod networks;
mod probe;
mod runtime;

pub use deadline::Deadline;
pub use graph::GraphError;
pub use network::{ModelError, Network};
pub use networks::{Filled, Networks};
pub use probe::{ProbeOutput, probe};
pub use runtime::{Runtime, RuntimeError};
