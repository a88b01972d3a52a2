//! Which values of a record with named fields are cells, and what is done with them.
//!
//! The formats walk the bytes and know how a value is written; a [`Harvest`] knows what to do with
//! it: [`Fill`] puts it into a row, [`Splice`] notes where it stands and what should stand there.
//! Nothing is decoded into a tree, so what a value claims about its size costs nothing.

use std::ops::Range;

use super::wanted::Wanted;
use crate::codec::{Cell, Layout, Scalar};
use crate::record::Fault;

impl Wanted {
    /// Cells of each pointer; `count` walks the value if only that can tell.
    ///
    /// # Errors
    /// If the first row has another number of values than the schema.
    fn ranges(
        &self,
        layout: &Layout,
        count: impl FnOnce(&mut Count) -> Result<(), Fault>,
    ) -> Result<Vec<Range<usize>>, Fault> {
        if let Some(ranges) = &self.ranges {
            return Ok(ranges.clone());
        }
        let mut counted = Count { counts: vec![0; self.pointers], rows: 0 };
        count(&mut counted)?;
        let ends = counted.counts.iter().scan(0, |end: &mut usize, &count| {
            *end += count;
            Some(*end - count..*end)
        });
        let ranges: Vec<Range<usize>> = ends.collect();
        match ranges.last().map_or(0, |last| last.end) {
            got if got == layout.cells() => Ok(ranges),
            got => Err(Fault::WrongArity { got, expected: layout.cells() }),
        }
    }
}

/// Which of a pointer's values this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nth {
    /// Its only one; a second takes the place of the first.
    Only,
    /// One more.
    Next,
}

