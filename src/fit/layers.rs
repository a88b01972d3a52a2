//! A trained network as plain numbers: what training hands to export.
//!
//! Dense layers in a row, nothing else. [`forward`] is the reference that the ONNX file is held to;
//! on the record path ONNX Runtime computes, not this.

use ndarray::{Array2, ArrayView2};

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

/// Mean and deviation of each feature, to train on numbers of any unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard {
    /// `[d]`, in feature units.
    pub mean: Vec<f64>,
    /// `[d]`, in feature units; 1 for a feature that is constant.
    pub deviation: Vec<f64>,
}

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
    /// Of the rows of `x` [n, d] named by `rows`.
    pub fn of(x: ArrayView2<'_, f32>, rows: &[usize]) -> Self {
        let mut moments = Moments::new(x.ncols());
        rows.iter().for_each(|&i| moments.add(x.row(i)));
        let mean = moments.mean().mapv(f64::from).to_vec();
        let deviation = moments.deviation().into_iter().zip(&mean).map(|(deviation, mean)| {
            // Below the resolution of `f32` around the mean there is no deviation, only rounding.
            let rounding = f64::from(f32::EPSILON) * mean.abs();
            let deviation = f64::from(deviation);
            if deviation <= rounding { 1.0 } else { deviation }
        });
        Self { deviation: deviation.collect(), mean }
    }

    /// One number of feature `j`, standardised.
    pub fn apply(&self, j: usize, value: f32) -> f32 {
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
        assert_eq!(Standard::of(x.view(), &[0, 1, 2]).deviation, [1.0, 1.0]);
        assert_eq!(Standard::of(x.view(), &[0, 1, 2]).mean, [3.0, 1e9]);
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
            let standard = Standard { mean, deviation };
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
