//! Which parts of an object or an array are the features of rows: members named so, what the
//! configured pointers lead to, or what stands there.
//!
//! An object that has none of the features is not taken for a row in which everything is missing:
//! imputing all of it would pass any object as an ordinary record.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::edit::count;
use super::plan::Plan;
use super::run::{Form, Run, Sink};
use super::walk::{Found, Walk};
use crate::codec::shape::RowShape;
use crate::codec::{Fields, Inputs, Layout};
use crate::open::object::unreadable;
use crate::record::Fault;

/// Finds rows in JSON text and gives their pieces to a sink. Each way says how many rows it found;
/// 0 if only the number of scalars tells.
#[derive(Debug)]
pub(super) struct Members {
    layout: Arc<Layout>,
    plan: Plan,
    /// The cells of each pointer, where they are known beforehand; elsewhere pointers fill the
    /// cells in order, and none may lead nowhere.
    cells: Option<Vec<Range<usize>>>,
    /// What an encoded image may stand in: `{"b64": …}`.
    file: Plan,
}

/// What TensorFlow Serving and TorchServe call an encoded image.
const ENCODED: [&str; 3] = ["b64", "data", "body"];

impl Members {
    /// With `inputs`, objects whose members some readers take by their places.
    pub fn new(layout: Arc<Layout>, fields: Option<&Fields>, inputs: Option<&Inputs>) -> Self {
        let own = |ids: bool| -> Vec<_> {
            let cells = layout.places().iter().map(|place| place.cells.clone());
            cells.filter(|cells| ids || !cells.clone().all(|cell| layout.is_id(cell))).collect()
        };
        let (plan, cells) = match fields {
            None => {
                let plan = match inputs {
                    None => Plan::of_features(&layout),
                    Some(inputs) => Plan::of_features_in_order(&layout, inputs),
                };
                (plan, Some(own(true)))
            }
            // As many pointers as features, with the ids or without them: each has its own, by its name
            // if all have names.
            Some(fields) => {
                if let Some(named) = fields.by_name(&layout) {
                    let (pointers, cells): (Vec<_>, Vec<_>) = named.into_iter().unzip();
                    let plan = Plan::of_pointers(&pointers);
                    return Self::with(layout, plan, Some(cells));
                }
                let pointers = fields.pointers();
                let each = [true, false].map(own).into_iter().find(|c| c.len() == pointers.len());
                (Plan::of_pointers(pointers), each)
            }
        };
        // An image may come as a file, under the names that servers give it.
        let plan = match layout.is_one_image() && layout.places().len() == 1 && fields.is_none() {
            true => ENCODED.iter().fold(plan, |plan, name| plan.alias(name)),
            false => plan,
        };
        Self::with(layout, plan, cells)
    }

    fn with(layout: Arc<Layout>, plan: Plan, cells: Option<Vec<Range<usize>>>) -> Self {
        Self { layout, plan, cells, file: Plan::of_names([Some("b64")].into_iter()) }
    }

    /// The one row of `text`: the features of an object, or what the pointers lead to.
    pub fn row<'t>(&self, text: &'t str, sink: &mut Sink<'_, 't>) -> Result<usize, Fault> {
        // The whole document needs no looking for, and whoever reads it validates it.
        if self.plan.nodes[0].pointer.is_some() {
            self.runs(0, &[Some(text.trim_ascii())], text, sink)?;
        } else {
            let found = look(&self.plan, text, text)?;
            self.runs(0, &found.raw, text, sink)?;
        }
        Ok(1)
    }

    /// The rows of `raw`, a part of `text`: an array of objects, or values by position in arrays of this
    /// form, which need not have been validated.
    pub fn rows<'t>(
        &self,
        raw: &'t str,
        text: &'t str,
        form: fn(Option<RowShape>) -> Form,
        sink: &mut Sink<'_, 't>,
    ) -> Result<usize, Fault> {
        let mut document = serde_json::Deserializer::from_str(raw);
        let inside = raw.trim_ascii_start().strip_prefix('[').map(str::trim_ascii_start);
        if inside.is_some_and(|inside| inside.starts_with('{')) {
            let found = Found::new(&self.plan);
            let mut each = Each { members: self, text, sink, rows: 0, found };
            let read = document.deserialize_seq(&mut each).and_then(|()| document.end());
            each.found.doubt.resolve(read, |error| unreadable(error, raw, text))?;
            return Ok(each.rows);
        }
        let row = self.layout.row_shape(&(0..self.layout.cells()));
        sink(Run::open(raw, &self.layout, form(row)))?;
        Ok(0)
    }

    fn runs<'t>(
        &self,
        row: usize,
        found: &[Option<&'t str>],
        text: &str,
        sink: &mut Sink<'_, 't>,
    ) -> Result<(), Fault> {
        let expected = self.layout.cells();
        if found.iter().all(Option::is_none) {
            return Err(Fault::WrongArity { got: 0, expected });
        }
        let run = |raw, cells, form| Run { raw, rows: row..row + 1, cells, datatype: None, form };
        if let Some(cells) = &self.cells {
            // An absent feature and one that is null are missing, all cells of them.
            let there = found.iter().zip(cells).filter_map(|(raw, cells)| Some(((*raw)?, cells)));
            let mut there = there.filter(|(raw, _)| *raw != "null");
            return there.try_for_each(|(raw, cells)| {
                let raw = match self.layout.image_at(cells.start) {
                    Some(_) if raw.starts_with('{') => look(&self.file, raw, text)?.raw[0]
                        .ok_or(Fault::WrongArity { got: 0, expected })?,
                    _ => raw,
                };
                let row = self.layout.row_shape(cells);
                sink(run(raw, cells.clone(), Form::Row(row)))
            });
        }
        let mut run = |raw, cells| sink(run(raw, cells, Form::Any));
        if let [Some(raw)] = found {
            return run(raw, 0..expected);
        }
        let mut got = 0;
        for raw in found {
            got += count(raw.ok_or(Fault::Unreadable { at: text.len() })?);
        }
        if got != expected {
            return Err(Fault::WrongArity { got, expected });
        }
        let mut start = 0;
        for raw in found.iter().flatten() {
            let cells = start..start + count(raw);
            start = cells.end;
            if !cells.is_empty() {
                run(raw, cells)?;
            }
        }
        Ok(())
    }
}

/// What the pointers of `plan` lead to in `raw`, a part of `text`.
pub(super) fn look<'t>(plan: &Plan, raw: &'t str, text: &str) -> Result<Found<'t>, Fault> {
    let mut document = serde_json::Deserializer::from_str(raw);
    let mut found = Found::new(plan);
    let read = Walk::over(plan, &mut found).deserialize(&mut document);
    let read = read.and_then(|()| document.end());
    found.doubt.resolve(read, |error| unreadable(error, raw, text))?;
    Ok(found)
}

/// The elements of an array of objects, one row each.
struct Each<'a, 's, 'i, 't> {
    members: &'a Members,
    text: &'t str,
    sink: &'s mut Sink<'i, 't>,
    rows: usize,
    found: Found<'t>,
}

impl<'t> Visitor<'t> for &mut Each<'_, '_, '_, 't> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut array: A) -> Result<(), A::Error> {
        let plan = &self.members.plan;
        while array.next_element_seed(Walk::over(plan, &mut self.found))?.is_some() {
            let runs = self.members.runs(self.rows, &self.found.raw, self.text, self.sink);
            self.found.doubt.refuse(runs)?;
            self.rows += 1;
            self.found.clear();
        }
        Ok(())
    }
}
