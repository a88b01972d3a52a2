//! A trained network as plain numbers: what training hands to export.
//!
//! Dense layers in a row, nothing else. [`forward`] is the reference that the ONNX file is held to;
//! on the record path ONNX Runtime computes, not this.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, aview1};

use crate::math::Moments;

/// `x ↦ activation(w x + b)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Weights, `[out, in]`.
    pub w: Array2<f32>,
    /// Biases, `[out]`.
    pub b: Vec<f32>,
    pub activation: Activation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    Linear,
    Relu,
    Sigmoid,
}

/// Centre, spread and limits of each feature, to train on numbers of any unit.
///
/// Squared error listens to whoever shouts. A column of bytes sent has a few rows a million times
/// the others, so its plain deviation would make all others alike; here the outer hundredths are
/// pulled in before the spread is taken, and what then lies more than [`LIMIT`] spreads away is
/// taken as that far. The columns of a category keep their 0 and 1: divided by the deviation of a
/// rare value, one row of it would outweigh thousands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard {
    /// `[d]`, in feature units.
    pub mean: Vec<f64>,
    /// `[d]`, in feature units; 1 for a feature that is constant, and for a category's.
    pub deviation: Vec<f64>,
    pub limits: Limits,
}

/// Between which numbers the network sees a feature: what is outside counts as the end it is
/// beyond. `[d]` both, in feature units, low ≤ high.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    pub low: Vec<f32>,
    pub high: Vec<f32>,
}

/// Spreads from the mean to a limit: five normal rows in 10²³ are beyond.
pub const LIMIT: f64 = 10.0;

/// Share of a column's rows on either side that do not say how wide it is.
const OUTER: f64 = 0.01;

/// The network's answer to each row of `x` [n, d], as `[n, out]`.
///
/// O(n · weights), and one matrix per layer.
///
/// # Panics
/// If a layer does not take what the one before it gives.
pub fn forward(layers: &[Layer], x: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut rows = x.to_owned();
    for layer in layers {
        rows = rows.dot(&layer.w.t());
        for mut row in rows.rows_mut() {
            for (value, b) in row.iter_mut().zip(&layer.b) {
                *value = layer.activation.apply(*value + b);
            }
        }
    }
    rows
}

impl Activation {
    pub fn apply(self, z: f32) -> f32 {
        match self {
            Self::Linear => z,
            Self::Relu => z.max(0.0),
            Self::Sigmoid => 1.0 / (1.0 + (-z).exp()),
        }
    }
}

impl Standard {
    /// Of the rows of `x` [n, d] named by `rows`; `categories` are the columns that hold 0 and 1.
    /// O(n d), and one column at a time.
    pub fn of(x: ArrayView2<'_, f32>, rows: &[usize], categories: &[Range<usize>]) -> Self {
        let d = x.ncols();
        let mut standard = Self {
            mean: Vec::with_capacity(d),
            deviation: Vec::with_capacity(d),
            limits: Limits { low: vec![f32::MIN; d], high: vec![f32::MAX; d] },
        };
        let mut column = vec![];
        for j in 0..d {
            column.clear();
            column.extend(rows.iter().map(|&i| x[[i, j]]));
            let mut whole = Moments::new(1);
            column.iter().for_each(|&value| whole.add(aview1(&[value])));
            if categories.iter().any(|columns| columns.contains(&j)) {
                standard.mean.push(whole.mean()[0].into());
                standard.deviation.push(1.0);
                continue;
            }
            let mut inner = Moments::new(1);
            if let Some((low, high)) = inner_range(&mut column) {
                column.iter().for_each(|&value| inner.add(aview1(&[value.clamp(low, high)])));
            }
            // Where nearly all rows are one number, what is left of it is the whole column.
            let moments = if spread(&inner).is_some() { inner } else { whole };
            let mean = f64::from(moments.mean()[0]);
            let deviation = spread(&moments).unwrap_or(1.0);
            let limit = |at: f64| at.clamp(f32::MIN.into(), f32::MAX.into()) as f32;
            standard.limits.low[j] = limit(mean - LIMIT * deviation);
            standard.limits.high[j] = limit(mean + LIMIT * deviation);
            standard.mean.push(mean);
            standard.deviation.push(deviation);
        }
        standard
    }

    /// One number of feature `j`, within its limits and standardised.
    pub fn apply(&self, j: usize, value: f32) -> f32 {
        let value = value.clamp(self.limits.low[j], self.limits.high[j]);
        ((f64::from(value) - self.mean[j]) / self.deviation[j]) as f32
    }

    /// Makes a network of standardised numbers one of feature units, on both ends: no file carries
    /// the means beside the network, and no caller can forget them.
    ///
    /// A feature's part in the first layer is then off by about `|mean| / deviation` roundings of
    /// `f32`: as much as its own `f32` value already is.
    ///
    /// # Panics
    /// If there is no layer, or the last is not linear: only a linear output can take any unit.
    pub fn fold(&self, layers: &mut [Layer]) {
        let first = layers.first_mut().expect("a network has a layer");
        for (mut row, b) in first.w.rows_mut().into_iter().zip(&mut first.b) {
            let mut shift = f64::from(*b);
            for ((w, mean), deviation) in row.iter_mut().zip(&self.mean).zip(&self.deviation) {
                let scaled = (f64::from(*w) / deviation) as f32;
                // With the rounded weight: then the mean itself still maps onto zero.
                shift -= f64::from(scaled) * mean;
                *w = scaled;
            }
            *b = shift as f32;
        }
        let last = layers.last_mut().expect("a network has a layer");
        assert_eq!(last.activation, Activation::Linear, "a bounded output has no units to fold in");
        for (j, mut row) in last.w.rows_mut().into_iter().enumerate() {
            row.mapv_inplace(|w| (f64::from(w) * self.deviation[j]) as f32);
            last.b[j] = (f64::from(last.b[j]) * self.deviation[j] + self.mean[j]) as f32;
        }
    }
}

