//! Operators that move numbers and compute none.

use candle_core::{Device, Tensor};

use super::attributes::{Inputs, axis, ints, value};
use super::error::GradientError;
use crate::fit::graph::onnx::Node;

pub(super) fn run(node: &Node, inputs: &Inputs<'_>) -> Option<Result<Vec<Tensor>, GradientError>> {
    let out = match node.op_type.as_str() {
        "Constant" => constant(node),
        "Shape" => shape(node, inputs),
        "Gather" => gather(node, inputs),
        "Flatten" => flatten(node, inputs),
        "Reshape" => reshape(node, inputs),
        "Transpose" => transpose(node, inputs),
        "Concat" => concat(node, inputs),
        "Squeeze" => squeeze(node, inputs),
        "Unsqueeze" => unsqueeze(node, inputs),
        "Slice" => slice(node, inputs),
        "Split" => return Some(split(node, inputs)),
        "Pad" => pad(node, inputs),
        "DepthToSpace" => depth_to_space(node, inputs),
        _ => return None,
    };
    Some(out.map(|out| vec![out]))
}

fn constant(node: &Node) -> Result<Tensor, GradientError> {
    if let Some(tensor) = node.tensor("value") {
        let unreadable = || node.unsupported("a value that is no number");
        return Ok(value(tensor).ok_or_else(unreadable)??);
    }
    if node.has("value_float") {
        return Ok(Tensor::new(node.float("value_float", 0.0) as f32, &Device::Cpu)?);
    }
    if let Some(ints) = node.ints("value_ints") {
        return Ok(Tensor::new(ints, &Device::Cpu)?);
    }
    if node.has("value_int") {
        return Ok(Tensor::new(node.int("value_int", 0), &Device::Cpu)?);
    }
    Err(node.unsupported("a value that is no number"))
}

fn shape(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let x = node.input(inputs, 0)?;
    let dims: Vec<i64> = x.dims().iter().map(|&dim| dim as i64).collect();
    Ok(Tensor::new(dims, &Device::Cpu)?)
}

fn gather(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let (x, which) = (node.input(inputs, 0)?, node.input(inputs, 1)?);
    let at = axis(node.int("axis", 0), x.rank());
    let size = x.dim(at)? as i64;
    let chosen: Vec<i64> = ints(which)?.iter().map(|&i| if i < 0 { i + size } else { i }).collect();
    if chosen.iter().any(|i| !(0..size).contains(i)) {
        return Err(node.unsupported("an index beyond the axis"));
    }
    let out = x.contiguous()?.index_select(&Tensor::new(chosen, &Device::Cpu)?, at)?;
    match which.rank() {
        0 => Ok(out.squeeze(at)?),
        1 => Ok(out),
        rank => Err(node.unsupported(format!("indices of {rank} axes"))),
    }
}

fn flatten(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let x = node.input(inputs, 0)?;
    let at = axis(node.int("axis", 1), x.rank());
    let (before, after) = x.dims().split_at(at.min(x.rank()));
    Ok(x.reshape((before.iter().product::<usize>(), after.iter().product::<usize>()))?)
}

fn reshape(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let x = node.input(inputs, 0)?;
    let wanted = ints(node.input(inputs, 1)?)?;
    let mut shape = Vec::with_capacity(wanted.len());
    for (i, &size) in wanted.iter().enumerate() {
        shape.push(match size {
            0 if node.int("allowzero", 0) == 0 => x.dim(i)?,
            -1 => 1,
            size => usize::try_from(size).map_err(|_| node.unsupported("a negative size"))?,
        });
    }
    if let Some(at) = wanted.iter().position(|&size| size == -1) {
        shape[at] = x.elem_count() / shape.iter().product::<usize>().max(1);
    }
    Ok(x.reshape(shape)?)
}

fn transpose(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let x = node.input(inputs, 0)?;
    let order: Vec<usize> = match node.ints("perm") {
        Some(perm) => perm.iter().map(|&axis| axis as usize).collect(),
        None => (0..x.rank()).rev().collect(),
    };
    Ok(x.permute(order)?.contiguous()?)
}

fn concat(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let parts = (0..inputs.len()).map(|i| node.input(inputs, i)).collect::<Result<Vec<_>, _>>()?;
    let rank = parts.first().map_or(0, |part| part.rank());
    Ok(Tensor::cat(&parts, axis(node.int("axis", 0), rank))?)
}

