//! A structured CloudEvent (1.0): an envelope in JSON, with the value in `data`, or in base64 in
//! `data_base64`.
//!
//! The value is read as a record of its own would be: by `datacontenttype`, else as its stream is
//! configured, else by its bytes; `data` without a type is JSON, as the specification has it. Only
//! the data is ever written, and only if it changes. In binary mode (`ce_*` headers) a record's
//! value is the data and needs no codec of its own.
//!
//! What it cannot read: an event in an event, and `data` that is a string of another format, such as
//! XML or JSON in quotes.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{object, offset, unreadable};
use super::{Codec, Codecs, ContentHeaders};
use crate::record::Fault;

/// `cloudevents`: `application/cloudevents+json`
#[derive(Debug)]
pub struct CloudEvents {
    inside: Codecs,
}

/// The members of an envelope that are read, each at most once and exactly so spelled.
#[derive(Default)]
struct Envelope<'v> {
    specversion: Option<Cow<'v, str>>,
    datacontenttype: Option<Cow<'v, str>>,
    data: Option<&'v RawValue>,
    data_base64: Option<&'v RawValue>,
}

/// What an envelope holds.
struct Event<'v> {
    content_type: Option<Cow<'v, str>>,
    data: Cow<'v, [u8]>,
    /// Where it stands in the envelope.
    place: Range<usize>,
}

const JSON: &str = "application/json";

impl CloudEvents {
    /// `inside` reads what envelopes hold.
    pub fn new(inside: Codecs) -> Self {
        Self { inside }
    }

    fn pick(&self, event: &Event<'_>) -> Result<&dyn Codec, Fault> {
        let format = self.inside.rules.pick(&event.headers(), &event.data)?;
        // Text in the place of a value is no row of bytes, whatever its type says.
        let fits = format.is_json() || !event.is_plain();
        self.inside.get(format).filter(|_| fits).ok_or(Fault::UnknownFormat)
    }
}

impl<'v> Envelope<'v> {
    fn read(text: &'v str) -> Result<Self, Fault> {
        const NAMES: [&str; 4] = ["specversion", "datacontenttype", "data", "data_base64"];
        let word =
            |raw: Option<&'v RawValue>| raw.map(|raw| serde_json::from_str::<Text<'v>>(raw.get()));
        let [specversion, datacontenttype, data, data_base64] = object::raw(text, NAMES)?;
        let unreadable = |error: &serde_json::Error| unreadable(error, text, text);
        let present = |raw: Option<&'v RawValue>| raw.filter(|raw| raw.get() != "null");
        let text = |raw| {
            let read = word(present(raw)).transpose().map_err(|error| unreadable(&error))?;
            Ok::<_, Fault>(read.map(|text| text.0))
        };
        Ok(Self {
            specversion: text(specversion)?,
            datacontenttype: text(datacontenttype)?,
            data: present(data),
            data_base64: present(data_base64),
        })
    }
}

#[derive(Deserialize)]
struct Text<'v>(#[serde(borrow)] Cow<'v, str>);

impl<'v> Event<'v> {
    fn open(value: &'v [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(value)
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        // serde reads a struct from an array too; the specification does not.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Fault::Unreadable { at: 0 });
        }
        let envelope = Envelope::read(text)?;
        if envelope.specversion.as_deref() != Some("1.0") {
            return Err(Fault::UnknownFormat);
        }
        let raw = match (envelope.data, envelope.data_base64) {
            (None, None) => return Err(Fault::NullValue),
            (Some(data), None) => data.get(),
            (None, Some(data)) => data.get(),
            (Some(_), Some(second)) => {
                return Err(Fault::Unreadable { at: offset(second.get(), text) });
            }
        };
        let start = offset(raw, text);
        let place = start..start + raw.len();
        let content_type = envelope.datacontenttype;
        if envelope.data.is_some() {
            let content_type = Some(content_type.unwrap_or(Cow::Borrowed(JSON)));
            return Ok(Self { content_type, data: Cow::Borrowed(raw.as_bytes()), place });
        }
        let base64 = serde_json::from_str::<Cow<'_, str>>(raw).ok();
        let data = base64.and_then(|text| STANDARD.decode(text.as_bytes()).ok());
        let data = Cow::Owned(data.ok_or(Fault::Unreadable { at: start })?);
        Ok(Self { content_type, data, place })
    }

    /// The headers that a record of its own would have.
    fn headers(&self) -> ContentHeaders<'_> {
        let content_type = self.content_type.as_deref().map(str::as_bytes);
        ContentHeaders { content_type: content_type.into(), ..ContentHeaders::default() }
    }

    /// Whether the data stands in the envelope as it is.
    fn is_plain(&self) -> bool {
        matches!(self.data, Cow::Borrowed(_))
    }
}

impl Codec for CloudEvents {
    fn decode(
        &self,
        value: &[u8],
        _: &ContentHeaders<'_>,
        rows: &mut Vec<f32>,
    ) -> Result<usize, Fault> {
        let event = Event::open(value)?;
        let read = self.pick(&event)?.decode(&event.data, &event.headers(), rows);
        read.map_err(|fault| match fault {
            Fault::Unreadable { at } if event.is_plain() => {
                Fault::Unreadable { at: event.place.start + at }
            }
            Fault::Unreadable { .. } => Fault::Unreadable { at: event.place.start },
            fault => fault,
        })
    }

    fn encode(&self, original: &[u8], _: &ContentHeaders<'_>, rows: &[f32], out: &mut Vec<u8>) {
        let event = Event::open(original).expect("the original is not an event");
        let codec = self.pick(&event).expect("the original does not hold rows");
        let mut data = vec![];
        codec.encode(&event.data, &event.headers(), rows, &mut data);
        out.extend_from_slice(&original[..event.place.start]);
        if data == *event.data {
            // Base64 has several spellings of the same bytes.
            out.extend_from_slice(&original[event.place.clone()]);
        } else if event.is_plain() {
            out.extend_from_slice(&data);
        } else {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(&data).as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(&original[event.place.end..]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::conformance::{check_decode, check_with, encode};
    use crate::codec::table::{self, Table};
    use crate::codec::{Config, Format};
    use crate::record::{Ambiguity, Feature, Schema};

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
