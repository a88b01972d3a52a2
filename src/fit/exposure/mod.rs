//! Which columns of a table point to people: alone, in pairs and in triples, and which rounding would help.
//!
//! Exact counts of the rows it reads. More rows make larger groups, so shares are comparable only between tables of as
//! many rows. It cannot know which columns somebody else has beside names.

mod look;
mod report;
mod sets;

use std::path::Path;

use serde::Serialize;

use self::look::CodedTable;
pub use self::look::{ColumnReport, Hint};
use super::data::table::{self, Reading, TableError};

/// What is asked of a table.
#[derive(Clone, Debug)]
pub struct Question {
    pub reading: Reading,
    /// Rows that are read at most, from the beginning.
    pub rows_max: usize,
    /// A group of fewer subjects is small.
    pub k: u32,
    /// Share of rows in small groups that is too many.
    pub limit: f64,
    /// The column that says whose row it is; each row is another's unless given.
    pub subject: Option<String>,
}

/// Rows that can be read: three codes of 21 bits are one number.
pub const ROWS_MAX: usize = 1 << 21;

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct PrivacyReport {
    pub rows: usize,
    pub k: u32,
    pub limit: f64,
    pub columns: Vec<ColumnReport>,
    /// Pairs and triples of columns that point to nobody alone, the worst first.
    pub pairs: Vec<SetReport>,
    pub triples: Vec<SetReport>,
    /// Columns that were left out of pairs and triples, because there were too many.
    pub left_out: Vec<String>,
}

/// The groups of a set of columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetReport {
    pub columns: Vec<String>,
    pub groups: usize,
    /// Share of rows whose group has one subject.
    pub unique: f64,
    /// Share of rows whose group has fewer than k subjects.
    pub small: f64,
    /// This set with one column coarser, and with all of them; of the worst sets only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub coarser: Vec<RoundedSet>,
}

/// A set with something made coarser.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RoundedSet {
    pub how: String,
    pub small: f64,
}

/// Reads the table in `file`.
///
/// # Errors
/// If it cannot be read, or has no column that `question` names.
pub fn look(file: &Path, question: &Question) -> Result<PrivacyReport, TableError> {
    let source = table::open(file, &question.reading)?;
    let look = CodedTable::of(file, &*source, question)?;
    Ok(sets::report(&look, question))
}

impl PrivacyReport {
    /// Sets that a stream should watch: triples and pairs beyond the limit, the worst first, none within another one.
    pub fn proposed(&self) -> Vec<&[String]> {
        const PROPOSED: usize = 4;
        let mut proposed: Vec<&[String]> = vec![];
        for set in self.triples.iter().chain(&self.pairs).filter(|set| set.small > self.limit) {
            let is_within = |known: &&[String]| set.columns.iter().all(|c| known.contains(c));
            if proposed.len() < PROPOSED && !proposed.iter().any(is_within) {
                proposed.push(&set.columns);
            }
        }
        proposed
    }
}

#[cfg(test)]
mod tests;
