//! Second step of `fit`: trains the networks, then lets every detector learn what they say of clean
//! rows. Nothing here sees a calibration or a test row.

use std::collections::BTreeMap;

use ndarray::Array2;

use super::data::options::Options;
use super::data::reference::Reference;
use super::error::FitError;
use super::guard::columns::Table;
use super::guard::detectors::Detectors;
use super::load::{self, Sources};
use super::progress::Watch;
use super::train::material::{Material, Weighing};
use super::train::networks::Learned;
use super::train::trainer::Trained;
use crate::bundle::PROTECTED_MODEL;
use crate::model::{ModelError, Networks, Runtime};
use crate::record::Columns;

/// What was learned.
pub struct Knowledge {
    /// ONNX files of the networks that were trained.
    pub networks: BTreeMap<&'static str, Vec<u8>>,
    pub trained: Trained,
    /// What weighs the detectors, if attacks of our own could be made.
    pub weighing: Option<Weighing>,
    /// Why there are no attacks of our own although there is a protected model.
    pub no_gradient: Option<String>,
    pub detectors: Detectors,
    /// How many labels the protected model has; 1 without one.
    pub labels: usize,
    pub filler: Filler,
}

/// The networks, and the columns that the detectors look at.
pub struct Filler {
    networks: Networks,
    needs: Columns,
}

/// Trains on the rows of `sources`.
///
/// # Errors
/// If training fails, or a network that was trained does not run.
pub fn learn(
    options: &Options,
    runtime: &Runtime,
    sources: &Sources,
    watch: &mut dyn Watch,
) -> Result<Knowledge, FitError> {
    let Sources { reference: Reference { x, y, schema, split, .. }, protected, all, .. } = sources;
    let (y, protected) = (y.as_deref(), protected.as_ref());
    let material = Material { options, runtime, schema, x, y, split, protected };
    let Learned { files, trained, last_inputs, usual, weighing, no_gradient } =
        material.learn(watch)?;

    watch.stage("learning what is normal");
    let onnx = |file: &str| match files.get(file) {
        None if file == PROTECTED_MODEL => protected.map(|protected| protected.onnx.as_slice()),
        onnx => onnx.map(Vec::as_slice),
    };
    let networks =
        Networks::new(runtime, x.ncols(), protected.map(|protected| protected.kind), onnx)?;
    let labels = networks.labels();
    let mut wanted = load::wanted(options, schema, protected);
    wanted.setting.labels = labels;
    wanted.setting.last_inputs = last_inputs;
    wanted.networks = networks.writes();
    let mut filler = Filler { networks, needs: wanted.needs() };
    let usual = filler.fill_all(&usual)?;
    let detectors = Detectors::learn(&usual, all, wanted);
    Ok(Knowledge { networks: files, trained, weighing, no_gradient, detectors, labels, filler })
}

impl Filler {
    /// The columns of the rows `part` of `x` [·, d].
    ///
    /// # Errors
    /// If a network fails.
    pub fn fill(&mut self, x: &Array2<f32>, part: &[usize]) -> Result<Table, ModelError> {
        Table::fill(&mut self.networks, self.needs, x, part)
    }

    /// The columns of all rows of `x` [n, d].
    ///
    /// # Errors
    /// If a network fails.
    pub fn fill_all(&mut self, x: &Array2<f32>) -> Result<Table, ModelError> {
        let all: Vec<usize> = (0..x.nrows()).collect();
        self.fill(x, &all)
    }
}
