//! Pieces of a document whose scalars are cells: reading them into rows, writing changes back.
//!
//! Every JSON format only finds such pieces; this file knows what is in them. serde_json reads and
//! validates them. What is written back has been read before, so splitting it takes no parser:
//! brackets, commas and blanks separate scalars.
//!
//! [`super::nest`] says whether the arrays around the scalars are the rows that they fill. A number
//! beyond `f64` is unreadable, one beyond `f32` infinite and left to validation.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

pub use super::nest::Form;
use super::nest::Nest;
use crate::codec::datatype::Datatype;
use crate::codec::edits::Edits;
use crate::codec::{Cell, Layout, Scalar};
use crate::open::object::{offset, unreadable};
use crate::record::{Ambiguity, Fault};

/// A piece of text. Its scalars fill `cells` of the first of `rows`, then of the next, and so on.
#[derive(Clone, Debug)]
pub struct Run<'t> {
    pub raw: &'t str,
    pub rows: Range<usize>,
    pub cells: Range<usize>,
    /// What the numbers are, if the document says it: integers are pixels, not model units.
    pub datatype: Option<Datatype>,
    /// What nested arrays mean.
    pub form: Form,
}

/// End of `rows` where the number of scalars tells how many rows there are.
pub const OPEN: usize = usize::MAX;

/// Takes runs as a format finds them.
pub type Sink<'s, 't> = dyn FnMut(Run<'t>) -> Result<(), Fault> + 's;

impl<'t> Run<'t> {
    /// All rows of `raw`, by position.
    pub fn open(raw: &'t str, layout: &Layout, form: Form) -> Self {
        Self { raw, rows: 0..OPEN, cells: 0..layout.cells(), datatype: None, form }
    }
}

/// Rows in the making, behind whatever `rows` held.
pub struct Reader<'a> {
    layout: &'a Layout,
    text: &'a str,
    rows: &'a mut Vec<f32>,
    start: usize,
    begun: usize,
}

impl<'a> Reader<'a> {
    pub fn new(layout: &'a Layout, text: &'a str, rows: &'a mut Vec<f32>) -> Self {
        Self { layout, text, start: rows.len(), rows, begun: 0 }
    }

    /// Makes room for `n` rows in all; what no run fills is missing.
    pub fn begin(&mut self, n: usize) -> Result<(), Fault> {
        let rows_max = self.layout.rows_max();
        if n > rows_max {
            return Err(Fault::TooManyRows { rows: n, rows_max });
        }
        if n > self.begun {
            self.layout.begin(self.rows, n - self.begun)?;
            self.begun = n;
        }
        Ok(())
    }

    /// The rows that have begun, `[n · width]`.
    pub fn rows(&mut self) -> &mut [f32] {
        &mut self.rows[self.start..]
    }

    /// Says how many rows there are, if the format found `n`.
    pub fn finish(mut self, n: usize) -> Result<usize, Fault> {
        self.begin(n)?;
        Ok(self.begun)
    }

    /// Reads a run into its rows: this is where it is validated, if its format did not.
    pub fn read(&mut self, run: &Run<'_>) -> Result<(), Fault> {
        if run.rows.end != OPEN {
            self.begin(run.rows.end)?;
        }
        let text = self.text;
        let place = Place { run, row: run.rows.start, cell: run.cells.start, got: 0 };
        let nest = Nest::new(run.cells.len());
        let mut fill = Fill { reader: self, place, nest, fault: None };
        let mut document = serde_json::Deserializer::from_str(run.raw);
        let read = fill.deserialize(&mut document).and_then(|()| document.end());
        match (fill.fault, read) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(unreadable(&error, run.raw, text)),
            (None, Ok(())) => {
                let n = fill.place.rows()?;
                fill.nest.check(run.form)?;
                self.begin(n)
            }
        }
    }
}

/// Where in its rows a run stands.
#[derive(Clone, Debug)]
struct Place<'r, 't> {
    run: &'r Run<'t>,
    row: usize,
    cell: usize,
    got: usize,
}

impl Place<'_, '_> {
    fn step(&mut self) {
        self.got += 1;
        self.cell += 1;
        if self.cell == self.run.cells.end {
            self.cell = self.run.cells.start;
            self.row += 1;
        }
    }

    /// How many rows there are, now that all scalars were met.
    fn rows(&self) -> Result<usize, Fault> {
        let (run, got) = (self.run, self.got);
        let open = run.rows.end == OPEN;
        let whole = self.cell == run.cells.start && got > 0;
        if whole && (open || self.row == run.rows.end) {
            return Ok(self.row);
        }
        let expected = if open { 1 } else { run.rows.len() } * run.cells.len();
        Err(Fault::WrongArity { got, expected })
    }
}

/// Puts scalars in their places as serde_json meets them.
struct Fill<'f, 'a, 'r, 't> {
    reader: &'f mut Reader<'a>,
    place: Place<'r, 't>,
    nest: Nest,
    fault: Option<Fault>,
}

