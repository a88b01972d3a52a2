//! KServe's V1 protocol, which is TensorFlow Serving's: `{"instances": [row, …]}`, or by columns,
//! `{"inputs": {feature: [value of every row, …], …}}`.
//!
//! An instance is values by position, an object by name or by the configured pointers, or a bare
//! value where a row has one cell. Columns go by name. KServe's servers make a table of objects and of
//! columns, in the sender's order: unless readers go by name, features stand in the schema's. `inputs` that is an array is instances, as
//! with a model of one input. What it cannot read: `{"b64": …}` in place of a value.

use std::sync::Arc;

use super::Document;
use super::edit::count;
use super::members::{Members, look};
use super::plan::Plan;
use super::run::{Form, Run, Sink};
use crate::codec::{Fields, Inputs, Layout};
use crate::record::{Ambiguity, Fault};

/// `kserve-v1`
#[derive(Debug)]
pub struct KserveV1 {
    layout: Arc<Layout>,
    members: Members,
    request: Plan,
    columns: Plan,
}

impl KserveV1 {
    pub fn new(layout: Arc<Layout>, fields: Option<&Fields>, inputs: &Inputs) -> Self {
        let request =
            Plan::of_names(["instances", "inputs", "specversion", "data"].map(Some).into_iter());
        let columns = Plan::of_features_in_order(&layout, inputs);
        let members = Members::new(layout.clone(), fields, Some(inputs));
        Self { members, layout, request, columns }
    }

    fn columns<'t>(
        &self,
        raw: &'t str,
        text: &'t str,
        sink: &mut Sink<'_, 't>,
    ) -> Result<usize, Fault> {
        let found = look(&self.columns, raw, text)?;
        let mut rows = 0;
        for (place, raw) in self.layout.places().iter().zip(&found.raw) {
            let Some(raw) = raw.filter(|&raw| raw != "null") else { continue };
            let cells = place.cells.clone();
            // The first column says how many rows there are, and the others must agree.
            if rows == 0 {
                rows = (count(raw) / cells.len()).max(1);
            }
            let form = Form::Rows(self.layout.row_shape(&cells));
            sink(Run { raw, rows: 0..rows, cells, datatype: None, form })?;
        }
        match rows {
            0 => Err(Fault::WrongArity { got: 0, expected: self.layout.cells() }),
            rows => Ok(rows),
        }
    }
}

impl Document for KserveV1 {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn find<'t>(&self, text: &'t str, sink: &mut Sink<'_, 't>) -> Result<usize, Fault> {
        match look(&self.request, text, text)?.raw[..] {
            // KServe's servers take a body with such members for an event, and read its data.
            [.., Some(_), _] | [.., Some(_)] => Err(Fault::Ambiguous(Ambiguity::Format)),
            [Some(rows), None, ..] | [None, Some(rows), ..] if rows.starts_with('[') => {
                self.members.rows(rows, text, Form::Rows, sink)
            }
            [None, Some(columns), ..] => self.columns(columns, text, sink),
            // Neither, or both: a server would choose.
            _ => Err(Fault::Unreadable { at: text.len() }),
        }
    }
}
