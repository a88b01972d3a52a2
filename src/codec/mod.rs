//! Formats: each reads a record's bytes into rows, and writes rows back. Each has a file of its own; this file has the trait and
//! the list.

mod auto;
mod confluent;
mod datatype;
mod dense;
mod edits;
mod envelope;
mod f32_le;
mod f64_le;
mod fields;
mod format;
mod inputs;
mod json;
mod layout;
mod oip_protobuf;
mod parameters;
mod picture;
mod raw_u8;
pub mod select;
mod shape;
#[cfg(test)]
mod table;
mod tensor;
mod text;
mod unseen;
mod wire;
pub mod word;

use std::fmt;
use std::sync::Arc;

use self::auto::Rules;
use self::envelope::EnvelopeCodec;
use self::select::Select;
use crate::open;
use crate::record::{Fault, Missing, Schema, Unread};

pub use auto::shown;
pub use confluent::{Confluent, Language, Text as SchemaText, Unusable as UnusableSchema};
pub use f32_le::F32Le;
pub use f64_le::F64Le;
pub(crate) use fields::keys as pointer_keys;
pub use fields::{BadFields, Fields};
pub use format::{BadFormat, Format};
pub use inputs::{Inputs, InputsBy};
pub use json::{Json, KserveV1, OipJson};
pub use layout::{Cell, Layout, Place, Scalar};
pub use oip_protobuf::OipProtobuf;
pub use raw_u8::RawU8;
pub use unseen::Spelling;

/// What the headers say of a value. Every codec gets it.
pub use crate::open::{ContentHeaders, Header};

/// Reads a record's value into rows, and writes rows back in the same format.
pub trait Codec: fmt::Debug + Send + Sync {
    /// Appends the rows of `value` to `rows` and returns how many: at least one. Each row has `width` numbers in units of the
    /// model. A missing value is NaN in all its columns.
    ///
    /// # Errors
    /// What is wrong with the value, or what is missing to read it. Then `rows` is unchanged. It never panics, whatever the
    /// bytes are. Its memory is bounded by the rows that the layout allows and by the length of the value.
    fn decode(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread>;

    /// What must be fetched before [`Codec::decode`] can read the value, as far as that can be told.
    fn missing(&self, _value: &[u8], _headers: &ContentHeaders<'_>) -> Option<Missing> {
        None
    }

    /// Appends to `out` the bytes of `original` with `rows` in place of its rows. All that did not change, is missing or is no
    /// feature stays as it was, byte for byte where the format allows it.
    ///
    /// # Panics
    /// If [`Codec::decode`] does not read `original` as so many rows, or if a number is not finite: that is our bug.
    fn encode(
        &self,
        original: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &[f32],
        out: &mut Vec<u8>,
    );
}

/// How the values of a stream are read.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The format of values that do not say theirs.
    pub format: Format,
    /// Where in a value the features are. Unless given, each is under its own name.
    pub fields: Option<Fields>,
    /// Which inputs of a request may stand where.
    pub inputs: Inputs,
    /// Larger values are not read. It bounds the rows of a record, too.
    pub value_bytes_max: usize,
    /// Rows that one record may hold, at least 1.
    pub rows_per_record_max: usize,
    /// Whether there is a registry with the schemas of framed values.
    pub registry: bool,
    /// Which records are read at all.
    pub select: Select,
}

/// So many rows one record may hold, unless its stream says otherwise.
pub const ROWS_PER_RECORD_MAX: usize = 64;

impl Default for Config {
    fn default() -> Self {
        Self {
            format: Format::default(),
            fields: None,
            inputs: Inputs::default(),
            value_bytes_max: 1 << 20,
            rows_per_record_max: ROWS_PER_RECORD_MAX,
            registry: false,
            select: Select::default(),
        }
    }
}

/// All codecs, made for the schema of one stream. A record may be in any of their formats.
#[derive(Clone, Debug)]
pub struct Codecs {
    rules: Rules,
    list: Vec<(Format, Arc<dyn Codec>)>,
    confluent: Option<Arc<Confluent>>,
}

