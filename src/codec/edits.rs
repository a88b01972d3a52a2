//! Changes to be made to a value: its own bytes, but for some ranges.

use std::ops::Range;

/// Ranges of a value and what shall stand there instead. Ranges do not overlap.
#[derive(Debug, Default)]
pub(super) struct Edits {
    /// All new bytes, one after the other.
    text: Vec<u8>,
    /// Bytes of the value, and of `text`.
    edits: Vec<(Range<usize>, Range<usize>)>,
}

impl Edits {
    /// Puts `with` in place of `range`.
    pub fn put(&mut self, range: Range<usize>, with: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(with);
        self.edits.push((range, start..self.text.len()));
    }

    /// Appends `value` with all changes made.
    pub fn apply(self, value: &[u8], out: &mut Vec<u8>) {
        self.apply_from(0, value, out);
    }

    /// Appends what stands behind `value[..kept]` with all changes made.
    ///
    /// # Panics
    /// If ranges overlap, or leave that part of the value.
    pub fn apply_from(mut self, mut kept: usize, value: &[u8], out: &mut Vec<u8>) {
        self.edits.sort_unstable_by_key(|(range, _)| range.start);
        for (range, with) in self.edits {
            out.extend_from_slice(&value[kept..range.start]);
            out.extend_from_slice(&self.text[with]);
            kept = range.end;
        }
        out.extend_from_slice(&value[kept..]);
    }
}