/// Writes what a cell should hold as the format writes it there; false if it cannot.
pub type Write<'a> = &'a dyn Fn(Cell<'_>, &mut Vec<u8>) -> bool;

/// Takes the cells of a value, in the order of its bytes.
pub trait Harvest {
    /// The next row begins.
    fn row(&mut self) -> Result<(), Fault>;

    /// A value of `pointer`, written in the bytes `span`.
    fn leaf(
        &mut self,
        pointer: usize,
        nth: Nth,
        span: Range<usize>,
        value: Scalar<'_>,
        write: Write<'_>,
    ) -> Result<(), Fault>;

    /// What `pointer` holds unless the bytes say otherwise.
    fn default(&mut self, pointer: usize, value: Scalar<'_>) -> Result<(), Fault>;

    /// `pointer` holds its default, and `at` is where its value would be written.
    fn unwritten(&mut self, pointer: usize, at: usize, write: Write<'_>);

    /// What `pointer` held is void.
    fn clear(&mut self, pointer: usize);

    /// A part begins whose length is written in front of it.
    fn open(&mut self) -> usize {
        0
    }

    /// The part since `mark` ends; `write` writes its length anew, given by how much it grew.
    fn close(&mut self, _mark: usize, _length: Range<usize>, _write: &dyn Fn(i64, &mut Vec<u8>)) {}
}

/// Reads every row of a value by `walk`; a fault leaves `rows` as it was.
pub fn decode(
    layout: &Layout,
    wanted: &Wanted,
    rows: &mut Vec<f32>,
    walk: &dyn Fn(&mut dyn Harvest) -> Result<(), Fault>,
) -> Result<usize, Fault> {
    let start = rows.len();
    let ranges = wanted.ranges(layout, |count| walk(count))?;
    let mut fill = Fill { layout, cursor: Cursor::new(ranges), rows, start };
    let read = walk(&mut fill).and_then(|()| fill.finish());
    read.inspect_err(|_| rows.truncate(start))
}

/// Appends `original` with `rows` in it to `out`.
pub fn encode(
    layout: &Layout,
    wanted: &Wanted,
    original: &[u8],
    rows: &[f32],
    out: &mut Vec<u8>,
    walk: &dyn Fn(&mut dyn Harvest) -> Result<(), Fault>,
) {
    const OURS: &str = "the original does not hold a row";
    let mut before = Vec::with_capacity(rows.len());
    decode(layout, wanted, &mut before, walk).expect(OURS);
    assert_eq!(before.len(), rows.len(), "other rows than the original's");
    let ranges = wanted.ranges(layout, |count| walk(count)).expect(OURS);
    let cursor = Cursor::new(ranges);
    let mut splice = Splice { layout, cursor, before: &before, rows, edits: vec![], bytes: vec![] };
    walk(&mut splice).expect(OURS);
    let mut kept = 0;
    for (span, new) in splice.edits {
        out.extend_from_slice(&original[kept..span.start]);
        out.extend_from_slice(&splice.bytes[new]);
        kept = span.end;
    }
    out.extend_from_slice(&original[kept..]);
}

/// Where in a row the next value goes.
struct Cursor {
    ranges: Vec<Range<usize>>,
    /// Values met of each pointer in this row.
    counts: Vec<usize>,
    /// Rows begun.
    rows: usize,
}

impl Cursor {
    fn new(ranges: Vec<Range<usize>>) -> Self {
        Self { counts: vec![0; ranges.len()], ranges, rows: 0 }
    }

    fn row(&mut self) {
        self.counts.fill(0);
        self.rows += 1;
    }

    /// The cell of a value, or nothing if its pointer has no more of them.
    fn cell(&mut self, pointer: usize, nth: Nth) -> Option<usize> {
        let at = if nth == Nth::Only { 0 } else { self.counts[pointer] };
        self.counts[pointer] = at + 1;
        let range = &self.ranges[pointer];
        (at < range.len()).then(|| range.start + at)
    }

    /// # Errors
    /// If a pointer brought some of its cells, but not all.
    fn check(&self, cells: usize) -> Result<(), Fault> {
        let whole = |(count, range): (&usize, &Range<usize>)| *count == 0 || *count == range.len();
        match self.counts.iter().zip(&self.ranges).all(whole) {
            true => Ok(()),
            false => Err(Fault::WrongArity { got: self.counts.iter().sum(), expected: cells }),
        }
    }
}

/// Puts values into rows.
struct Fill<'a> {
    layout: &'a Layout,
    cursor: Cursor,
    rows: &'a mut Vec<f32>,
    start: usize,
}

impl Fill<'_> {
    fn put(&mut self, pointer: usize, nth: Nth, value: Scalar<'_>) -> Result<(), Fault> {
        let width = self.layout.width();
        let row = self.rows.len() - width;
        match self.cursor.cell(pointer, nth) {
            Some(cell) => self.layout.put(&mut self.rows[row..], cell, value),
            // One too many: the rest is not kept, nor counted.
            None => {
                let (got, expected) = (self.cursor.counts.iter().sum(), self.layout.cells());
                Err(Fault::WrongArity { got, expected })
            }
        }
    }

    fn finish(&self) -> Result<usize, Fault> {
        let n = (self.rows.len() - self.start) / self.layout.width();
        let nothing = Fault::WrongArity { got: 0, expected: self.layout.cells() };
        self.cursor.check(self.layout.cells())?;
        if n == 0 { Err(nothing) } else { Ok(n) }
    }
}

impl Harvest for Fill<'_> {
    fn row(&mut self) -> Result<(), Fault> {
        self.cursor.check(self.layout.cells())?;
        self.cursor.row();
        let (rows, rows_max) = (self.cursor.rows, self.layout.rows_max());
        if rows > rows_max {
            return Err(Fault::TooManyRows { rows, rows_max });
        }
        self.layout.begin(self.rows, 1).map(|_| ())
    }

    fn leaf(
        &mut self,
        pointer: usize,
        nth: Nth,
        _: Range<usize>,
        value: Scalar<'_>,
        _: Write<'_>,
    ) -> Result<(), Fault> {
        self.put(pointer, nth, value)
    }

    fn default(&mut self, pointer: usize, value: Scalar<'_>) -> Result<(), Fault> {
        self.put(pointer, Nth::Only, value)
    }

    fn unwritten(&mut self, _: usize, _: usize, _: Write<'_>) {}

    fn clear(&mut self, pointer: usize) {
        let row = self.rows.len() - self.layout.width();
        for cell in self.cursor.ranges[pointer].clone() {
            let nothing = self.layout.put(&mut self.rows[row..], cell, Scalar::Null);
            nothing.expect("every cell can be missing");
        }
        self.cursor.counts[pointer] = 0;
    }
}

/// Counts the values of each pointer in the first row.
struct Count {
    counts: Vec<usize>,
    rows: usize,
}

impl Harvest for Count {
    fn row(&mut self) -> Result<(), Fault> {
        self.rows += 1;
        Ok(())
    }

    fn leaf(
        &mut self,
        pointer: usize,
        nth: Nth,
        _: Range<usize>,
        _: Scalar<'_>,
        _: Write<'_>,
    ) -> Result<(), Fault> {
        if self.rows == 1 {
            let before = if nth == Nth::Only { 0 } else { self.counts[pointer] };
            self.counts[pointer] = before + 1;
        }
        Ok(())
    }

    fn default(&mut self, pointer: usize, _: Scalar<'_>) -> Result<(), Fault> {
        self.counts[pointer] = 1;
        Ok(())
    }

    fn unwritten(&mut self, _: usize, _: usize, _: Write<'_>) {}

    fn clear(&mut self, pointer: usize) {
        self.counts[pointer] = 0;
    }
}

/// Collects what must change in the bytes, in their order.
struct Splice<'a> {
    layout: &'a Layout,
    cursor: Cursor,
    before: &'a [f32],
    rows: &'a [f32],
    /// Bytes of the original, and what replaces them: bytes of `bytes`.
    edits: Vec<(Range<usize>, Range<usize>)>,
    bytes: Vec<u8>,
}

impl Splice<'_> {
    /// What the format cannot write there stays as it was: the result is read and judged again.
    fn change(&mut self, cell: usize, span: Range<usize>, write: Write<'_>) {
        let width = self.layout.width();
        let row = (self.cursor.rows - 1) * width..self.cursor.rows * width;
        let (before, after) = (&self.before[row.clone()], &self.rows[row]);
        let Some(change) = self.layout.change(before, after, cell) else { return };
        if let Cell::Number(x) = change {
            assert!(x.is_finite(), "the row is not finite");
        }
        let start = self.bytes.len();
        match write(change, &mut self.bytes) {
            true => self.edits.push((span, start..self.bytes.len())),
            false => self.bytes.truncate(start),
        }
    }
}

