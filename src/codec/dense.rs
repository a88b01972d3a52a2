//! Bare numbers, one per cell, row after row: what all formats without names share.

use super::{Cell, Layout, Scalar};
use crate::record::Fault;

/// The numbers of `N` bytes that `value` is.
///
/// # Errors
/// If the last one is cut off.
pub(super) fn numbers<const N: usize>(value: &[u8]) -> Result<&[[u8; N]], Fault> {
    let (numbers, rest) = value.as_chunks();
    match rest {
        [] => Ok(numbers),
        _ => Err(Fault::Unreadable { at: value.len() - rest.len() }),
    }
}

/// Appends the rows that `numbers` are, `read` one by one; says how many. A number's columns are
/// told by its place alone. `read` is given the column's scale. A number beyond `f32` is infinite
/// and left to validation.
///
/// # Errors
/// If they are not whole rows, or more than a record may hold, or the schema has what numbers
/// cannot say: words and ids.
pub(super) fn decode<T>(
    layout: &Layout,
    numbers: &[T],
    read: impl Fn(&T, f32) -> f64,
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
                *x = read(number, scale) as f32;
            }
        } else {
            for (cell, number) in numbers.iter().enumerate() {
                let value = Scalar::Number(read(number, layout.scale_of(cell)));
                layout.put(row, cell, value).expect("a number fits every cell of a numeric layout");
            }
        }
    }
    Ok(n)
}

/// Appends to `out` the bytes of `original`, which reads as `before`, with `rows` in place of its rows, both
/// `[n · width]`. A number that changed is the `N` bytes that `write` makes of it and of its column's scale.
///
/// # Panics
/// If a number to be written is not finite.
pub(super) fn encode<const N: usize>(
    layout: &Layout,
    (original, before): (&[u8], &[f32]),
    rows: &[f32],
    write: impl Fn(f64, f32) -> [u8; N],
    out: &mut Vec<u8>,
) {
    assert_eq!(before.len(), rows.len(), "other rows than the original's");
    let start = out.len();
    out.extend_from_slice(original);
    let (numbers, _) = out[start..].as_chunks_mut::<N>();
    let (cells, width) = (layout.cells(), layout.width());
    let pairs = before.chunks_exact(width).zip(rows.chunks_exact(width));
    for ((before, row), numbers) in pairs.zip(numbers.chunks_exact_mut(cells)) {
        for (cell, number) in numbers.iter_mut().enumerate() {
            let Some(change) = layout.change(before, row, cell) else { continue };
            let x = match change {
                Cell::Number(x) => {
                    assert!(x.is_finite(), "the row is not finite");
                    x.into()
                }
                Cell::Word(word) => word.parse().expect("a numeric layout has no other words"),
            };
            *number = write(x, layout.scale_of(cell));
        }
    }
}
