//! Which format a record is in: by what its headers say, else by its stream, else by its bytes.
//!
//! 1. A `__value_schema_id` header, where a registry is configured and the stream is `auto` or
//!    `confluent`: `confluent`.
//! 2. `content-type`. A type that belongs to one format is that format. JSON, Protobuf and Avro
//!    behind a frame (first byte 0 or 1, which none of them begins with) are `confluent`, where a
//!    registry is configured. `application/json` and `+json` are the JSON dialect that the stream
//!    is configured for, or else the one the document shows. A type we do not know is a fault.
//!    `application/octet-stream` says as much as no header.
//! 3. The stream's format, unless that is `auto`.
//! 4. `auto`: an `Inference-Header-Content-Length` header is `oip-json`; a frame is `confluent`;
//!    what reads as JSON is the dialect it shows; what reads as the outline of a
//!    `ModelInferRequest` is `oip-protobuf`; whole rows of 4 bytes per number are `f32-le`; whole
//!    rows of 1 byte per number are `u8`.
//!
//! A JSON dialect shows by members of the document: `specversion`, `instances`, `inputs` (an array
//! of objects is V2, anything else TensorFlow's columns), or none of them.
//!
//! What it cannot see: a value that is valid in two formats. Four `u8` rows are as long as one of
//! `f32-le`; with a registry, a raw row that begins with 0 or 1 is taken for a frame. Where the
//! sender could choose what we score, it is refused: a document that shows two dialects, or one
//! dialect and members named as the stream's features. Streams whose senders are not trusted
//! should still name their format.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::format::ContentType;
use super::{Fields, Format, Headers, Layout};
use crate::record::Fault;

/// What a stream knows before it sees a record.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    format: Format,
    registry: bool,
    /// Numbers of a row, if a row can be bare numbers.
    cells: Option<usize>,
    /// Members of a plain document that hold features.
    names: HashSet<String>,
}

/// The format that a record shows by itself, to whoever knows nothing of its stream: neither how
/// wide its rows are nor whether there is a registry. Bare numbers show nothing.
///
/// # Errors
/// `UnknownFormat` if the `content-type` names none of ours, or the bytes are none of ours or of two.
pub fn shown(headers: &Headers<'_>, value: &[u8]) -> Result<Format, Fault> {
    let stranger =
        Rules { format: Format::Auto, registry: true, cells: None, names: HashSet::new() };
    stranger.pick(headers, value)
}

impl Rules {
    pub fn new(layout: &Layout, format: Format, fields: Option<&Fields>, registry: bool) -> Self {
        let mut names: HashSet<String> = match fields {
            Some(fields) => fields.heads().collect(),
            None => layout.places().iter().map(|place| place.name.clone()).collect(),
        };
        names.retain(|name| Sign::of(name).is_none());
        let cells = layout.is_numeric().then(|| layout.cells());
        Self { format, registry, cells, names }
    }

    /// The same for what is inside an envelope: its own type, or any.
    pub fn inside(&self) -> Self {
        let format = if self.format == Format::CloudEvents { Format::Auto } else { self.format };
        Self { format, ..self.clone() }
    }

    /// # Errors
    /// `UnknownFormat` if the `content-type` names none of ours, or, under `auto`, the bytes are
    /// none of ours or of two: guessing would score noise.
    pub fn pick(&self, headers: &Headers<'_>, value: &[u8]) -> Result<Format, Fault> {
        let said = match headers.content_type {
            Some(header) => ContentType::read(header).ok_or(Fault::UnknownFormat)?,
            None => ContentType::Bytes,
        };
        let mayhap = matches!(self.format, Format::Auto | Format::Confluent);
        let framed = self.registry && matches!(value.first(), Some(0 | 1));
        if self.registry && mayhap && headers.schema_id.is_some() {
            return Ok(Format::Confluent);
        }
        match said {
            ContentType::Of(format) => Ok(format),
            ContentType::Json | ContentType::Protobuf | ContentType::Avro if framed => {
                Ok(Format::Confluent)
            }
            ContentType::Json if self.format.is_json() => Ok(self.format),
            ContentType::Json => Ok(self.dialect(value)?.unwrap_or(Format::Json)),
            ContentType::Protobuf => Ok(Format::OipProtobuf),
            ContentType::Avro => Ok(Format::Confluent),
            ContentType::Bytes if self.format != Format::Auto => Ok(self.format),
            ContentType::Bytes if headers.json_length.is_some() => Ok(Format::OipJson),
            ContentType::Bytes if framed => Ok(Format::Confluent),
            ContentType::Bytes => self.recognize(value),
        }
    }

