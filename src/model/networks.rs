//! The networks of a bundle, and the columns they fill.

use std::mem;
use std::time::Duration;

use ndarray::{ArrayView2, ArrayViewMut2};

use super::{Deadline, ModelError, Network, Runtime};
use crate::bundle::{
    AnswerKind, Bundle, COPIES_A_ROW, NETWORKS, NetworkKind, NetworkOutputs, with_what_they_read,
};
use crate::math::log_softmax_rows;
use crate::record::{Columns, Rows};

/// The networks of a bundle. One set per worker thread.
pub struct Networks {
    /// In the order in which they run.
    list: Vec<(&'static NetworkKind, Network)>,
    /// Makes the copies of a row, if there are copies.
    copies: Option<Copies>,
    /// What the output of one that classifies means.
    answer: Option<AnswerKind>,
    width: usize,
}

/// Columns of one batch, owned; [`Filled::rows`] lends them.
#[derive(Debug, Default)]
pub struct Filled {
    width: usize,
    labels: usize,
    layers: usize,
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
        let (mut list, mut copies) = (vec![], None);
        for kind in &NETWORKS {
            let Some(onnx) = onnx(kind.file) else { continue };
            let inputs = match kind.fills[0].0 {
                Columns::LAYERS => layers(&list),
                _ => width,
            };
            let network = Network::load(runtime, kind.name, onnx, inputs)?;
            let outputs = match kind.outputs {
                NetworkOutputs::Row => width,
                NetworkOutputs::Labels => network.outputs(),
                NetworkOutputs::Logit => 1,
                NetworkOutputs::Copies => COPIES_A_ROW * width,
            };
            if network.outputs() != outputs {
                return Err(ModelError::Signature {
                    network: kind.name,
                    expected: format!("{outputs} outputs per row"),
                    got: network.outputs().to_string(),
                });
            }
            match kind.outputs {
                NetworkOutputs::Copies => copies = Some(Copies { network, rows: vec![] }),
                _ => list.push((kind, network)),
            }
        }
        Ok(Self { list, copies, answer, width })
    }

    /// These networks with a time limit: a run that takes longer than `limit` is ended and fails.
    ///
    /// # Errors
    /// If there is no thread to look at the clock.
    pub fn limited_to(mut self, limit: Duration) -> Result<Self, ModelError> {
        let deadline = Deadline::new(limit)?;
        let limited = |(kind, network): (_, Network)| (kind, network.limited(deadline.clone()));
        self.list = self.list.into_iter().map(limited).collect();
        self.copies = self.copies.map(|Copies { network, rows }| Copies {
            network: network.limited(deadline.clone()),
            rows,
        });
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
        let copies = if self.copies.is_some() { Columns::COPIES } else { Columns::X };
        self.list.iter().fold(copies.and(Columns::X), |columns, (kind, network)| {
            let beside = kind.beside.filter(|_| network.beside() > 0);
            let columns = beside.map_or(columns, |beside| columns.and(beside));
            kind.fills.iter().fold(columns, |columns, &(_, into)| columns.and(into))
        })
    }

    /// How many numbers inner layers of the protected model give a row; 0 if they are not asked.
    pub fn layers(&self) -> usize {
        layers(&self.list)
    }

    /// How many columns there can be as wide as a row, the rows themselves among them, and how many
    /// of answers.
    pub fn columns(&self) -> (usize, usize) {
        let own = self.list.iter().filter(|(kind, _)| kind.outputs == NetworkOutputs::Row);
        let rows = own.flat_map(|(kind, _)| kind.fills).map(|&(_, into)| into);
        let rows: Vec<Columns> = rows.chain([Columns::X]).collect();
        let answers = NETWORKS.iter().filter(|kind| kind.outputs == NetworkOutputs::Labels);
        let answers = answers.flat_map(|kind| kind.fills);
        let copies = if self.copies.is_some() { COPIES_A_ROW } else { 0 };
        (rows.len(), answers.filter(|(from, _)| rows.contains(from)).count() + copies)
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
        filled.layers = self.layers();
        filled.columns.iter_mut().for_each(Vec::clear);
        let needs = with_what_they_read(needs);
        for (kind, network) in &mut self.list {
            for &(from, into) in kind.fills.iter().filter(|(_, into)| needs.contains(*into)) {
                // The second output of the run on the rows themselves, and of no other.
                let beside =
                    kind.beside.filter(|column| from == Columns::X && needs.contains(*column));
                let beside = beside.filter(|_| network.beside() > 0).map(Columns::place);
                let mut second = beside.map(|place| mem::take(&mut filled.columns[place]));
                let mut out = mem::take(&mut filled.columns[into.place()]);
                let ran = match (from, &mut self.copies) {
                    (Columns::X, _) => network.run_both(x, &mut out, second.as_mut()),
                    (Columns::COPIES, Some(copies)) => copies.answers(network, x, &mut out),
                    (written, _) => {
                        network.run_both(&filled.columns[written.place()], &mut out, None)
                    }
                };
                if ran.is_ok() && kind.outputs == NetworkOutputs::Labels {
                    answer(network.outputs(), self.answer, &mut out);
                }
                filled.columns[into.place()] = out;
                if let Some((place, second)) = beside.zip(second) {
                    filled.columns[place] = second;
                }
                ran?;
            }
        }
        Ok(())
    }
}

/// The network that makes the copies of a row, and room for those of some rows.
struct Copies {
    network: Network,
    rows: Vec<f32>,
}

/// Rows whose copies are held at a time: all of a batch would be many times the batch.
const COPIED_ROWS: usize = 64;

impl Copies {
    /// What `classifier` gives for the copies of each row of `x` [n · d], into `out` [n · c · k].
    fn answers(
        &mut self,
        classifier: &mut Network,
        x: &[f32],
        out: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let mut part = vec![];
        out.clear();
        for x in x.chunks(COPIED_ROWS * self.network.inputs()) {
            self.network.run(x, &mut self.rows)?;
            classifier.run(&self.rows, &mut part)?;
            out.extend_from_slice(&part);
        }
        Ok(())
    }
}

/// How many numbers inner layers of the classifier among `list` give a row.
fn layers(list: &[(&'static NetworkKind, Network)]) -> usize {
    let classifier = list.iter().find(|(kind, _)| kind.beside == Some(Columns::LAYERS));
    classifier.map_or(0, |(_, network)| network.beside())
}

/// The classifier's log-probabilities, from what it gave for `labels` labels.
fn answer(labels: usize, kind: Option<AnswerKind>, out: &mut [f32]) {
    if kind == Some(AnswerKind::Probabilities) {
        // ln p are logits of p; the floor keeps ln 0 finite.
        out.iter_mut().for_each(|p| *p = p.max(f32::MIN_POSITIVE).ln());
    }
    let shape = (out.len() / labels, labels);
    log_softmax_rows(ArrayViewMut2::from_shape(shape, out).expect("whole rows"));
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
            layers: view(Columns::LAYERS, self.layers),
            pixel_odds: view(Columns::PIXEL_ODDS, 1),
            layer_odds: view(Columns::LAYER_ODDS, 1),
            copy_answers: view(Columns::COPY_ANSWERS, COPIES_A_ROW * labels),
        }
    }
}
