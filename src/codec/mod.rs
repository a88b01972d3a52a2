//! Wire bytes ↔ rows: one file per format. This file holds the trait and the roster.

use crate::record::Fault;

/// Reads a record's value into a row and writes a row back in the same format.
pub trait Codec: Send + Sync {
    /// Appends the row in `value`, `width` numbers in model units, to `rows`.
    ///
    /// # Errors
    /// What is wrong with the value; `rows` is then as it was. Never panics, whatever the bytes;
    /// allocates nothing but the growth of `rows`, which is bounded by the schema's width.
    fn decode(&self, value: &[u8], rows: &mut Vec<f32>) -> Result<(), Fault>;

    /// Appends to `out` the bytes of `original` with its row replaced by `row`; whatever else
    /// the value holds stays byte for byte.
    ///
    /// # Panics
    /// If `original` is not a value that [`Codec::decode`] reads, or `row` is not finite or not
    /// `width` long: that is our bug.
    fn encode(&self, original: &[u8], row: &[f32], out: &mut Vec<u8>);
}
