//! Where the encrypted fields of a value are, and how a text is written there. One file per format.
//!
//! Protobuf's fields are not here: their tags stand in options of a file that we do not have. A schema of Protobuf with
//! encrypted fields cannot be read by; its whole payload may be encrypted.

mod avro;
mod json;

use std::ops::Range;

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
        /// It holds base64, not bytes.
        is_text: bool,
    },
    /// A count of items with their size in bytes (Avro): without the size it says the same.
    Block { whole: Range<usize>, count: u64 },
}

impl EncryptedFields {
    /// Those of `schema`; none if its rules encrypt no fields.
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
            Language::Protobuf => Err(UnusableRule(
                "encrypted fields of Protobuf are not read: encrypt the payload (ENCRYPT_PAYLOAD)"
                    .into(),
            )),
        }
    }

    /// The places in `payload`, in their order.
    ///
    /// # Errors
    /// If it is no value of the schema: where it ends to be one.
    pub fn places(&self, payload: &[u8]) -> Result<Vec<FieldPlace>, Fault> {
        match self {
            Self::Avro(schema) => schema.places(payload),
            Self::Json(schema) => schema.places(payload),
        }
    }

    /// What is in a field: the bytes in `content`, without escapes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, content: &[u8]) -> Result<Zeroizing<Vec<u8>>, Fault> {
        match self {
            Self::Avro(_) => Ok(Zeroizing::new(content.to_vec())),
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
        }
    }
}
