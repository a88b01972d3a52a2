//! The numbers and categories of a row on one scale: what table detectors measure distances in.
//!
//! Pixels are left out: distances between images say little, and other detectors see them better.

use ndarray::{Array1, ArrayView1};

use crate::bundle::{TensorError, Tensors};
use crate::record::{Feature, Schema};

/// Largest standardized number: a million deviations are as far as anyone needs, and their squares
/// add up to something finite over the widest row.
const FAR: f32 = 1e6;

/// Standardizes numbers; a category's columns stay 0 and 1, or a rare value would be as far from
/// the others as its rareness makes it, which is not what a distance is for.
pub(super) struct Tabular {
    /// Which columns of a row are a number's or a category's.
    columns: Vec<usize>,
    /// In the columns' own units, one per column of these.
    mean: Array1<f32>,
    /// 1 / deviation.
    scale: Array1<f32>,
}

/// Whether `schema` has a number or a category.
pub(super) fn suits(schema: &Schema) -> bool {
    width(schema) > 0
}

/// The voice of a detector that judges a table less well than the nearest prototype does, and other
/// rows as well as any.
pub(super) fn minor(schema: &Schema) -> f32 {
    let image = schema.features.iter().any(|f| matches!(f, Feature::Image { .. }));
    if image { 1.0 } else { 0.5 }
}

/// How many columns are a number's or a category's.
pub(super) fn width(schema: &Schema) -> usize {
    columns(schema).count()
}

fn columns(schema: &Schema) -> impl Iterator<Item = usize> {
    let tabular = |f: &&Feature| matches!(f, Feature::Number { .. } | Feature::Category { .. });
    schema.columns().filter(move |(f, _)| tabular(f)).flat_map(|(_, columns)| columns)
}

impl Tabular {
    /// Unitless distances from the mean, into `z` `[width]`; each within ±1e6.
    pub(super) fn standardize(&self, row: ArrayView1<'_, f32>, z: &mut [f32]) {
        let learned = self.mean.iter().zip(&self.scale);
        for ((z, &at), (mean, scale)) in z.iter_mut().zip(&self.columns).zip(learned) {
            *z = ((row[at] - mean) * scale).clamp(-FAR, FAR);
        }
    }

    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// Puts `z` back into the columns of a row that it stands for, in their own units.
    pub(super) fn restore(&self, z: impl Iterator<Item = f32>, row: &mut [f32]) {
        let learned = self.mean.iter().zip(&self.scale);
        for ((z, &at), (mean, scale)) in z.zip(&self.columns).zip(learned) {
            row[at] = mean + z / scale;
        }
    }

    /// `parts`, one per number or one-hot column, where these stand in a row of `d` columns.
    pub(super) fn spread(&self, parts: &[f32], d: usize) -> Vec<f32> {
        let mut row = vec![0.0; d];
        self.columns.iter().zip(parts).for_each(|(&at, part)| row[at] = *part);
        row
    }

    pub(super) fn load(
        tensors: &Tensors,
        detector: &str,
        schema: &Schema,
    ) -> Result<Self, TensorError> {
        let columns: Vec<usize> = columns(schema).collect();
        let mean = tensors.vector(&format!("{detector}.mean"), Some(columns.len()))?;
        let scale = tensors.vector(&format!("{detector}.scale"), Some(columns.len()))?;
        Ok(Self { columns, mean, scale })
    }

    pub(super) fn save(&self, tensors: &mut Tensors, detector: &str) {
        let d = [self.width()];
        tensors.put(format!("{detector}.mean"), &d, self.mean.to_vec());
        tensors.put(format!("{detector}.scale"), &d, self.scale.to_vec());
    }
}

#[cfg(feature = "fit")]
pub(super) use learn::unit;

#[cfg(feature = "fit")]
mod learn {
    use ndarray::{Array2, ArrayView2};

    use super::*;
    use crate::math::Moments;
    use crate::record::Rows;

    /// What differences of a number are measured in: its deviation. One that never changes has 1 or
    /// a thousandth of its size instead, for no row says how far away another value is. Positive,
    /// and so is its reciprocal.
    pub(in crate::detect) fn unit(mean: f32, deviation: f32) -> f32 {
        // Less than `f32` resolves is the same number.
        let varies = deviation > 1e-6 * mean.abs();
        let unit = if varies { deviation } else { (mean.abs() / 1e3).max(1.0) };
        unit.clamp(1e-30, 1e30)
    }

    impl Tabular {
        /// The mean and deviation of every number.
        pub(in crate::detect) fn learn(rows: &Rows<'_>, schema: &Schema) -> Self {
            let mut moments = Moments::new(rows.x.ncols());
            rows.x.rows().into_iter().for_each(|row| moments.add(row));
            let (mean, deviation) = (moments.mean(), moments.deviation());
            let mut learned = Self {
                columns: columns(schema).collect(),
                mean: Array1::zeros(width(schema)),
                scale: Array1::ones(width(schema)),
            };
            let mut own = 0;
            for (feature, columns) in schema.columns() {
                match feature {
                    Feature::Number { .. } => {
                        let (mean, deviation) = (mean[columns.start], deviation[columns.start]);
                        learned.mean[own] = mean;
                        learned.scale[own] = unit(mean, deviation).recip();
                        own += 1;
                    }
                    Feature::Category { .. } => own += columns.len(),
                    Feature::Image { .. } | Feature::Id { .. } => {}
                }
            }
            learned
        }

        /// All rows standardized, `[n, width]`.
        pub(in crate::detect) fn matrix(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
            let mut matrix = Array2::zeros((x.nrows(), self.width()));
            for (row, mut z) in x.rows().into_iter().zip(matrix.rows_mut()) {
                self.standardize(row, z.as_slice_mut().expect("a row of its own"));
            }
            matrix
        }
    }
}