    fn recognize(&self, value: &[u8]) -> Result<Format, Fault> {
        // A row of pixels may read as one long number: only where a row is one cell is it JSON.
        let first = value.iter().find(|byte| !byte.is_ascii_whitespace());
        let json = match first {
            Some(b'{' | b'[') => true,
            Some(b'0'..=b'9' | b'-') => self.cells == Some(1),
            Some(b'"') => self.cells.is_none(),
            _ => false,
        };
        if json && let Some(dialect) = self.dialect(value)? {
            return Ok(dialect);
        }
        if is_infer_request(value) {
            return Ok(Format::OipProtobuf);
        }
        let cells = self.cells.ok_or(Fault::UnknownFormat)?;
        match value.len() {
            0 => Err(Fault::UnknownFormat),
            n if n.is_multiple_of(size_of::<f32>() * cells) => Ok(Format::F32Le),
            n if n.is_multiple_of(cells) => Ok(Format::U8),
            _ => Err(Fault::UnknownFormat),
        }
    }

    /// The dialect that a document shows; `None` if it is not JSON. Bytes may follow it.
    fn dialect(&self, value: &[u8]) -> Result<Option<Format>, Fault> {
        let mut document = serde_json::Deserializer::from_slice(value);
        if value.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            let read = document.deserialize_ignored_any(IgnoredAny).and_then(|_| document.end());
            return Ok(read.is_ok().then_some(Format::Json));
        }
        let mut signs = Signs { names: &self.names, seen: [None; 3], named: false, twice: false };
        if document.deserialize_map(&mut signs).is_err() {
            return Ok(None);
        }
        let shown = signs.seen.iter().flatten().count();
        match signs.seen.iter().flatten().next() {
            None if !signs.twice => Ok(Some(Format::Json)),
            Some(&only) if shown == 1 && !signs.named && !signs.twice => Ok(Some(only)),
            _ => Err(Fault::UnknownFormat),
        }
    }
}

/// A member that shows a dialect.
#[derive(Clone, Copy, Debug)]
enum Sign {
    Specversion,
    Instances,
    Inputs,
}

impl Sign {
    fn of(key: &str) -> Option<Self> {
        match key {
            "specversion" => Some(Self::Specversion),
            "instances" => Some(Self::Instances),
            "inputs" => Some(Self::Inputs),
            _ => None,
        }
    }
}

/// What the members of a document show.
struct Signs<'a> {
    names: &'a HashSet<String>,
    /// The dialect that each sign stands for, if it was seen.
    seen: [Option<Format>; 3],
    /// A member is named as a feature.
    named: bool,
    /// A sign was seen twice.
    twice: bool,
}

impl<'de> Visitor<'de> for &mut Signs<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some((sign, named)) = object.next_key_seed(Key(self.names))? {
            self.named |= named;
            let Some(sign) = sign else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = object.next_value::<&RawValue>()?.get();
            let format = match sign {
                Sign::Specversion => Format::CloudEvents,
                Sign::Instances => Format::KserveV1,
                Sign::Inputs => {
                    let objects = value.strip_prefix('[').map(str::trim_ascii_start);
                    let objects = objects.is_some_and(|inside| inside.starts_with('{'));
                    if objects { Format::OipJson } else { Format::KserveV1 }
                }
            };
            self.twice |= self.seen[sign as usize].replace(format).is_some();
        }
        Ok(())
    }
}

/// What a key shows, and whether a feature is called so.
struct Key<'a>(&'a HashSet<String>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = (Option<Sign>, bool);

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = (Option<Sign>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((Sign::of(key), self.0.contains(key)))
    }
}

