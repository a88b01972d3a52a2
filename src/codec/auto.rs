//! Which format a record is in.
//!
//! A stream that names its format has that one: no header of a sender changes it. Only under `auto`
//! are headers and bytes asked, and they must agree:
//!
//! 1. A `__value_schema_id` header, where a registry is configured: `confluent`.
//! 2. `content-type`. A type that belongs to one format is that format. JSON, Protobuf and Avro
//!    behind a frame (first byte 0 or 1, which none of them begins with) are `confluent`, where a
//!    registry is configured. `application/json`, `+json` and their like are the JSON dialect that the
//!    document shows. A type that we do not know is a fault. `application/octet-stream`, `text/plain`
//!    and what `curl` writes by itself say as much as no header.
//! 3. An `Inference-Header-Content-Length` header is `oip-json`; a frame is `confluent`; what reads
//!    as JSON is the dialect it shows; what reads as the outline of a `ModelInferRequest` is
//!    `oip-protobuf`; whole rows of 4 bytes per number are `f32-le`; whole rows of 1 byte per number
//!    are `u8`.
//!
//! A JSON dialect shows by members of the document: `specversion`, `instances`, `inputs` (an array
//! of objects is V2, anything else TensorFlow's columns), or none of them.
//!
//! The sender must not choose what we score. So `auto` refuses: a document that shows two dialects, or
//! one dialect and members named as the stream's features; text that looks like JSON, in UTF-8,
//! UTF-16 or UTF-32, and is read as anything else; JSON that reads as Protobuf too.
//!
//! What it cannot see: whether bytes are meant as raw numbers of another size. Four `u8` rows are as
//! long as one of `f32-le`; with a registry, a raw row that begins with 0 or 1 is taken for a frame.
//! Streams whose senders are not trusted should name their format.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::datatype::Datatype;
use super::format::ContentType;
use super::{ContentHeaders, Fields, Format, Layout, text, wire};
use crate::open::fold;
use crate::record::{Ambiguity, Fault};

/// What a stream knows before it sees a record.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    format: Format,
    registry: bool,
    /// Numbers of a row, if a row can be bare numbers.
    cells: Option<usize>,
    /// Members of a plain document that hold features, with their letters folded, sorted.
    names: Vec<String>,
}

/// The format that a record shows by itself, to whoever knows nothing of its stream: neither how
/// wide its rows are nor whether there is a registry. Bare numbers show nothing.
///
/// # Errors
/// `UnknownFormat` if the `content-type` names none of ours, or the bytes are none of ours or of two.
pub fn shown(headers: &ContentHeaders<'_>, value: &[u8]) -> Result<Format, Fault> {
    let stranger = Rules { format: Format::Auto, registry: true, cells: None, names: vec![] };
    stranger.pick(headers, value)
}

impl Rules {
    pub fn new(layout: &Layout, format: Format, fields: Option<&Fields>, registry: bool) -> Self {
        let names: Vec<String> = match fields {
            Some(fields) => fields.heads().collect(),
            None => layout.places().iter().map(|place| place.name.clone()).collect(),
        };
        let names = names.into_iter().filter(|name| Sign::of(name).is_none());
        let mut names: Vec<String> = names.map(|name| fold::folded(&name)).collect();
        names.sort_unstable();
        let cells = layout.is_numeric().then(|| layout.cells());
        Self { format, registry, cells, names }
    }

    /// The same for what is inside an envelope, which says itself what it holds.
    pub fn inside(&self) -> Self {
        Self { format: Format::Auto, ..self.clone() }
    }

