//! Networks as graphs: plain layers, the ONNX file they become, and an ONNX graph as a function
//! that can be differentiated.

pub mod export;
pub mod gradient;
pub mod taps;
pub mod layers;
pub mod onnx;
#[cfg(test)]
pub mod trees;