/// Whether `value` has the outline of a `ModelInferRequest`: nothing but its seven fields, each
/// with a length, up to the last byte, and a tensor among them.
fn is_infer_request(mut value: &[u8]) -> bool {
    const INPUTS: u8 = 5 << 3 | 2;
    let mut tensors = 0;
    while let Some((&key, rest)) = value.split_first() {
        value = rest;
        let Ok(length) = prost::encoding::decode_varint(&mut value) else { return false };
        let known = key & 7 == 2 && (1..=7).contains(&(key >> 3));
        match usize::try_from(length).ok().and_then(|length| value.get(length..)) {
            Some(rest) if known => value = rest,
            _ => return false,
        }
        tensors += usize::from(key == INPUTS);
    }
    tensors > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Feature, Schema};

    fn rules(format: Format, registry: bool) -> Rules {
        let features = vec![Feature::number("x", 0.0, 1.0), Feature::number("y", 0.0, 1.0)];
        Rules::new(&Layout::new(&Schema { features }, 999), format, None, registry)
    }

    fn check(rules: &Rules, headers: Headers<'_>, value: &[u8], expected: Option<Format>) {
        let picked = rules.pick(&headers, value);
        let text = String::from_utf8_lossy(value);
        assert_eq!(picked, expected.ok_or(Fault::UnknownFormat), "{headers:?} {text}");
    }

    fn said(content_type: &str) -> Headers<'_> {
        Headers { content_type: Some(content_type.as_bytes()), ..Headers::default() }
    }

    const V1: &str = r#" {"signature_name": "s", "instances": [[1, 2]]}"#;
    const COLUMNS: &str = r#"{"inputs": {"x": [1], "y": [2]}}"#;
    const V2: &str = r#"{"id": "7", "inputs": [ {"name": "x"}]}"#;
    const EVENT: &str = r#"{"specversion": "1.0", "data": {"instances": [], "x": 1}}"#;
    const PLAIN: &str = r#"{"x": 1, "y": 2, "deep": {"instances": 1}}"#;

    #[test]
    fn a_document_shows_its_dialect_by_its_members() {
        use Format::{CloudEvents, Json, KserveV1, OipJson};
        for (text, format) in [
            (V1, KserveV1),
            (COLUMNS, KserveV1),
            (V2, OipJson),
            (EVENT, CloudEvents),
            (PLAIN, Json),
            ("[1, 2]", Json),
        ] {
            for headers in [Headers::default(), said("application/json"), said("a/b+json")] {
                check(&rules(Format::Auto, false), headers, text.as_bytes(), Some(format));
            }
            // Without a dialect of its own, a stream of bytes is as open as `auto`.
            let json = said("application/json");
            check(&rules(Format::U8, false), json, text.as_bytes(), Some(format));
        }
    }

    #[test]
    fn the_stream_settles_the_dialect_and_the_header_settles_the_rest() {
        for format in [Format::Json, Format::KserveV1, Format::OipJson, Format::CloudEvents] {
            for text in [V1, V2, EVENT, PLAIN, "", "no json"] {
                let rules = rules(format, true);
                check(&rules, said("application/json"), text.as_bytes(), Some(format));
                check(&rules, said("application/octet-stream"), text.as_bytes(), Some(format));
                let event = said("Application/CloudEvents+json; charset=UTF-8");
                check(&rules, event, text.as_bytes(), Some(Format::CloudEvents));
                check(&rules, said("application/x-u8"), text.as_bytes(), Some(Format::U8));
                check(&rules, said("text/csv"), text.as_bytes(), None);
            }
        }
    }

    #[test]
    fn a_document_that_shows_two_dialects_is_refused() {
        let auto = rules(Format::Auto, false);
        for text in [
            r#"{"instances": [[1, 2]], "inputs": [{}]}"#,
            r#"{"instances": [[1, 2]], "instances": [[3, 4]]}"#,
            r#"{"x": 1, "y": 2, "instances": [[3, 4]]}"#,
            r#"{"specversion": "1.0", "inputs": []}"#,
        ] {
            check(&auto, said("application/json"), text.as_bytes(), None);
            check(&auto, Headers::default(), text.as_bytes(), None);
        }
    }

    #[test]
    fn bytes_without_a_type_are_told_by_how_they_begin_and_how_long_they_are() {
        let auto = rules(Format::Auto, false);
        let none = Headers::default();
        check(&auto, none, &[7; 8], Some(Format::F32Le));
        check(&auto, none, &[7; 6], Some(Format::U8));
        check(&auto, none, &[7; 5], None);
        check(&auto, none, b"", None);
        check(&auto, none, b"1234", Some(Format::U8));
        check(&auto, none, b"[1 2]123", Some(Format::F32Le));
        check(&auto, none, b"\x2a\x02ab", Some(Format::OipProtobuf));
        check(&auto, none, b"\x0a\x01m\x3a\x01r\x2a\x02ab", Some(Format::OipProtobuf));
        check(&auto, none, b"\x2a\x03a\x2a", Some(Format::U8));
        check(&auto, none, b"\x0a\x02ab", Some(Format::U8));
        let length = Headers { json_length: Some(b"2"), ..none };
        check(&auto, length, b"{}", Some(Format::OipJson));
        let mut tail = V2.as_bytes().to_vec();
        tail.extend([0xff; 5]);
        check(&auto, none, &tail, Some(Format::OipJson));
    }

    #[test]
    fn a_frame_counts_only_where_there_is_a_registry_to_ask() {
        let frame = [0, 0, 0, 0, 7, 1, 2, 3];
        let header = Headers { schema_id: Some(b"7"), ..Headers::default() };
        for format in [Format::Auto, Format::Confluent] {
            for kind in ["application/json", "application/protobuf", "avro/binary"] {
                check(&rules(format, true), said(kind), &frame, Some(Format::Confluent));
            }
            check(&rules(format, true), Headers::default(), &frame, Some(Format::Confluent));
            check(&rules(format, true), header, b"{}", Some(Format::Confluent));
        }
        check(&rules(Format::Auto, false), Headers::default(), &frame, Some(Format::F32Le));
        check(&rules(Format::Auto, false), header, b"{}", Some(Format::Json));
        check(&rules(Format::U8, true), Headers::default(), &frame, Some(Format::U8));
    }
}
