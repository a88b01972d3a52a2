//! What the columns of a table are: read once from all clean rows, before anything is learned.
//!
//! A column is a number if everything in it reads as one, else a category if it has few values. It
//! cannot tell a code from a quantity: say `--category` where numbers are names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use super::table::{self, Row, Scalar, Source, TableError, columns};
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

/// What was seen in one column.
#[derive(Debug)]
struct Seen {
    numbers: u64,
    min: f64,
    max: f64,
    first_missing: Option<u64>,
    first_word: Option<(u64, String)>,
    first_infinite: Option<(u64, String)>,
    /// At most one more than a category may have.
    words: BTreeSet<String>,
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
                table::word(Scalar::Text(normal), false).is_some_and(|normal| normal == word)
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
                let Some(word) = table::word(row.cells[at], source.typed()) else {
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
                seen.see(row, cell, source.typed(), words_max);
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
    /// any clean row, so what the training part does not have is still to be taken out.
    ///
    /// # Errors
    /// The first column that is nothing we know, or lacks what it must have; what to do about it.
    pub fn schema(
        &self,
        file: &Path,
        source: &dyn Source,
        hints: &Hints,
    ) -> Result<(Schema, Vec<usize>), TableError> {
        let names = source.names();
        let mut features = vec![];
        let mut places = vec![];
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
            features.push(match given {
                Some(feature) => column.given(feature)?,
                None => column.inferred(hints)?,
            });
            places.push(at);
        }
        let schema = Schema { features };
        schema.check().map_err(|error| TableError::Refused {
            file: file.to_owned(),
            found: error.to_string(),
            advice: columns(names),
        })?;
        Ok((schema, places))
    }
}

impl Seen {
    fn new() -> Self {
        Self {
            numbers: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            first_missing: None,
            first_word: None,
            first_infinite: None,
            words: BTreeSet::new(),
        }
    }

    fn see(&mut self, row: &Row<'_>, cell: Scalar<'_>, typed: bool, words_max: usize) {
        if cell == Scalar::Null {
            self.first_missing.get_or_insert(row.number);
            return;
        }
        match table::number(cell, typed) {
            Some(x) if (x as f32).is_finite() => {
                self.numbers += 1;
                self.min = self.min.min(x);
                self.max = self.max.max(x);
            }
            Some(x) if self.first_infinite.is_none() => {
                let word = table::word(cell, typed).unwrap_or_else(|| x.to_string());
                self.first_infinite = Some((row.number, word));
            }
            Some(_) => {}
            None if self.first_word.is_none() => {
                self.first_word = table::word(cell, typed).map(|word| (row.number, word));
            }
            None => {}
        }
        if self.words.len() <= words_max
            && let Some(word) = table::word(cell, typed)
        {
            self.words.insert(word);
        }
    }
}

/// One column on its way to being a feature.
struct Column<'a> {
    file: &'a Path,
    name: &'a str,
    seen: &'a Seen,
}

impl Column<'_> {
    fn inferred(&self, hints: &Hints) -> Result<Feature, TableError> {
        let name = self.name.to_owned();
        if hints.ids.contains(&name) {
            return Ok(Feature::Id { name });
        }
        if self.seen.words.is_empty() && self.seen.numbers == 0 {
            return self.refused("is empty".into(), format!("--ignore {name}"));
        }
        if !hints.impute {
            self.complete("--impute learns what stands in for it")?;
        }
        if hints.categories.contains(&name) || self.seen.first_word.is_some() {
            return self.category(hints);
        }
        self.finite()?;
        let (min, max) = match hints.bounds.iter().find(|(bounded, ..)| *bounded == name) {
            Some(&(_, min, max)) => (min, max),
            None => bounds(self.seen.min, self.seen.max),
        };
        Ok(Feature::number(name, min, max))
    }

    fn category(&self, hints: &Hints) -> Result<Feature, TableError> {
        let (name, words) = (self.name, &self.seen.words);
        if hints.bounds.iter().any(|(bounded, ..)| bounded == name) {
            let found = "has bounds but is no number".to_owned();
            return self.refused(found, "leave out its --bounds".into());
        }
        let max = hints.values_max.min(Schema::VALUES_MAX);
        if words.len() <= max {
            let values = words.iter().cloned().collect();
            return Ok(Feature::Category { name: name.to_owned(), values, impute: None });
        }
        let ways = format!(
            "--id {name} if it tells records apart, --ignore {name} to leave it out, \
             --values-max N if it is a category"
        );
        match &self.seen.first_word {
            Some((row, word)) if self.seen.numbers > 0 => self.refused(
                format!("has numbers and, in row {row}, {word:?}"),
                format!("--missing {word} if that stands for nothing, {ways}"),
            ),
            _ => self.refused(format!("has more than {max} values"), ways),
        }
    }

    /// The feature as it was given, once we know that the column can be it.
    fn given(&self, feature: Feature) -> Result<Feature, TableError> {
        match &feature {
            Feature::Id { .. } => {}
            Feature::Image { .. } => {
                let advice = "bring images as .npy, .npz or IDX".to_owned();
                return self.refused("cannot be an image: it is one cell".into(), advice);
            }
            Feature::Number { impute, .. } => {
                if let Some((row, word)) = &self.seen.first_word {
                    let found = format!("has {word:?} in row {row}, and shall be a number");
                    return self.refused(found, "mend the schema, or say --missing".into());
                }
                self.finite()?;
                if impute.is_none() {
                    self.complete("`impute` in the schema says what stands in for it")?;
                }
            }
            Feature::Category { impute, .. } if impute.is_none() => {
                self.complete("`impute` in the schema says what stands in for it")?;
            }
            Feature::Category { .. } => {}
        }
        Ok(feature)
    }

    fn complete(&self, way: &str) -> Result<(), TableError> {
        self.seen.first_missing.map_or(Ok(()), |row| {
            Err(self.row(
                row,
                format!("has nothing under {:?}", self.name),
                format!("{way}, --ignore {} leaves the column out", self.name),
            ))
        })
    }

    fn finite(&self) -> Result<(), TableError> {
        self.seen.first_infinite.as_ref().map_or(Ok(()), |(row, x)| {
            Err(self.row(
                *row,
                format!("has {x} under {:?}, which is no finite 32-bit number", self.name),
                format!("--missing {x} if that stands for nothing, or --ignore {}", self.name),
            ))
        })
    }

    fn row(&self, row: u64, found: String, advice: String) -> TableError {
        TableError::Row { file: self.file.to_owned(), row, found, advice }
    }

    fn refused<T>(&self, found: String, advice: String) -> Result<T, TableError> {
        let found = format!("column {:?} {found}", self.name);
        Err(TableError::Refused { file: self.file.to_owned(), found, advice })
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
