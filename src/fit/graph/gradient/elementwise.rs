//! Operators that look at one number of a tensor at a time, and sums over axes.

use candle_core::{D, DType, Tensor};
use candle_nn::ops::{log_softmax, sigmoid, softmax};

use super::attributes::{Inputs, axis};
use super::error::GradientError;
use crate::fit::graph::onnx::Node;

pub(super) fn run(node: &Node, inputs: &Inputs<'_>) -> Option<Result<Vec<Tensor>, GradientError>> {
    let one = |f: &dyn Fn(&Tensor) -> candle_core::Result<Tensor>| {
        let out = node.input(inputs, 0).and_then(|x| Ok(f(x)?));
        Some(out.map(|out| vec![out]))
    };
    match node.op_type.as_str() {
        "Relu" => one(&Tensor::relu),
        "Exp" => one(&Tensor::exp),
        "Log" => one(&Tensor::log),
        "Sqrt" => one(&Tensor::sqrt),
        "Neg" => one(&Tensor::neg),
        "Abs" => one(&Tensor::abs),
        "Erf" => one(&Tensor::erf),
        "Tanh" => one(&Tensor::tanh),
        "Reciprocal" => one(&Tensor::recip),
        "Sigmoid" => one(&sigmoid),
        "Identity" | "Dropout" => one(&|x| Ok(x.clone())),
        "Cast" => one(&|x| match node.int("to", 1) {
            6 | 7 => x.to_dtype(DType::I64),
            _ => x.to_dtype(DType::F32),
        }),
        "LeakyRelu" => {
            let alpha = node.float("alpha", 0.01);
            one(&|x| x.relu()? - (x.neg()?.relu()? * alpha)?)
        }
        "Elu" => one(&|x| x.elu(node.float("alpha", 1.0))),
        // ln(1 + eˣ), without eˣ of a large x.
        "Softplus" => one(&|x| x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?),
        "Gelu" => one(&|x| match node.word("approximate") {
            Some("tanh") => x.gelu(),
            _ => x.gelu_erf(),
        }),
        "HardSigmoid" => one(&|x| {
            let (alpha, beta) = (node.float("alpha", 0.2), node.float("beta", 0.5));
            ((x * alpha)? + beta)?.clamp(0f32, 1f32)
        }),
        "HardSwish" => one(&|x| x * ((x / 6.0)? + 0.5)?.clamp(0f32, 1f32)?),
        "Clip" => Some(clip(node, inputs)),
        "Pow" => Some(pow(node, inputs)),
        "Where" => Some(choose(node, inputs)),
        "Softmax" => one(&|x| softmax(x, axis(node.int("axis", -1), x.rank()))),
        "LogSoftmax" => one(&|x| log_softmax(x, axis(node.int("axis", -1), x.rank()))),
        "ReduceSum" | "ReduceMean" | "ReduceMax" => Some(reduce(node, inputs)),
        "GlobalAveragePool" => one(&|x| x.mean_keepdim((D::Minus1, D::Minus2))),
        _ => folded(node, inputs),
    }
}

