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
//! of objects is V2, anything else TensorFlow's columns), or none of them. `schema` (an object or `null`)
//! and `payload` are `connect-json` if there is no third member and no feature stands in them.
//!
//! The sender must not choose what we score. So `auto` refuses: a document that shows two dialects, or
//! one dialect and members named as the stream's features; text that looks like JSON, in UTF-8,
//! UTF-16 or UTF-32, and is read as anything else; JSON that reads as Protobuf too.
//!
//! What it cannot see: whether bytes are meant as raw numbers of another size. Four `u8` rows are as
//! long as one of `f32-le`, and two of those as one of `f64-le`; only a type shows `f64-le`. With a registry, a
//! raw row that begins with 0 or 1 is taken for a frame. Streams whose senders are not trusted should name their format.

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
        let is_dialect = |name: &String| Sign::of(name).is_some_and(|sign| sign.is_dialect());
        let names = names.into_iter().filter(|name| !is_dialect(name));
        let mut names: Vec<String> = names.map(|name| fold::folded(&name)).collect();
        names.sort_unstable();
        let cells = layout.is_numeric().then(|| layout.cells());
        Self { format, registry, cells, names }
    }

    /// The rules for a payload inside an envelope: the envelope says which format it is.
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
        let mut signs = Signs::new(&self.names);
        if document.deserialize_map(&mut signs).is_err() {
            return Ok(None);
        }
        if signs.schema && signs.payload && !signs.named && !signs.others {
            return Ok(Some(Format::ConnectJson));
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
    /// These show one together, and only alone.
    Schema,
    Payload,
}

impl Sign {
    /// Whatever the case of its letters: some readers do not mind it.
    fn of(key: &str) -> Option<Self> {
        let signs = [
            ("specversion", Self::Specversion),
            ("instances", Self::Instances),
            ("inputs", Self::Inputs),
            ("schema", Self::Schema),
            ("payload", Self::Payload),
        ];
        signs.into_iter().find(|(name, _)| fold::is_same(name, key)).map(|(_, sign)| sign)
    }

    /// Whether it shows a dialect by itself.
    fn is_dialect(self) -> bool {
        !matches!(self, Self::Schema | Self::Payload)
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
    /// There is a `schema` that is one, or says that there is none.
    schema: bool,
    payload: bool,
    /// There is a member beside these two.
    others: bool,
}

impl<'a> Signs<'a> {
    fn new(names: &'a [String]) -> Self {
        let (named, twice, schema, payload, others) = (false, false, false, false, false);
        Self { names, seen: [None; 3], named, twice, schema, payload, others }
    }
}

impl<'de> Visitor<'de> for &mut Signs<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some((sign, named)) = object.next_key_seed(Key(self.names))? {
            self.named |= named;
            self.others |= sign.is_none_or(Sign::is_dialect);
            let Some(sign) = sign else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = object.next_value::<&RawValue>()?.get();
            let format = match sign {
                Sign::Schema => {
                    self.schema = value == "null" || value.starts_with('{');
                    continue;
                }
                Sign::Payload => {
                    self.payload = true;
                    continue;
                }
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
mod tests;
