//! What the columns of a table are: read once from all clean rows, before anything is learned.
//!
//! A column is a number if everything in it reads as one, else a category if it has few values. It
//! cannot tell a code from a quantity: say `--category` where numbers are names.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use super::column::{Column, Seen};
use super::table::{self, Scalar, Source, TableError, columns};
use super::unmeasured;
use crate::record::{Feature, Schema};

/// What is said about a table's columns; the rest is inferred.
#[derive(Clone, Debug, PartialEq)]
pub struct Hints {
    /// Columns that say which record it is.
    pub ids: Vec<String>,
    /// Columns of codes: each value is a name, also if it is a number.
    pub categories: Vec<String>,
    /// Hard bounds of numbers; inferred for the others.
    pub bounds: Vec<(String, f32, f32)>,
    /// Whether what is missing in clean rows may be missing in records.
    pub impute: bool,
    /// Most values of a column that is taken for a category.
    pub values_max: usize,
    /// The features, instead of all inference.
    pub schema: Option<Schema>,
    /// Which rows are clean; all of them unless given.
    pub label: Option<Label>,
}

/// A column that says what a row is.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    pub name: String,
    /// What it says of clean rows; `normal`, `0` or `false` unless given.
    pub normal: Option<String>,
}

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

impl Default for Hints {
    fn default() -> Self {
        Self {
            ids: vec![],
            categories: vec![],
            bounds: vec![],
            impute: false,
            values_max: Self::VALUES_MAX,
            schema: None,
            label: None,
        }
    }
}

impl Hints {
    /// Above this, a column of words is more likely text or an id.
    pub const VALUES_MAX: usize = 256;

    /// Names of columns that do not exist.
    fn unknown(&self, names: &[String]) -> Option<String> {
        let bounds = self.bounds.iter().map(|(name, ..)| name);
        let features = self.schema.iter().flat_map(|schema| &schema.features);
        let features: Vec<String> = features.map(|feature| feature.name().to_owned()).collect();
        let label = self.label.iter().map(|label| &label.name);
        let all = self.ids.iter().chain(&self.categories).chain(bounds).chain(label);
        all.chain(&features).find(|name| !names.contains(name)).cloned()
    }
}

impl Label {
    /// Whether rows that say `word` are clean.
    pub fn is_normal(&self, word: &str) -> bool {
        match &self.normal {
            Some(normal) => {
                table::word(Scalar::Text(normal)).is_some_and(|normal| normal == word)
                    || normal == word
            }
            None => ["normal", "0", "false"].contains(&word),
        }
    }

    /// Where the label stands among `names`.
    pub fn place(&self, names: &[String]) -> Option<usize> {
        names.iter().position(|name| *name == self.name)
    }
}

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
                    notes.extend(said.note);
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
            advice: columns(names),
        })?;
        Ok((schema, places, notes))
    }
}

/// Hard bounds of a number seen between `min` and `max`: as much room again on each side. A new
/// extreme is for detectors to score; only nonsense is for bounds to refuse. They are taken from
/// all clean rows, not only those that are learned from: a calibration row outside them would be a
/// fault on the record path and had no score to calibrate with.
pub fn bounds(min: f64, max: f64) -> (f32, f32) {
    // In `f64`, because the distance between two `f32` may be no `f32`.
    let room = if max > min { max - min } else { max.abs().max(1.0) };
    let finite = |value: f64| value.clamp(f32::MIN.into(), f32::MAX.into()) as f32;
    (finite(min - room), finite(max + room))
}
