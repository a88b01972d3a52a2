//! Wire bytes ↔ rows: one file per format. This file holds the trait and the roster.

mod auto;
mod cloudevents;
mod datatype;
mod dense;
mod edits;
mod f32_le;
mod fields;
mod format;
mod json;
mod layout;
mod raw_u8;
#[cfg(test)]
mod table;
mod tensor;

use std::fmt;
use std::sync::Arc;

use self::auto::Rules;
use crate::record::{Fault, Schema};

pub use cloudevents::CloudEvents;
pub use f32_le::F32Le;
pub use fields::{BadFields, Fields};
pub use format::{BadFormat, Format};
pub use json::{Json, KserveV1, OipJson};
pub use layout::{Cell, Layout, Place, Scalar};
pub use raw_u8::RawU8;

/// Reads a record's value into rows and writes rows back in the same format.
pub trait Codec: fmt::Debug + Send + Sync {
    /// Appends the rows in `value`, each `width` numbers in model units, to `rows`, and says how
    /// many they are: at least one. What is missing is NaN in all its columns.
    ///
    /// # Errors
    /// What is wrong with the value; `rows` is then as it was. Never panics, whatever the bytes.
    /// What it allocates is bounded by the layout's rows and the length of the value.
    fn decode(
        &self,
        value: &[u8],
        headers: &Headers<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Fault>;

    /// Appends to `out` the bytes of `original` with its rows replaced by `rows`; what did not
    /// change, is missing or is no feature stays as it was, byte for byte where the format allows.
    ///
    /// # Panics
    /// If `original` is not a value that [`Codec::decode`] reads as that many rows, or a number is
    /// not finite: that is our bug.
    fn encode(&self, original: &[u8], headers: &Headers<'_>, rows: &[f32], out: &mut Vec<u8>);
}

/// The headers of a record that say how its value is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Headers<'a> {
    /// `content-type`
    pub content_type: Option<&'a [u8]>,
    /// `__value_schema_id`: the schema of a value without a frame, as Confluent's clients say it.
    pub schema_id: Option<&'a [u8]>,
    /// `Inference-Header-Content-Length`: where the JSON of a V2 request ends and tensors begin.
    pub json_length: Option<&'a [u8]>,
}

/// How a stream's values are read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// How values are written that do not say it themselves.
    pub format: Format,
    /// Where in a value the features are; unless given, each under its own name.
    pub fields: Option<Fields>,
    /// Larger values are not read; bounds the rows of a record too.
    pub value_bytes_max: usize,
}

/// Every codec, ready for one stream's schema: a record may be in any of their formats.
#[derive(Clone, Debug)]
pub struct Codecs {
    rules: Rules,
    roster: Vec<(Format, Arc<dyn Codec>)>,
}

impl Codecs {
    pub fn new(schema: &Schema, config: &Config) -> Self {
        let layout = Arc::new(Layout::new(schema, config.value_bytes_max));
        let fields = config.fields.as_ref();
        let mut roster: Vec<(Format, Arc<dyn Codec>)> = vec![
            (Format::Json, Arc::new(Json::new(layout.clone(), fields))),
            (Format::KserveV1, Arc::new(KserveV1::new(layout.clone(), fields))),
            (Format::OipJson, Arc::new(OipJson::new(layout.clone()))),
            (Format::F32Le, Arc::new(F32Le::new(layout.clone()))),
            (Format::U8, Arc::new(RawU8::new(layout.clone()))),
        ];
        let registry = roster.iter().any(|&(format, _)| format == Format::Confluent);
        let rules = Rules::new(&layout, config.format, fields, registry);
        // An envelope holds any of the formats above, but no envelope.
        let inside = Self { rules: rules.inside(), roster: roster.clone() };
        roster.push((Format::CloudEvents, Arc::new(CloudEvents::new(inside))));
        Self { rules, roster }
    }

    /// The codec of a format. There is none of `auto`, and none of `confluent` without a registry.
    pub fn get(&self, format: Format) -> Option<&dyn Codec> {
        let (_, codec) = self.roster.iter().find(|(of, _)| *of == format)?;
        Some(&**codec)
    }

    /// The codec of a record, by its headers, its stream or its bytes; `auto.rs` has the order.
    ///
    /// # Errors
    /// `UnknownFormat` if they name none of ours: guessing would score noise.
    pub fn pick(&self, headers: &Headers<'_>, value: &[u8]) -> Result<&dyn Codec, Fault> {
        self.get(self.rules.pick(headers, value)?).ok_or(Fault::UnknownFormat)
    }
}

/// What the tests of every codec hold it to.
#[cfg(test)]
mod conformance {
    use super::*;

    /// No bytes panic; a fault leaves `rows` as it was; a value adds as many rows as it says.
    pub fn check_decode(codec: &dyn Codec, width: usize, value: &[u8]) -> Option<Vec<f32>> {
        check_with(codec, width, value, &Headers::default()).ok()
    }

    /// The same under the record's headers, with the fault.
    pub fn check_with(
        codec: &dyn Codec,
        width: usize,
        value: &[u8],
        headers: &Headers<'_>,
    ) -> Result<Vec<f32>, Fault> {
        let before = [7.0, -1.5];
        let mut rows = before.to_vec();
        let read = codec.decode(value, headers, &mut rows);
        assert_eq!(rows[..2], before);
        match read {
            Ok(n) => assert_eq!((n > 0, rows.len()), (true, 2 + n * width)),
            Err(_) => assert_eq!(rows.len(), 2, "a fault left numbers behind"),
        }
        read.map(|_| rows.split_off(2))
    }

    /// The bytes of `original` with `row` in it; `out` must keep what it held.
    pub fn encode(codec: &dyn Codec, original: &[u8], row: &[f32]) -> Vec<u8> {
        let mut out = b"kept".to_vec();
        codec.encode(original, &Headers::default(), row, &mut out);
        assert_eq!(&out[..4], b"kept");
        out.split_off(4)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Feature;

    fn codecs(default: Format) -> Codecs {
        let schema = Schema { features: vec![Feature::number("x", 0.0, 1.0)] };
        Codecs::new(&schema, &Config { format: default, fields: None, value_bytes_max: 99 })
    }

    fn check_pick(header: Option<&[u8]>, value: &[u8], expected: Result<f32, Fault>) {
        let codecs = codecs(Format::U8);
        let mut rows = Vec::new();
        let headers = Headers { content_type: header, ..Headers::default() };
        let codec = codecs.pick(&headers, value);
        let read = codec.and_then(|codec| codec.decode(value, &headers, &mut rows));
        assert_eq!(read.map(|_| rows[0]), expected);
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

    /// In binary mode `ce_*` headers say what the event is, and the value is the data.
    #[test]
    fn an_event_in_binary_mode_needs_nothing_but_its_content_type() {
        let codecs = codecs(Format::Auto);
        for value in [&b"[0.5]"[..], br#"{"instances": [0.5]}"#, br#"{"x": 0.5}"#] {
            let content_type = Some(&b"application/json; charset=utf-8"[..]);
            let headers = Headers { content_type, ..Headers::default() };
            let codec = codecs.pick(&headers, value).unwrap();
            assert_eq!(conformance::check_decode(codec, 1, value), Some(vec![0.5]));
        }
    }

    #[test]
    fn every_format_but_auto_and_those_that_need_more_has_a_codec() {
        let none = [Format::OipProtobuf, Format::Confluent, Format::Auto];
        for format in Format::ALL {
            let codec = codecs(Format::Json).get(format).is_some();
            assert_eq!(codec, !none.contains(&format), "{format}");
        }
    }
}
