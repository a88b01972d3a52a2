//! Where the encrypted fields of a value are, and how a text is written there. One file per format.

mod avro;
mod json;
mod protobuf;

use std::ops::Range;

use prost::encoding::{encode_varint, encoded_len_varint};
use zeroize::Zeroizing;

use super::UnusableRule;
use super::rules::Encryption;
use crate::open::framed::{Language, SchemaText, put_zigzag};
use crate::record::Fault;

/// The encrypted fields of one schema.
#[derive(Debug)]
pub enum EncryptedFields {
    Avro(avro::AvroTags),
    Json(json::JsonTags),
    Protobuf(protobuf::ProtobufTags),
}

/// A place in a value that is written anew when its fields change.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldPlace {
    /// A field that is encrypted.
    Field {
        rule: u8,
        /// With its length, or its quotes.
        whole: Range<usize>,
        /// What is in it.
        content: Range<usize>,
        /// Whether it holds base64 and not bytes.
        is_text: bool,
    },
    /// A count of items with their size in bytes (Avro): without the size it says the same.
    Block { whole: Range<usize>, count: u64 },
    /// The length of a message that has encrypted fields in it (Protobuf).
    Length { whole: Range<usize>, body: Range<usize> },
}

impl EncryptedFields {
    /// The encrypted fields of `schema`. None if its rules encrypt no fields.
    ///
    /// # Errors
    /// If we cannot find them.
    pub fn of(schema: &SchemaText, encryption: &Encryption) -> Result<Option<Self>, UnusableRule> {
        if encryption.fields.is_empty() {
            return Ok(None);
        }
        match schema.language {
            Language::Avro => avro::AvroTags::new(schema, encryption).map(Self::Avro).map(Some),
            Language::JsonSchema => {
                json::JsonTags::new(schema, encryption).map(Self::Json).map(Some)
            }
            Language::Protobuf => {
                protobuf::ProtobufTags::new(schema, encryption).map(Self::Protobuf).map(Some)
            }
        }
    }

    /// The places in `payload`, in their order. `message` is where a message of Protobuf stands in its file.
    ///
    /// # Errors
    /// If it is no value of the schema: where it ends to be one.
    pub fn places(&self, payload: &[u8], message: &[u32]) -> Result<Vec<FieldPlace>, Fault> {
        match self {
            Self::Avro(schema) => schema.places(payload),
            Self::Json(schema) => schema.places(payload),
            Self::Protobuf(schema) => schema.places(payload, message),
        }
    }

    /// What is in a field: the bytes in `content`, without escapes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        match self {
            Self::Avro(_) | Self::Protobuf(_) => Ok(Zeroizing::new(content.to_vec())),
            Self::Json(_) => json::unescaped(content),
        }
    }

    /// Appends a field that holds `content`: UTF-8, if it is text. `out` must have room for six times as much, and ten.
    pub fn write(&self, content: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Avro(_) => {
                put_zigzag(content.len() as i64, out);
                out.extend_from_slice(content);
            }
            Self::Json(_) => json::escape(content, out),
            Self::Protobuf(_) => {
                encode_varint(content.len() as u64, out);
                out.extend_from_slice(content);
            }
        }
    }
}

/// Gives `put` the pieces of `text` with other fields in it: those of `written`, one for each field of `places`. Counts and
/// lengths around them are set right.
pub fn rewrite(
    text: &[u8],
    places: &[FieldPlace],
    written: &[Zeroizing<Vec<u8>>],
    mut put: impl FnMut(&[u8]),
) {
    let lengths = lengths(places, written);
    let (mut kept, mut written, mut lengths) = (0, written.iter(), lengths.into_iter());
    let mut number = Vec::with_capacity(10);
    for place in places {
        number.clear();
        let (whole, piece) = match place {
            FieldPlace::Field { whole, .. } => (whole, &written.next().expect("one each")[..]),
            FieldPlace::Block { whole, count } => {
                put_zigzag(i64::try_from(*count).unwrap_or(i64::MAX), &mut number);
                (whole, &number[..])
            }
            FieldPlace::Length { whole, .. } => {
                encode_varint(lengths.next().expect("one each"), &mut number);
                (whole, &number[..])
            }
        };
        put(&text[kept..whole.start]);
        put(piece);
        kept = whole.end;
    }
    put(&text[kept..]);
}

/// What each length of `places` says with the fields of `written`, in order.
///
/// O(places · depth): from the last place to the first, so that what is in a message is known before its length.
fn lengths(places: &[FieldPlace], written: &[Zeroizing<Vec<u8>>]) -> Vec<u64> {
    let mut grown: Vec<i64> = vec![0; places.len()];
    let mut fields = written.iter().rev();
    let mut lengths = vec![];
    for (at, place) in places.iter().enumerate().rev() {
        match place {
            FieldPlace::Field { whole, .. } => {
                let new = fields.next().expect("one each").len();
                grown[at] = new as i64 - whole.len() as i64;
            }
            FieldPlace::Block { .. } => {}
            FieldPlace::Length { whole, body } => {
                let inside = places[at + 1..].iter().take_while(|place| place.start() < body.end);
                let more: i64 = grown[at + 1..].iter().take(inside.count()).sum();
                let new = (body.len() as i64 + more).cast_unsigned();
                grown[at] = encoded_len_varint(new) as i64 - whole.len() as i64;
                lengths.push(new);
            }
        }
    }
    lengths.reverse();
    lengths
}

impl FieldPlace {
    fn start(&self) -> usize {
        let (Self::Field { whole, .. } | Self::Block { whole, .. } | Self::Length { whole, .. }) =
            self;
        whole.start
    }
}
