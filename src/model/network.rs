//! One ONNX network: rows in, rows out.

use std::time::Duration;

use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::{TensorElementType, TensorRef, ValueType};

use super::graph::{self, GraphError, Vocabulary};
use super::{Deadline, Runtime};
use crate::bundle::{NETWORKS, NetworkOutputs};

/// A network that takes `[n, ...]` and gives `[n, k]`, for any n; it may give `[n, t]` beside it.
///
/// Runs on one thread: then a row's output has the same bits in whatever batch it comes
/// (`tests` here and the conformance battery check it), and workers do not fight for cores.
pub struct Network {
    session: Session,
    name: &'static str,
    /// The input's shape; the first number is replaced by the batch's rows.
    shape: Vec<i64>,
    inputs: usize,
    outputs: usize,
    /// Numbers per row of the second output; 0 without one.
    beside: usize,
    /// Rows that it takes at a time: 1 if it was exported for one row and its graph holds to that.
    rows_max: usize,
    deadline: Option<Deadline>,
}

/// Why a network cannot be loaded, or failed on a batch. Never the record's doing.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("{network} cannot be loaded: {reason}")]
    Load { network: &'static str, reason: String },
    #[error("{network} {why}")]
    Refused { network: &'static str, why: GraphError },
    #[error("{network} must have {expected}; it has {got}")]
    Signature { network: &'static str, expected: String, got: String },
    #[error("{network} failed on a batch of {rows} rows: {reason}")]
    Run { network: &'static str, rows: usize, reason: String },
    #[error("{network} did not come back from a batch of {rows} rows within {limit:?}")]
    Late { network: &'static str, rows: usize, limit: Duration },
    #[error("{network} gave a number that is not finite, on row {row} of its batch")]
    NotFinite { network: &'static str, row: usize },
}

impl Network {
    /// Shapes: `onnx` has one `f32` input of `[batch, ...]` whose other axes multiply to
    /// `inputs`; its first output is `f32` `[batch, k]`. The batch axis must be dynamic; that of the
    /// protected model may also be 1, and then its rows run one by one.
    ///
    /// What is loaded are the same bytes that were checked.
    ///
    /// # Errors
    /// If it is made of something that no network may be made of ([`graph::check`]), ONNX Runtime
    /// refuses it or its signature is another.
    pub fn load(
        runtime: &Runtime,
        name: &'static str,
        onnx: &[u8],
        inputs: usize,
    ) -> Result<Self, ModelError> {
        let others = NETWORKS.iter().filter(|kind| kind.outputs == NetworkOutputs::Labels);
        let vocabulary = match others.map(|kind| kind.name).any(|other| other == name) {
            true => Vocabulary::Exported,
            false => Vocabulary::Standard,
        };
        let session = open(runtime, name, onnx, vocabulary)?;
        let mismatch =
            |expected: String, got: String| ModelError::Signature { network: name, expected, got };
        let [input] = session.inputs() else {
            let got = format!("{} inputs", session.inputs().len());
            return Err(mismatch("one input".into(), got));
        };
        let (shape, width) = batch_of(input.dtype(), vocabulary).ok_or_else(|| {
            mismatch(
                "an f32 input [batch, ...] with a dynamic batch".into(),
                format!("{:?}", input.dtype()),
            )
        })?;
        if width != inputs {
            return Err(mismatch(format!("{inputs} inputs per row"), width.to_string()));
        }
        let output = session.outputs().first().map(ort::value::Outlet::dtype);
        let outputs = output
            .and_then(|output| batch_of(output, vocabulary))
            .map(|(_, width)| width)
            .ok_or_else(|| mismatch("an f32 output [batch, k]".into(), format!("{output:?}")))?;
        let rows_max = if shape[0] == 1 { 1 } else { usize::MAX };
        let second = session.outputs().get(1).map(ort::value::Outlet::dtype);
        let second = second.and_then(|second| batch_of(second, vocabulary));
        let beside = second.map_or(0, |(_, width)| width);
        Ok(Self { name, shape, inputs, outputs, beside, rows_max, session, deadline: None })
    }

    /// This network with a time limit: a run that takes longer is ended and fails.
    pub fn limited(self, deadline: Deadline) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// Numbers per input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Numbers per output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Numbers per row of the second output; 0 without one.
    pub fn beside(&self) -> usize {
        self.beside
    }

    /// Writes the output rows of `x` into `out`. Shapes: `x` [n · inputs], `out` becomes
    /// [n · outputs]; n may be 0.
    ///
    /// # Errors
    /// If ONNX Runtime fails, or an output is not finite.
    ///
    /// # Panics
    /// If `x` is not a whole number of rows.
    pub fn run(&mut self, x: &[f32], out: &mut Vec<f32>) -> Result<(), ModelError> {
        self.run_both(x, out, None)
    }

    /// Runs the network as [`Network::run`] does. Writes the second output into `beside` `[n · t]`, if given.
    ///
    /// # Errors
    /// As [`Network::run`].
    ///
    /// # Panics
    /// As [`Network::run`], and if a second output is wanted that the network does not have.
    pub fn run_both(
        &mut self,
        x: &[f32],
        out: &mut Vec<f32>,
        mut beside: Option<&mut Vec<f32>>,
    ) -> Result<(), ModelError> {
        assert_eq!(x.len() % self.inputs, 0, "half a row");
        assert!(beside.is_none() || self.beside > 0, "{} has one output", self.name);
        out.clear();
        beside.iter_mut().for_each(|beside| beside.clear());
        let batch = self.inputs.saturating_mul(self.rows_max);
        for x in x.chunks(batch) {
            self.run_batch(x, out, beside.as_deref_mut())?;
        }
        Ok(())
    }

    /// Appends the output rows of `x`, which are at least one and as many as it takes at a time.
    fn run_batch(
        &mut self,
        x: &[f32],
        out: &mut Vec<f32>,
        beside: Option<&mut Vec<f32>>,
    ) -> Result<(), ModelError> {
        let rows = x.len() / self.inputs;
        let network = self.name;
        let failed = |e: ort::Error| ModelError::Run { network, rows, reason: e.to_string() };
        self.shape[0] = rows as i64;
        let input = TensorRef::from_array_view((self.shape.as_slice(), x)).map_err(failed)?;
        let inputs = ort::inputs![input];
        let outputs = match &self.deadline {
            None => self.session.run(inputs),
            Some(deadline) => {
                deadline.begin();
                let outputs = self.session.run_with_options(inputs, deadline.options());
                let late = deadline.end();
                if let (Err(_), Some(limit)) = (&outputs, late) {
                    return Err(ModelError::Late { network, rows, limit });
                }
                outputs
            }
        };
        let outputs = outputs.map_err(failed)?;
        let wanted = [(Some(out), self.outputs), (beside, self.beside)];
        for (i, (into, width)) in wanted.into_iter().enumerate() {
            let Some(into) = into else { continue };
            let (_, values) = outputs[i].try_extract_tensor::<f32>().map_err(failed)?;
            if values.len() != rows * width {
                let reason = format!("{} numbers for {rows} rows", values.len());
                return Err(ModelError::Run { network, rows, reason });
            }
            if let Some(at) = values.iter().position(|v| !v.is_finite()) {
                return Err(ModelError::NotFinite { network, row: at / width });
            }
            into.extend_from_slice(values);
        }
        Ok(())
    }
}

/// Checks `onnx` and loads the same bytes, for one thread.
pub(super) fn open(
    runtime: &Runtime,
    name: &'static str,
    onnx: &[u8],
    vocabulary: Vocabulary,
) -> Result<Session, ModelError> {
    let refused = |why| ModelError::Refused { network: name, why };
    graph::check(onnx, vocabulary).map_err(refused)?;
    let failed = |e: String| ModelError::Load { network: name, reason: e };
    Session::builder(&runtime.environment)
        .map_err(|e| failed(e.to_string()))?
        .with_intra_threads(1)
        .map_err(|e| failed(e.to_string()))?
        .with_inter_threads(1)
        .map_err(|e| failed(e.to_string()))?
        .with_optimization_level(GraphOptimizationLevel::Level3)
        .map_err(|e| failed(e.to_string()))?
        // Else the first bytes of the file would say in what format the rest is.
        .with_config_entry("session.load_model_format", "ONNX")
        .map_err(|e| failed(e.to_string()))?
        .commit_from_memory(onnx)
        .map_err(|e| failed(e.to_string()))
}

/// The shape and the numbers per row of `[batch, ...]` `f32`, if that is what `value` is.
fn batch_of(value: &ValueType, vocabulary: Vocabulary) -> Option<(Vec<i64>, usize)> {
    let ValueType::Tensor { ty: TensorElementType::Float32, shape, .. } = value else {
        return None;
    };
    let shape: Vec<i64> = shape.iter().copied().collect();
    let (rest, one) = match &shape[..] {
        [-1, rest @ ..] => (rest, false),
        [1, rest @ ..] => (rest, true),
        _ => return None,
    };
    if one && vocabulary == Vocabulary::Standard {
        return None;
    }
    let width = rest.iter().try_fold(1_usize, |product, &axis| {
        product.checked_mul(usize::try_from(axis).ok().filter(|axis| *axis > 0)?)
    })?;
    (!rest.is_empty()).then_some((shape, width))
}
