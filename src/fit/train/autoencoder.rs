//! Where a bundle's autoencoder comes from: trained here, or brought along and only measured.

use std::path::Path;

use ndarray::Array2;

use super::brought;
use super::dense::{self, Dense};
use super::error::TrainError;
use super::trainer::{Stopped, Trained};
use crate::fit::data::options::Options;
use crate::fit::data::split::Split;
use crate::fit::graph::export;
use crate::fit::graph::layers::Standard;
use crate::fit::progress::{Progress, Watch};
use crate::model::Runtime;
use crate::record::{Feature, Schema};

/// Trains an autoencoder on the training part; its ONNX file and how it came about.
///
/// # Errors
/// If training fails, or the network would be too large for a file.
pub fn learn(
    options: &Options,
    schema: &Schema,
    x: &Array2<f32>,
    split: &Split,
    watch: &mut dyn Watch,
) -> Result<(Vec<u8>, Trained), TrainError> {
    watch.stage(&format!("training on {} rows of {}", split.train.len(), x.ncols()));
    let standard = standard(schema, x, &split.train);
    let mut course = dense::course(split.train.len());
    course.epochs_max = options.epochs_max.unwrap_or(course.epochs_max);
    let progress = &mut |p: &Progress| watch.progress(p);
    let parts = (split.train.as_slice(), split.validation.as_slice());
    let Dense { layers, limits, trained } =
        dense::train(x.view(), parts, standard.as_ref(), course, options.seed, progress)?;
    Ok((export::onnx(limits.as_ref(), &layers)?, trained))
}

/// Takes the autoencoder at `path`, and measures it as if it had been trained here.
///
/// # Errors
/// If it cannot be read, or is no function of one row.
pub fn bring(
    path: &Path,
    runtime: &Runtime,
    schema: &Schema,
    x: &Array2<f32>,
    split: &Split,
    watch: &mut dyn Watch,
) -> Result<(Vec<u8>, Trained), TrainError> {
    watch.stage(&format!("trying {}", path.display()));
    let source = |source| TrainError::AutoencoderFile { path: path.to_owned(), source };
    let onnx = std::fs::read(path).map_err(source)?;
    let d = x.ncols();
    let sample = split.train.iter().take(brought::TRIAL_ROWS).flat_map(|&i| x.row(i));
    let sample: Vec<f32> = sample.copied().collect();
    brought::check(runtime, &onnx, &sample, d)?;
    let standard = standard(schema, x, &split.train);
    let apply = |j, value| standard.as_ref().map_or(value, |standard| standard.apply(j, value));
    let loss = |part: &[usize]| brought::loss(runtime, &onnx, x, part, apply);
    let (loss, loss_validation) = (loss(&split.train)?, loss(&split.validation)?);
    let stopped = Stopped::Brought;
    let trained = Trained { loss, loss_validation, epoch: 0, epochs: 0, stopped };
    Ok((onnx, trained))
}

/// How the rows are standardised for training: not at all if every feature is an image.
pub fn standard(schema: &Schema, x: &Array2<f32>, train: &[usize]) -> Option<Standard> {
    let image = |feature: &Feature| matches!(feature, Feature::Image { .. });
    if schema.features.iter().all(|feature| image(feature) || feature.width() == 0) {
        return None;
    }
    let category = |feature: &Feature| matches!(feature, Feature::Category { .. });
    let categories = schema.columns().filter(|(feature, _)| category(feature));
    let categories: Vec<_> = categories.map(|(_, columns)| columns).collect();
    Some(Standard::of(x.view(), train, &categories))
}
