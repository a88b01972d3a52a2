//! The rows that `fit` learns from, in model units, with what is known about them.
//!
//! A table is read twice: once to learn how many clean rows there are and what their columns are,
//! once to fill the matrix, through the same layout that fills it on the record path. What is
//! learned *from* the rows here, the values of a category and what stands in for a missing one, is
//! learned from the training part alone: a value that only calibration rows have must count as
//! never seen, as it would in a record.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis};

use super::budget;
use super::dataset::{DataError, Dataset};
use super::hints::Hints;
use super::infer::Scan;
use super::learned_schema::learned_schema;
use super::memory::{self, TooMuch};
use super::options::Options;
use super::split::{Draw, Shares, Split};
use super::table::{self, Kind, Row, Source, TableError};
use super::units;
use crate::codec::{Layout, Scalar};
use crate::fit::progress::Watch;
use crate::fit::seed::Use;
use crate::record::{Fault, Feature, Probability, Schema};
use crate::validate::Bounds;

/// Clean rows, split, and a part of those that are not clean.
pub struct Reference {
    /// Clean rows in model units, `[n, d]`.
    pub x: Array2<f32>,
    /// The label of each clean row, for the protected model's accuracy.
    pub y: Option<Vec<i64>>,
    pub schema: Schema,
    pub split: Split,
    /// Which rows belong together, `[n]`, if that was said.
    pub groups: Option<Vec<i64>>,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
    pub attacks: Option<Attacks>,
}

/// Rows that are labelled as something else than clean: half of them, to measure the finished guard
/// with. No weight, threshold or choice sees them; the other half is for whoever measures next.
pub struct Attacks {
    /// In model units, `[n, d]`.
    pub x: Array2<f32>,
    /// What each row's label says, `[n]`.
    pub labels: Vec<String>,
    /// How many more are no row of the schema: as records they would be dead letters.
    pub refused: usize,
}