/// The numbers between which all but the outer rows lie. Reorders `column`.
fn inner_range(column: &mut [f32]) -> Option<(f32, f32)> {
    let last = column.len().checked_sub(1)?;
    let outer = (OUTER * column.len() as f64) as usize;
    let low = *column.select_nth_unstable_by(outer, f32::total_cmp).1;
    let high = *column.select_nth_unstable_by(last - outer, f32::total_cmp).1;
    Some((low, high))
}

/// The deviation of one column, if there is one: below the resolution of `f32` around the mean
/// there is only rounding.
fn spread(moments: &Moments) -> Option<f64> {
    let (mean, deviation) = (f64::from(moments.mean()[0]), f64::from(moments.deviation()[0]));
    (deviation > f64::from(f32::EPSILON) * mean.abs()).then_some(deviation)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_layer_is_weights_times_the_row_plus_bias_then_its_activation() {
        let layers = [
            Layer {
                w: array![[1.0, 2.0], [-1.0, 0.0]],
                b: vec![0.5, 0.0],
                activation: Activation::Relu,
            },
            Layer { w: array![[2.0, 4.0]], b: vec![-7.0], activation: Activation::Sigmoid },
        ];
        // relu([1·1 + 2·1 + .5, -1]) = [3.5, 0]; sigmoid(2·3.5 - 7) = .5.
        assert_eq!(forward(&layers, array![[1.0, 1.0]].view()), array![[0.5]]);
    }

    #[test]
    fn a_constant_feature_has_deviation_one() {
        let x = array![[3.0, 1e9], [3.0, 1e9], [3.0, 1e9]];
        assert_eq!(Standard::of(x.view(), &[0, 1, 2], &[]).deviation, [1.0, 1.0]);
        assert_eq!(Standard::of(x.view(), &[0, 1, 2], &[]).mean, [3.0, 1e9]);
    }

    #[test]
    fn a_few_huge_rows_do_not_say_how_wide_a_column_is() {
        let rows: Vec<usize> = (0..1000).collect();
        let mut x = Array2::from_shape_fn((1000, 1), |(i, _)| (i % 10) as f32);
        let plain = Standard::of(x.view(), &rows, &[]).deviation[0];
        x[[17, 0]] = 1e9;
        let standard = Standard::of(x.view(), &rows, &[]);
        assert!((standard.deviation[0] / plain - 1.0).abs() < 0.01, "{standard:?}");
        assert!((f64::from(standard.apply(0, 1e9)) - LIMIT).abs() < 1e-3);
    }

    #[test]
    fn a_column_of_one_number_but_for_a_few_has_their_spread() {
        let rows: Vec<usize> = (0..1000).collect();
        let mut x = Array2::zeros((1000, 1));
        x[[17, 0]] = 100.0;
        let standard = Standard::of(x.view(), &rows, &[]);
        assert!((standard.deviation[0] - 3.16).abs() < 0.01, "{standard:?}");
    }

    #[test]
    fn the_columns_of_a_category_are_not_stretched() {
        let rows: Vec<usize> = (0..1000).collect();
        let mut x = Array2::zeros((1000, 2));
        x[[17, 0]] = 1.0;
        let columns = std::slice::from_ref(&(0..2));
        let standard = Standard::of(x.view(), &rows, columns);
        assert_eq!(standard.deviation, [1.0, 1.0]);
        assert!((standard.apply(0, 1.0) - 0.999).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn folding_changes_the_units_and_not_the_answer(
            values in prop::collection::vec(-1.0_f32..1.0, 3 * 4 + 4 * 3 + 7 + 5 * 3),
            mean in prop::collection::vec(-1e3_f64..1e3, 3),
            deviation in prop::collection::vec(0.5_f64..1e3, 3),
        ) {
            let mut values = values.into_iter();
            let mut take = |n| values.by_ref().take(n).collect::<Vec<_>>();
            let matrix = |rows, columns, v| Array2::from_shape_vec((rows, columns), v).unwrap();
            let mut layers = [
                Layer { w: matrix(4, 3, take(12)), b: take(4), activation: Activation::Relu },
                Layer { w: matrix(3, 4, take(12)), b: take(3), activation: Activation::Linear },
            ];
            let z = matrix(5, 3, take(15));
            let limits = Limits { low: vec![f32::MIN; 3], high: vec![f32::MAX; 3] };
            let standard = Standard { mean, deviation, limits };
            let units = |z: &Array2<f32>| Array2::from_shape_fn(z.dim(), |(i, j)| {
                (f64::from(z[[i, j]]) * standard.deviation[j] + standard.mean[j]) as f32
            });
            let expected = units(&forward(&layers, z.view()));
            standard.fold(&mut layers);
            let got = forward(&layers, units(&z).view());
            for ((i, j), value) in got.indexed_iter() {
                // |mean| / deviation up to 2e3 roundings, times up to 4 · 3 weights.
                let error = f64::from(value - expected[[i, j]]).abs() / standard.deviation[j];
                prop_assert!(error < 2e-2, "{value} and {}: {error}", expected[[i, j]]);
            }
        }
    }
}
