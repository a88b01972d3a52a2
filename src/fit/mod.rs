//! Offline: learns from clean rows what `tripline run` will call normal, and writes a bundle.
//!
//! Rows, whatever the format → model units → five disjoint parts → autoencoder → ONNX → columns → detectors → ranks →
//! merged score → bundle → the same bundle read back and put on the record path. The same file,
//! options and machine give the same bundle, bit for bit.
//!
//! It cannot tell whether the rows it is given are clean: an attack among them becomes normal.

// In the order of use: each uses only modules that are listed earlier.
pub mod progress;
mod seed;
pub mod data;
pub mod graph;
pub mod import;
pub mod attack;
pub mod train;
pub mod guard;
mod error;
pub mod report;
mod load;
mod learn;
mod calibrate;
mod check;
mod write;
pub mod data_audit;
pub mod exposure;
pub mod evaluate;
pub mod redteam;

use crate::model::Runtime;
use crate::record::Schema;

use data::reference::Reference;
use report::Report;

pub use data::options::Options;
pub use error::FitError;
pub use progress::{Progress, Reporter, Watch};

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