impl Harvest for Splice<'_> {
    fn row(&mut self) -> Result<(), Fault> {
        self.cursor.row();
        Ok(())
    }

    fn leaf(
        &mut self,
        pointer: usize,
        nth: Nth,
        span: Range<usize>,
        _: Scalar<'_>,
        write: Write<'_>,
    ) -> Result<(), Fault> {
        let cell = self.cursor.cell(pointer, nth).expect("it was read into a row");
        self.change(cell, span, write);
        Ok(())
    }

    fn default(&mut self, _: usize, _: Scalar<'_>) -> Result<(), Fault> {
        Ok(())
    }

    fn unwritten(&mut self, pointer: usize, at: usize, write: Write<'_>) {
        let cell = self.cursor.cell(pointer, Nth::Only).expect("it was read into a row");
        self.change(cell, at..at, write);
    }

    fn clear(&mut self, pointer: usize) {
        self.cursor.counts[pointer] = 0;
    }

    fn open(&mut self) -> usize {
        self.edits.len()
    }

    fn close(&mut self, mark: usize, length: Range<usize>, write: &dyn Fn(i64, &mut Vec<u8>)) {
        let growth =
            |(old, new): &(Range<usize>, Range<usize>)| new.len() as i64 - old.len() as i64;
        let grown: i64 = self.edits[mark..].iter().map(growth).sum();
        if grown != 0 {
            let start = self.bytes.len();
            write(grown, &mut self.bytes);
            self.edits.insert(mark, (length, start..self.bytes.len()));
        }
    }
}