impl Codecs {
    pub fn new(schema: &Schema, config: &Config) -> Self {
        let (bytes_max, rows_max) = (config.value_bytes_max, config.rows_per_record_max);
        Self::over(Arc::new(Layout::new(schema, bytes_max).with_rows_max(rows_max)), config)
    }

    /// All codecs for a layout.
    fn over(layout: Arc<Layout>, config: &Config) -> Self {
        let (fields, inputs) = (config.fields.as_ref(), &config.inputs);
        let mut list: Vec<(Format, Arc<dyn Codec>)> = vec![
            (Format::Json, Arc::new(Json::new(layout.clone(), fields))),
            (Format::KserveV1, Arc::new(KserveV1::new(layout.clone(), fields, inputs))),
            (Format::OipJson, Arc::new(OipJson::new(layout.clone(), inputs))),
            (Format::OipProtobuf, Arc::new(OipProtobuf::new(layout.clone(), inputs))),
            (Format::F32Le, Arc::new(F32Le::new(layout.clone()))),
            (Format::F64Le, Arc::new(F64Le::new(layout.clone()))),
            (Format::U8, Arc::new(RawU8::new(layout.clone()))),
        ];
        let confluent = config.registry.then(|| Arc::new(Confluent::new(layout.clone(), fields)));
        if let Some(confluent) = &confluent {
            list.push((Format::Confluent, confluent.clone()));
        }
        let rules = Rules::new(&layout, config.format, fields, config.registry);
        // An envelope holds a value in any format above, but no other envelope.
        let inside =
            Self { rules: rules.inside(), list: list.clone(), confluent: confluent.clone() };
        list.extend(open::all().into_iter().map(|envelope| {
            let format = envelope.name().parse().expect("an envelope's name is a format's");
            let codec: Arc<dyn Codec> = Arc::new(EnvelopeCodec::new(envelope, inside.clone()));
            (format, codec)
        }));
        Self { rules, list, confluent }
    }

    /// The codec of a format. `auto` has none, nor has `confluent` without a registry.
    pub fn get(&self, format: Format) -> Option<&dyn Codec> {
        let (_, codec) = self.list.iter().find(|(of, _)| *of == format)?;
        Some(&**codec)
    }

    /// The schemas of framed values, if there is a registry.
    pub fn confluent(&self) -> Option<&Confluent> {
        self.confluent.as_deref()
    }

    /// What must be fetched before the record can be read.
    pub fn missing(&self, headers: &ContentHeaders<'_>, value: &[u8]) -> Option<Missing> {
        // Without a registry nothing can be fetched.
        self.confluent.as_deref()?;
        self.pick(headers, value).ok()?.missing(value, headers)
    }

    /// The codec of a record: by its headers, its stream or its bytes, in the order of `auto.rs`.
    ///
    /// # Errors
    /// `UnknownFormat` if these name no format that we read. A guess could be wrong, so there is none.
    pub fn pick(&self, headers: &ContentHeaders<'_>, value: &[u8]) -> Result<&dyn Codec, Fault> {
        self.get(self.rules.pick(headers, value)?).ok_or(Fault::UnknownFormat)
    }
}

/// What every codec is tested for.
#[cfg(test)]
mod conformance {
    use super::*;

    /// No bytes panic. A fault leaves `rows` unchanged. A value adds as many rows as it returns.
    pub fn check_decode(codec: &dyn Codec, width: usize, value: &[u8]) -> Option<Vec<f32>> {
        check_with(codec, width, value, &ContentHeaders::default()).ok()
    }

    /// Decodes `value` under these headers as [`check_decode`] does, and returns the fault.
    pub fn check_with(
        codec: &dyn Codec,
        width: usize,
        value: &[u8],
        headers: &ContentHeaders<'_>,
    ) -> Result<Vec<f32>, Fault> {
        let before = [7.0, -1.5];
        let mut rows = before.to_vec();
        let read = codec.decode(value, headers, &mut rows);
        assert_eq!(rows[..2], before);
        match read {
            Ok(n) => assert_eq!((n > 0, rows.len()), (true, 2 + n * width)),
            Err(_) => assert_eq!(rows.len(), 2, "a fault left numbers behind"),
        }
        match read {
            Ok(_) => Ok(rows.split_off(2)),
            Err(Unread::Fault(fault)) => Err(fault),
            Err(Unread::Missing(missing)) => panic!("{missing} is missing"),
        }
    }

