//! What the columns of a table are: read once from all clean rows, before anything is learned.
//!
//! A column is a number if everything in it reads as one, else a category if it has few values. It
//! cannot tell a code from a quantity: say `--category` where numbers are names.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::column::{Column, Seen};
use super::hints::Hints;
use super::table::{self, Source, TableError, columns};
use super::unmeasured;
use crate::record::{Feature, Schema};

/// What was seen in a table's clean rows.
#[derive(Debug)]
pub struct Scan {
    /// Clean rows.
    pub rows: usize,
    /// Rows under each label, the clean among them; empty without labels.
    pub labels: BTreeMap<String, u64>,
    /// One per name of the source.
    seen: Vec<Seen>,
}

/// Most different labels: what has more is no label.
const LABELS_MAX: usize = 1000;

impl Scan {
    /// Reads all rows once. `heard` is told the rows so far and the share of the file.
    ///
    /// # Errors
    /// If the file cannot be read, a name in `hints` is no column, or no row is clean.
    pub fn of(
        file: &Path,
        source: &dyn Source,
        hints: &Hints,
        heard: &mut dyn FnMut(u64, f32),
    ) -> Result<Self, TableError> {
        let refused = |found, advice| TableError::Refused { file: file.to_owned(), found, advice };
        let names = source.names();
        if let Some(name) = hints.unknown(names) {
            return Err(refused(format!("there is no column {name:?}"), columns(names)));
        }
        let words_max = hints.values_max.min(Schema::VALUES_MAX);
        let mut scan = Self {
            rows: 0,
            labels: BTreeMap::new(),
            seen: names.iter().map(|_| Seen::new()).collect(),
        };
        let label = hints.label.as_ref().and_then(|label| Some((label, label.place(names)?)));
        let mut failed = None;
        source.visit(&mut |row| {
            heard(row.number, row.done);
            if let Some((label, at)) = label {
                let Some(word) = table::word(row.cells[at]) else {
                    failed = Some(TableError::Row {
                        file: file.to_owned(),
                        row: row.number,
                        found: format!("has nothing under its label {:?}", label.name),
                        advice: "label every row".into(),
                    });
                    return ControlFlow::Break(());
                };
                let clean = label.is_normal(&word);
                *scan.labels.entry(word).or_default() += 1;
                if scan.labels.len() > LABELS_MAX {
                    let found = format!("{:?} has more than {LABELS_MAX} values", label.name);
                    failed = Some(refused(found, "name the column that says what a row is".into()));
                    return ControlFlow::Break(());
                }
                if !clean {
                    return ControlFlow::Continue(());
                }
            }
            scan.rows += 1;
            for (seen, &cell) in scan.seen.iter_mut().zip(row.cells) {
                seen.see(row.number, cell, words_max);
            }
            ControlFlow::Continue(())
        })?;
        match failed {
            Some(error) => Err(error),
            None if scan.rows == 0 => {
                let labels: Vec<_> = scan.labels.keys().take(8).collect();
                Err(match labels.is_empty() {
                    true => refused("no row".into(), "bring rows to learn from".into()),
                    false => refused(
                        format!("no row is clean; the labels are {labels:?}"),
                        "say which of them is clean with --normal VALUE".into(),
                    ),
                })
            }
            None => Ok(scan),
        }
    }

    /// The features and where each stands among the columns. Categories have every value seen in
    /// any clean row, so what the training part does not have is still to be taken out. What is told
    /// beside it are columns that are no measurements, and what was made of them.
    ///
    /// # Errors
    /// Every column that is nothing we know, or lacks what it must have; what to do about it.
    pub fn schema(
        &self,
        file: &Path,
        source: &dyn Source,
        hints: &Hints,
    ) -> Result<(Schema, Vec<usize>, Vec<String>), TableError> {
        let names = source.names();
        let mut features = vec![];
        let mut places = vec![];
        let mut notes = vec![];
        let mut problems = vec![];
        let named = |schema: &Schema| -> Vec<(usize, Option<Feature>)> {
            let place = |feature: &Feature| names.iter().position(|name| name == feature.name());
            let features = schema.features.iter();
            features.filter_map(|f| Some((place(f)?, Some(f.clone())))).collect()
        };
        let is_label = |at: &usize| hints.label.as_ref().is_some_and(|l| l.name == names[*at]);
        let all = match &hints.schema {
            Some(schema) => named(schema),
            None => (0..names.len()).filter(|at| !is_label(at)).map(|at| (at, None)).collect(),
        };
        for (at, given) in all {
            let column = Column { file, name: &names[at], seen: &self.seen[at] };
            let feature = match given {
                Some(feature) => column.given(feature),
                None => {
                    let said = match source.has_names() {
                        true => unmeasured::of(&names[at], &self.seen[at], hints),
                        false => unmeasured::Notice::default(),
                    };
                    let is_bare = said.note.is_none() && source.has_types();
                    notes.extend(said.note);
                    notes.extend(is_bare.then(|| column.written_as_text(hints)).flatten());
                    if said.is_left_out {
                        Ok(Feature::Id { name: names[at].clone() })
                    } else {
                        column.inferred(hints, said.is_unbounded, &mut notes)
                    }
                }
            };
            match feature {
                Ok(feature) => {
                    features.push(feature);
                    places.push(at);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(TableError::of_all(problems));
        }
        let schema = Schema { features };
        schema.check().map_err(|error| TableError::Refused {
            file: file.to_owned(),
            found: error.to_string(),
            advice: match names {
                [name] => format!(
                    "the only column is {name}; --delimiter says what stands between several"
                ),
                _ => columns(names),
            },
        })?;
        Ok((schema, places, notes))
    }
}