/// Operators of two inputs, and of more where more are folded into one.
fn folded(node: &Node, inputs: &Inputs<'_>) -> Option<Result<Vec<Tensor>, GradientError>> {
    let fold = |f: &dyn Fn(&Tensor, &Tensor) -> candle_core::Result<Tensor>| {
        let folded = || {
            let mut out = node.input(inputs, 0)?.clone();
            for i in 1..inputs.len() {
                out = f(&out, node.input(inputs, i)?)?;
            }
            Ok(vec![out])
        };
        Some(folded())
    };
    match node.op_type.as_str() {
        "Add" | "Sum" => fold(&|a, b| match number(a, b)? {
            Some(c) => a.affine(1.0, c),
            None => a.broadcast_add(b),
        }),
        "Sub" => fold(&|a, b| match number(a, b)? {
            Some(c) => a.affine(1.0, -c),
            None => a.broadcast_sub(b),
        }),
        "Mul" => fold(&|a, b| match number(a, b)? {
            Some(c) => a.affine(c, 0.0),
            None => a.broadcast_mul(b),
        }),
        "Div" => fold(&|a, b| match number(a, b)? {
            Some(c) => a.affine(1.0 / c, 0.0),
            None => a.broadcast_div(b),
        }),
        "Min" => fold(&|a, b| match number(a, b)? {
            Some(c) => a.minimum(c),
            None => a.broadcast_minimum(b),
        }),
        "Max" => fold(&|a, b| match number(a, b)? {
            Some(c) => a.maximum(c),
            None => a.broadcast_maximum(b),
        }),
        "Less" => fold(&|a, b| a.broadcast_lt(b)),
        "Greater" => fold(&|a, b| a.broadcast_gt(b)),
        "Equal" => fold(&|a, b| a.broadcast_eq(b)),
        "PRelu" => fold(&|x, slope| x.relu()? - x.neg()?.relu()?.broadcast_mul(slope)?),
        _ => None,
    }
}

fn clip(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, GradientError> {
    let end = |name: &str, i: usize| match node.optional(inputs, i) {
        Some(tensor) => Ok::<_, GradientError>(Some(scalar(tensor)?)),
        None => Ok(node.has(name).then(|| node.float(name, 0.0))),
    };
    let mut x = node.input(inputs, 0)?.clone();
    if let Some(low) = end("min", 1)? {
        x = x.maximum(low)?;
    }
    if let Some(high) = end("max", 2)? {
        x = x.minimum(high)?;
    }
    Ok(vec![x])
}

fn pow(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, GradientError> {
    let (x, exponent) = (node.input(inputs, 0)?, node.input(inputs, 1)?);
    if exponent.elem_count() != 1 {
        return Err(node.unsupported("an exponent per number"));
    }
    Ok(vec![match scalar(exponent)? {
        2.0 => x.sqr()?,
        other => x.powf(other)?,
    }])
}

fn choose(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, GradientError> {
    let [which, a, b] = [0, 1, 2].map(|i| node.input(inputs, i));
    let (which, a, b) = (which?, a?, b?);
    let shape = which.shape().broadcast_shape_binary_op(a.shape(), "where")?;
    let shape = shape.broadcast_shape_binary_op(b.shape(), "where")?;
    let which = which.broadcast_as(&shape)?;
    Ok(vec![which.where_cond(&a.broadcast_as(&shape)?, &b.broadcast_as(&shape)?)?])
}

fn reduce(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, GradientError> {
    let x = node.input(inputs, 0)?;
    let axes = node.ints_or_input(inputs, "axes", 1)?;
    let axes = axes.unwrap_or_else(|| (0..x.rank() as i64).collect());
    let mut axes: Vec<usize> = axes.into_iter().map(|a| axis(a, x.rank())).collect();
    axes.sort_unstable();
    let mut out = match node.op_type.as_str() {
        "ReduceSum" => x.sum_keepdim(axes.as_slice())?,
        "ReduceMean" => x.mean_keepdim(axes.as_slice())?,
        _ => axes.iter().try_fold(x.clone(), |x, &axis| x.max_keepdim(axis))?,
    };
    if node.int("keepdims", 1) == 0 {
        for axis in axes.into_iter().rev() {
            out = out.squeeze(axis)?;
        }
    }
    Ok(vec![out])
}

/// `b`, if it is one constant beside many numbers: candle is much faster with it than with a tensor.
fn number(a: &Tensor, b: &Tensor) -> candle_core::Result<Option<f64>> {
    let one = b.elem_count() == 1 && a.rank() >= b.rank() && a.dtype() == DType::F32;
    if one && !b.track_op() { scalar(b).map(Some) } else { Ok(None) }
}

fn scalar(tensor: &Tensor) -> candle_core::Result<f64> {
    tensor.to_dtype(DType::F64)?.flatten_all()?.get(0)?.to_scalar()
}
