//! What was seen in one column of a table, and the feature that it is.
//!
//! A column is a number if everything in it reads as one, else a category if it has few values.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;

use super::hints::{Hints, bounds};
use super::moment::is_time;
use super::nothing;
use super::table::{self, Scalar, TableError, option};
use crate::record::{Feature, Schema};

/// What was seen in one column.
#[derive(Debug)]
pub struct Seen {
    pub numbers: u64,
    pub min: f64,
    pub max: f64,
    first_missing: Option<u64>,
    pub first_word: Option<(u64, String)>,
    first_infinite: Option<(u64, String)>,
    /// At most one more than a category may have.
    pub words: BTreeSet<String>,
    /// How many cells are words that say a date or a time.
    pub times: u64,
    /// Numbers that are written as text.
    pub quoted: u64,
    /// Cells that say something.
    pub values: u64,
    /// Hashes of all values, as long as no two are the same; then of words that a category may have.
    distinct: Option<HashSet<u64>>,
    /// Whether a value stands there twice.
    repeats: bool,
    /// Whether hashes were given up because there are too many.
    crowded: bool,
    /// Whether every number is whole.
    pub whole: bool,
    /// Whether no number is smaller than the one before, and whether each is larger.
    pub rises: bool,
    pub grows: bool,
    last: f64,
}

/// Different numbers of a column that is more likely a quantity than a code.
const QUANTITY_MIN: usize = 20;

/// Words of a column that are named.
const SHOWN: usize = 3;

/// Values of which we remember that no two are the same: 16 MiB of them.
const DISTINCT_MAX: usize = 1 << 20;

impl Seen {
    pub fn new() -> Self {
        Self {
            numbers: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            first_missing: None,
            first_word: None,
            first_infinite: None,
            words: BTreeSet::new(),
            times: 0,
            quoted: 0,
            values: 0,
            distinct: Some(HashSet::new()),
            repeats: false,
            crowded: false,
            whole: true,
            rises: true,
            grows: true,
            last: f64::NEG_INFINITY,
        }
    }

    /// Whether no value stands there twice.
    pub fn is_distinct(&self) -> bool {
        !self.repeats
    }

    /// How many different values there are, if they were few enough to be counted.
    fn distinct_count(&self) -> Option<usize> {
        self.distinct.as_ref().map(HashSet::len).filter(|&n| n <= Schema::VALUES_MAX)
    }

    /// Whether there are more different values than any category may have.
    fn is_crowded(&self) -> bool {
        self.crowded || self.distinct.as_ref().is_some_and(|all| all.len() > Schema::VALUES_MAX)
    }

    pub fn see(&mut self, row: u64, cell: Scalar<'_>, words_max: usize) {
        if table::is_nothing(cell) {
            self.first_missing.get_or_insert(row);
            return;
        }
        self.values += 1;
        let word = table::word(cell);
        let is_text = matches!(cell, Scalar::Text(_));
        match table::number(cell) {
            Some(x) if (x as f32).is_finite() => {
                self.quoted += u64::from(is_text);
                self.number(x);
            }
            Some(x) if self.first_infinite.is_none() => {
                self.first_infinite = Some((row, word.clone().unwrap_or_else(|| x.to_string())));
            }
            Some(_) => {}
            None => {
                self.times += u64::from(word.as_deref().is_some_and(is_time));
                if self.first_word.is_none() {
                    self.first_word = word.clone().map(|word| (row, word));
                }
            }
        }
        let Some(word) = word else { return };
        if let Some(distinct) = self.distinct.as_mut().filter(|all| all.len() < DISTINCT_MAX) {
            let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&word);
            self.repeats |= !distinct.insert(hash);
            let is_crowded = distinct.len() > Schema::VALUES_MAX;
            if self.repeats && (self.first_word.is_none() || is_crowded) {
                (self.distinct, self.crowded) = (None, is_crowded);
            }
        }
        if self.words.len() <= words_max {
            self.words.insert(word);
        }
    }

    fn number(&mut self, x: f64) {
        self.numbers += 1;
        self.min = self.min.min(x);
        self.max = self.max.max(x);
        self.whole &= x.fract() == 0.0;
        self.rises &= x >= self.last;
        self.grows &= x > self.last;
        self.last = x;
    }
}

/// One column on its way to being a feature.
pub struct Column<'a> {
    pub file: &'a Path,
    pub name: &'a str,
    pub seen: &'a Seen,
}

