//! The networks of a bundle, and the columns they fill.

use std::mem;
use std::time::Duration;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Deadline, ModelError, Network, Runtime};
use crate::bundle::{
    AnswerKind, Bundle, NETWORKS, NetworkKind, NetworkOutputs, with_what_they_read,
};
use crate::math::log_softmax_rows;
use crate::record::{Columns, Rows};

/// The networks of a bundle. One set per worker thread.
pub struct Networks {
    /// In the order in which they run.
    list: Vec<(&'static NetworkKind, Network)>,
    /// What the output of one that classifies means.
    answer: Option<AnswerKind>,
    width: usize,
}

/// Columns of one batch, owned; [`Filled::rows`] lends them.
#[derive(Debug, Default)]
pub struct Filled {
    width: usize,
    labels: usize,
    columns: [Vec<f32>; Columns::COUNT],
}

impl Networks {
    /// # Errors
    /// If a network does not load or does not fit the bundle's schema and labels.
    pub fn load(runtime: &Runtime, bundle: &Bundle) -> Result<Self, ModelError> {
        let manifest = &bundle.manifest;
        let (width, onnx) = (manifest.schema.width(), |file: &str| bundle.network(file));
        let networks = Self::new(runtime, width, manifest.answer, onnx)?;
        match networks.classifier() {
            Some((kind, network)) if network.outputs() != manifest.labels => {
                Err(ModelError::Signature {
                    network: kind.name,
                    expected: format!("{} answers, as the manifest says", manifest.labels),
                    got: network.outputs().to_string(),
                })
            }
            _ => Ok(networks),
        }
    }

    /// Networks over rows of `width`, before there is a bundle: how `fit` starts. `onnx` gives the
    /// network of each file, if there is one.
    ///
    /// # Errors
    /// If a network does not load or does not take rows of `width`.
    pub fn new<'o>(
        runtime: &Runtime,
        width: usize,
        answer: Option<AnswerKind>,
        onnx: impl Fn(&str) -> Option<&'o [u8]>,
    ) -> Result<Self, ModelError> {
        let mut list = vec![];
        for kind in &NETWORKS {
            let Some(onnx) = onnx(kind.file) else { continue };
            let network = Network::load(runtime, kind.name, onnx, width)?;
            if kind.outputs == NetworkOutputs::Row && network.outputs() != width {
                return Err(ModelError::Signature {
                    network: kind.name,
                    expected: format!("{width} outputs per row"),
                    got: network.outputs().to_string(),
                });
            }
            list.push((kind, network));
        }
        Ok(Self { list, answer, width })
    }

    /// The same, but no run takes longer than `limit`.
    ///
    /// # Errors
    /// If there is no thread to look at the clock.
    pub fn limited_to(mut self, limit: Duration) -> Result<Self, ModelError> {
        let deadline = Deadline::new(limit)?;
        let limited = |(kind, network): (_, Network)| (kind, network.limited(deadline.clone()));
        self.list = self.list.into_iter().map(limited).collect();
        Ok(self)
    }

    /// How many labels the protected model knows; 1 without one.
    pub fn labels(&self) -> usize {
        self.classifier().map_or(1, |(_, network)| network.outputs())
    }

    fn classifier(&self) -> Option<&(&'static NetworkKind, Network)> {
        self.list.iter().find(|(kind, _)| kind.outputs == NetworkOutputs::Labels)
    }

    /// The columns that they write.
    pub fn writes(&self) -> Columns {
        let fills = self.list.iter().flat_map(|(kind, _)| kind.fills);
        fills.fold(Columns::X, |columns, &(_, into)| columns.and(into))
    }

    /// How many columns there can be as wide as a row, the rows themselves among them, and how many
    /// of answers.
    pub fn columns(&self) -> (usize, usize) {
        let own = self.list.iter().filter(|(kind, _)| kind.outputs == NetworkOutputs::Row);
        let rows = own.flat_map(|(kind, _)| kind.fills).map(|&(_, into)| into);
        let rows: Vec<Columns> = rows.chain([Columns::X]).collect();
        let answers = NETWORKS.iter().filter(|kind| kind.outputs == NetworkOutputs::Labels);
        let answers = answers.flat_map(|kind| kind.fills);
        (rows.len(), answers.filter(|(from, _)| rows.contains(from)).count())
    }

    /// Fills the columns in `needs` for the rows `x`, `[n · width]`.
    ///
    /// # Errors
    /// If a network fails or gives a number that is not finite.
    pub fn fill(
        &mut self,
        needs: Columns,
        x: &[f32],
        filled: &mut Filled,
    ) -> Result<(), ModelError> {
        filled.width = self.width;
        filled.labels = self.labels();
        filled.columns.iter_mut().for_each(Vec::clear);
        let needs = with_what_they_read(needs);
        for (kind, network) in &mut self.list {
            for &(from, into) in kind.fills.iter().filter(|(_, into)| needs.contains(*into)) {
                let mut out = mem::take(&mut filled.columns[into.place()]);
                let rows = match from {
                    Columns::X => x,
                    written => filled.columns[written.place()].as_slice(),
                };
                let ran = match kind.outputs {
                    NetworkOutputs::Row => network.run(rows, &mut out),
                    NetworkOutputs::Labels => answer(network, self.answer, rows, &mut out),
                };
                filled.columns[into.place()] = out;
                ran?;
            }
        }
        Ok(())
    }
}

/// The classifier's log-probabilities.
fn answer(
    network: &mut Network,
    kind: Option<AnswerKind>,
    x: &[f32],
    out: &mut Vec<f32>,
) -> Result<(), ModelError> {
    network.run(x, out)?;
    if kind == Some(AnswerKind::Probabilities) {
        // ln p are logits of p; the floor keeps ln 0 finite.
        out.iter_mut().for_each(|p| *p = p.max(f32::MIN_POSITIVE).ln());
    }
    let shape = (out.len() / network.outputs(), network.outputs());
    log_softmax_rows(ArrayViewMut2::from_shape(shape, out).expect("whole rows"));
    Ok(())
}

impl Filled {
    /// The columns beside the rows they were filled from, `x` [n · width].
    ///
    /// # Panics
    /// If `x` is not what [`Networks::fill`] saw.
    pub fn rows<'a>(&'a self, x: &'a [f32]) -> Rows<'a> {
        let n = x.len() / self.width;
        let view = |column: Columns, width: usize| {
            let values = &self.columns[column.place()];
            let width = if values.is_empty() { 0 } else { width };
            ArrayView2::from_shape((n, width), values).expect("columns of these rows")
        };
        let (row, labels) = (self.width, self.labels);
        Rows {
            x: ArrayView2::from_shape((n, row), x).expect("whole rows"),
            twin: view(Columns::TWIN, row),
            answer: view(Columns::ANSWER, labels),
            twin_answer: view(Columns::TWIN_ANSWER, labels),
            restored: view(Columns::RESTORED, row),
            restored_answer: view(Columns::RESTORED_ANSWER, labels),
            surprisal: view(Columns::SURPRISAL, row),
        }
    }
}
