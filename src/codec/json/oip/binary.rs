//! The tensors behind the JSON of a V2 request: bytes, little-endian, row-major, no gaps.

use std::ops::Range;

use crate::codec::datatype::Datatype;
use crate::codec::edits::Edits;
use crate::codec::{Cell, Layout, Scalar};
use crate::record::Fault;

/// Where the elements of a binary tensor are in the value, and which cells they fill.
pub(super) struct Binary {
    pub bytes: Range<usize>,
    pub rows: Range<usize>,
    pub cells: Range<usize>,
    pub datatype: Datatype,
}

impl Binary {
    /// Gives `take` each element with its row, cell and place in the value.
    fn each(
        &self,
        value: &[u8],
        mut take: impl FnMut(usize, usize, Range<usize>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let expected = self.rows.len() * self.cells.len();
        let (mut at, end) = (self.bytes.start, self.bytes.end);
        if let Some(size) = self.datatype.size()
            && self.bytes.len() != expected.saturating_mul(size)
        {
            return Err(Fault::WrongArity { got: self.bytes.len() / size, expected });
        }
        for row in self.rows.clone() {
            for cell in self.cells.clone() {
                let size = match self.datatype.size() {
                    Some(size) => size,
                    // The length of a string comes first, in four bytes.
                    None => {
                        let length = value[at..end].first_chunk::<4>();
                        let length = length.map(|length| u32::from_le_bytes(*length) as usize);
                        let size = length.and_then(|length| length.checked_add(4));
                        let size = size.filter(|&size| size <= end - at);
                        size.ok_or(Fault::Unreadable { at })?
                    }
                };
                take(row, cell, at..at + size)?;
                at += size;
            }
        }
        if at == end { Ok(()) } else { Err(Fault::Unreadable { at }) }
    }

    /// Reads the tensor into the rows of the request, `[n · width]`.
    pub fn read(&self, layout: &Layout, value: &[u8], rows: &mut [f32]) -> Result<(), Fault> {
        let width = layout.width();
        self.each(value, |row, cell, place| {
            let bytes = &value[place.clone()];
            let scalar = match self.datatype {
                Datatype::Bytes => {
                    let text = std::str::from_utf8(&bytes[4..]);
                    Scalar::Text(text.map_err(|_| Fault::Unreadable { at: place.start })?)
                }
                datatype => datatype.scalar(datatype.read(bytes), layout.scale_of(cell))?,
            };
            layout.put(&mut rows[row * width..][..width], cell, scalar)
        })
    }

    /// Notes the changes; says by how many bytes the tensor grows.
    pub fn edit(
        &self,
        layout: &Layout,
        value: &[u8],
        before: &[f32],
        after: &[f32],
        edits: &mut Edits,
    ) -> isize {
        let (width, mut grown, mut with) = (layout.width(), 0, vec![]);
        let written = self.each(value, |row, cell, place| {
            let row = row * width..(row + 1) * width;
            let Some(change) = layout.change(&before[row.clone()], &after[row], cell) else {
                return Ok(());
            };
            if let Cell::Number(x) = change {
                assert!(x.is_finite(), "the row is not finite");
            }
            with.clear();
            match (self.datatype, change) {
                (Datatype::Bytes, Cell::Word(word)) => {
                    with.extend((word.len() as u32).to_le_bytes());
                    with.extend_from_slice(word.as_bytes());
                }
                // What the datatype cannot say stays, and the second judgement sees it.
                (datatype, change) => match datatype.number(change, layout.scale_of(cell)) {
                    Some(number) => datatype.write(number, &mut with),
                    None => return Ok(()),
                },
            }
            grown += with.len() as isize - place.len() as isize;
            edits.put(place, &with);
            Ok(())
        });
        written.expect("the original holds these rows");
        grown
    }
}
