//! What Kafka Connect's `JsonConverter` writes with `schemas.enable=true`: `{"schema": …, "payload": …}`.
//!
//! The converter refuses an object without one of the two members, and one that has another. So do we. The
//! schema is not read: the payload says by itself what it is, and the model's own schema says what it must
//! be. Without a schema (`null`) the payload is read too. Only the payload is ever written, and only if it
//! changes.
//!
//! What it cannot read: an envelope in an envelope, and a payload that is a string, such as the base64 of
//! Connect's type `bytes`. It cannot see that a payload does not fit its schema.
//!
//! Source: `org.apache.kafka.connect.json.JsonConverter` of Apache Kafka 4.1, which wrote the first example of the tests and refuses
//! what they say it refuses. Of a member that stands twice it reads the last one, and nothing behind the object: we refuse both.

use std::borrow::Cow;

use super::object::{self, offset};
use super::{ContentHeaders, Envelope, Payload};
use crate::record::{Fault, Unread};

/// `connect-json`: its type is `application/json`, or none.
#[derive(Debug)]
pub struct ConnectJson;

impl Envelope for ConnectJson {
    fn name(&self) -> &'static str {
        "connect-json"
    }

    fn payload_members(&self) -> &'static [&'static str] {
        &["payload"]
    }

    fn reading_members(&self) -> &'static [&'static str] {
        &["schema"]
    }

    fn open<'v>(&self, value: &'v [u8], _: &ContentHeaders<'v>) -> Result<Payload<'v>, Unread> {
        let text = std::str::from_utf8(value)
            .map_err(|error| Fault::Unreadable { at: error.valid_up_to() })?;
        let [Some(schema), Some(payload)] = object::exactly(text, ["schema", "payload"])? else {
            return Err(Fault::UnknownFormat.into());
        };
        let (schema, payload) = (schema.get(), payload.get());
        if schema != "null" && !schema.starts_with('{') {
            return Err(Fault::Unreadable { at: offset(schema, text) }.into());
        }
        if payload == "null" {
            return Err(Fault::NullValue.into());
        }
        let start = offset(payload, text);
        Ok(Payload {
            bytes: Cow::Borrowed(payload.as_bytes()),
            content_type: Some(Cow::Borrowed("application/json")),
            place: start..start + payload.len(),
            is_text: true,
        })
    }

    fn seal(&self, original: &[u8], before: &Payload<'_>, payload: &[u8], out: &mut Vec<u8>) {
        for part in [&original[..before.place.start], payload, &original[before.place.end..]] {
            out.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Ambiguity;

    /// As the converter writes it.
    const WRITTEN: &str = r#"{"schema":{"type":"struct","fields":[{"type":"double","optional":false,"field":"x"}],"optional":false,"name":"R"},"payload":{"x":1.0}}"#;

    fn open(value: &[u8]) -> Result<Payload<'_>, Unread> {
        ConnectJson.open(value, &ContentHeaders::default())
    }

    fn check_open(text: &str, expected: Result<&str, Fault>) {
        let opened = open(text.as_bytes());
        let payload = opened.as_ref().map(|payload| str::from_utf8(&payload.bytes).unwrap());
        assert_eq!(payload.map_err(|&unread| unread), expected.map_err(Unread::from), "{text}");
    }

    #[test]
    fn the_payload_is_found_in_either_order_with_a_schema_or_without() {
        check_open(WRITTEN, Ok(r#"{"x":1.0}"#));
        check_open(r#" {"payload" : [1, 2] , "schema": null}"#, Ok("[1, 2]"));
        check_open(r#"{"schema": {"type": "string"}, "payload": "w"}"#, Ok("\"w\""));
        // Whatever the letters of a name: it is the same name.
        check_open(r#"{"\u0073chema": null, "payload": 7}"#, Ok("7"));
        let inner = r#"{"schema": null, "payload": [1], "payload": null}"#;
        check_open(&format!(r#"{{"schema": null, "payload": {inner}}}"#), Ok(inner));
    }

    #[test]
    fn what_the_converter_refuses_or_may_read_in_two_ways_is_a_fault() {
        let at = |at| Err(Fault::Unreadable { at });
        check_open("", at(0));
        check_open("[1, 2]", at(0));
        check_open(r#"["schema", "payload"]"#, at(0));
        check_open("{}", Err(Fault::UnknownFormat));
        check_open(r#"{"payload": [1]}"#, Err(Fault::UnknownFormat));
        check_open(r#"{"schema": null}"#, Err(Fault::UnknownFormat));
        check_open(r#"{"schema": {}, "payload": null}"#, Err(Fault::NullValue));
        check_open(r#"{"schema": "s", "payload": [1]}"#, at(11));
        check_open(r#"{"schema": null, "payload": [1], "x": 1}"#, at(36));
        check_open(r#"{"schema": null, "payload": [1], "payload": [2]}"#, at(42));
        check_open(r#"{"schema": null, "schema": {}, "payload": [2]}"#, at(25));
        check_open(r#"{"schema": null, "payload": [1]} {}"#, at(34));
        check_open(r#"{"schema": null, "payload": [1}"#, at(31));
        check_open("{\"schema\": null, \"payload\": \"\u{e4}\", \u{0}}", at(35));
        let case = Err(Fault::Ambiguous(Ambiguity::Case));
        check_open(r#"{"schema": null, "Payload": [1]}"#, case);
        check_open(r#"{"schema": null, "payload": [1], "PAYLOAD": [2]}"#, case);
    }

    #[test]
    fn however_deep_it_is_nested_it_is_passed_over_and_what_is_no_utf8_is_unreadable() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        for (schema, payload) in [("null", &*deep), (&*format!("{{\"s\": {deep}}}"), "[1]")] {
            check_open(&format!(r#"{{"schema": {schema}, "payload": {payload}}}"#), Ok(payload));
        }
        let torn = open(b"{\"schema\": null, \"payload\": \"\xff\"}").unwrap_err();
        assert_eq!(torn, Fault::Unreadable { at: 29 }.into());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_another_payload_changes_no_byte_of_the_envelope(
            blank in "[ \t\r\n]{0,3}",
            schema in prop::sample::select(vec!["null", "{}", r#"{"type": "struct", "payload": [1]}"#]),
            before in prop::sample::select(vec!["[1, 2]", "\"w\"", "7", r#"{"x": {"payload": null}}"#]),
            after in "[a-z0-9]{0,9}",
            first in any::<bool>(),
            at in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let text = |payload: &str| {
                let schema = format!("\"schema\":{blank}{schema}");
                let payload = format!("\"payload\"{blank}:{payload}");
                let (a, b) = if first { (schema, payload) } else { (payload, schema) };
                format!("{blank}{{{a},{blank}{b}{blank}}}{blank}")
            };
            let original = text(before);
            let opened = open(original.as_bytes()).unwrap();
            prop_assert_eq!(&*opened.bytes, before.as_bytes());
            prop_assert_eq!(&original.as_bytes()[opened.place.clone()], before.as_bytes());
            let mut out = b"kept".to_vec();
            ConnectJson.seal(original.as_bytes(), &opened, after.as_bytes(), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("kept{}", text(&after)));

            let mut other = original.into_bytes();
            let at = at.index(other.len());
            other[at] = byte;
            if let Ok(payload) = open(&other) {
                prop_assert_eq!(&*payload.bytes, &other[payload.place.clone()]);
            }
        }
    }
}
