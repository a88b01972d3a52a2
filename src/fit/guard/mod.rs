//! The guard before it is a bundle: detectors that learn, the weights of their sum, and what is
//! measured of both.

pub mod attack_weights;
pub mod clustering;
pub mod columns;
pub mod correction;
pub mod dependence;
pub mod detectors;
pub mod measured;
pub mod merge_weights;
pub mod signals;
