//! A structured CloudEvent (1.0): an envelope in JSON, with the payload in `data`, or in base64 in
//! `data_base64`.
//!
//! `data` without a type is JSON, as the specification has it. Only the data is ever written, and only
//! if it changes. In binary mode (`ce_*` headers) a record's value is the data and stands in no envelope.
//!
//! What it cannot read: an event in an event, and `data` that is a string of another format, such as
//! XML or JSON in quotes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::object::{self, offset, unreadable};
use super::{ContentHeaders, Envelope, Payload};
use crate::record::{Fault, Unread};

/// `cloudevents`: `application/cloudevents+json`
#[derive(Debug)]
pub struct CloudEvents;

impl Envelope for CloudEvents {
    fn name(&self) -> &'static str {
        "cloudevents"
    }

    fn payload_members(&self) -> &'static [&'static str] {
        &["data"]
    }

    fn reading_members(&self) -> &'static [&'static str] {
        &["specversion", "datacontenttype", "data_base64"]
    }

    fn open<'v>(&self, value: &'v [u8], _: &ContentHeaders<'v>) -> Result<Payload<'v>, Unread> {
        let text = std::str::from_utf8(value)
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        // serde reads a struct from an array too; the specification does not.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(Fault::Unreadable { at: 0 }.into());
        }
        let event = Event::read(text)?;
        if event.specversion.as_deref() != Some("1.0") {
            return Err(Fault::UnknownFormat.into());
        }
        let raw = match (event.data, event.data_base64) {
            (None, None) => return Err(Fault::NullValue.into()),
            (Some(data), None) => data.get(),
            (None, Some(data)) => data.get(),
            (Some(_), Some(second)) => {
                return Err(Fault::Unreadable { at: offset(second.get(), text) }.into());
            }
        };
        let start = offset(raw, text);
        let place = start..start + raw.len();
        let content_type = event.datacontenttype;
        if event.data.is_some() {
            let content_type = Some(content_type.unwrap_or(Cow::Borrowed(JSON)));
            let bytes = Cow::Borrowed(raw.as_bytes());
            return Ok(Payload { bytes, content_type, place, is_text: true });
        }
        let base64 = serde_json::from_str::<Cow<'_, str>>(raw).ok();
        let data = base64.and_then(|text| STANDARD.decode(text.as_bytes()).ok());
        let bytes = Cow::Owned(data.ok_or(Fault::Unreadable { at: start })?);
        Ok(Payload { bytes, content_type, place, is_text: false })
    }

    fn seal(&self, original: &[u8], before: &Payload<'_>, payload: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&original[..before.place.start]);
        if before.is_text {
            out.extend_from_slice(payload);
        } else {
            out.push(b'"');
            out.extend_from_slice(STANDARD.encode(payload).as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(&original[before.place.end..]);
    }
}

const JSON: &str = "application/json";

/// The members of an event that are read, each at most once and exactly so spelled.
#[derive(Default)]
struct Event<'v> {
    specversion: Option<Cow<'v, str>>,
    datacontenttype: Option<Cow<'v, str>>,
    data: Option<&'v RawValue>,
    data_base64: Option<&'v RawValue>,
}

impl<'v> Event<'v> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn event(members: &str) -> String {
        format!(r#"{{"specversion" : "1.0", "type" : "t", {members}}}"#)
    }

    fn check_open(text: &str, expected: Result<(&str, Option<&str>), Fault>) {
        let opened = CloudEvents.open(text.as_bytes(), &ContentHeaders::default());
        let opened = opened.as_ref().map(|payload| {
            (str::from_utf8(&payload.bytes).unwrap(), payload.content_type.as_deref())
        });
        assert_eq!(opened.map_err(|&unread| unread), expected.map_err(Unread::from), "{text}");
    }

    #[test]
    fn data_without_a_type_is_json_and_base64_without_a_type_is_bytes() {
        check_open(&event(r#""data" : [1, 2]"#), Ok(("[1, 2]", Some("application/json"))));
        let typed = r#""data" : "<a/>", "datacontenttype": "text/\u0078ml""#;
        check_open(&event(typed), Ok(("\"<a/>\"", Some("text/xml"))));
        check_open(&event(r#""data_base64": "WzEsIDJd""#), Ok(("[1, 2]", None)));
    }

    #[test]
    fn what_is_no_event_or_holds_two_payloads_is_a_fault() {
        let at = |at| Err(Fault::Unreadable { at });
        check_open("[1, 2]", at(0));
        check_open(r#"{"data": [1, 2]}"#, Err(Fault::UnknownFormat));
        check_open(&event(r#""data": null"#), Err(Fault::NullValue));
        check_open(&event(r#""data": [1], "data_base64": "AQI=""#), at(66));
        check_open(&event(r#""data_base64": "A""#), at(53));
    }

    #[test]
    fn another_payload_changes_no_byte_of_the_envelope() {
        for (data, sealed) in
            [(r#""data" : [1, 2]"#, "[3]"), (r#""data_base64": "AQI=""#, "\"WzNd\"")]
        {
            let original = event(&format!("{data}, \"k\": [ ]"));
            let before = CloudEvents.open(original.as_bytes(), &ContentHeaders::default()).unwrap();
            let mut out = b"kept".to_vec();
            CloudEvents.seal(original.as_bytes(), &before, b"[3]", &mut out);
            let (start, end) = (before.place.start, before.place.end);
            let expected = ["kept", &original[..start], sealed, &original[end..]].concat();
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