/// Why there is no reference in a file.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error("{}: arrays have no names: the options for columns are for CSV, JSON lines and Parquet", .0.display())]
    NoColumns(PathBuf),
    #[error("{}: a table has no --image, no --labels and no --group: name its labels with --label", .0.display())]
    NoArrays(PathBuf),
    #[error(transparent)]
    Memory(TooMuch),
    #[error(transparent)]
    Units(#[from] units::UnitsError),
    #[error(transparent)]
    Budget(#[from] budget::Unsupported),
}

/// Rows that are measured: more say nothing new.
const ATTACKS_MAX: u64 = 10_000;

impl Reference {
    /// Reads `options.data`. With a `budget`, refuses rows that cannot support it.
    ///
    /// # Errors
    /// If there is no bundle to be made of the file: why not, and what to do.
    pub fn load(
        options: &Options,
        budget: Option<Probability>,
        watch: &mut dyn Watch,
    ) -> Result<Self, ReferenceError> {
        let read = |error| match error {
            TableError::Read { file, source } => {
                ReferenceError::Data(DataError::Read { file, source })
            }
            error => ReferenceError::Table(error),
        };
        match Kind::of(&options.data).map_err(read)? {
            Kind::Arrays if is_table(options)? => {
                // The labels of arrays are no feature.
                let mut options = options.clone();
                let has_label = options.hints.label.as_ref().is_some_and(|label| label.name == "y");
                if !has_label {
                    options.reading.ignore.push("y".into());
                }
                Self::of_table(&options, budget, watch)
            }
            Kind::Arrays => Self::of_arrays(options, budget, watch),
            _ => Self::of_table(options, budget, watch),
        }
    }

    /// Arrays: images or numbers without names.
    fn of_arrays(
        options: &Options,
        budget: Option<Probability>,
        watch: &mut dyn Watch,
    ) -> Result<Self, ReferenceError> {
        let Options { data, hints, .. } = options;
        if (Hints { label: None, ..hints.clone() }) != Hints::default() {
            return Err(ReferenceError::NoColumns(data.clone()));
        }
        watch.stage(&format!("reading {}", data.display()));
        let (labels, group) = (options.labels.as_deref(), options.group.as_deref());
        let mut set = Dataset::load_marked(data, labels, group, false)?;
        let dirty = match &hints.label {
            Some(label) => Some(set.set_aside(data, label)?),
            None => None,
        };
        let schema = units::to_model_units(&mut set, options.image, options.scale)?;
        let Dataset { mut x, mut y, marks: mut groups, digest, .. } = set;
        if let Some(sample) = options.sample.filter(|&sample| sample < x.nrows()) {
            let mut draw = Draw::new(x.nrows() as u64, sample as u64, options.seed, Use::Sample);
            let drawn: Vec<usize> = (0..x.nrows()).filter(|_| draw.takes()).collect();
            x = x.select(Axis(0), &drawn);
            y = y.map(|y| drawn.iter().map(|&i| y[i]).collect());
            groups = groups.map(|groups| drawn.iter().map(|&i| groups[i]).collect());
        }
        memory::check(x.nrows(), x.ncols(), options.memory_max)?;
        let split = match &groups {
            Some(groups) => split_groups(groups, budget, options.seed)?,
            None => split(x.nrows(), budget, options.seed)?,
        };
        let attacks = dirty.map(|(mut dirty, words)| {
            // Pixels beyond [0, 1] are for the bounds below to refuse.
            let _ = units::to_model_units(&mut dirty, options.image, options.scale);
            let (bounds, mut attacks) = (Bounds::new(&schema), Filled::default());
            let n = words.len() as u64;
            let mut draw = Draw::new(n, n.div_ceil(2).min(ATTACKS_MAX), options.seed, Use::Attacks);
            for (row, word) in dirty.x.rows().into_iter().zip(words) {
                if draw.takes() {
                    attacks.rows.extend(row);
                    attacks.labels.push(word);
                }
            }
            attacks.finish(&bounds, schema.width())
        });
        Ok(Self { x, y, schema, split, groups, digest, attacks })
    }

    fn of_table(
        options: &Options,
        budget: Option<Probability>,
        watch: &mut dyn Watch,
    ) -> Result<Self, ReferenceError> {
        let Options { data, hints, seed, .. } = options;
        if options.image.is_some() || options.labels.is_some() || options.group.is_some() {
            return Err(ReferenceError::NoArrays(data.clone()));
        }
        watch.stage(&format!("reading {}", data.display()));
        let source = table::open(data, &options.reading)?;
        let scan = Scan::of(data, &*source, hints, &mut |rows, done| watch.reading(rows, done))?;
        let (schema, places, notes) = scan.schema(data, &*source, hints)?;
        notes.iter().chain(source.notes()).for_each(|note| watch.note(note));
        let n = options.sample.map_or(scan.rows, |sample| sample.min(scan.rows));
        let d = schema.width();
        memory::check(n, d, options.memory_max)?;
        let split = split(n, budget, *seed)?;

        watch.stage(&format!("reading {n} of {} clean rows, {d} wide", scan.rows));
        let labelled: u64 = scan.labels.values().sum();
        let dirty = labelled.saturating_sub(scan.rows as u64);
        let mut fill = Fill {
            file: data,
            source: &*source,
            layout: Layout::new(&schema, 4 * d),
            bounds: schema.bounds(),
            schema: &schema,
            places,
            hints,
            clean: Draw::new(scan.rows as u64, n as u64, *seed, Use::Sample),
            dirty: Draw::new(dirty, dirty.div_ceil(2).min(ATTACKS_MAX), *seed, Use::Attacks),
            x: Vec::with_capacity(n * d),
            attacks: Filled::default(),
        };
        fill.run(&mut |rows, done| watch.reading(rows, done))?;
        let Fill { mut x, mut attacks, .. } = fill;
        if x.len() != n * d {
            let found = format!("{} rows at first and then {}", n, x.len() / d);
            let advice = "do not write to it while it is read".to_owned();
            return Err(TableError::Refused { file: data.clone(), found, advice }.into());
        }
        let schema = match hints.schema {
            Some(_) => schema,
            None => learned_schema(
                data,
                schema,
                hints.impute,
                &split.train,
                [&mut x, &mut attacks.rows],
            )?,
        };
        let (bounds, d) = (Bounds::new(&schema), schema.width());
        for row in x.chunks_exact_mut(d) {
            bounds.check_row(row).expect("it was held to the same bounds when it was read");
        }
        let x = Array2::from_shape_vec((n, d), x).expect("whole rows");
        let attacks = hints.label.is_some().then(|| attacks.finish(&bounds, d));
        let digest = table::digest(data)?;
        Ok(Self { x, y: None, schema, split, groups: None, digest, attacks })
    }
}

/// Whether arrays are read by what is said about columns: rows of numbers, called `x0`, `x1`, ….
fn is_table(options: &Options) -> Result<bool, DataError> {
    let hints = Hints { label: None, ..options.hints.clone() };
    if hints == Hints::default() || options.image.is_some() || options.labels.is_some() {
        return Ok(false);
    }
    let set = Dataset::load_marked(&options.data, None, None, true)?;
    Ok(set.shape.len() == 1)
}

fn split(n: usize, budget: Option<Probability>, seed: u64) -> Result<Split, ReferenceError> {
    let shares = Shares::default();
    budget.map_or(Ok(()), |budget| budget::check(budget, n, shares))?;
    Ok(Split::draw(n, seed, shares).expect("the default shares are shares"))
}

/// Splits the rows so that no group is in two parts: frames of one video are no rows of their own.
fn split_groups(
    groups: &[i64],
    budget: Option<Probability>,
    seed: u64,
) -> Result<Split, ReferenceError> {
    let split = Split::draw_groups(groups, seed, Shares::of_groups());
    budget.map_or(Ok(()), |budget| budget::check_part(budget, groups.len(), split.merged.len()))?;
    Ok(split)
}

/// The second reading of a table.
struct Fill<'a> {
    file: &'a Path,
    source: &'a dyn Source,
    layout: Layout,
    /// `[width]`
    bounds: Vec<(f32, f32)>,
    schema: &'a Schema,
    /// Where each feature stands among the columns.
    places: Vec<usize>,
    hints: &'a Hints,
    clean: Draw,
    dirty: Draw,
    /// `[n · width]`
    x: Vec<f32>,
    attacks: Filled,
}