    /// The bytes of `original` with `row` in it; `out` must keep what it held.
    pub fn encode(codec: &dyn Codec, original: &[u8], row: &[f32]) -> Vec<u8> {
        let mut out = b"kept".to_vec();
        codec.encode(original, &ContentHeaders::default(), row, &mut out);
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
        Codecs::new(&schema, &Config { format: default, value_bytes_max: 99, ..Config::default() })
    }

    fn check_pick(
        stream: Format,
        header: Option<&[u8]>,
        value: &[u8],
        expected: Result<f32, Fault>,
    ) {
        let codecs = codecs(stream);
        let mut rows = Vec::new();
        let headers = ContentHeaders { content_type: header.into(), ..ContentHeaders::default() };
        let codec = codecs.pick(&headers, value);
        let read = codec.map_err(Unread::from);
        let read = read.and_then(|codec| codec.decode(value, &headers, &mut rows));
        assert_eq!(read.map(|_| rows[0]), expected.map_err(Unread::from));
    }

    #[test]
    fn a_streams_own_format_wins_over_every_header_and_auto_asks_it() {
        let u8 = Format::U8;
        check_pick(u8, None, &[9], Ok(9.0));
        check_pick(u8, Some(b"application/x-f32-le"), &[9], Ok(9.0));
        check_pick(u8, Some(b"text/csv"), &[9], Ok(9.0));
        let auto = Format::Auto;
        check_pick(auto, Some(b"application/json"), b"[0.5]", Ok(0.5));
        check_pick(auto, Some(b"\"application/json\""), b"[0.5]", Ok(0.5));
        check_pick(auto, Some(b"text/plain;charset=UTF-8"), b"[0.5]", Ok(0.5));
        check_pick(auto, Some(b"application/x-f32-le"), &0.25_f32.to_le_bytes(), Ok(0.25));
    }

    #[test]
    fn without_a_registry_a_framed_value_is_of_an_unknown_format() {
        let framed = [0, 0, 0, 0, 7, 1];
        for format in [Format::Confluent, Format::Auto] {
            let codecs = codecs(format);
            assert_eq!(codecs.missing(&ContentHeaders::default(), &framed), None);
            let headers = ContentHeaders {
                content_type: b"application/avro"[..].into(),
                ..ContentHeaders::default()
            };
            assert_eq!(
                codecs.pick(&headers, &framed).err(),
                Some(Fault::UnknownFormat),
                "{format}"
            );
        }
    }

    #[test]
    fn an_unknown_or_unreadable_header_is_a_fault_not_the_default() {
        for header in [&b"text/csv"[..], b"\xff", b"application/json; x=\xff"] {
            check_pick(Format::Auto, Some(header), &[9], Err(Fault::UnknownFormat));
        }
    }

    /// In binary mode `ce_*` headers say what the event is, and the value is the data.
    #[test]
    fn an_event_in_binary_mode_needs_nothing_but_its_content_type() {
        let codecs = codecs(Format::Auto);
        for value in [&b"[0.5]"[..], br#"{"instances": [0.5]}"#, br#"{"x": 0.5}"#] {
            let content_type = b"application/json; charset=utf-8"[..].into();
            let headers = ContentHeaders { content_type, ..ContentHeaders::default() };
            let codec = codecs.pick(&headers, value).unwrap();
            assert_eq!(conformance::check_decode(codec, 1, value), Some(vec![0.5]));
        }
    }

    #[test]
    fn every_format_but_auto_and_those_that_need_more_has_a_codec() {
        let none = [Format::Confluent, Format::Auto];
        for &format in Format::ALL {
            let codec = codecs(Format::Json).get(format).is_some();
            assert_eq!(codec, !none.contains(&format), "{format}");
        }
    }
}