    /// # Errors
    /// Under `auto`: `UnknownFormat` if the `content-type` names none of ours or the bytes are none of
    /// ours; `Ambiguous` if headers and bytes disagree, or the bytes read in two formats.
    pub fn pick(&self, headers: &ContentHeaders<'_>, value: &[u8]) -> Result<Format, Fault> {
        if self.format != Format::Auto {
            return Ok(self.format);
        }
        let said = match headers.content_type.get()? {
            Some(header) => ContentType::read(header).ok_or(Fault::UnknownFormat)?,
            None => ContentType::Bytes,
        };
        if self.registry && headers.schema_id.is_there() {
            return Ok(Format::Confluent);
        }
        let framed = self.registry && matches!(value.first(), Some(0 | 1));
        let disagree = Fault::Ambiguous(Ambiguity::Format);
        let json = |format: Format| match self.dialect(value)? {
            Some(shown) if shown != format => Err(disagree),
            _ => Ok(format),
        };
        let no_json = |format: Format| match self.is_text(value) {
            true => Err(disagree),
            false => Ok(format),
        };
        match said {
            ContentType::Json | ContentType::Protobuf | ContentType::Avro if framed => {
                Ok(Format::Confluent)
            }
            ContentType::Of(Format::CloudEvents) => json(Format::CloudEvents),
            ContentType::Of(format) => no_json(format),
            ContentType::Json => Ok(self.dialect(value)?.unwrap_or(Format::Json)),
            ContentType::Protobuf => no_json(Format::OipProtobuf),
            ContentType::Avro => no_json(Format::Confluent),
            ContentType::Bytes if headers.json_length.is_there() => json(Format::OipJson),
            ContentType::Bytes if framed => Ok(Format::Confluent),
            ContentType::Bytes => self.recognize(value),
        }
    }

    fn recognize(&self, value: &[u8]) -> Result<Format, Fault> {
        if self.is_text(value) {
            let dialect = self.dialect(value)?;
            return match is_infer_request(value) {
                true => Err(Fault::Ambiguous(Ambiguity::Format)),
                false => dialect.ok_or(Fault::UnknownFormat),
            };
        }
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

    /// Whether a reader of JSON would take the value for a document, also one that we do not read.
    fn is_text(&self, value: &[u8]) -> bool {
        text::is_document(value, self.cells == Some(1))
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
            _ => Err(Fault::Ambiguous(Ambiguity::Format)),
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
    /// Whatever the case of its letters: some readers do not mind it.
    fn of(key: &str) -> Option<Self> {
        let signs = [
            ("specversion", Self::Specversion),
            ("instances", Self::Instances),
            ("inputs", Self::Inputs),
        ];
        signs.into_iter().find(|(name, _)| fold::is_same(name, key)).map(|(_, sign)| sign)
    }
}

/// What the members of a document show.
struct Signs<'a> {
    names: &'a [String],
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
struct Key<'a>(&'a [String]);

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
        let named = self.0.binary_search_by(|name| fold::compare(name, key)).is_ok();
        Ok((Sign::of(key), named))
    }
}

/// Whether a reader would take `value` for a `ModelInferRequest`: it has the outline of one, or fields
/// that we do not know beside a whole tensor.
fn is_infer_request(value: &[u8]) -> bool {
    has_outline(value) || holds_tensor(value)
}

/// Whether `value` is fields of any kind up to the last byte, and one of them is a tensor with the name
/// of a datatype. Rows of numbers are that by no chance.
fn holds_tensor(value: &[u8]) -> bool {
    const INPUTS: u32 = 5;
    const DATATYPE: u32 = 2;
    let is_tensor = |tensor: &wire::Frame| {
        let fields = wire::Fields::new(value, tensor.body.clone());
        let fields: Result<Vec<wire::Field>, Fault> = fields.collect();
        let datatype = |field: &wire::Field| match &field.content {
            wire::Content::Delimited(name) if field.tag == DATATYPE => {
                let name = str::from_utf8(&value[name.body.clone()]).ok();
                name.and_then(Datatype::of_name).is_some()
            }
            _ => false,
        };
        fields.is_ok_and(|fields| fields.iter().any(datatype))
    };
    let mut tensors = 0;
    for field in wire::Fields::new(value, 0..value.len()) {
        match field {
            Err(_) => return false,
            Ok(wire::Field { tag: INPUTS, content: wire::Content::Delimited(tensor), .. }) => {
                tensors += usize::from(tensors == 0 && is_tensor(&tensor));
            }
            Ok(_) => {}
        }
    }
    tensors > 0
}

