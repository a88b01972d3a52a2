//! Pieces of a document whose scalars are cells, read into rows.
//!
//! Every JSON format only finds such pieces; this file knows what is in them. serde_json reads and
//! validates them; `edit.rs` writes changes back.
//!
//! [`super::nest`] says whether the arrays around the scalars are the rows that they fill. A number
//! beyond `f64` is unreadable, one beyond `f32` infinite and left to validation.

use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};

pub use super::nest::Form;
use super::nest::Nest;
use crate::codec::datatype::Datatype;
use crate::codec::{Layout, Scalar, picture};
use crate::open::object::unreadable;
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
        let place = Place::new(run);
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
pub(super) struct Place<'r, 't> {
    run: &'r Run<'t>,
    pub row: usize,
    pub cell: usize,
    got: usize,
    /// What the scalars are, as the run says it.
    datatype: Option<Datatype>,
}

impl<'r, 't> Place<'r, 't> {
    pub fn new(run: &'r Run<'t>) -> Self {
        let (row, cell, datatype) = (run.rows.start, run.cells.start, run.datatype);
        Self { run, row, cell, got: 0, datatype }
    }

    pub fn step(&mut self) {
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
        let value = match (value, self.place.datatype) {
            (Scalar::Number(x), Some(datatype)) => datatype.scalar(x, layout.scale_of(cell)),
            // A reader makes a number of it: any word that is not empty is true to a `BOOL`.
            (Scalar::Text(_), Some(datatype)) if datatype != Datatype::Bytes => {
                Err(Fault::Ambiguous(Ambiguity::Number))
            }
            (value, None) => Ok(layout.read_word(cell, value)),
            (value, Some(_)) => Ok(value),
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

impl Fill<'_, '_, '_, '_> {
    /// Puts the pixels of an encoded image, as if they stood there in nested arrays.
    fn picture<E: Error>(&mut self, pixels: &[u8], [c, h, w]: [usize; 3]) -> Result<(), E> {
        let scale = self.reader.layout.scale_of(self.place.cell);
        let mut pixels = pixels.iter().map(|&pixel| f32::from(pixel) / scale);
        // They are no elements of a tensor of words.
        let datatype = self.place.datatype.take();
        self.nest.enter();
        for _ in 0..c {
            self.nest.enter();
            for _ in 0..h {
                self.nest.enter();
                for pixel in pixels.by_ref().take(w) {
                    self.put(Scalar::Number(pixel.into()))?;
                }
                self.nest.leave(w);
            }
            self.nest.leave(h);
        }
        self.nest.leave(c);
        self.place.datatype = datatype;
        Ok(())
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
        let cell = self.place.cell;
        let image = self.reader.layout.image_at(cell);
        let pixels = image.and_then(|image| Some((image, picture::decode(text, image)?)));
        match pixels {
            None => self.put(Scalar::Text(text)),
            Some((image, Ok(pixels))) => self.picture(&pixels, image),
            Some((_, Err(fault))) => {
                self.fault = Some(fault);
                Err(E::custom("a fault"))
            }
        }
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
