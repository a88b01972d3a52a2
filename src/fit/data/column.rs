//! What was seen in one column of a table, and the feature that it is.
//!
//! A column is a number if everything in it reads as one, else a category if it has few values.

use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::path::Path;

use super::hints::{Hints, bounds};
use super::table::{self, Scalar, TableError};
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
    /// Cells that say something.
    pub values: u64,
    /// Hashes of all values, as long as no two are the same.
    distinct: Option<HashSet<u64>>,
    /// Whether every number is whole.
    pub whole: bool,
    /// Whether no number is smaller than the one before, and whether each is larger.
    pub rises: bool,
    pub grows: bool,
    last: f64,
}

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
            values: 0,
            distinct: Some(HashSet::new()),
            whole: true,
            rises: true,
            grows: true,
            last: f64::NEG_INFINITY,
        }
    }

    /// Whether no value stands there twice.
    pub fn is_distinct(&self) -> bool {
        self.distinct.is_some()
    }

    pub fn see(&mut self, row: u64, cell: Scalar<'_>, words_max: usize) {
        if table::is_nothing(cell) {
            self.first_missing.get_or_insert(row);
            return;
        }
        self.values += 1;
        let word = table::word(cell);
        match table::number(cell) {
            Some(x) if (x as f32).is_finite() => self.number(x),
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
            if !distinct.insert(hash) {
                self.distinct = None;
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
            return self.refused("is empty".into(), format!("--ignore {name}"));
        }
        if !hints.impute {
            self.complete("--impute learns what stands in for it")?;
        }
        if hints.categories.contains(&name) || self.seen.first_word.is_some() {
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

/// Whether the word says a date, a time of day or both.
pub fn is_time(word: &str) -> bool {
    let first = word.split([' ', 'T']).next().unwrap_or(word);
    let digits = |text: &str, len: std::ops::RangeInclusive<usize>| {
        len.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
    };
    let is_date = |text: &str| {
        ['-', '/', '.'].iter().any(|&separator| {
            let parts: Vec<&str> = text.split(separator).collect();
            match parts[..] {
                [year, month, day] if digits(year, 4..=4) => {
                    digits(month, 1..=2) && digits(day, 1..=2)
                }
                [a, b, year] => digits(a, 1..=2) && digits(b, 1..=2) && digits(year, 4..=4),
                _ => false,
            }
        })
    };
    let is_clock = |text: &str| {
        let text = text.split(['.', '+', 'Z']).next().unwrap_or(text);
        let parts: Vec<&str> = text.split(':').collect();
        matches!(parts.len(), 2 | 3) && parts.iter().all(|part| digits(part, 1..=2))
    };
    is_date(first) || is_clock(first)
}
