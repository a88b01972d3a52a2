//! A value in an envelope: opened, read by the codec of what it holds, and sealed again.
//!
//! The payload is read as a record of its own would be: by the type that the envelope says, else by
//! its bytes. Only the payload is ever written, and only if it changes.
//!
//! What it cannot read: an envelope in an envelope.

use std::sync::Arc;

use super::{Codec, Codecs};
use crate::open::{ContentHeaders, Envelope, Payload};
use crate::record::{Fault, Missing, Unread};

/// The format of values in one envelope.
#[derive(Debug)]
pub struct EnvelopeCodec {
    envelope: Arc<dyn Envelope>,
    inside: Codecs,
}

impl EnvelopeCodec {
    /// `inside` reads what the envelope holds.
    pub fn new(envelope: Arc<dyn Envelope>, inside: Codecs) -> Self {
        Self { envelope, inside }
    }

    fn pick(&self, payload: &Payload<'_>) -> Result<&dyn Codec, Fault> {
        let format = self.inside.rules.pick(&payload.headers(), &payload.bytes)?;
        let fits = format.is_json() || !payload.is_text;
        self.inside.get(format).filter(|_| fits).ok_or(Fault::UnknownFormat)
    }
}

impl Codec for EnvelopeCodec {
    fn decode(
        &self,
        value: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Unread> {
        let payload = self.envelope.open(value, headers)?;
        let read = self.pick(&payload)?.decode(&payload.bytes, &payload.headers(), rows);
        read.map_err(|unread| payload.unread_in_value(unread))
    }

    fn missing(&self, value: &[u8], headers: &ContentHeaders<'_>) -> Option<Missing> {
        match self.envelope.open(value, headers) {
            Ok(payload) => self.pick(&payload).ok()?.missing(&payload.bytes, &payload.headers()),
            Err(Unread::Missing(missing)) => Some(missing),
            Err(Unread::Fault(_)) => None,
        }
    }

    fn encode(
        &self,
        original: &[u8],
        headers: &ContentHeaders<'_>,
        rows: &[f32],
        out: &mut Vec<u8>,
    ) {
        let before = self.envelope.open(original, headers).expect("the original was not opened");
        let codec = self.pick(&before).expect("the original does not hold rows");
        let mut payload = vec![];
        codec.encode(&before.bytes, &before.headers(), rows, &mut payload);
        if payload == *before.bytes {
            // An envelope may have several spellings of the same bytes.
            out.extend_from_slice(original);
        } else {
            self.envelope.seal(original, &before, &payload, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;
    use crate::codec::conformance::{check_decode, check_with, encode};
    use crate::codec::table::{self, Table};
    use crate::codec::{Config, Format};
    use crate::record::{Ambiguity, Feature, FeatureId, Schema, SchemaId};

    fn codecs(schema: &Schema, format: Format) -> Codecs {
        Codecs::new(schema, &Config { format, value_bytes_max: 10_000, ..Config::default() })
    }

    fn check(format: Format, text: &str, expected: Result<&[f32], Fault>) {
        let features = vec![Feature::number("x", 0.0, 9.0), Feature::number("y", 0.0, 9.0)];
        let codecs = codecs(&Schema { features }, format);
        let codec = codecs.get(Format::CloudEvents).unwrap();
        let read = check_with(codec, 2, text.as_bytes(), &ContentHeaders::default());
        assert_eq!(read, expected.map(<[f32]>::to_vec), "{text}");
    }

    fn event(members: &str) -> String {
        format!(
            r#"{{"specversion" : "1.0", "type" : "t", "source" : "/s", "id" : "7", {members}}}"#
        )
    }

    #[test]
    fn data_is_read_in_any_dialect_and_by_its_type() {
        use Format::{Auto, CloudEvents, Json, KserveV1, U8};
        for format in [Auto, CloudEvents, U8] {
            for data in [
                r#"{"y": 2, "x": 1}"#,
                "[1, 2]",
                r#"{"instances": [[1, 2]]}"#,
                r#"{"inputs": [{"name": "t", "shape": [1, 2], "datatype": "INT8", "data": [1, 2]}]}"#,
            ] {
                check(format, &event(&format!("\"data\" : {data}")), Ok(&[1.0, 2.0]));
                let typed = format!(r#""datacontenttype": "a/b+json", "data" : {data}"#);
                check(format, &event(&typed), Ok(&[1.0, 2.0]));
            }
        }
        check(KserveV1, &event(r#""data" : {"instances": [[1, 2]]}"#), Ok(&[1.0, 2.0]));
        let bytes = r#""datacontenttype": "application/x-u8", "data_base64": "AQI=""#;
        check(Json, &event(bytes), Ok(&[1.0, 2.0]));
        check(U8, &event(r#""data_base64": "AQI=""#), Ok(&[1.0, 2.0]));
        check(Auto, &event(r#""data_base64": "AQI=""#), Ok(&[1.0, 2.0]));
        check(CloudEvents, &event(r#""data_base64": "WzEsIDJd""#), Ok(&[1.0, 2.0]));
    }

    #[test]
    fn what_is_no_event_or_holds_nothing_readable_is_a_fault() {
        let at = |at| Err(Fault::Unreadable { at });
        let check = |text: &str, expected| check(Format::Auto, text, expected);
        check("[1, 2]", at(0));
        check(r#"{"data": [1, 2]}"#, Err(Fault::UnknownFormat));
        check(r#"{"specversion": "2.0", "data": [1, 2]}"#, Err(Fault::UnknownFormat));
        check(&event(r#""x": 1"#), Err(Fault::NullValue));
        check(&event(r#""data": null"#), Err(Fault::NullValue));
        check(&event(r#""data": [1, {}]"#), at(81));
        check(&event(r#""data": [1], "data": [2]"#), at(86));
        check(&event(r#""data": [1], "data_base64": "AQI=""#), at(95));
        check(&event(r#""data_base64": "A""#), at(82));
        check(&event(r#""data_base64": 7"#), at(82));
        let inner = event(r#""data": [1, 2]"#);
        check(&event(&format!("\"data\": {inner}")), Err(Fault::UnknownFormat));
        let text = r#""datacontenttype": "application/x-u8", "data": "ab""#;
        check(&event(text), Err(Fault::Ambiguous(Ambiguity::Format)));
        check(
            &event(r#""datacontenttype": "text/xml", "data": "<a/>""#),
            Err(Fault::UnknownFormat),
        );
    }

    #[test]
    fn a_payload_of_connect_is_read_and_written_as_its_own_document_would_be() {
        let features = vec![Feature::number("x", 0.0, 9.0), Feature::number("y", 0.0, 9.0)];
        let schema = Schema { features };
        for (format, payload, expected) in [
            (Format::ConnectJson, r#"{"y": 2, "x": 1}"#, Ok(r#"{"y": 2, "x": 3.5}"#)),
            (Format::Auto, "[1, 2]", Ok("[3.5, 2]")),
            (Format::U8, r#"{"instances": [[1, 2]]}"#, Ok(r#"{"instances": [[3.5, 2]]}"#)),
            (Format::Auto, "\"AQI=\"", Err(Fault::WrongType { feature: FeatureId(0) })),
            (Format::Auto, "null", Err(Fault::NullValue)),
            (Format::Auto, r#"{"schema": null, "payload": [1, 2]}"#, Err(Fault::UnknownFormat)),
            (Format::Auto, &event(r#""data": [1, 2]"#), Err(Fault::UnknownFormat)),
            (Format::Auto, "[1, {}]", Err(Fault::Unreadable { at: 33 })),
        ] {
            let codecs = codecs(&schema, format);
            let codec = codecs.get(Format::ConnectJson).unwrap();
            let text = |payload: &str| format!(r#"{{"schema": {{}}, "payload" : {payload} }}"#);
            let original = text(payload);
            let read = check_with(codec, 2, original.as_bytes(), &ContentHeaders::default());
            assert_eq!(read, expected.map(|_| vec![1.0, 2.0]), "{original}");
            let Ok(changed) = expected else { continue };
            assert_eq!(encode(codec, original.as_bytes(), &[1.0, 2.0]), original.as_bytes());
            assert_eq!(encode(codec, original.as_bytes(), &[3.5, 2.0]), text(changed).as_bytes());
            let deep = text(&["[".repeat(100_000), "]".repeat(100_000)].concat());
            assert_eq!(check_decode(codec, 2, deep.as_bytes()), None);
        }
    }

    /// Whether its schema was fetched for another record must not decide what becomes of it.
    #[test]
    fn a_frame_in_an_event_misses_its_schema_until_somebody_says_what_it_is() {
        let features = vec![Feature::number("x", 0.0, 9.0)];
        let config = Config { format: Format::CloudEvents, registry: true, ..Config::default() };
        let codecs = Codecs::new(&Schema { features }, &config);
        let data = STANDARD.encode(*b"\0\0\0\0\x07framed");
        let event = event(&format!("\"data_base64\": \"{data}\""));
        let (event, headers) = (event.as_bytes(), ContentHeaders::default());
        let read = || codecs.get(Format::CloudEvents).unwrap().decode(event, &headers, &mut vec![]);
        let schema = Missing::Schema(SchemaId::Number(7));
        assert_eq!(codecs.missing(&headers, event), Some(schema));
        assert_eq!(read(), Err(schema.into()));
        codecs.confluent().unwrap().learn(SchemaId::Number(7), None).unwrap();
        assert_eq!(codecs.missing(&headers, event), None);
        assert_eq!(read(), Err(Fault::UnknownSchema.into()));
    }

    /// Base64 that ends in other bits than zeros, or is escaped, is the same bytes.
    #[test]
    fn base64_keeps_its_spelling_unless_the_data_changes() {
        let features = vec![Feature::number("x", 0.0, 255.0); 1];
        let codecs = codecs(&Schema { features }, Format::U8);
        let codec = codecs.get(Format::CloudEvents).unwrap();
        let text = event(r#""data_base64" : "\u0041Q==", "k": [ ]"#);
        assert_eq!(encode(codec, text.as_bytes(), &[1.0]), text.as_bytes());
        let changed = text.replace("\\u0041Q==", "/w==");
        assert_eq!(encode(codec, text.as_bytes(), &[255.0]), changed.as_bytes());
    }

    fn text(table: &Table, form: usize, noise: &str) -> String {
        let objects = table.rows.iter().map(|row| format!("{{{}}}", row.members().join(", ")));
        let objects = format!("[{}]", objects.collect::<Vec<_>>().join(","));
        let data = match form % 3 {
            0 => objects,
            1 => format!("{{\"instances\" : {objects}}}"),
            _ => format!("{{\"k\": {noise}, \"instances\" : {objects}}}"),
        };
        if form < 3 {
            return event(&format!("\"k\": {noise}, \"data\" : {data}"));
        }
        let data = STANDARD.encode(data);
        event(&format!("\"data_base64\" : \"{data}\", \"k\": {noise}"))
    }

    proptest! {
        #[test]
        fn data_is_read_and_nothing_but_what_changed_is_written(
            (before, after) in table::tables(),
            form in 0..6_usize,
            noise in "\"[a-z \u{e4}\u{20ac}]{0,5}\"",
        ) {
            let codecs = codecs(&table::schema(), Format::Auto);
            let codec = codecs.get(Format::CloudEvents).unwrap();
            let original = text(&before, form, &noise);
            let read = check_decode(codec, table::WIDTH, original.as_bytes());
            let read = read.ok_or_else(|| TestCaseError::fail(original.clone()))?;
            prop_assert_eq!(table::bits(&read), table::bits(&before.matrix()));
            let written = encode(codec, original.as_bytes(), &after.matrix());
            prop_assert_eq!(String::from_utf8(written).unwrap(), text(&after, form, &noise));
        }

        #[test]
        fn no_bytes_panic_and_what_is_read_can_be_written(
            (before, _) in table::tables(),
            form in 0..6_usize,
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let codecs = codecs(&table::schema(), Format::Auto);
            let codec = codecs.get(Format::CloudEvents).unwrap();
            let mut value = text(&before, form, "1").into_bytes();
            let at = at.index(value.len());
            value[at] = byte;
            if let Some(rows) = check_decode(codec, table::WIDTH, &value) {
                prop_assert_eq!(&encode(codec, &value, &rows), &value);
            }
        }
    }
}
