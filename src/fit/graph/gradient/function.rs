//! The graph as a function: read, applied, held to ONNX Runtime, and written down again.

use std::collections::HashMap;

use candle_core::{Device, Tensor, Var};
use prost::Message;

use super::attributes::{Inputs, value};
use super::error::GradientError;
use super::{elementwise, linear, shapes};
use crate::fit::graph::export::{TooLarge, to_bytes};
use crate::fit::graph::onnx::{self, Model, Node, dimension};
use crate::model::Network;

/// A network `[n, inputs]` → `[n, outputs]`, differentiable in its rows and in its parameters.
#[derive(Debug)]
pub struct Function {
    pub(super) model: Model,
    pub(super) input: String,
    /// Axes of a row as the graph wants them: `[1, 28, 28]`.
    pub(super) axes: Vec<usize>,
    pub(super) output: String,
    /// Initializers by name; those that are trained are variables.
    pub(super) constants: HashMap<String, Tensor>,
    pub(super) trained: Vec<(String, Var)>,
}

impl Function {
    /// Reads a network of any origin; all its weights stay as they are.
    ///
    /// A `Softmax` or `LogSoftmax` at the end is left off: what is before it are logits of the same
    /// answer, with a gradient that does not vanish where the network is sure.
    ///
    /// # Errors
    /// If it is no ONNX file, or uses what has no gradient here.
    pub fn read(onnx: &[u8]) -> Result<Self, GradientError> {
        Self::of(Model::decode(onnx)?)
    }

    /// Reads a file up to its second output; `None` if it has one output.
    ///
    /// # Errors
    /// As [`Function::read`].
    pub fn read_beside(onnx: &[u8]) -> Result<Option<Self>, GradientError> {
        let mut function = Self::read(onnx)?;
        let graph = function.model.graph.as_ref().expect("read with one");
        let Some(second) = graph.output.get(1) else { return Ok(None) };
        function.output = second.name.clone();
        Ok(Some(function))
    }

    fn of(mut model: Model) -> Result<Self, GradientError> {
        let unreadable = |what: &str| GradientError::Unreadable(what.to_owned());
        let graph = model.graph.as_mut().ok_or_else(|| unreadable("graph"))?;
        let mut constants = HashMap::new();
        for tensor in &graph.initializer {
            let value = value(tensor).ok_or_else(|| unreadable(&tensor.name))??;
            constants.insert(tensor.name.clone(), value);
        }
        let input = graph.input.iter().find(|i| !constants.contains_key(&i.name));
        let input = input.ok_or_else(|| unreadable("input"))?;
        let axes = axes(input).ok_or_else(|| unreadable("input"))?;
        let input = input.name.clone();
        let mut output = graph.output.first().ok_or_else(|| unreadable("output"))?.name.clone();
        let last = graph.node.iter().position(|n| n.output.first() == Some(&output));
        if let Some(at) = last
            && ["Softmax", "LogSoftmax"].contains(&graph.node[at].op_type.as_str())
        {
            let node = graph.node.remove(at);
            output = node.input.into_iter().next().ok_or_else(|| unreadable("output"))?;
        }
        Ok(Self { model, input, axes, output, constants, trained: vec![] })
    }

