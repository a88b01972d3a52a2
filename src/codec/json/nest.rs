//! The shape of nested arrays, seen while their scalars are read.
//!
//! Scalars are read in order, whatever arrays stand around them. A reader makes an array of what it
//! reads, and that array has dimensions: `[[1, 2, 3], [4, 5, 6]]` is two rows of three, never one of six.

use crate::codec::shape::RowShape;
use crate::record::{Ambiguity, Fault};

/// What nested arrays mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Form {
    /// Nothing: the format says elsewhere how many rows there are, or nobody does.
    Any,
    /// The dimensions of one row, or of one feature's cells in it.
    Row(Option<RowShape>),
    /// The outermost array holds rows.
    Rows(Option<RowShape>),
    /// A document: its outermost array holds rows, or it is itself one row.
    Document(Option<RowShape>),
}

/// The lengths of the arrays met so far.
#[derive(Debug)]
pub(super) struct Nest {
    depth: usize,
    lengths: [Option<usize>; DEPTH_MAX],
    /// At which depth scalars stand.
    leaf: Option<usize>,
    regular: bool,
    /// Every element of the outermost array is an array of as many scalars as a row has cells.
    rows: bool,
    cells: usize,
    /// Scalars met, and how many of them before the element of the outermost array that is open.
    met: usize,
    before: usize,
}

/// A batch, and the dimensions of an image.
const DEPTH_MAX: usize = 8;

impl Nest {
    pub fn new(cells: usize) -> Self {
        Self {
            depth: 0,
            lengths: [None; DEPTH_MAX],
            leaf: None,
            regular: true,
            rows: true,
            cells,
            met: 0,
            before: 0,
        }
    }

    pub fn scalar(&mut self) {
        self.regular &= *self.leaf.get_or_insert(self.depth) == self.depth;
        self.rows &= self.depth > 1;
        self.met += 1;
    }

    pub fn enter(&mut self) {
        self.depth += 1;
        if self.depth == 2 {
            self.before = self.met;
        }
    }

    /// Leaves an array of so many elements.
    pub fn leave(&mut self, length: usize) {
        if self.depth == 2 {
            self.rows &= self.met - self.before == self.cells;
        }
        self.depth -= 1;
        match self.lengths.get_mut(self.depth) {
            Some(known) => self.regular &= *known.get_or_insert(length) == length,
            None => self.regular = false,
        }
    }

    /// # Errors
    /// If the arrays are no rows of the form.
    pub fn check(&self, form: Form) -> Result<(), Fault> {
        let one = self.met == self.cells;
        let dimensions = self.leaf.filter(|&leaf| self.regular && leaf <= DEPTH_MAX);
        let mut lengths = [0; DEPTH_MAX];
        let lengths = dimensions.map(|dimensions| {
            let known = lengths.iter_mut().zip(&self.lengths);
            known.for_each(|(length, known)| *length = known.unwrap_or(0));
            &lengths[..dimensions]
        });
        let rows = |row: RowShape| lengths.is_some_and(|l| !l.is_empty() && row.is(&l[1..]));
        let fits = match form {
            Form::Any => true,
            Form::Row(None) => one,
            Form::Row(Some(row)) => lengths.is_some_and(|lengths| row.is(lengths)),
            Form::Rows(None) => self.rows,
            Form::Rows(Some(row)) => rows(row),
            Form::Document(None) => self.rows || one,
            Form::Document(Some(row)) => {
                rows(row)
                    || lengths.is_some_and(|lengths| row.is_exactly(lengths))
                    || one && lengths.is_some_and(<[usize]>::is_empty)
            }
        };
        if fits { Ok(()) } else { Err(Fault::Ambiguous(Ambiguity::Shape)) }
    }
}