fn squeeze(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let mut x = node.input(inputs, 0)?.clone();
    let rank = x.rank();
    let mut axes: Vec<usize> = match node.ints_or_input(inputs, "axes", 1)? {
        Some(axes) => axes.into_iter().map(|a| axis(a, rank)).collect(),
        // Not the rows, should there be one.
        None => (1..rank).filter(|&at| x.dims()[at] == 1).collect(),
    };
    axes.sort_unstable();
    for at in axes.into_iter().rev() {
        x = x.squeeze(at)?;
    }
    Ok(x)
}

fn unsqueeze(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let mut x = node.input(inputs, 0)?.clone();
    let axes = node.ints_or_input(inputs, "axes", 1)?.unwrap_or_default();
    let rank = x.rank() + axes.len();
    let mut axes: Vec<usize> = axes.into_iter().map(|a| axis(a, rank)).collect();
    axes.sort_unstable();
    for at in axes {
        x = x.unsqueeze(at)?;
    }
    Ok(x)
}

fn slice(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let mut x = node.input(inputs, 0)?.clone();
    let [starts, ends] = [("starts", 1), ("ends", 2)]
        .map(|(name, i)| node.ints_or_input(inputs, name, i).map(Option::unwrap_or_default));
    let (starts, ends) = (starts?, ends?);
    let axes = node.ints_or_input(inputs, "axes", 3)?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = node.ints_or_input(inputs, "steps", 4)?;
    if steps.is_some_and(|steps| steps.iter().any(|&step| step != 1)) {
        return Err(node.unsupported("steps"));
    }
    for ((start, end), at) in starts.into_iter().zip(ends).zip(axes) {
        let at = axis(at, x.rank());
        let size = x.dim(at)? as i64;
        let place = |i: i64| (if i < 0 { i + size } else { i }).clamp(0, size);
        let (start, end) = (place(start), place(end));
        x = x.narrow(at, start as usize, (end - start).max(0) as usize)?;
    }
    Ok(x.contiguous()?)
}

fn split(node: &Node, inputs: &Inputs<'_>) -> Result<Vec<Tensor>, GradientError> {
    let x = node.input(inputs, 0)?;
    let at = axis(node.int("axis", 0), x.rank());
    let parts = node.output.len().max(1);
    let even = x.dim(at)?.div_ceil(parts);
    let sizes: Vec<usize> = match node.ints_or_input(inputs, "split", 1)? {
        Some(sizes) => sizes.into_iter().map(|size| size.max(0) as usize).collect(),
        None => (0..parts).map(|i| even.min(x.dims()[at].saturating_sub(i * even))).collect(),
    };
    let mut from = 0;
    let mut out = vec![];
    for size in sizes {
        out.push(x.narrow(at, from, size)?.contiguous()?);
        from += size;
    }
    Ok(out)
}

fn pad(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let mut x = node.input(inputs, 0)?.clone();
    if !matches!(node.word("mode"), None | Some("constant")) || node.optional(inputs, 3).is_some() {
        return Err(node.unsupported("a mode or axes"));
    }
    if let Some(with) = node.optional(inputs, 2)
        && with.flatten_all()?.get(0)?.to_scalar::<f32>()? != 0.0
    {
        return Err(node.unsupported("a value other than 0"));
    }
    let pads = node.ints_or_input(inputs, "pads", 1)?.unwrap_or_default();
    let (before, after) = pads.split_at(pads.len() / 2);
    for (at, (&before, &after)) in before.iter().zip(after).enumerate() {
        let [before, after] = [before, after].map(usize::try_from);
        let (Ok(before), Ok(after)) = (before, after) else {
            return Err(node.unsupported("negative pads"));
        };
        if before + after > 0 {
            x = x.pad_with_zeros(at, before, after)?;
        }
    }
    Ok(x)
}

fn depth_to_space(node: &Node, inputs: &Inputs<'_>) -> Result<Tensor, GradientError> {
    let x = node.input(inputs, 0)?;
    let (n, c, h, w) = x.dims4()?;
    let b = usize::try_from(node.int("blocksize", 1)).unwrap_or(1).max(1);
    let out = c / (b * b);
    let moved = match node.word("mode") {
        Some("CRD") => x.reshape(vec![n, out, b, b, h, w])?.permute(vec![0, 1, 4, 2, 5, 3])?,
        _ => x.reshape(vec![n, b, b, out, h, w])?.permute(vec![0, 3, 4, 1, 5, 2])?,
    };
    Ok(moved.contiguous()?.reshape((n, out, h * b, w * b))?)
}
