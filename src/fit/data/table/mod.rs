//! Tables as files have them: named columns, rows of cells. One file per format; this file lists
//! them.
//!
//! A source can be read several times and streams its rows, so memory never holds the file. A cell
//! is what the record path calls one: a number, a word, or nothing. It cannot tell a wrong unit
//! from a right one, nor a row that was cut off in a place where a row may end.

mod arrays;
pub(super) mod cell;
mod csv;
mod decimal;
mod dialect;
mod file;
mod folder;
mod json_lines;
mod marked;
mod names;
mod objects;
mod packed;
mod parquet;
mod source;
mod unicode;

use std::path::Path;

pub use crate::codec::Scalar;
pub use arrays::Arrays;
pub use cell::{is_nothing, number, word};
pub use file::{Kind, digest};
use folder::Folder;
use marked::Marked;
pub use source::{Reading, Row, Source, TableError, columns, option};

/// Opens a table of any format; which one is told by its bytes.
///
/// # Errors
/// If it is no table, or does not have the columns that `reading` speaks of.
pub fn open(file: &Path, reading: &Reading) -> Result<Box<dyn Source>, TableError> {
    if file.is_dir() {
        return Ok(Box::new(Folder::open(file, reading, open)?));
    }
    Ok(match Kind::of(file)? {
        Kind::Csv => Box::new(csv::Csv::open(file, reading)?),
        Kind::JsonLines => marked(json_lines::JsonLines::open(file, reading)?, reading),
        Kind::Parquet => marked(parquet::Parquet::open(file, reading)?, reading),
        Kind::Arrays => Box::new(Arrays::open(file, reading)?),
    })
}

fn marked(source: impl Source + 'static, reading: &Reading) -> Box<dyn Source> {
    match reading.missing.is_empty() {
        true => Box::new(source),
        false => Box::new(Marked { source, marks: reading.missing.clone() }),
    }
}

#[cfg(test)]
mod tests;