/// Rows that are not clean, before they are held to the bounds.
#[derive(Default)]
struct Filled {
    /// `[n · width]`
    rows: Vec<f32>,
    labels: Vec<String>,
    refused: usize,
}

impl Fill<'_> {
    fn run(&mut self, heard: &mut dyn FnMut(u64, f32)) -> Result<(), TableError> {
        let mut failed = None;
        let source = self.source;
        source.visit(&mut |row| {
            heard(row.number, row.done);
            match self.row(row) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn row(&mut self, row: &Row<'_>) -> Result<(), TableError> {
        let label = self.hints.label.as_ref();
        let label = label.and_then(|label| Some((label, label.place(self.source.names())?)));
        if let Some((label, at)) = label {
            let word = table::word(row.cells[at]).unwrap_or_default();
            if !label.is_normal(&word) {
                if !self.dirty.takes() {
                    return Ok(());
                }
                let mut rows = std::mem::take(&mut self.attacks.rows);
                let start = rows.len();
                match self.put(row, &mut rows) {
                    Ok(()) => self.attacks.labels.push(word),
                    Err(_) => {
                        rows.truncate(start);
                        self.attacks.refused += 1;
                    }
                }
                self.attacks.rows = rows;
                return Ok(());
            }
        }
        if !self.clean.takes() {
            return Ok(());
        }
        let mut x = std::mem::take(&mut self.x);
        let start = x.len();
        let put = self.put(row, &mut x);
        let refused = |found: String, advice: String| {
            Err(TableError::Row { file: self.file.to_owned(), row: row.number, found, advice })
        };
        if let Err(fault) = put {
            let found = fault.told(self.schema, None, true);
            return refused(found, "bring the same file for both readings".into());
        }
        for (j, (value, (min, max))) in x[start..].iter().zip(&self.bounds).enumerate() {
            if value < min || value > max {
                let name = self.schema.name_of(crate::record::FeatureId(j as u32));
                let found = format!("has {value} under {name:?}, which is bound to {min}..{max}");
                return refused(found, "widen the bounds, or leave the row out".into());
            }
        }
        self.x = x;
        Ok(())
    }

    /// Appends the row as the record path would have it.
    fn put(&self, row: &Row<'_>, rows: &mut Vec<f32>) -> Result<(), Fault> {
        let columns = self.layout.begin(rows, 1)?;
        let features = self.schema.features.iter().zip(&self.places).enumerate();
        features.into_iter().try_for_each(|(cell, (feature, &at))| {
            let value = match as_cell(feature, row.cells[at]) {
                Scalar::Number(x) if x.is_infinite() && self.hints.impute => Scalar::Null,
                value => value,
            };
            self.layout.put(columns, cell, value)
        })
    }
}

impl Filled {
    /// Holds every row to the bounds; those outside are only counted.
    fn finish(mut self, bounds: &Bounds, d: usize) -> Attacks {
        let mut kept = vec![];
        let mut labels = vec![];
        for (row, label) in self.rows.chunks_exact_mut(d).zip(self.labels) {
            match bounds.check_row(row) {
                Ok(()) => {
                    kept.extend_from_slice(row);
                    labels.push(label);
                }
                Err(_) => self.refused += 1,
            }
        }
        let x = Array2::from_shape_vec((labels.len(), d), kept).expect("whole rows");
        Attacks { x, labels, refused: self.refused }
    }
}

/// A table's cell as a record of this feature would hold it.
pub fn as_cell<'a>(feature: &Feature, cell: Scalar<'a>) -> Scalar<'a> {
    if table::is_nothing(cell) {
        return Scalar::Null;
    }
    match feature {
        Feature::Number { .. } | Feature::Image { .. } => {
            table::number(cell).map_or(cell, Scalar::Number)
        }
        Feature::Category { .. } | Feature::Id { .. } => cell,
    }
}

impl From<TooMuch> for ReferenceError {
    fn from(error: TooMuch) -> Self {
        Self::Memory(error)
    }
}

#[cfg(test)]
mod tests;
