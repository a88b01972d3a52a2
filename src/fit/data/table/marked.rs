//! A table with words in it that stand for nothing, such as `NA`.
//!
//! Only the file is read so. A record that has such a word for a number is still a fault: its sender writes `null`.

use std::ops::ControlFlow;

use super::source::{Row, Source, TableError};
use crate::codec::Scalar;

/// A source, some words of which are missing values.
pub struct Marked<S> {
    pub source: S,
    pub marks: Vec<String>,
}

impl<S: Source> Source for Marked<S> {
    fn names(&self) -> &[String] {
        self.source.names()
    }

    fn notes(&self) -> &[String] {
        self.source.notes()
    }

    fn has_names(&self) -> bool {
        self.source.has_names()
    }

    fn integers(&self) -> bool {
        self.source.integers()
    }

    fn has_types(&self) -> bool {
        self.source.has_types()
    }

    fn is_sparse(&self) -> bool {
        self.source.is_sparse()
    }

    fn visit(&self, each: &mut dyn FnMut(&Row<'_>) -> ControlFlow<()>) -> Result<(), TableError> {
        self.source.visit(&mut |row| {
            let is_mark = |cell: &Scalar<'_>| match cell {
                Scalar::Text(word) => self.marks.iter().any(|mark| mark == word),
                _ => false,
            };
            let mut cells = row.cells.to_vec();
            cells.iter_mut().filter(|cell| is_mark(cell)).for_each(|cell| *cell = Scalar::Null);
            each(&Row { cells: &cells, ..*row })
        })
    }
}
