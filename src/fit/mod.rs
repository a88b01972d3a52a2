//! Offline: learns from clean rows what `tripline run` will call normal.
//!
//! It trains on the CPU, once, and writes down what it did. It cannot tell whether the rows it was
//! given are clean.

pub mod array;
pub mod data;
pub mod export;
pub mod layers;
pub mod split;
pub mod train;
mod weights;
