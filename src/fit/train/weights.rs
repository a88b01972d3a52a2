//! The network while it is being trained: weights, their gradient, and Adam.
//!
//! Weights live here as plain numbers; candle sees a copy, multiplies matrices and gives the
//! gradient back. Its matrix product adds in the same order on one thread and on two (measured:
//! the same bits after an epoch), so threads do not show in the result.

use candle_core::{Device, Tensor, Var};
use ndarray::{Array2, ArrayView2};
use rand_chacha::ChaCha8Rng;

use crate::fit::graph::layers::{Activation, Layer, Standard};
use crate::fit::seed::unit;

/// What the network's output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Pixels in [0, 1]: a sigmoid.
    Unit,
    /// Numbers of any unit: linear, trained on standardised values.
    Standardised,
}

/// Widths of the network for rows of `d` numbers, `[d, hidden, code, hidden, d]`: 784-256-64-256-784,
/// and narrower for narrower rows, so that the code never has room for the whole row.
pub fn widths(d: usize) -> [usize; 5] {
    let hidden = (4 * d).clamp(8, 256);
    let code = (d / 4).clamp(2, 64).min(d.saturating_sub(1).max(1));
    [d, hidden, code, hidden, d]
}

/// Weights `[in, out]` and biases in turn, with Adam's two moments.
#[derive(Clone)]
pub struct Weights {
    activations: Vec<Activation>,
    parameters: Vec<Parameter>,
    steps: i32,
}

#[derive(Clone)]
struct Parameter {
    shape: (usize, usize),
    values: Vec<f32>,
    /// Adam's running mean of the gradient and of its square.
    m: Vec<f32>,
    v: Vec<f32>,
}

impl Weights {
    /// First weights for rows like the rows `train` of `rows`.
    ///
    /// # Source
    /// K. He et al., arXiv:1502.01852.
    pub fn new(rows: &Inputs<'_>, train: &[usize], output: Output, rng: &mut ChaCha8Rng) -> Self {
        let widths = widths(rows.x.ncols());
        let last = match output {
            Output::Unit => Activation::Sigmoid,
            Output::Standardised => Activation::Linear,
        };
        let activations = vec![Activation::Relu, Activation::Relu, Activation::Relu, last];
        let mut parameters = Vec::new();
        for (at, pair) in widths.windows(2).enumerate() {
            let (fan_in, fan_out) = (pair[0], pair[1]);
            // Variance 2 / fan_in keeps the size of what passes through a ReLU; the output, where
            // none follows, starts small instead: near the mean row.
            let spread = if at + 1 == activations.len() { 0.1 } else { 6.0 };
            let bound = (spread / fan_in as f64).sqrt() as f32;
            let mut weight = || bound * (2.0 * unit(rng) - 1.0);
            let w = (0..fan_in * fan_out).map(|_| weight()).collect();
            parameters.push(Parameter::new((fan_in, fan_out), w));
            parameters.push(Parameter::new((1, fan_out), vec![0.0; fan_out]));
        }
        if output == Output::Unit {
            // Starts at the mean image, not at grey: a third of the first epoch saved.
            let mean = Standard::of(rows.x, train, &[]).mean.into_iter();
            let logit = |p: f64| (p / (1.0 - p)).ln() as f32;
            let b = &mut parameters.last_mut().expect("four layers").values;
            b.iter_mut().zip(mean).for_each(|(b, p)| *b = logit(p.clamp(0.01, 0.99)));
        }
        Self { activations, parameters, steps: 0 }
    }

    /// One step of Adam down the gradient of the batch's loss; the loss before the step.
    ///
    /// # Source
    /// D. Kingma, J. Ba, arXiv:1412.6980, with bias correction.
    pub fn step(&mut self, batch: &Tensor, rate: f64) -> candle_core::Result<f64> {
        let vars: Vec<Var> =
            self.parameters.iter().map(Parameter::var).collect::<Result<_, _>>()?;
        let loss = self.forward(&vars, batch)?.sub(batch)?.sqr()?.mean_all()?;
        let gradients = loss.backward()?;
        self.steps += 1;
        for (parameter, var) in self.parameters.iter_mut().zip(&vars) {
            if let Some(gradient) = gradients.get(var) {
                parameter.adam(&gradient.flatten_all()?.to_vec1()?, rate, self.steps);
            }
        }
        Ok(loss.to_scalar::<f32>()?.into())
    }

