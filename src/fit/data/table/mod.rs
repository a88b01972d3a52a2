//! Tables as files have them: named columns, rows of cells. One file per format; this file holds
//! the trait and the roster.
//!
//! A source can be read several times and streams its rows, so memory never holds the file. A cell
//! is what the record path calls one: a number, a word, or nothing. It cannot tell a wrong unit
//! from a right one, nor a row that was cut off in a place where a row may end.

mod arrays;
mod csv;
mod file;
mod json_lines;
mod parquet;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

pub use crate::codec::Scalar;
pub use arrays::Arrays;
pub use file::{Kind, digest};

/// Rows of a file, which can be read as often as one likes.
pub trait Source {
    /// The columns, without those that are to be ignored.
    fn names(&self) -> &[String];

    /// Whether the file tells a number from a word. CSV does not: there a word that reads as a
    /// number is one.
    fn typed(&self) -> bool;

    /// Whether all of its numbers are integers by type, as bytes of an image are.
    fn integers(&self) -> bool {
        false
    }

    /// Shows every row, in the file's order, until told to break.
    ///
    /// # Errors
    /// If the file cannot be read, or a row is none: which, and what to do.
    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError>;
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// From 1; a header does not count.
    pub number: u64,
    /// One per name.
    pub cells: &'a [Scalar<'a>],
    /// Share of the file that lies behind, in [0, 1].
    pub done: f32,
}

/// How a file is to be read where it does not say so itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Names of a CSV's columns, if its first line does not have them.
    pub header: Option<Vec<String>>,
    /// What stands between the cells of a CSV; told from its first line unless given.
    pub delimiter: Option<u8>,
    /// Cells of a CSV that say nothing, beside the empty one.
    pub missing: Vec<String>,
    /// Columns that are not read.
    pub ignore: Vec<String>,
    /// A file with the labels of arrays that do not bring them, `y`.
    pub labels: Option<PathBuf>,
    /// An array of an `.npz`, beside `x` and `y`, that is read as a column of its own name.
    pub marks: Option<String>,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error("{}: cannot read: {source}", file.display())]
    Read { file: PathBuf, source: std::io::Error },
    #[error("{}: {found}; {advice}", file.display())]
    Refused { file: PathBuf, found: String, advice: String },
    #[error("{}: row {row} {found}; {advice}", file.display())]
    Row { file: PathBuf, row: u64, found: String, advice: String },
}

/// Opens a table of any format; which one is told by its bytes.
///
/// # Errors
/// If it is no table, or does not have the columns that `reading` speaks of.
pub fn open(file: &Path, reading: &Reading) -> Result<Box<dyn Source>, TableError> {
    Ok(match Kind::of(file)? {
        Kind::Csv => Box::new(csv::Csv::open(file, reading)?),
        Kind::JsonLines => Box::new(json_lines::JsonLines::open(file, reading)?),
        Kind::Parquet => Box::new(parquet::Parquet::open(file, reading)?),
        Kind::Arrays => Box::new(Arrays::open(file, reading)?),
    })
}

/// Which of the columns called `all` are read, once each has a name of its own.
fn kept(file: &Path, all: &[String], reading: &Reading) -> Result<Vec<usize>, TableError> {
    let refused = |found: String, advice: &str| {
        Err(TableError::Refused { file: file.to_owned(), found, advice: advice.to_owned() })
    };
    let mut sorted: Vec<&String> = all.iter().collect();
    sorted.sort_unstable();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        let found = format!("two columns are called {:?}", pair[0]);
        return refused(found, "give every column a name of its own, in the file or by --header");
    }
    if let Some(at) = all.iter().position(String::is_empty) {
        let found = format!("column {} has no name", at + 1);
        return refused(found, "name every column, in the file or by --header");
    }
    if let Some(name) = reading.ignore.iter().find(|name| !all.contains(name)) {
        return refused(format!("there is no column {name:?} to ignore"), &columns(all));
    }
    Ok((0..all.len()).filter(|&at| !reading.ignore.contains(&all[at])).collect())
}

/// Says which columns there are, in as many words as a person reads.
pub fn columns(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the columns are {}{more}", shown.join(", "))
}

/// The cell as its feature will want it: in a file without types, a word that is a JSON number is
/// that number, so that `7` and `7.0` are one value here as they are on the record path, and `007`
/// stays a word.
pub fn spelled(cell: Scalar<'_>, typed: bool) -> Scalar<'_> {
    match cell {
        Scalar::Text(word) if !typed => json_number(word).map_or(cell, Scalar::Number),
        _ => cell,
    }
}

/// The number in the cell, if it is one; infinite or NaN if the cell says so.
pub fn number(cell: Scalar<'_>, typed: bool) -> Option<f64> {
    match cell {
        Scalar::Number(x) => Some(x),
        Scalar::Bool(x) => Some(f64::from(u8::from(x))),
        Scalar::Text(word) if !typed => word.trim().parse().ok(),
        Scalar::Text(_) | Scalar::Null => None,
    }
}

/// The one word for a value, however its file writes it; none for what is missing.
pub fn word(cell: Scalar<'_>, typed: bool) -> Option<String> {
    match spelled(cell, typed) {
        Scalar::Number(x) => Some(x.to_string()),
        Scalar::Text(word) => Some(word.to_owned()),
        Scalar::Bool(x) => Some(x.to_string()),
        Scalar::Null => None,
    }
}

/// What `word` is as a number of JSON, if it is written as one.
fn json_number(word: &str) -> Option<f64> {
    let begins = word.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    begins.then(|| serde_json::from_str(word).ok()).flatten()
}

#[cfg(test)]
mod tests;
