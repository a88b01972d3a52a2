//! Writes a network down, node by node, with weights to be trained.
//!
//! A network of ours has one description: the ONNX graph. It is trained through [`Function`] and
//! runs in ONNX Runtime, so there is no second version of it that could differ.

use candle_core::{Device, Tensor, Var};
use rand_chacha::ChaCha8Rng;

use super::attributes::value;
use super::error::GradientError;
use super::function::{Function, axes};
use crate::fit::graph::export::model_of;
use crate::fit::graph::onnx::{
    self, Attribute, FLOAT_ATTRIBUTE, Graph, INT, INTS, Node, STRING, rows_of,
};
use crate::fit::seed::unit;

/// A graph in the making. Values are named by what [`Builder::node`] returns.
pub struct Builder<'a> {
    graph: Graph,
    trained: Vec<String>,
    rng: &'a mut ChaCha8Rng,
    /// Width of the input's rows.
    width: usize,
}

impl<'a> Builder<'a> {
    /// A network of this name over rows `[n, width]`, called `x`; first weights are drawn from `rng`.
    pub fn new(name: &str, width: usize, rng: &'a mut ChaCha8Rng) -> Self {
        let graph =
            Graph { name: name.into(), input: vec![rows_of("x", width)], ..Graph::default() };
        Self { graph, trained: vec![], rng, width }
    }

    pub fn input(&self) -> String {
        "x".into()
    }

    /// A node with one output, which is returned.
    pub fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let output = format!("v{}", self.graph.node.len());
        self.graph.node.push(Node {
            input: inputs.iter().map(|&input| input.into()).collect(),
            output: vec![output.clone()],
            op_type: op.into(),
            attribute: attributes,
            ..Node::default()
        });
        output
    }

    /// A constant of one dimension of whole numbers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let name = format!("c{}", self.graph.initializer.len());
        self.graph.initializer.push(onnx::Tensor::of_ints(&name, values));
        name
    }

    /// A constant that is not trained; shape `[]` is a single number.
    pub fn constant(&mut self, shape: &[usize], values: &[f32]) -> String {
        let name = format!("c{}", self.graph.initializer.len());
        self.graph.initializer.push(onnx::Tensor::of(&name, shape, values.iter().copied()));
        name
    }

    /// Weights to be trained, uniform with variance `gain / fan_in`: 2 keeps the size of what passes
    /// through a ReLU.
    ///
    /// # Source
    /// K. He et al., arXiv:1502.01852.
    pub fn weights(&mut self, shape: &[usize], fan_in: usize, gain: f64) -> String {
        let bound = (3.0 * gain / fan_in as f64).sqrt() as f32;
        let n = shape.iter().product();
        let values: Vec<f32> = (0..n).map(|_| bound * (2.0 * unit(self.rng) - 1.0)).collect();
        self.trainable(shape, &values)
    }

    /// Numbers to be trained, beginning at `values`.
    pub fn trainable(&mut self, shape: &[usize], values: &[f32]) -> String {
        let name = format!("w{}", self.trained.len());
        self.graph.initializer.push(onnx::Tensor::of(&name, shape, values.iter().copied()));
        self.trained.push(name.clone());
        name
    }

    /// `x · wᵀ + b`, `[n, from]` → `[n, to]`.
    pub fn dense(&mut self, x: &str, from: usize, to: usize, gain: f64) -> String {
        let w = self.weights(&[to, from], from, gain);
        let b = self.trainable(&[to], &vec![0.0; to]);
        self.node("Gemm", &[x, &w, &b], vec![int("transB", 1)])
    }

    /// A convolution with zeros around the image, `[n, from, h, w]` → `[n, to, h / stride, w / stride]`.
    pub fn convolution(
        &mut self,
        x: &str,
        (from, to): (usize, usize),
        kernel: usize,
        stride: i64,
        gain: f64,
    ) -> String {
        let w = self.weights(&[to, from, kernel, kernel], from * kernel * kernel, gain);
        self.convolve(x, &w, to, kernel, stride)
    }

    /// A convolution with weights `[to, from, kernel, kernel]` that the caller made.
    pub fn convolve(&mut self, x: &str, w: &str, to: usize, kernel: usize, stride: i64) -> String {
        let b = self.trainable(&[to], &vec![0.0; to]);
        let pad = (kernel / 2) as i64;
        let attributes = vec![ints("pads", &[pad; 4]), ints("strides", &[stride; 2])];
        self.node("Conv", &[x, w, &b], attributes)
    }

    pub fn relu(&mut self, x: &str) -> String {
        self.node("Relu", &[x], vec![])
    }

    /// `x` as `[n, shape]`.
    pub fn reshape(&mut self, x: &str, shape: &[usize]) -> String {
        let shape: Vec<i64> =
            std::iter::once(-1).chain(shape.iter().map(|&size| size as i64)).collect();
        let shape = self.ints(&shape);
        self.node("Reshape", &[x, &shape], vec![])
    }

    /// The finished network, whose output is `output` as `[n, outputs]`.
    ///
    /// # Errors
    /// If candle does not take a weight.
    pub fn finish(mut self, output: &str, outputs: usize) -> Result<Function, GradientError> {
        let flat = self.reshape(output, &[outputs]);
        self.graph.output.push(rows_of(&flat, outputs));
        let (mut constants, mut trained) = (std::collections::HashMap::new(), vec![]);
        for tensor in &self.graph.initializer {
            let name = tensor.name.clone();
            let value = value(tensor).expect("written above")?;
            if self.trained.contains(&name) {
                let var = Var::from_tensor(&value)?;
                constants.insert(name.clone(), var.as_tensor().clone());
                trained.push((name, var));
            } else {
                constants.insert(name, value);
            }
        }
        let axes = axes(&self.graph.input[0]).expect("written above");
        debug_assert_eq!(axes, [self.width]);
        let (input, output) = ("x".into(), flat);
        Ok(Function { model: model_of(self.graph), input, axes, output, constants, trained })
    }
}

/// Rows as candle takes them, `[n, d]`.
pub fn rows(values: Vec<f32>, d: usize) -> candle_core::Result<Tensor> {
    let n = values.len() / d;
    Tensor::from_vec(values, (n, d), &Device::Cpu)
}

pub fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.into(), i: value, kind: INT, ..Attribute::default() }
}

pub fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.into(), f: value, kind: FLOAT_ATTRIBUTE, ..Attribute::default() }
}

pub fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.into(), ints: values.to_vec(), kind: INTS, ..Attribute::default() }
}

pub fn word(name: &str, value: &str) -> Attribute {
    Attribute { name: name.into(), s: value.into(), kind: STRING, ..Attribute::default() }
}
