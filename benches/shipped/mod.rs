//! What the benchmarks run on: the shipped bundle and real images that it never saw.

#![allow(dead_code)]

use std::path::{Path, PathBuf};

use tripline::bundle::Bundle;
use tripline::model::{Networks, Runtime};
use tripline::record::Columns;

pub const PIXELS: usize = 784;

/// Every column that a network fills: the autoencoder on x, the protected model on x and on the twin.
pub const EVERY_COLUMN: Columns = Columns::TWIN
    .and(Columns::ANSWER)
    .and(Columns::TWIN_ANSWER)
    .and(Columns::RESTORED)
    .and(Columns::RESTORED_ANSWER)
    .and(Columns::SURPRISAL);

pub fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/fashion-mnist")
}

pub fn bundle() -> Bundle {
    tripline::shell::bundle::read(&model()).expect("the shipped bundle is sound")
}

pub fn networks(bundle: &Bundle) -> Networks {
    let runtime = Runtime::load(None).expect("scripts/setup puts ONNX Runtime there");
    Networks::load(&runtime, bundle).expect("networks")
}

/// 2000 clean test images, one byte per pixel.
pub fn images() -> Vec<u8> {
    let path = model().join("slice/clean.u8");
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The same images as rows in the model's units, `[2000 · PIXELS]`.
pub fn rows(images: &[u8]) -> Vec<f32> {
    images.iter().map(|&pixel| f32::from(pixel) / 255.0).collect()
}