/// Whether `value` has the outline of a `ModelInferRequest`: nothing but its seven fields, each
/// with a length, up to the last byte, and a tensor among them.
fn has_outline(mut value: &[u8]) -> bool {
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
    use crate::codec::Header;
    use crate::record::{Feature, Schema};

    fn rules(format: Format, registry: bool) -> Rules {
        let features = vec![Feature::number("x", 0.0, 1.0), Feature::number("y", 0.0, 1.0)];
        Rules::new(&Layout::new(&Schema { features }, 999), format, None, registry)
    }

    fn check(rules: &Rules, headers: ContentHeaders<'_>, value: &[u8], expected: Option<Format>) {
        let picked = rules.pick(&headers, value);
        let text = String::from_utf8_lossy(value);
        assert_eq!(picked.ok(), expected, "{picked:?} {headers:?} {text}");
    }

    fn said(content_type: &str) -> ContentHeaders<'_> {
        ContentHeaders { content_type: content_type.as_bytes().into(), ..ContentHeaders::default() }
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
            for headers in [ContentHeaders::default(), said("application/json"), said("a/b+json")] {
                check(&rules(Format::Auto, false), headers, text.as_bytes(), Some(format));
            }
        }
    }

    /// A sender's headers must not choose what is scored.
    #[test]
    fn no_header_and_no_bytes_change_the_format_that_a_stream_names() {
        let types = ["application/json", "application/cloudevents+json", "application/x-u8", "a/b"];
        for &format in Format::ALL.iter().filter(|&&format| format != Format::Auto) {
            for text in [V1, V2, EVENT, PLAIN, "", "no json"] {
                for content_type in types {
                    let headers = ContentHeaders {
                        schema_id: b"7"[..].into(),
                        json_length: b"2"[..].into(),
                        ..said(content_type)
                    };
                    check(&rules(format, true), headers, text.as_bytes(), Some(format));
                    check(&rules(format, false), headers, text.as_bytes(), Some(format));
                }
                let twice = ContentHeaders {
                    content_type: Header::Contradictory,
                    ..ContentHeaders::default()
                };
                check(&rules(format, false), twice, text.as_bytes(), Some(format));
            }
        }
    }

    #[test]
    fn headers_and_bytes_that_disagree_are_refused() {
        let auto = rules(Format::Auto, false);
        for text in [V1, V2, PLAIN, "[1, 2]", "{\"x\": NaN}"] {
            for content_type in [
                "application/x-u8",
                "application/x-f32-le",
                "application/x-protobuf",
                "application/avro",
            ] {
                check(&auto, said(content_type), text.as_bytes(), None);
            }
        }
        for text in [V1, V2, PLAIN] {
            check(&auto, said("application/cloudevents+json"), text.as_bytes(), None);
        }
        let event = said("Application/CloudEvents+json; charset=UTF-8");
        check(&auto, event, EVENT.as_bytes(), Some(Format::CloudEvents));
        let length = ContentHeaders { json_length: b"2"[..].into(), ..ContentHeaders::default() };
        check(&auto, length, V1.as_bytes(), None);
        let twice =
            ContentHeaders { content_type: Header::Contradictory, ..ContentHeaders::default() };
        check(&auto, twice, V1.as_bytes(), None);
        check(&auto, said("text/csv"), b"1,2", None);
    }

    /// Python reads UTF-16 and UTF-32; rows of numbers may have the same length.
    #[test]
    fn text_that_another_reader_takes_for_json_is_never_a_row_of_bytes() {
        let auto = rules(Format::Auto, false);
        for pad in 0..8 {
            let text = format!("{{\"x\": 1, \"y\": 20}}{}", " ".repeat(pad));
            let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
            let bom = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
            let latin = [b"{\"x\": 1, \"z\xe9\": 0}", &b" ".repeat(pad)[..]].concat();
            let nan = format!("{{\"x\": NaN, \"y\": 2}}{}", " ".repeat(pad)).into_bytes();
            for value in [utf16, utf32, bom, latin, nan] {
                check(&auto, ContentHeaders::default(), &value, None);
            }
        }
        let rows: Vec<u8> =
            [0.5_f32, -1.0, 0.0, 1e-9].iter().flat_map(|x| x.to_le_bytes()).collect();
        check(&auto, ContentHeaders::default(), &rows, Some(Format::F32Le));
        check(&auto, ContentHeaders::default(), b"{\x00,}", Some(Format::U8));
    }

    /// Go's decoder and Jackson read the first document and leave what is behind it.
    #[test]
    fn a_document_with_something_behind_it_is_never_a_row_of_bytes() {
        let auto = rules(Format::Auto, false);
        for behind in [&b"\n{}"[..], b"\xff\xff", b"\0", b"[3, 4]"] {
            for pad in 0..8 {
                let value = [b"[1, 2]", behind, &vec![7; pad][..]].concat();
                check(&auto, ContentHeaders::default(), &value, None);
            }
        }
        check(&auto, ContentHeaders::default(), b"[]345678", Some(Format::F32Le));
    }

    #[test]
    fn a_request_with_fields_that_nobody_knows_is_never_a_row_of_bytes() {
        let auto = rules(Format::Auto, false);
        // A tensor of FP32; then field 15, a varint, and filler.
        let tensor = b"\x2a\x06\x12\x04FP32";
        for pad in 0..8 {
            let value = [&tensor[..], &b"\x78\x07".repeat(pad)].concat();
            check(&auto, ContentHeaders::default(), &value, Some(Format::OipProtobuf));
        }
        check(&auto, ContentHeaders::default(), b"\x2a\x02ab\x78\x07\x78\x07", Some(Format::F32Le));
    }

    #[test]
    fn a_feature_in_other_letters_beside_a_dialect_is_refused() {
        let text = r#"{"instances": [[1, 2]], "X": 3}"#;
        check(&rules(Format::Auto, false), said("application/json"), text.as_bytes(), None);
        check(&rules(Format::Auto, false), ContentHeaders::default(), text.as_bytes(), None);
    }

    /// Protobuf reads `\n ` as a name of 32 letters, `*` as a tensor.
    #[test]
    fn what_reads_as_json_and_as_protobuf_is_refused() {
        let name = format!("{{\"x\": 1, \"y\": 2, \"pad\": \"{}", " ".repeat(7));
        assert_eq!(name.len(), 32);
        let tensor = format!("{}\"}}", " ".repeat(32));
        let polyglot = format!("\n {name}*\"{tensor}");
        assert!(is_infer_request(polyglot.as_bytes()));
        check(&rules(Format::Auto, false), ContentHeaders::default(), polyglot.as_bytes(), None);
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
            check(&auto, ContentHeaders::default(), text.as_bytes(), None);
        }
    }

    #[test]
    fn bytes_without_a_type_are_told_by_how_they_begin_and_how_long_they_are() {
        let auto = rules(Format::Auto, false);
        let none = ContentHeaders::default();
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
        let length = ContentHeaders { json_length: b"2"[..].into(), ..none };
        check(&auto, length, b"{}", None);
        check(&auto, length, V2.as_bytes(), Some(Format::OipJson));
        let mut tail = V2.as_bytes().to_vec();
        tail.extend([0xff; 5]);
        check(&auto, none, &tail, Some(Format::OipJson));
    }

    #[test]
    fn a_frame_counts_only_where_there_is_a_registry_to_ask() {
        let frame = [0, 0, 0, 0, 7, 1, 2, 3];
        let header = ContentHeaders { schema_id: b"7"[..].into(), ..ContentHeaders::default() };
        for kind in ["application/json", "application/protobuf", "avro/binary"] {
            check(&rules(Format::Auto, true), said(kind), &frame, Some(Format::Confluent));
        }
        let auto = |registry| rules(Format::Auto, registry);
        check(&auto(true), ContentHeaders::default(), &frame, Some(Format::Confluent));
        check(&auto(true), header, b"{}", Some(Format::Confluent));
        check(&auto(false), ContentHeaders::default(), &frame, Some(Format::F32Le));
        check(&auto(false), header, b"{}", Some(Format::Json));
    }
}
