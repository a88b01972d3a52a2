//! A protected model as somebody exported it → the one form that the guard runs: one `f32` input of
//! `[batch, ...]`, whose axes are the row, and one `f32` output `[batch, labels]`.
//!
//! What is missing is put around the graph as nodes of the ONNX standard; a model that has the form
//! already stays byte for byte. So the record path knows one form, and everything about exporters is
//! here. It cannot know in which units a model wants its numbers: it is given those of the file.

mod open;
mod external;
mod inputs;
mod outputs;
mod wire;

use std::path::Path;

use self::external::ExternalError;
use self::inputs::Rows;
use self::open::{Axis, OpenModel, tensor_of};
use self::outputs::{Candidate, Scores};
use crate::fit::data::options::ModelHints;
use crate::fit::graph::onnx::FLOAT;
use crate::model::{ModelError, ProbeOutput, Runtime, probe};
use crate::record::Schema;

/// A model in the form that the guard runs.
#[derive(Debug)]
pub struct Canonical {
    pub onnx: Vec<u8>,
    /// What its input and its output were taken for, and how its rows run.
    pub found: String,
}

/// Why a model cannot be brought into that form.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the protected model is no ONNX file with a graph; export it again")]
    NotOnnx,
    #[error("the protected model {0}")]
    External(#[from] ExternalError),
    #[error("the protected model {0}")]
    Signature(String),
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Rows that a model is tried on, together and one by one.
const TRIED: usize = 8;

/// Brings `onnx`, which lies in `folder`, into the form for rows of `schema`; `sample` are some of them,
/// `[n · width]`, n at least 1.
///
/// # Errors
/// If it is no model, or nothing tells what its inputs or outputs are: one sentence with what to say.
pub fn import(
    runtime: &Runtime,
    onnx: Vec<u8>,
    folder: Option<&Path>,
    schema: &Schema,
    sample: &[f32],
    said: &ModelHints,
) -> Result<Canonical, ImportError> {
    let pulled = external::pull_in(&onnx, folder)?;
    let (onnx, is_whole) = match pulled {
        Some(pulled) => (pulled, false),
        None => (onnx, true),
    };
    let mut model = OpenModel::open(&onnx).ok_or(ImportError::NotOnnx)?;
    let accepts = model.accept_unknown_values();
    let declared = model.inputs.clone();
    let rows = inputs::connect(&mut model, schema, &said.inputs).map_err(ImportError::Signature)?;
    let candidates = outputs::candidates(&model);
    if candidates.is_empty() {
        let why = "has no output of floating-point numbers: it may give the label alone; export its \
                   probabilities too";
        return Err(ImportError::Signature(why.into()));
    }
    let width = schema.width();
    let tried = sample.len().min(TRIED * width);
    let trial = Trial { runtime, rows: &rows, candidates: &candidates, x: &sample[..tried], width };
    let (batch, probed) = trial.run(&mut model)?;

    let scores =
        outputs::choose(&model, &candidates, &probed, tried / width, said.output.as_deref());
    let scores = scores.map_err(ImportError::Signature)?;
    let mut found = found(&rows, &scores, batch);
    if accepts {
        found += "; a value that its OneHotEncoder does not know is 0 in all columns, not an error";
    }
    let fixed = |axis: &Axis| matches!(axis, Axis::Of(_));
    let is_declared = |(element, axes): (i32, Option<Vec<Axis>>)| {
        let axes = axes.unwrap_or_default();
        element == FLOAT && axes.len() > 1 && axes[0] == Axis::Any && axes[1..].iter().all(fixed)
    };
    let input_is = rows.is_its_own && declared.iter().filter_map(tensor_of).all(is_declared);
    if is_whole && !accepts && input_is && batch == BatchSize::Any && scores.is_first(&model) {
        return Ok(Canonical { onnx, found });
    }
    let fixed = (batch == BatchSize::One).then_some(1);
    let output = scores.finish(&mut model, fixed);
    Ok(Canonical { onnx: model.write(&rows.value(fixed), &[output]), found })
}

/// How many rows a model takes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchSize {
    Any,
    /// It was exported for one row, and its graph holds to that.
    One,
}

/// A model on a few rows.
struct Trial<'a> {
    runtime: &'a Runtime,
    rows: &'a Rows,
    candidates: &'a [Candidate],
    /// `[n · width]`
    x: &'a [f32],
    width: usize,
}

impl Trial<'_> {
    /// What the candidates are for the rows, and whether they can be had together.
    fn run(&self, model: &mut OpenModel<'_>) -> Result<(BatchSize, Vec<ProbeOutput>), ImportError> {
        let shown = outputs::show(model, self.candidates);
        let write = |model: &OpenModel<'_>, rows| model.write(&self.rows.value(rows), &shown);
        let (any, one) = (write(model, None), write(model, Some(1)));
        model.forget_after();
        let axes = self.rows.axes();
        let single: Vec<&[f32]> = self.x.chunks(self.width).collect();
        let together = probe(self.runtime, &any, axes, &[self.x]);
        let Some(batch) = self.rows.batch else {
            return Ok((BatchSize::Any, together?.pop().unwrap_or_default()));
        };
        // It was exported for so many rows: is what it says of a row the same among others?
        let alone = match batch {
            1 => joined(probe(self.runtime, &one, axes, &single)?),
            _ => match probe(self.runtime, &any, axes, &single) {
                Ok(alone) => joined(alone),
                Err(error) => return Err(fixed_batch(batch, &error.to_string())),
            },
        };
        match together {
            Ok(mut together) if same(&together[0], &alone) => {
                Ok((BatchSize::Any, together.pop().unwrap_or_default()))
            }
            _ if batch == 1 => Ok((BatchSize::One, alone)),
            Ok(_) => Err(fixed_batch(batch, "a row's answer depends on the rows beside it")),
            Err(error) => Err(fixed_batch(batch, &error.to_string())),
        }
    }
}

fn fixed_batch(rows: usize, why: &str) -> ImportError {
    ImportError::Signature(format!(
        "takes exactly {rows} rows at a time ({why}); export it with a dynamic batch, or for one row"
    ))
}

/// Outputs of single rows as those of a batch.
fn joined(alone: Vec<Vec<ProbeOutput>>) -> Vec<ProbeOutput> {
    let n = alone.len() as i64;
    let mut rows = alone.into_iter();
    let mut all = rows.next().unwrap_or_default();
    for row in rows {
        for (all, one) in all.iter_mut().zip(row) {
            all.values.extend(one.values);
        }
    }
    for output in &mut all {
        if let Some(first) = output.shape.first_mut().filter(|first| **first == 1) {
            *first = n;
        }
    }
    all
}

/// Whether the numbers agree up to rounding.
fn same(a: &[ProbeOutput], b: &[ProbeOutput]) -> bool {
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-3 * b.abs().max(1.0);
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| {
            a.values.len() == b.values.len() && a.values.iter().zip(&b.values).all(near)
        })
}

fn found(rows: &Rows, scores: &Scores, batch: BatchSize) -> String {
    let one = match batch {
        BatchSize::Any => "",
        BatchSize::One => "; its graph takes one row at a time, which is slower than a batch",
    };
    format!("{} → {}{one}", rows.found, scores.found)
}

#[cfg(test)]
mod tests;
