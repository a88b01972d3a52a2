//! What networks are trained with, and what weighs the detectors afterwards.

use ndarray::Array2;

use super::protected::Protected;
use crate::fit::data::options::Options;
use crate::fit::data::split::Split;
use crate::model::Runtime;
use crate::record::Schema;

/// Rows to weigh detectors by, each `[n, d]`.
pub struct Weighing {
    pub clean: Array2<f32>,
    pub harmless: Array2<f32>,
    pub attacks: Vec<Own>,
}

/// Attacks of one family that moved the answer.
pub struct Own {
    pub family: String,
    pub weight: f32,
    pub x: Array2<f32>,
    /// What the model said before.
    pub labels: Vec<u32>,
}

/// What all training starts from.
pub struct Material<'a> {
    pub options: &'a Options,
    pub runtime: &'a Runtime,
    pub schema: &'a Schema,
    pub x: &'a Array2<f32>,
    pub y: Option<&'a [i64]>,
    pub split: &'a Split,
    pub protected: Option<&'a Protected>,
}

impl Material<'_> {
    /// These rows, one after another: `[n, d]`.
    pub fn rows(&self, which: &[usize]) -> Vec<f32> {
        which.iter().flat_map(|&i| self.x.row(i)).copied().collect()
    }
}

/// Rows of `d` values each.
///
/// # Panics
/// If the last row is not whole: that is our bug.
pub fn matrix(values: Vec<f32>, d: usize) -> Array2<f32> {
    Array2::from_shape_vec((values.len() / d, d), values).expect("whole rows")
}
