//! The columns of a table as codes, and what each looks like alone.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;

use serde::Serialize;

use super::{Question, ROWS_MAX};
use crate::fit::data::table::{self, Source, TableError, columns};
use crate::privacy::{TextShape, shape_of};

/// One column alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    pub name: String,
    pub missing: usize,
    pub distinct: usize,
    /// Distinct values for each row.
    pub distinct_share: f64,
    pub unique: f64,
    pub small: f64,
    /// What most of its values look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<TextShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
}

/// What stands out in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hint {
    /// Nearly every row has another value.
    Identifier,
    /// Alone it points to more rows than a few.
    Revealing,
    /// All rows have one value.
    Constant,
}

/// The values of a column, by code.
pub(super) struct Coded {
    pub name: String,
    /// One per row; 0 is a missing value.
    pub codes: Vec<u32>,
    /// By code, if all of its values are numbers.
    pub numbers: Option<Vec<f64>>,
    pub shape: Option<TextShape>,
    pub missing: usize,
    pub distinct: usize,
}

/// The columns of a table.
pub(super) struct CodedTable {
    pub rows: usize,
    pub columns: Vec<Coded>,
    /// Codes of the subject of each row.
    pub subjects: Option<Vec<u32>>,
}

/// Share of a column's values that must look alike.
const ALIKE: f64 = 0.9;

/// A column while it is read.
#[derive(Default)]
struct ColumnScan {
    codes: Vec<u32>,
    known: HashMap<String, u32>,
    numbers: Vec<f64>,
    is_number: bool,
    shapes: [usize; TextShape::ALL.len()],
    missing: usize,
}

impl ColumnScan {
    fn see(&mut self, cell: table::Scalar<'_>) {
        let Some(word) = table::word(cell).filter(|_| !table::is_nothing(cell)) else {
            self.missing += 1;
            self.codes.push(0);
            return;
        };
        let shape = shape_of(&word);
        if let Some(at) = TextShape::ALL.iter().position(|&known| Some(known) == shape) {
            self.shapes[at] += 1;
        }
        let next = self.known.len() as u32 + 1;
        let code = *self.known.entry(word).or_insert(next);
        if code == next {
            let number = table::number(cell).filter(|number| number.is_finite());
            self.is_number &= number.is_some();
            self.numbers.push(number.unwrap_or(0.0));
        }
        self.codes.push(code);
    }

    fn coded(self, name: &str) -> Coded {
        let there = (self.codes.len() - self.missing).max(1) as f64;
        let alike = |at: &usize| self.shapes[*at] as f64 >= ALIKE * there;
        let shape = (0..self.shapes.len()).find(alike).map(|at| TextShape::ALL[at]);
        let numbers = self.is_number.then(|| [f64::NAN].into_iter().chain(self.numbers).collect());
        let (missing, distinct) = (self.missing, self.known.len());
        Coded { name: name.to_owned(), codes: self.codes, numbers, shape, missing, distinct }
    }
}

impl CodedTable {
    pub fn of(file: &Path, source: &dyn Source, question: &Question) -> Result<Self, TableError> {
        let names = source.names();
        let refused = |found: String, advice: String| {
            Err(TableError::Refused { file: file.to_owned(), found, advice })
        };
        let subject = match &question.subject {
            None => None,
            Some(name) => match names.iter().position(|known| known == name) {
                Some(at) => Some(at),
                None => return refused(format!("there is no column {name:?}"), columns(names)),
            },
        };
        let fresh = || ColumnScan { is_number: true, ..ColumnScan::default() };
        let mut reading: Vec<ColumnScan> = names.iter().map(|_| fresh()).collect();
        let (mut rows, most) = (0, question.rows_max.min(ROWS_MAX - 1));
        source.visit(&mut |row| {
            reading.iter_mut().zip(row.cells).for_each(|(column, &cell)| column.see(cell));
            rows += 1;
            if rows < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        if rows == 0 {
            return refused("no row".into(), "bring rows to look at".into());
        }
        let mut columns: Vec<Coded> =
            reading.into_iter().zip(names).map(|(column, name)| column.coded(name)).collect();
        let subjects = subject.map(|at| columns.remove(at).codes);
        Ok(Self { rows, columns, subjects })
    }
}