impl Fill<'_, '_, '_, '_> {
    fn put<E: Error>(&mut self, value: Scalar<'_>) -> Result<(), E> {
        let Place { run, row, cell, .. } = self.place;
        self.place.step();
        self.nest.scalar();
        let layout = self.reader.layout;
        // Rows past the limit are counted, for the message, but not kept.
        if row >= run.rows.end || row >= layout.rows_max() {
            return Ok(());
        }
        let value = match (value, run.datatype) {
            (Scalar::Number(x), Some(datatype)) => datatype.scalar(x, layout.scale_of(cell)),
            // A reader makes a number of it: any word that is not empty is true to a `BOOL`.
            (Scalar::Text(_), Some(datatype)) if datatype != Datatype::Bytes => {
                Err(Fault::Ambiguous(Ambiguity::Number))
            }
            (value, _) => Ok(value),
        };
        let begun = if row < self.reader.begun { Ok(()) } else { self.reader.begin(row + 1) };
        let width = layout.width();
        let start = self.reader.start + row * width;
        let put = begun
            .and(value)
            .and_then(|value| layout.put(&mut self.reader.rows[start..start + width], cell, value));
        put.map_err(|fault| {
            self.fault = Some(fault);
            E::custom("a fault")
        })
    }
}

impl<'de> DeserializeSeed<'de> for &mut Fill<'_, '_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Fill<'_, '_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or an array of values")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.put(Scalar::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.put(Scalar::Number(number as f64))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.put(Scalar::Number(number as f64))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<(), E> {
        self.put(Scalar::Bool(truth))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.put(Scalar::Text(text))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.put(Scalar::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        self.nest.enter();
        let mut length = 0;
        while array.next_element_seed(&mut *self)?.is_some() {
            length += 1;
        }
        self.nest.leave(length);
        Ok(())
    }
}

/// Notes in `edits` the changes between `before` and `after`, both `[n · width]`, to what `run`
/// holds of `text`.
///
/// A value that did not change keeps its spelling; one that did is written in the JSON type it had
/// where that can hold it. Numbers are the shortest decimal of the `f32`.
///
/// # Panics
/// If the run does not hold its part of `before`, or a number is not finite.
pub fn edit(
    layout: &Layout,
    text: &str,
    run: &Run<'_>,
    before: &[f32],
    after: &[f32],
    edits: &mut Edits,
) {
    let width = layout.width();
    let mut place = Place { run, row: run.rows.start, cell: run.cells.start, got: 0 };
    for token in tokens(run.raw) {
        let (row, cell) = (place.row * width..(place.row + 1) * width, place.cell);
        place.step();
        if let Some(change) = layout.change(&before[row.clone()], &after[row], cell) {
            let at = offset(token, text);
            let with = respell(token, change, run.datatype, layout.scale_of(cell));
            edits.put(at..at + token.len(), with.as_deref().unwrap_or(token).as_bytes());
        }
    }
}

/// How many scalars `raw` has.
pub fn count(raw: &str) -> usize {
    tokens(raw).count()
}

/// `cell` as `token` would have been written; nothing if its datatype cannot say it.
fn respell(token: &str, cell: Cell<'_>, datatype: Option<Datatype>, scale: f32) -> Option<String> {
    if let Cell::Number(x) = cell {
        assert!(x.is_finite(), "the row is not finite");
    }
    let truth = matches!(token.as_bytes()[0], b't' | b'f');
    match datatype {
        None | Some(Datatype::Bytes) => Some(spelling(token, cell)),
        Some(datatype) => datatype.number(cell, scale).map(|number| match (datatype, cell) {
            (Datatype::Bool, _) if truth => (number != 0.0).to_string(),
            (Datatype::Fp16 | Datatype::Bf16, _) => {
                let mut bytes = Vec::with_capacity(2);
                datatype.write(number, &mut bytes);
                shortest(datatype.read(&bytes) as f32)
            }
            (Datatype::Fp32 | Datatype::Fp64, Cell::Number(x)) => shortest(x),
            (Datatype::Fp32 | Datatype::Fp64, Cell::Word(_)) => number.to_string(),
            (Datatype::Uint64, _) => (number as u64).to_string(),
            _ => (number as i64).to_string(),
        }),
    }
}

/// `cell` in the JSON type of `token`, if that can hold it: a truth value stays one, and a word
/// that was a number is one if it reads as the same word again.
fn spelling(token: &str, cell: Cell<'_>) -> String {
    let first = token.as_bytes()[0];
    match cell {
        Cell::Number(x) if matches!(first, b't' | b'f') => (x >= 0.5).to_string(),
        Cell::Number(x) => shortest(x),
        Cell::Word(word) => {
            let number = word.parse::<f64>().ok().filter(|x| x.is_finite());
            let bare = match first {
                b'"' => false,
                b't' | b'f' => matches!(word, "true" | "false"),
                _ => number.is_some_and(|x| x.to_string() == word),
            };
            if bare { word.to_owned() } else { serde_json::Value::from(word).to_string() }
        }
    }
}

/// The shortest decimal that reads as `x`.
fn shortest(x: f32) -> String {
    serde_json::to_string(&x).expect("a number can be written")
}

/// The scalars of `raw`, which is valid JSON; of an object, whatever comes between its commas.
fn tokens(raw: &str) -> impl Iterator<Item = &str> {
    let bytes = raw.as_bytes();
    let between = |byte: u8| matches!(byte, b'[' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r');
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().position(|&byte| !between(byte))?;
        let start = at;
        at += match bytes[at] {
            b'"' => string(&bytes[at..]),
            _ => bytes[at..].iter().position(|&b| between(b)).unwrap_or(bytes.len() - at),
        };
        Some(&raw[start..at])
    })
}

/// Length of the string that `bytes` begin with, its quotes included.
fn string(bytes: &[u8]) -> usize {
    let mut escaped = false;
    let end = bytes.iter().skip(1).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(bytes.len(), |end| end + 2)
}
