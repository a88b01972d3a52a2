//! Second step of `fit`: trains the networks, then lets every detector learn what they say of clean
//! rows. Nothing here sees a calibration or a test row.

use ndarray::Array2;

use super::data::options::Options;
use super::data::reference::Reference;
use super::error::FitError;
use super::guard::columns::Table;
use super::guard::detectors::Detectors;
use super::load::{self, Sources};
use super::progress::Watch;
use super::train::networks::{self, Learned, Weighing};
use super::train::trainer::Trained;
use crate::model::{ModelError, Networks, Onnx, Runtime};
use crate::record::Columns;

/// What was learned.
pub struct Knowledge {
    pub autoencoder: Vec<u8>,
    pub restorer: Option<Vec<u8>>,
    pub likelihood: Option<Vec<u8>>,
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
    let lesson = networks::Lesson { options, runtime, schema, x, y, split, protected };
    let Learned { autoencoder, restorer, likelihood, trained, usual, weighing, no_gradient } =
        lesson.learn(watch)?;

    watch.stage("learning what is normal");
    let onnx = Onnx {
        autoencoder: &autoencoder,
        protected: protected.map(|protected| (protected.kind, protected.onnx.as_slice())),
        restorer: restorer.as_deref(),
        likelihood: likelihood.as_deref(),
    };
    let networks = Networks::new(runtime, x.ncols(), onnx)?;
    let labels = networks.labels();
    let mut wanted = load::wanted(options, schema, protected);
    wanted.setting.labels = labels;
    if restorer.is_some() {
        wanted.networks = wanted.networks.and(Columns::RESTORED);
    }
    if likelihood.is_some() {
        wanted.networks = wanted.networks.and(Columns::SURPRISAL);
    }
    let mut filler = Filler { networks, needs: wanted.needs() };
    let usual = filler.fill_all(&usual)?;
    let detectors = Detectors::learn(&usual, all, wanted);
    Ok(Knowledge {
        autoencoder,
        restorer,
        likelihood,
        trained,
        weighing,
        no_gradient,
        detectors,
        labels,
        filler,
    })
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
