//! Operators with weights: products, convolutions, normalisation, and pooling beside them.

use candle_core::Tensor;

use super::attributes::Inputs;
use super::convolution::Convolution;
use super::error::GradientError;
use super::pooling::Pooling;
use crate::fit::graph::onnx::Node;

pub(super) fn run(node: &Node, inputs: &Inputs<'_>) -> Option<Result<Vec<Tensor>, GradientError>> {
    let out = match node.op_type.as_str() {
        "Gemm" => gemm(node, inputs),
        "MatMul" => matmul(node, inputs),
        "Conv" => convolution(node, inputs),
        "BatchNormalization" => normalize(node, inputs),
        "MaxPool" => pool(node, inputs, true),
        "AveragePool" => pool(node, inputs, false),
        _ => return None,
    };
    Some(out.map(|out| vec![out]))
}

fn gemm(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let turned = |x: &Tensor, name| match node.int(name, 0) {
        0 => Ok(x.clone()),
        _ => x.t(),
    };
    let a = turned(node.input(inputs, 0)?, "transA")?;
    let b = turned(node.input(inputs, 1)?, "transB")?;
    let mut out = a.matmul(&b)?;
    let (alpha, beta) = (node.float("alpha", 1.0), node.float("beta", 1.0));
    if alpha != 1.0 {
        out = (out * alpha)?;
    }
    Ok(match node.optional(inputs, 2) {
        Some(c) if beta == 1.0 => out.broadcast_add(c)?,
        Some(c) => out.broadcast_add(&(c * beta)?)?,
        None => out,
    })
}

fn matmul(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let (a, b) = (node.input(inputs, 0)?, node.input(inputs, 1)?);
    Ok(a.broadcast_matmul(b)?)
}

fn convolution(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let (x, w) = (node.input(inputs, 0)?, node.input(inputs, 1)?);
    if w.rank() != 4 {
        return Err(node.unsupported(format!("{} axes", w.rank())));
    }
    let (out, per_group, kh, kw) = w.dims4()?;
    let group = usize::try_from(node.int("group", 1)).unwrap_or(0);
    if group == 0 || per_group * group != x.dim(1)? || out % group != 0 {
        return Err(node.unsupported(format!("{group} groups")));
    }
    let (strides, dilations) = (node.pair("strides")?, node.pair("dilations")?);
    let (h, w_in) = (x.dim(2)?, x.dim(3)?);
    let reach = (dilations.0 * (kh - 1) + 1, dilations.1 * (kw - 1) + 1);
    let pads = pads(node, (h, w_in), reach, strides)?;
    let bias = match node.optional(inputs, 2) {
        Some(bias) => bias.clone(),
        None => Tensor::zeros(out, x.dtype(), x.device())?,
    };
    let convolution = Convolution { strides, dilations, pads, group };
    Ok(x.contiguous()?.apply_op3(&w.contiguous()?, &bias.contiguous()?, convolution)?)
}

/// `(x − mean) / √(variance + ε) · scale + bias`, by channel, with what was learned.
fn normalize(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    if node.int("training_mode", 0) != 0 {
        return Err(node.unsupported("the batch's own statistics"));
    }
    let x = node.input(inputs, 0)?;
    let mut shape = vec![1; x.rank()];
    shape[1] = x.dim(1)?;
    let by_channel = |i| Ok::<_, GradientError>(node.input(inputs, i)?.reshape(shape.clone())?);
    let [scale, bias, mean, variance] = [1, 2, 3, 4].map(by_channel);
    let deviation = (variance? + node.float("epsilon", 1e-5))?.sqrt()?;
    let factor = scale?.div(&deviation)?;
    let shift = (bias? - mean?.mul(&factor)?)?;
    Ok(x.broadcast_mul(&factor)?.broadcast_add(&shift)?)
}

fn pool(node: &Node, inputs: &Inputs<'_>, largest: bool) -> Result<Tensor, GradientError> {
    let x = node.input(inputs, 0)?;
    if x.rank() != 4 {
        return Err(node.unsupported(format!("{} axes", x.rank())));
    }
    let kernel = node.pair("kernel_shape")?;
    let strides = node.pair("strides")?;
    if node.pair("dilations")? != (1, 1) || node.int("ceil_mode", 0) != 0 {
        return Err(node.unsupported("dilations or ceil_mode"));
    }
    let pads = pads(node, (x.dim(2)?, x.dim(3)?), kernel, strides)?;
    let padding_counts = node.int("count_include_pad", 0) != 0;
    Ok(x.contiguous()?.apply_op1(Pooling { largest, kernel, strides, pads, padding_counts })?)
}

/// Top, left, bottom, right.
fn pads(
    node: &Node,
    (h, w): (usize, usize),
    (kh, kw): (usize, usize),
    (sh, sw): (usize, usize),
) -> Result<[usize; 4], GradientError> {
    let same = |size: usize, kernel: usize, stride: usize| {
        (size.div_ceil(stride).saturating_sub(1) * stride + kernel).saturating_sub(size)
    };
    let pads = match (node.word("auto_pad"), node.ints("pads")) {
        (None | Some("NOTSET" | ""), None) | (Some("VALID"), _) => [0; 4],
        (None | Some("NOTSET" | ""), Some(&[t, l, b, r]))
            if [t, l, b, r].iter().all(|p| *p >= 0) =>
        {
            [t, l, b, r].map(|pad| pad as usize)
        }
        (Some(auto @ ("SAME_UPPER" | "SAME_LOWER")), _) => {
            let (y, x) = (same(h, kh, sh), same(w, kw, sw));
            match auto {
                "SAME_UPPER" => [y / 2, x / 2, y - y / 2, x - x / 2],
                _ => [y - y / 2, x - x / 2, y / 2, x / 2],
            }
        }
        (_, pads) => return Err(node.unsupported(format!("pads {pads:?}"))),
    };
    if h + pads[0] + pads[2] < kh || w + pads[1] + pads[3] < kw {
        return Err(node.unsupported("a kernel larger than the image"));
    }
    Ok(pads)
}
