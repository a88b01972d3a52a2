//! Bare numbers, one per cell, row after row: what all formats without names share.

use super::{Cell, Layout, Scalar};
use crate::record::Fault;

/// Appends the rows that `numbers` are, `read` one by one; says how many. A number's columns are
/// told by its place alone. `read` is given the column's scale.
///
/// # Errors
/// If they are not whole rows, or more than a record may hold, or the schema has what numbers
/// cannot say: words and ids.
pub(super) fn decode<T>(
    layout: &Layout,
    numbers: &[T],
    read: impl Fn(&T, f32) -> f32,
    rows: &mut Vec<f32>,
) -> Result<usize, Fault> {
    let cells = layout.cells();
    if !layout.is_numeric() {
        return Err(Fault::UnknownFormat);
    }
    if numbers.is_empty() || !numbers.len().is_multiple_of(cells) {
        return Err(Fault::WrongArity { got: numbers.len(), expected: cells });
    }
    let (n, width) = (numbers.len() / cells, layout.width());
    let block = layout.begin(rows, n)?;
    for (row, numbers) in block.chunks_exact_mut(width).zip(numbers.chunks_exact(cells)) {
        if cells == width && layout.is_plain() {
            for ((x, number), &scale) in row.iter_mut().zip(numbers).zip(layout.scales()) {
                *x = read(number, scale);
            }
        } else {
            for (cell, number) in numbers.iter().enumerate() {
                let value = Scalar::Number(f64::from(read(number, layout.scale_of(cell))));
                layout.put(row, cell, value).expect("a number fits every cell of a numeric layout");
            }
        }
    }
    Ok(n)
}

/// Calls `write` with every cell that differs between `before` and `rows`, both `[n · width]`:
/// its place among all cells, its column's scale, and what it should hold.
///
/// # Panics
/// If a number to be written is not finite.
pub(super) fn changes(
    layout: &Layout,
    before: &[f32],
    rows: &[f32],
    mut write: impl FnMut(usize, Cell<'_>),
) {
    assert_eq!(before.len(), rows.len(), "other rows than the original's");
    let (cells, width) = (layout.cells(), layout.width());
    let pairs = before.chunks_exact(width).zip(rows.chunks_exact(width));
    for (i, (before, row)) in pairs.enumerate() {
        for cell in 0..cells {
            if let Some(change) = layout.change(before, row, cell) {
                if let Cell::Number(x) = change {
                    assert!(x.is_finite(), "the row is not finite");
                }
                write(i * cells + cell, change);
            }
        }
    }
}
