//! The networks of a bundle, and what they are taught with.
//!
//! Rows alone make an autoencoder and, for images, the likelihood. A protected model whose gradient
//! can be had makes attacks of our own possible: then the autoencoder learns to undo them, images
//! get a restorer beside it, and the attacks weigh the detectors. A table's model without a gradient can be
//! asked: [`super::queries`]. Colour images have a recipe of their own,
//! [`colour`]. All of it comes from the training
//! and validation parts; calibration rows see none of it.

use std::collections::BTreeMap;

use ndarray::{Array2, Axis};

use super::copies::copies;
use super::error::TrainError;
use super::material::{Material, Own, Weighing, matrix};
use super::protected::Protected;
use super::trainer::{Course, Trained};
use super::{autoencoder, brought, colour, likelihood, restorer};
use crate::bundle::{
    AUTOENCODER, COPIES, LAYER_ODDS, LIKELIHOOD, PIXEL_ODDS, PROTECTED_MODEL, RESTORER,
};
use crate::fit::attack::{self, Space};
use crate::fit::graph::gradient::{Function, GradientError};
use crate::fit::graph::layers::Standard;
use crate::fit::progress::{Progress, Watch};
use crate::fit::seed::{Use, stream};
use crate::model::Network;
use crate::record::Feature;

/// Rows that attacks are made on and restorers learn from, at most.
const RESTORED_ROWS: usize = 30_000;

/// Rows that the likelihood learns from.
const LIKELY_ROWS: usize = 12_000;

/// Of the training part, what networks may learn from; the rest is for what their outputs are
/// usually like: on rows that a network knows by heart they are too good.
const NETWORK_SHARE: f64 = 0.6;

/// One of so many rows is disturbed without harm where it is learned what is usual. Of every second
/// one the likelihood learns to expect noise: alone it then catches .36 of PGD .05 and .17 of Carlini
/// and Wagner instead of .84 and .44, and merged .84 of the latter instead of .85; harmless rows are
/// flagged as seldom either way (1.7 and 1.8 %), because the merge's weights know them too.
const DISTURBED: usize = 8;

/// Rows of each family that weigh the detectors.
const FAMILY_ROWS: usize = 300;

/// Steps of training at least, whatever the rows.
const STEPS_MIN: usize = 560;

/// What came out of training.
pub struct Learned {
    /// ONNX files by their names in a bundle; the protected model among them if it has a second output.
    pub files: BTreeMap<&'static str, Vec<u8>>,
    /// Of the autoencoder, or of the restorer where there is no autoencoder.
    pub trained: Trained,
    /// How many of the last numbers of inner layers are inputs of the protected model's last layer.
    pub last_inputs: usize,
    /// Rows for the detectors to learn from, `[n, d]`.
    pub usual: Array2<f32>,
    /// What weighs the detectors, if attacks of our own could be made.
    pub weighing: Option<Weighing>,
    /// Why there are no attacks of our own although there is a protected model.
    pub no_gradient: Option<String>,
}

