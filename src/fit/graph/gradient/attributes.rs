//! What a node says beside its inputs, and the inputs themselves, asked for by name and place.

use candle_core::{DType, Device, Tensor};

use super::error::GradientError;
use crate::fit::graph::onnx::{self, Attribute, Node, Numbers};

/// What an operator is given: its inputs in order, those left out as `None`.
pub(super) type Inputs<'a> = Vec<Option<Tensor>>;

impl Node {
    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f64 {
        self.attribute(name).map_or(default, |attribute| attribute.f).into()
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    pub(super) fn word(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(&self.attribute(name)?.s).ok()
    }

    pub(super) fn tensor(&self, name: &str) -> Option<&onnx::Tensor> {
        self.attribute(name)?.t.as_ref()
    }

    /// Two numbers, one per axis of an image; (1, 1) unless said.
    pub(super) fn pair(&self, name: &str) -> Result<(usize, usize), GradientError> {
        match self.ints(name) {
            None => Ok((1, 1)),
            Some(&[a, b]) if a > 0 && b > 0 => Ok((a as usize, b as usize)),
            Some(other) => Err(self.unsupported(format!("{name} {other:?}"))),
        }
    }

    pub(super) fn unsupported(&self, what: impl Into<String>) -> GradientError {
        GradientError::Use { op: self.op_type.clone(), what: what.into() }
    }

    /// Input `i`.
    pub(super) fn input<'a>(
        &self,
        inputs: &'a Inputs<'_>,
        i: usize,
    ) -> Result<&'a Tensor, GradientError> {
        self.optional(inputs, i).ok_or_else(|| self.unsupported(format!("input {i} left out")))
    }

    pub(super) fn optional<'a>(&self, inputs: &'a Inputs<'_>, i: usize) -> Option<&'a Tensor> {
        inputs.get(i)?.as_ref()
    }

    /// Whole numbers that are an attribute in older operator sets and input `i` in newer ones.
    pub(super) fn ints_or_input(
        &self,
        inputs: &Inputs<'_>,
        name: &str,
        i: usize,
    ) -> Result<Option<Vec<i64>>, GradientError> {
        match (self.ints(name), self.optional(inputs, i)) {
            (Some(ints), _) => Ok(Some(ints.to_vec())),
            (None, Some(tensor)) => Ok(Some(ints(tensor)?)),
            (None, None) => Ok(None),
        }
    }
}

/// A tensor of whole numbers, flat.
pub(super) fn ints(tensor: &Tensor) -> Result<Vec<i64>, GradientError> {
    Ok(tensor.to_dtype(DType::I64)?.flatten_all()?.to_vec1()?)
}

/// The axis counted from the front.
pub(super) fn axis(axis: i64, rank: usize) -> usize {
    if axis < 0 { (axis + rank as i64).max(0) as usize } else { axis as usize }
}

/// An initializer as candle has it.
pub(super) fn value(tensor: &onnx::Tensor) -> Option<candle_core::Result<Tensor>> {
    let shape: Vec<usize> = tensor.dims.iter().map(|&dim| dim as usize).collect();
    Some(match tensor.numbers()? {
        Numbers::Floats(values) => Tensor::from_vec(values, shape, &Device::Cpu),
        Numbers::Ints(values) => Tensor::from_vec(values, shape, &Device::Cpu),
    })
}
