//! Offline: learns from clean rows what `tripline run` will call normal, and writes a bundle.
//!
//! Rows, whatever the format → model units → five disjoint parts → autoencoder → ONNX → columns → detectors → ranks →
//! merged score → bundle → the same bundle read back and put on the record path. The same file,
//! options and machine give the same bundle, bit for bit.
//!
//! It cannot tell whether the rows it is given are clean: an attack among them becomes normal.

pub mod array;
pub mod attack;
mod attack_weights;
mod autoencoder;
pub mod brought;
pub mod budget;
mod calibrate;
mod check;
mod columns;
pub mod data;
mod dense;
pub mod dependence;
mod error;
pub mod evaluate;
pub mod export;
mod function;
pub mod gradient;
mod guard;
pub mod guarded;
pub mod infer;
pub mod layers;
mod learn;
pub mod likelihood;
mod load;
pub mod memory;
pub mod measured;
mod merge_weights;
mod networks;
mod onnx;
mod options;
pub mod progress;
mod record;
pub mod redteam;
pub mod reference;
pub mod report;
pub mod restorer;
mod seed;
mod settle;
mod signals;
pub mod split;
pub mod table;
mod trainer;
pub mod units;
mod weights;
mod write;

use crate::model::Runtime;
use crate::record::Schema;

use reference::Reference;
use report::Report;

pub use error::FitError;
pub use options::Options;
pub use progress::{Progress, Watch};

/// Learns a bundle and writes it. What can be refused is refused before the training begins.
///
/// Memory: the rows twice, and the columns of the training part, 2 · d + 2 · k numbers a row.
///
/// # Errors
/// See [`FitError`]; nothing is left in `options.out` unless it says "was written".
pub fn fit(
    options: &Options,
    runtime: &Runtime,
    watch: &mut dyn Watch,
) -> Result<Report, FitError> {
    let sources = load::load(options, runtime, watch)?;
    let mut knowledge = learn::learn(options, runtime, &sources, watch)?;
    let calibrated = calibrate::calibrate(options, &sources, &mut knowledge, watch)?;
    write::write(options, runtime, sources, knowledge, calibrated, watch)
}

/// The schema that [`fit`] would learn, to be looked at or mended first.
///
/// # Errors
/// As [`fit`] for what it reads.
pub fn schema(options: &Options, watch: &mut dyn Watch) -> Result<Schema, FitError> {
    Ok(Reference::load(options, None, watch)?.schema)
}

#[cfg(test)]
mod tests;