    /// Mean squared error per number over `which` rows, summed in `f64` over batches of 512.
    pub fn loss(&self, rows: &Inputs<'_>, which: &[usize]) -> candle_core::Result<f64> {
        let vars: Vec<Var> =
            self.parameters.iter().map(Parameter::var).collect::<Result<_, _>>()?;
        let mut sum = 0.0;
        for batch in which.chunks(512) {
            let batch = rows.tensor(batch.iter().copied())?;
            let residual = self.forward(&vars, &batch)?.sub(&batch)?;
            sum += f64::from(residual.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
        Ok(sum / (which.len() * rows.x.ncols()) as f64)
    }

    fn forward(&self, vars: &[Var], x: &Tensor) -> candle_core::Result<Tensor> {
        let mut rows = x.clone();
        for (pair, activation) in vars.chunks(2).zip(&self.activations) {
            let z = rows.matmul(&pair[0])?.broadcast_add(&pair[1])?;
            rows = match activation {
                Activation::Linear => z,
                Activation::Relu => z.relu()?,
                Activation::Sigmoid => candle_nn::ops::sigmoid(&z)?,
            };
        }
        Ok(rows)
    }

    /// The network as it leaves training.
    pub fn into_layers(self) -> Vec<Layer> {
        let mut parameters = self.parameters.into_iter();
        let mut layers = Vec::new();
        for activation in self.activations {
            let (w, b) = parameters.next().zip(parameters.next()).expect("weights and biases");
            let w = Array2::from_shape_vec(w.shape, w.values).expect("its own shape");
            let w = w.t().as_standard_layout().into_owned();
            layers.push(Layer { w, b: b.values, activation });
        }
        layers
    }
}

impl Parameter {
    fn new(shape: (usize, usize), values: Vec<f32>) -> Self {
        let zeros = vec![0.0; values.len()];
        Self { shape, values, m: zeros.clone(), v: zeros }
    }

    fn var(&self) -> candle_core::Result<Var> {
        Var::from_slice(&self.values, self.shape, &Device::Cpu)
    }

    /// Adam with bias correction, its usual constants. `step` counts from 1.
    fn adam(&mut self, gradient: &[f32], rate: f64, step: i32) {
        const B1: f32 = 0.9;
        const B2: f32 = 0.999;
        const EPSILON: f32 = 1e-8;
        let rate = (rate / (1.0 - f64::from(B1).powi(step))) as f32;
        let scale = (1.0 / (1.0 - f64::from(B2).powi(step))) as f32;
        let moments = self.m.iter_mut().zip(&mut self.v);
        for ((value, g), (m, v)) in self.values.iter_mut().zip(gradient).zip(moments) {
            *m = B1 * *m + (1.0 - B1) * g;
            *v = B2 * *v + (1.0 - B2) * g * g;
            *value -= rate * *m / ((*v * scale).sqrt() + EPSILON);
        }
    }
}

/// The rows as training sees them.
pub struct Inputs<'a> {
    pub x: ArrayView2<'a, f32>,
    /// Applied to every number, if there is one.
    pub standard: Option<&'a Standard>,
}

impl Inputs<'_> {
    /// The rows as `[rows, d]`.
    pub fn tensor(
        &self,
        rows: impl ExactSizeIterator<Item = usize>,
    ) -> candle_core::Result<Tensor> {
        let shape = (rows.len(), self.x.ncols());
        let mut values = Vec::with_capacity(shape.0 * shape.1);
        for i in rows {
            match self.standard {
                None => values.extend(self.x.row(i)),
                Some(standard) => {
                    let row = self.x.row(i);
                    values.extend(row.iter().enumerate().map(|(j, &v)| standard.apply(j, v)));
                }
            }
        }
        Tensor::from_vec(values, shape, &Device::Cpu)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_narrower_than_the_row_for_every_width_it_can_be() {
        assert_eq!(widths(784), [784, 256, 64, 256, 784]);
        assert_eq!(widths(9), [9, 36, 2, 36, 9]);
        assert_eq!(widths(1), [1, 8, 1, 8, 1]);
        assert!((2..2000).all(|d| widths(d)[2] < d));
    }
}