    /// The output for each row of `x` [n, inputs], as `[n, outputs]`. One pass; candle keeps what a
    /// gradient will need.
    ///
    /// # Errors
    /// If an operator has no gradient here, or shapes do not fit.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor, GradientError> {
        self.trace(x, &mut |_, _, _| ())
    }

    /// Applies the function, and shows `visit` every value on the way: the operator, its name, its shape.
    ///
    /// # Errors
    /// As [`Function::apply`].
    pub fn trace(
        &self,
        x: &Tensor,
        visit: &mut dyn FnMut(&Node, &str, &[usize]),
    ) -> Result<Tensor, GradientError> {
        let n = x.dim(0)?;
        let shape: Vec<usize> = std::iter::once(n).chain(self.axes.iter().copied()).collect();
        let mut values: HashMap<&str, Tensor> = HashMap::new();
        values.insert(&self.input, x.reshape(shape)?);
        let graph = self.model.graph.as_ref().expect("read with one");
        for node in &graph.node {
            let input = |name: &String| {
                let known = values.get(name.as_str()).or_else(|| self.constants.get(name));
                match known {
                    Some(value) => Ok(Some(value.clone())),
                    None if name.is_empty() => Ok(None),
                    None => Err(GradientError::Unreadable(name.clone())),
                }
            };
            let inputs = node.input.iter().map(input).collect::<Result<Vec<_>, _>>()?;
            let outputs = run(node, &inputs)?;
            let named = node.output.iter().zip(&outputs);
            named.for_each(|(name, value)| visit(node, name, value.dims()));
            values.extend(node.output.iter().map(String::as_str).zip(outputs));
            if node.output.first() == Some(&self.output) {
                break;
            }
        }
        let out = values.remove(self.output.as_str());
        let out = out.ok_or_else(|| GradientError::Unreadable(self.output.clone()))?;
        Ok(out.flatten_from(1)?)
    }

    /// Holds this function to what ONNX Runtime makes of the same file, up to one constant a row
    /// if `logits` (the last `Softmax` may be left off here). Shape: `sample` `[n · inputs]`.
    ///
    /// # Errors
    /// If it has no gradient, or differs by more than a thousandth.
    pub fn agrees(
        &self,
        network: &mut Network,
        sample: &[f32],
        logits: bool,
    ) -> Result<(), GradientError> {
        let width: usize = self.axes.iter().product();
        let mut expected = vec![];
        network.run(sample, &mut expected)?;
        let x = Tensor::from_slice(sample, (sample.len() / width, width), &Device::Cpu)?;
        let got = self.apply(&x)?;
        let got = if logits { candle_nn::ops::log_softmax(&got, 1)? } else { got };
        let k = got.dim(1)?;
        let got: Vec<f32> = got.flatten_all()?.to_vec1()?;
        if got.len() != expected.len() {
            return Err(GradientError::Unreadable("output".into()));
        }
        if logits {
            for row in expected.chunks_mut(k) {
                let sure = row.iter().all(|p| (0.0..=1.0).contains(p));
                let sum: f32 = row.iter().sum();
                if sure && (sum - 1.0).abs() < 1e-3 {
                    row.iter_mut().for_each(|p| *p = p.max(f32::MIN_POSITIVE).ln());
                }
                let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let total: f32 = row.iter().map(|v| (v - most).exp()).sum();
                row.iter_mut().for_each(|v| *v -= most + total.ln());
            }
        }
        for (i, (&got, &expected)) in got.iter().zip(&expected).enumerate() {
            // Beyond e⁻²⁰ of probability nobody's answer hangs on the difference.
            let (a, b) =
                if logits { (got.max(-20.0), expected.max(-20.0)) } else { (got, expected) };
            let near = (a - b).abs() <= 1e-3 * b.abs().max(1.0);
            if !near {
                return Err(GradientError::Differs { row: i / k, column: i % k, got, expected });
            }
        }
        Ok(())
    }

    /// The name of the output, before a last `Softmax` if there is one.
    pub fn output(&self) -> &str {
        &self.output
    }

    /// What is trained, in the order it was declared.
    pub fn variables(&self) -> Vec<Var> {
        self.trained.iter().map(|(_, var)| var.clone()).collect()
    }

    /// The network as an ONNX file, its trained weights as they are now.
    ///
    /// # Errors
    /// If it would not fit into a protobuf message, or candle fails to give the weights back.
    pub fn into_onnx(self) -> Result<Result<Vec<u8>, TooLarge>, GradientError> {
        let mut model = self.model;
        let graph = model.graph.as_mut().expect("read with one");
        for (name, var) in &self.trained {
            let values: Vec<f32> = var.flatten_all()?.to_vec1()?;
            let tensor = graph.initializer.iter_mut().find(|tensor| tensor.name == *name);
            *tensor.expect("it was built with one") =
                onnx::Tensor::of(name, var.dims(), values.into_iter());
        }
        Ok(to_bytes(&model))
    }
}

/// The axes of a row: all but the first, each a number.
pub(super) fn axes(value: &onnx::Value) -> Option<Vec<usize>> {
    let shape = value.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
    let axis = |dim: &onnx::Dimension| match dim.value {
        Some(dimension::Value::DimValue(size)) => usize::try_from(size).ok(),
        _ => None,
    };
    shape.dim.get(1..)?.iter().map(axis).collect()
}

fn run(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, GradientError> {
    if !["", "ai.onnx"].contains(&node.domain.as_str()) {
        return Err(GradientError::Operator(format!("{}.{}", node.domain, node.op_type)));
    }
    for family in [elementwise::run, linear::run, shapes::run] {
        if let Some(outputs) = family(node, inputs) {
            return outputs;
        }
    }
    Err(GradientError::Operator(node.op_type.clone()))
}
