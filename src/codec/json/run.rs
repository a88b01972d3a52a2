//! Pieces of a document whose scalars are cells: reading them into rows, writing changes back.
//!
//! Every JSON format only finds such pieces; this file knows what is in them. serde_json has
//! validated a piece before it comes here, so splitting it takes no parser: brackets, commas and
//! blanks separate scalars.
//!
//! What it cannot see: the shape of nested arrays, `[1, [2, 3]]` reads as `[[1, 2], 3]`; a number
//! beyond `f64` is unreadable, one beyond `f32` infinite and left to validation.

use std::borrow::Cow;
use std::ops::Range;

use crate::codec::datatype::Datatype;
use crate::codec::edits::Edits;
use crate::codec::{Cell, Layout, Scalar};
use crate::record::Fault;

/// A piece of text. Its scalars fill `cells` of the first of `rows`, then of the next, and so on.
#[derive(Clone, Debug)]
pub struct Run<'t> {
    pub raw: &'t str,
    pub rows: Range<usize>,
    pub cells: Range<usize>,
    /// What the numbers are, if the document says it: integers are pixels, not model units.
    pub datatype: Option<Datatype>,
}

/// End of `rows` where the number of scalars tells how many rows there are.
pub const OPEN: usize = usize::MAX;

/// Takes runs as a format finds them.
pub type Sink<'s, 't> = dyn FnMut(Run<'t>) -> Result<(), Fault> + 's;

impl<'t> Run<'t> {
    /// All rows of a document, by position.
    pub fn open(raw: &'t str, layout: &Layout) -> Self {
        Self { raw, rows: 0..OPEN, cells: 0..layout.cells(), datatype: None }
    }

    /// Gives `take` each scalar with its row and cell; says how many rows there were.
    ///
    /// # Errors
    /// `take`'s, or `WrongArity` if there are too few or too many.
    fn each(
        &self,
        mut take: impl FnMut(usize, usize, &'t str) -> Result<(), Fault>,
    ) -> Result<usize, Fault> {
        let (mut row, mut cell, mut got) = (self.rows.start, self.cells.start, 0);
        for token in tokens(self.raw) {
            got += 1;
            if row < self.rows.end {
                take(row, cell, token)?;
            }
            cell += 1;
            if cell == self.cells.end {
                cell = self.cells.start;
                row += 1;
            }
        }
        let open = self.rows.end == OPEN;
        let whole = cell == self.cells.start && got > 0;
        if whole && (open || row == self.rows.end) {
            return Ok(row);
        }
        let expected = if open { 1 } else { self.rows.len() } * self.cells.len();
        Err(Fault::WrongArity { got, expected })
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

    /// Reads a run into its rows.
    pub fn read(&mut self, run: &Run<'_>) -> Result<(), Fault> {
        if run.rows.end != OPEN {
            self.begin(run.rows.end)?;
        }
        let (layout, width) = (self.layout, self.layout.width());
        let rows_max = layout.rows_max();
        let n = run.each(|row, cell, token| {
            if row >= self.begun {
                // Rows past the limit are counted, for the message, but not kept.
                if row >= rows_max {
                    return Ok(());
                }
                self.begin(row + 1)?;
            }
            let row = &mut self.rows[self.start + row * width..][..width];
            let unreadable = || Fault::Unreadable { at: offset(token, self.text) };
            let value = scalar(token).ok_or_else(unreadable)?;
            let value = match (value.scalar(), run.datatype) {
                (Scalar::Number(x), Some(datatype)) => datatype.scalar(x, layout.scale_of(cell)),
                (scalar, _) => scalar,
            };
            layout.put(row, cell, value)
        })?;
        self.begin(n)
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
    let written = run.each(|row, cell, token| {
        let row = row * width..(row + 1) * width;
        if let Some(change) = layout.change(&before[row.clone()], &after[row], cell) {
            let at = offset(token, text);
            let with = respell(token, change, run.datatype, layout.scale_of(cell));
            edits.put(at..at + token.len(), with.as_deref().unwrap_or(token).as_bytes());
        }
        Ok(())
    });
    written.expect("the original holds these rows");
}

/// How many scalars `raw` has.
pub fn count(raw: &str) -> usize {
    tokens(raw).count()
}

/// Where `part` begins in `text`, of which it is a slice.
pub fn offset(part: &str, text: &str) -> usize {
    part.as_ptr().addr() - text.as_ptr().addr()
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

/// A scalar and, if it had to be unescaped, the text it borrows.
enum Value<'t> {
    Plain(Scalar<'t>),
    Text(Cow<'t, str>),
}

impl Value<'_> {
    fn scalar(&self) -> Scalar<'_> {
        match self {
            Self::Plain(scalar) => *scalar,
            Self::Text(text) => Scalar::Text(text),
        }
    }
}

/// What a token says; `None` if it is an object, a string that no text is written as, or a number
/// beyond `f64`.
fn scalar(token: &str) -> Option<Value<'_>> {
    Some(match token.as_bytes()[0] {
        b'"' if !token.contains('\\') => Value::Text(Cow::Borrowed(&token[1..token.len() - 1])),
        b'"' => Value::Text(Cow::Owned(serde_json::from_str(token).ok()?)),
        b't' => Value::Plain(Scalar::Bool(true)),
        b'f' => Value::Plain(Scalar::Bool(false)),
        b'n' => Value::Plain(Scalar::Null),
        b'{' => return None,
        _ => Value::Plain(Scalar::Number(token.parse().ok().filter(|x: &f64| x.is_finite())?)),
    })
}

/// The scalars of `raw`, which is valid JSON. Of an object comes a brace, which nothing reads.
fn tokens(raw: &str) -> impl Iterator<Item = &str> {
    let bytes = raw.as_bytes();
    let between = |byte: u8| matches!(byte, b'[' | b']' | b',' | b' ' | b'\t' | b'\n' | b'\r');
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().position(|&byte| !between(byte))?;
        let start = at;
        at += match bytes[at] {
            b'"' => string(&bytes[at..]),
            b'{' => 1,
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
