//! Wire bytes ↔ rows: one file per format. This file holds the trait and the roster.

mod f32_le;
mod format;
pub mod json;
mod raw_u8;

use crate::record::{Fault, Schema};

pub use f32_le::F32Le;
pub use format::{BadFormat, Format};
pub use json::Json;
pub use raw_u8::RawU8;

/// Reads a record's value into a row and writes a row back in the same format.
pub trait Codec: Send + Sync {
    /// Appends the row in `value`, `width` numbers in model units, to `rows`.
    ///
    /// # Errors
    /// What is wrong with the value; `rows` is then as it was. Never panics, whatever the bytes.
    /// What it allocates is bounded by the schema's width and the length of the value.
    fn decode(&self, value: &[u8], rows: &mut Vec<f32>) -> Result<(), Fault>;

    /// Appends to `out` the bytes of `original` with its row replaced by `row`; whatever else
    /// the value holds stays byte for byte.
    ///
    /// # Panics
    /// If `original` is not a value that [`Codec::decode`] reads, or `row` is not finite or not
    /// `width` long: that is our bug.
    fn encode(&self, original: &[u8], row: &[f32], out: &mut Vec<u8>);
}

/// Every codec, ready for one stream's schema: a record's header may ask for any of them.
#[derive(Debug)]
pub struct Codecs {
    default: Format,
    json: Json,
    f32_le: F32Le,
    u8: RawU8,
}

impl Codecs {
    /// Codecs for rows of `schema`; `default` reads the records that do not say what they are.
    pub fn new(schema: &Schema, default: Format, json: &json::Config) -> Self {
        Self {
            default,
            json: Json::new(schema, json),
            f32_le: F32Le::new(schema),
            u8: RawU8::new(schema),
        }
    }

    pub fn get(&self, format: Format) -> &dyn Codec {
        match format {
            Format::Json => &self.json,
            Format::F32Le => &self.f32_le,
            Format::U8 => &self.u8,
        }
    }

    /// The codec that a record's `content-type` header asks for, or the default without one.
    ///
    /// # Errors
    /// `UnknownFormat` if the header is there and names none of ours: guessing would score noise.
    pub fn pick(&self, content_type: Option<&[u8]>) -> Result<&dyn Codec, Fault> {
        let format = match content_type {
            Some(header) => Format::of_content_type(header).ok_or(Fault::UnknownFormat)?,
            None => self.default,
        };
        Ok(self.get(format))
    }
}

/// What the tests of every codec hold it to.
#[cfg(test)]
mod conformance {
    use super::*;

    /// No bytes panic; a fault leaves `rows` as it was; a value adds exactly one row.
    pub fn check_decode(codec: &dyn Codec, width: usize, value: &[u8]) -> Option<Vec<f32>> {
        let before = [7.0, -1.5];
        let mut rows = before.to_vec();
        let read = codec.decode(value, &mut rows);
        assert_eq!(rows[..2], before);
        match read {
            Ok(()) => assert_eq!(rows.len(), 2 + width),
            Err(_) => assert_eq!(rows.len(), 2, "a fault left numbers behind"),
        }
        read.ok().map(|()| rows.split_off(2))
    }

    /// The bytes of `original` with `row` in it; `out` must keep what it held.
    pub fn encode(codec: &dyn Codec, original: &[u8], row: &[f32]) -> Vec<u8> {
        let mut out = b"kept".to_vec();
        codec.encode(original, row, &mut out);
        assert_eq!(&out[..4], b"kept");
        out.split_off(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Feature;

    fn codecs(default: Format) -> Codecs {
        let feature = Feature::Number { name: "x".into(), min: 0.0, max: 1.0 };
        Codecs::new(&Schema { features: vec![feature] }, default, &json::Config::default())
    }

    fn check_pick(header: Option<&[u8]>, value: &[u8], expected: Result<f32, Fault>) {
        let codecs = codecs(Format::U8);
        let mut rows = Vec::new();
        let read = codecs.pick(header).and_then(|codec| codec.decode(value, &mut rows));
        assert_eq!(read.map(|()| rows[0]), expected);
    }

    #[test]
    fn the_header_wins_over_the_default_and_its_absence_means_the_default() {
        check_pick(None, &[9], Ok(9.0));
        check_pick(Some(b"application/json"), b"[0.5]", Ok(0.5));
        check_pick(Some(b"application/x-f32-le"), &0.25_f32.to_le_bytes(), Ok(0.25));
    }

    #[test]
    fn an_unknown_or_unreadable_header_is_a_fault_not_the_default() {
        for header in [&b"text/csv"[..], b"", b"\xff", b"application/json; x=\xff"] {
            check_pick(Some(header), &[9], Err(Fault::UnknownFormat));
        }
    }
}
