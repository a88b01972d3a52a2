//! What a row looks like in dimensions, and what a tensor's dimensions say of its rows.

use std::ops::Range;

use super::{Layout, Place};
use crate::record::{Ambiguity, Fault};

/// The lengths of a tensor's dimensions; none for one element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shape {
    lengths: [usize; DIMENSIONS_MAX],
    dimensions: usize,
    pub elements: usize,
}

/// Dimensions that a tensor may have. numpy's limit is 64; rows of ours have at most three, and a
/// batch before them.
const DIMENSIONS_MAX: usize = 8;

/// What a row looks like: so many cells, which may be an image's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RowShape {
    cells: usize,
    image: Option<[usize; 3]>,
}

impl RowShape {
    /// Of a whole row: an image only if that is all there is.
    pub fn whole(layout: &Layout) -> Self {
        match layout.places() {
            [place] => Self::of(place),
            _ => Self { cells: layout.cells(), image: None },
        }
    }

    /// Of one feature.
    pub fn of(place: &Place) -> Self {
        Self { cells: place.cells.len(), image: place.image }
    }

    /// Whether nested lists of these lengths are one row.
    pub fn is(&self, lengths: &[usize]) -> bool {
        let long = |length: &&usize| **length != 1;
        let is = |row: &[usize]| lengths.iter().filter(long).eq(row.iter().filter(long));
        is(&[self.cells]) || self.image.is_some_and(|image| is(&image))
    }

    /// Whether they are one row for a reader who keeps every dimension.
    pub fn is_exactly(&self, lengths: &[usize]) -> bool {
        lengths == [self.cells]
            || self.image.is_some_and(|[channels, height, width]| {
                lengths == [channels, height, width] || channels == 1 && lengths == [height, width]
            })
    }
}

impl Default for Shape {
    fn default() -> Self {
        Self { lengths: [0; DIMENSIONS_MAX], dimensions: 0, elements: 1 }
    }
}

impl Shape {
    /// Takes the next dimension; nothing if it is negative, if there are too many, or if there are
    /// more elements than can be counted.
    pub fn push(&mut self, length: i64) -> Option<()> {
        let length = usize::try_from(length).ok()?;
        *self.lengths.get_mut(self.dimensions)? = length;
        self.dimensions += 1;
        self.elements = self.elements.checked_mul(length)?;
        Some(())
    }

    pub fn lengths(&self) -> &[usize] {
        &self.lengths[..self.dimensions]
    }

    /// The rows that this tensor holds if each looks like `row`.
    ///
    /// # Errors
    /// `WrongArity` if it has other elements than rows of so many cells; `Ambiguous` if it has as
    /// many, in other dimensions.
    pub fn rows(&self, row: RowShape) -> Result<usize, Fault> {
        let Some((&n, inner)) = self.lengths().split_first() else {
            return Err(Fault::WrongArity { got: self.elements, expected: row.cells });
        };
        if n == 0 || n.checked_mul(row.cells) != Some(self.elements) {
            return Err(Fault::WrongArity { got: self.elements, expected: row.cells });
        }
        if row.is(inner) { Ok(n) } else { Err(Fault::Ambiguous(Ambiguity::Shape)) }
    }
}

impl Layout {
    /// What nested arrays of these cells look like: all of them, or those of a feature. `None` for a
    /// row of several features with an image among them, which is no regular array.
    pub(super) fn row_shape(&self, cells: &Range<usize>) -> Option<RowShape> {
        if let Some(place) = self.places().iter().find(|place| place.cells == *cells) {
            return Some(RowShape::of(place));
        }
        let flat = self.places().iter().all(|place| place.image.is_none());
        flat.then(|| RowShape::whole(self))
    }
}