impl Column<'_> {
    /// What it is as far as it can be seen; without hard bounds if `is_unbounded`.
    ///
    /// # Errors
    /// If it is nothing we know, or lacks what it must have.
    pub fn inferred(
        &self,
        hints: &Hints,
        is_unbounded: bool,
        notes: &mut Vec<String>,
    ) -> Result<Feature, TableError> {
        let name = self.name.to_owned();
        if hints.ids.contains(&name) {
            return Ok(Feature::Id { name });
        }
        if self.seen.words.is_empty() && self.seen.numbers == 0 {
            return self.refused("is empty".into(), option("--ignore", self.name));
        }
        if !hints.impute {
            self.complete("--impute learns what stands in for it")?;
        }
        if hints.categories.contains(&name) {
            return self.category(hints);
        }
        if self.seen.first_word.is_some() {
            self.not_mixed(hints)?;
            notes.extend(self.mark());
            return self.category(hints);
        }
        match &self.seen.first_infinite {
            Some((row, x)) if hints.impute => notes.push(format!(
                "{name} has {x} in row {row}: learned as missing; a record that has it is a dead letter"
            )),
            _ => self.finite()?,
        }
        let (min, max) = match hints.bounds.iter().find(|(bounded, ..)| *bounded == name) {
            Some(&(_, min, max)) => (min, max),
            None if is_unbounded => (f32::MIN, f32::MAX),
            None => bounds(self.seen.min, self.seen.max),
        };
        Ok(Feature::number(name, min, max))
    }

    /// What is said of numbers that a file with types holds as text: they may be codes.
    pub fn written_as_text(&self, hints: &Hints) -> Option<String> {
        let Seen { quoted, numbers, ref first_word, .. } = *self.seen;
        let is_spoken_of = hints.categories.iter().chain(&hints.ids).any(|name| name == self.name);
        let is_text = quoted > 0 && quoted == numbers && first_word.is_none() && !is_spoken_of;
        is_text.then(|| {
            format!(
                "{} is text that reads as numbers and is taken for numbers: {} if they are codes",
                self.name,
                option("--category", self.name)
            )
        })
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
        let (id, ignore) = (option("--id", name), option("--ignore", name));
        let (count, wanted) = match self.seen.distinct_count() {
            Some(n) => (format!("{n} values"), n.to_string()),
            None if self.seen.is_crowded() => {
                let found = format!("has more than {} values", Schema::VALUES_MAX);
                return self.refused(
                    found,
                    format!("{id} if it tells records apart, {ignore} to leave it out"),
                );
            }
            None => (format!("more than {max} values"), "N".to_owned()),
        };
        self.refused(
            format!("has {count}"),
            format!(
                "{id} if it tells records apart, {ignore} to leave it out, --values-max {wanted} if it \
                 is a category"
            ),
        )
    }

    /// What is said of a category, one value of which is often written for nothing.
    fn mark(&self) -> Option<String> {
        let mark = self.seen.words.iter().find(|word| nothing::is_mark(word))?;
        let (name, missing) = (self.name, option("--missing", mark));
        Some(format!(
            "{name} has {mark:?} for a value: {missing} --impute if that stands for nothing"
        ))
    }

    /// Whether a column with words in it is one of words. Where most of it is numbers, the words may stand
    /// for nothing, and a category would learn each number as a name.
    ///
    /// # Errors
    /// What was found, and how to say what is meant.
    fn not_mixed(&self, hints: &Hints) -> Result<(), TableError> {
        let Some((row, word)) = &self.seen.first_word else { return Ok(()) };
        let (numbers, words): (Vec<&String>, Vec<&String>) =
            self.seen.words.iter().partition(|word| table::number(Scalar::Text(word)).is_some());
        if words.len() >= QUANTITY_MIN && words.iter().all(|word| nothing::is_dressed(word)) {
            return self.refused(
                format!("has numbers with signs around them, such as {word:?}"),
                format!(
                    "write plain numbers, or {} if they are names, {} to leave it out",
                    option("--category", self.name),
                    option("--ignore", self.name)
                ),
            );
        }
        let stand_in = nothing::is_mark(word) && words.iter().all(|word| nothing::is_mark(word));
        let is_quantity = numbers.len() >= if stand_in { 2 } else { QUANTITY_MIN };
        let are_few = 2 * self.seen.numbers < self.seen.values;
        if are_few && !stand_in || !is_quantity {
            return Ok(());
        }
        let name = self.name;
        let others = words.iter().copied().filter(|other| *other != word);
        let missing: Vec<String> = std::iter::once(word)
            .chain(others.take(SHOWN - 1))
            .map(|word| option("--missing", word))
            .collect();
        let impute = if hints.impute { "" } else { " --impute" };
        let many = match self.seen.distinct_count() {
            Some(n) if n > hints.values_max => format!(" --values-max {n}"),
            _ => String::new(),
        };
        let which = if words.len() > SHOWN { " and others" } else { "" };
        self.refused(
            format!("has numbers and, in row {row}, {word:?}{which}"),
            format!(
                "{}{impute} if that stands for nothing, {}{many} if its numbers are names, {} to leave \
                 it out",
                missing.join(" "),
                option("--category", name),
                option("--ignore", name)
            ),
        )
    }

    /// The feature as it was given, once we know that the column can be it.
    ///
    /// # Errors
    /// If it cannot.
    pub fn given(&self, feature: Feature) -> Result<Feature, TableError> {
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
                format!("{way}, {} leaves the column out", option("--ignore", self.name)),
            ))
        })
    }

    fn finite(&self) -> Result<(), TableError> {
        self.seen.first_infinite.as_ref().map_or(Ok(()), |(row, x)| {
            Err(self.row(
                *row,
                format!("has {x} under {:?}, which is no finite 32-bit number", self.name),
                format!(
                    "{} if that stands for nothing, or {}",
                    option("--missing", x),
                    option("--ignore", self.name)
                ),
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