impl Material<'_> {
    /// Trains what these rows and this model allow.
    ///
    /// # Errors
    /// If training fails or is ended before it began.
    pub fn learn(&self, watch: &mut dyn Watch) -> Result<Learned, TrainError> {
        let train = &self.split.train;
        let many = ((train.len() as f64 * NETWORK_SHARE) as usize).min(RESTORED_ROWS);
        let (taught, rest) = train.split_at(many);
        let image = restorer::image(self.schema);
        let (model, no_gradient) = match self.protected.map(|protected| self.gradient(protected)) {
            None => (None, None),
            Some(Ok(model)) => (Some(model), None),
            Some(Err(error)) => (None, Some(error.to_string())),
        };
        if let Some((image, model)) = colour::image(self).zip(model.as_ref()) {
            return self.colour(image, model, watch);
        }
        let mut files = BTreeMap::new();
        if let Some(image) = image {
            files.insert(LIKELIHOOD, self.likelihood(image, taught, watch)?);
        }
        let Some(model) = model else {
            return self.without_gradient(files, no_gradient, watch);
        };
        let space = Space::of(self.schema, self.x.view(), taught);
        let seed = self.options.seed;
        let clean = self.rows(taught);
        watch.stage(&format!("making attacks on {} rows", taught.len()));
        let labels = attack::labels(&model, &clean, space.width())?;
        let k = self.protected.map_or(1, |protected| protected.labels);
        let attacked = attack::pool(&model, &space, &clean, &labels, k, seed, &mut |made| {
            watch.reading(made as u64, made as f32 / taught.len() as f32);
        })?;
        let mut rng = stream(seed, Use::Harmless);
        let harmless = attack::harmless(self.schema, &space, &clean, &mut rng);
        let given = restorer::Rows { clean: &clean, attacked: &attacked, harmless: &harmless };
        let (autoencoder, trained) = match &self.options.autoencoder {
            Some(_) => self.plain(watch)?,
            None => self.dense(&model, given, watch)?,
        };
        files.insert(AUTOENCODER, autoencoder);
        let usual = if rest.len() < taught.len() / 4 { train } else { rest };
        let mut usual = self.x.select(Axis(0), usual);
        let mut weighing = None;
        if let Some(image) = image {
            files.insert(RESTORER, self.convolutional(image, &model, given, watch)?);
            weighing = Some(self.weighing(image, &model, &space, watch)?);
            usual = self.disturbed(usual, &space);
        }
        Ok(Learned { files, trained, last_inputs: 0, usual, weighing, no_gradient })
    }

    /// No model, or one without a gradient; a table's is asked instead.
    fn without_gradient(
        &self,
        mut files: BTreeMap<&'static str, Vec<u8>>,
        no_gradient: Option<String>,
        watch: &mut dyn Watch,
    ) -> Result<Learned, TrainError> {
        let train = &self.split.train;
        let (autoencoder, trained) = self.plain(watch)?;
        files.insert(AUTOENCODER, autoencoder);
        let usual = self.x.select(Axis(0), train);
        let mut weighing = None;
        let asks = self.options.query_attacks && self.schema.is_table();
        if let Some(protected) = self.protected.filter(|_| asks) {
            let space = Space::of(self.schema, self.x.view(), train);
            weighing = self.queried(protected, &space, watch)?;
            if weighing.is_some() {
                files.insert(COPIES, copies(&space, self.options.seed)?);
            }
        }
        Ok(Learned { files, trained, last_inputs: 0, usual, weighing, no_gradient })
    }

    /// Colour images: no autoencoder and no likelihood, see [`colour`].
    fn colour(
        &self,
        image: attack::Image,
        model: &Function,
        watch: &mut dyn Watch,
    ) -> Result<Learned, TrainError> {
        let taught = colour::learn(self, image, model, watch)?;
        let mut files =
            BTreeMap::from([(RESTORER, taught.restorer), (PIXEL_ODDS, taught.pixel_odds)]);
        let mut last_inputs = 0;
        if let Some((tapped, odds)) = taught.layers {
            last_inputs = tapped.last_inputs;
            files.extend([(PROTECTED_MODEL, tapped.onnx), (LAYER_ODDS, odds)]);
        }
        let usual = colour::disturbed(self, image, self.x.select(Axis(0), &self.split.train));
        let (trained, weighing) = (taught.trained, Some(taught.weighing));
        Ok(Learned { files, trained, last_inputs, usual, weighing, no_gradient: None })
    }

    /// The rows, some of them disturbed without harm: what is usual should hold for these too.
    fn disturbed(&self, mut x: Array2<f32>, space: &Space) -> Array2<f32> {
        let rows: Vec<f32> = x.rows().into_iter().step_by(DISTURBED).flatten().copied().collect();
        let mut rng = stream(self.options.seed, Use::Usual);
        let copies = matrix(attack::harmless(self.schema, space, &rows, &mut rng), x.ncols());
        for (mut row, copy) in x.rows_mut().into_iter().step_by(DISTURBED).zip(copies.rows()) {
            row.assign(&copy);
        }
        x
    }

    /// The protected model as a function, if it is one that ONNX Runtime agrees with.
    fn gradient(&self, protected: &Protected) -> Result<Function, GradientError> {
        let function = Function::read(&protected.onnx)?;
        let sample = self.rows(&self.split.validation[..self.split.validation.len().min(64)]);
        let d = self.x.ncols();
        let mut network = Network::load(self.runtime, "the protected model", &protected.onnx, d)?;
        function.agrees(&mut network, &sample, true)?;
        Ok(function)
    }

    fn plain(&self, watch: &mut dyn Watch) -> Result<(Vec<u8>, Trained), TrainError> {
        let Self { options, runtime, schema, x, split, .. } = self;
        match &options.autoencoder {
            Some(path) => autoencoder::bring(path, runtime, schema, x, split, watch),
            None => autoencoder::learn(options, schema, x, split, watch),
        }
    }

    fn dense(
        &self,
        model: &Function,
        given: restorer::Rows<'_>,
        watch: &mut dyn Watch,
    ) -> Result<(Vec<u8>, Trained), TrainError> {
        let d = self.x.ncols();
        let standard = autoencoder::standard(self.schema, self.x, &self.split.train);
        let mean = Standard::of(self.x.view(), &self.split.train, &[]).mean;
        let scales: Vec<f32> = match &standard {
            Some(standard) => standard.deviation.iter().map(|&s| (1.0 / s) as f32).collect(),
            None => vec![1.0; d],
        };
        let mut rng = stream(self.options.seed, Use::Weights);
        let network = restorer::dense(d, &mean, standard.as_ref(), &mut rng)?;
        let course = self.course(given.clean.len() / d, 3e-3);
        watch.stage("teaching the autoencoder to undo attacks");
        let mut rng = stream(self.options.seed, Use::Shuffle);
        let watch = &mut |p: &Progress| watch.progress(p);
        let run = restorer::restore(&network, model, given, &scales, course, &mut rng, watch)?;
        let onnx = network.into_onnx()??;
        let apply = |j, value| standard.as_ref().map_or(value, |standard| standard.apply(j, value));
        let loss = |part| brought::loss(self.runtime, &onnx, self.x, part, apply);
        let (loss, loss_validation) = (loss(&self.split.train)?, loss(&self.split.validation)?);
        let (epoch, epochs, stopped) = (run.epochs, run.epochs, run.stopped);
        Ok((onnx, Trained { loss, loss_validation, epoch, epochs, stopped }))
    }

    fn convolutional(
        &self,
        image: (usize, usize, usize),
        model: &Function,
        given: restorer::Rows<'_>,
        watch: &mut dyn Watch,
    ) -> Result<Vec<u8>, TrainError> {
        let d = self.x.ncols();
        let network =
            restorer::convolutional(image, &mut stream(self.options.seed, Use::Restorer))?;
        let course = self.course(given.clean.len() / d, 5e-3);
        watch.stage("teaching the restorer to undo attacks");
        let (scales, mut rng) = (vec![1.0; d], stream(self.options.seed, Use::Restorer));
        restorer::restore(&network, model, given, &scales, course, &mut rng, &mut |p| {
            watch.progress(p)
        })?;
        Ok(network.into_onnx()??)
    }

    fn likelihood(
        &self,
        image: (usize, usize, usize),
        taught: &[usize],
        watch: &mut dyn Watch,
    ) -> Result<Vec<u8>, TrainError> {
        let scale = self.schema.features.iter().find_map(|feature| match feature {
            Feature::Image { scale, .. } => Some(*scale),
            _ => None,
        });
        let mut rng = stream(self.options.seed, Use::Likelihood);
        let network = likelihood::likelihood(image, scale.expect("it is an image"), &mut rng)?;
        let taught = &taught[..taught.len().min(LIKELY_ROWS)];
        let space = Space::of(self.schema, self.x.view(), taught);
        let rows = self.disturbed(self.x.select(Axis(0), taught), &space);
        let rows: Vec<f32> = rows.into_iter().collect();
        let epochs = (STEPS_MIN * 64 / taught.len().max(1)).clamp(4, 60);
        let epochs_max = self.options.epochs_max.map_or(epochs, |max| epochs.min(max));
        let course =
            Course { epochs_max, batch_rows: 64, rate_peak: 6e-3, patience: None, clip: None };
        watch.stage("learning what pixels look like among their neighbours");
        likelihood::likely(&network, &rows, self.x.ncols(), course, &mut rng, &mut |p| {
            watch.progress(p)
        })?;
        Ok(network.into_onnx()??)
    }

    fn weighing(
        &self,
        image: attack::Image,
        model: &Function,
        space: &Space,
        watch: &mut dyn Watch,
    ) -> Result<Weighing, TrainError> {
        let (d, seed) = (space.width(), self.options.seed);
        let (sources, clean) = self.split.validation.split_at(self.split.validation.len() / 2);
        let answers = attack::labels(model, &self.rows(sources), d)?;
        let right = self.right(sources, &answers);
        let families = attack::families();
        let k = self.protected.map_or(1, |protected| protected.labels);
        let victim = attack::Victim { model, space, image, labels: k };
        let (mut attacks, mut from) = (vec![], 0);
        for (i, family) in families.iter().enumerate() {
            watch.stage(&format!(
                "weighing by attacks: {} ({} of {})",
                family.name,
                i + 1,
                families.len()
            ));
            let turn = (0..FAMILY_ROWS.min(right.len())).map(|i| right[(from + i) % right.len()]);
            let (rows, labels): (Vec<usize>, Vec<u32>) = turn.unzip();
            from += rows.len();
            let rows = self.rows(&rows);
            let (rows, labels) = family.successes(victim, &rows, &labels, seed)?;
            if !labels.is_empty() {
                let (family, weight) = (family.title(), family.weight);
                attacks.push(Own { family, weight, x: matrix(rows, d), labels });
            }
        }
        let clean = self.x.select(Axis(0), clean);
        let mut rng = stream(seed, Use::Families);
        let rows: Vec<f32> = clean.iter().copied().collect();
        let harmless = matrix(attack::harmless(self.schema, space, &rows, &mut rng), d);
        Ok(Weighing { clean, harmless, attacks })
    }

    fn course(&self, rows: usize, rate_peak: f64) -> Course {
        let epochs = (STEPS_MIN * 128 / rows.max(1)).clamp(8, 60);
        let epochs_max = self.options.epochs_max.map_or(epochs, |max| epochs.min(max));
        Course { epochs_max, batch_rows: 128, rate_peak, patience: None, clip: None }
    }
}
