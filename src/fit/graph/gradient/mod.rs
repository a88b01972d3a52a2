//! An ONNX network as a differentiable function: what attacks of our own making climb, and what
//! the restorer and the pixel model are trained through.
//!
//! candle differentiates; this reads the graph and says each operator in candle's terms. On the
//! record path ONNX Runtime computes, not this, and [`Function::agrees`] holds the two to each
//! other before anyone trusts a gradient. It knows the operators that classifiers are made of;
//! trees, loops and operators of other domains have no gradient here, and a network that uses them
//! is refused with the operator's name.

mod attributes;
mod build;
mod convolution;
mod elementwise;
mod error;
mod function;
mod linear;
mod pooling;
mod shapes;

pub use build::{Builder, float, int, ints, rows, word};
pub use error::GradientError;
pub use function::Function;

#[cfg(test)]
mod tests;
