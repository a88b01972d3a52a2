//! What a model gives for some rows, before anybody knows what its outputs are.
//!
//! `fit` asks it of a model that somebody else exported: how wide each output is, and what stands in
//! it. On the record path nothing asks.

use ort::value::TensorRef;

use super::graph::Vocabulary;
use super::network::open;
use super::{ModelError, Runtime};

/// One output for a batch of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeOutput {
    pub shape: Vec<i64>,
    pub values: Vec<f32>,
}

/// Runs `onnx`, the protected model, on each batch of rows, `[n · width]`: the outputs of each batch,
/// in the order of the graph. It has one `f32` input, of `shape` but for the first axis; its outputs are
/// `f32`.
///
/// # Errors
/// If it may not be run, or fails.
pub fn probe(
    runtime: &Runtime,
    onnx: &[u8],
    axes: &[usize],
    batches: &[&[f32]],
) -> Result<Vec<Vec<ProbeOutput>>, ModelError> {
    let network = "the protected model";
    let mut session = open(runtime, network, onnx, Vocabulary::Exported)?;
    let width: usize = axes.iter().product();
    let mut all = vec![];
    for x in batches {
        let rows = x.len() / width;
        let failed = |e: ort::Error| ModelError::Run { network, rows, reason: e.to_string() };
        let shape: Vec<i64> =
            std::iter::once(rows as i64).chain(axes.iter().map(|&size| size as i64)).collect();
        let input = TensorRef::from_array_view((shape.as_slice(), *x)).map_err(failed)?;
        let outputs = session.run(ort::inputs![input]).map_err(failed)?;
        let mut probed = vec![];
        for i in 0..outputs.len() {
            let (shape, values) = outputs[i].try_extract_tensor::<f32>().map_err(failed)?;
            let shape = shape.iter().copied().collect();
            probed.push(ProbeOutput { shape, values: values.to_vec() });
        }
        all.push(probed);
    }
    Ok(all)
}
