//! The names of the formats: in the configuration, and in a record's `content-type` header.
//!
//! It reads names only: a header that lies about its bytes is found by the codec it names, or,
//! where the lengths happen to agree, not at all.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a record's value is written.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Format {
    #[default]
    /// `json`: an array by position, an object by name, or values at given places of a document.
    Json,
    /// `kserve-v1`: KServe's and TensorFlow Serving's `{"instances": …}` or columnar `{"inputs": …}`.
    KserveV1,
    /// `oip-json`: an Open Inference Protocol (V2) REST body, with or without binary tensors.
    OipJson,
    /// `oip-protobuf`: an Open Inference Protocol (V2) `ModelInferRequest`.
    OipProtobuf,
    /// `cloudevents`: a structured CloudEvent around any of the others.
    #[serde(rename = "cloudevents")]
    #[strum(serialize = "cloudevents")]
    CloudEvents,
    /// `connect-json`: Kafka Connect's JSON with its schema, around any of the others.
    ConnectJson,
    /// `confluent`: Avro, Protobuf or JSON Schema in a frame that names a registry's schema.
    Confluent,
    /// `f32-le`: the row as it is, 32-bit floats, little-endian.
    F32Le,
    /// `f64-le`: the row as it is, 64-bit floats, little-endian.
    F64Le,
    /// `u8`: one byte per number, divided by the schema's scale (255 for images).
    U8,
    /// `auto`: as the record's headers say, or else its first bytes.
    Auto,
}

/// A name that no format has.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("no format is called {0:?}: write one of {names}", names = <Format as strum::VariantNames>::VARIANTS.join(", "))]
pub struct BadFormat(pub String);

/// What a `content-type` header says about a value. JSON and Protobuf have dialects: which one
/// it is, the header does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentType {
    Json,
    Protobuf,
    Avro,
    /// `application/octet-stream`: bytes.
    Bytes,
    /// A type that belongs to one format.
    Of(Format),
}

impl Format {
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// What the configuration calls it.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What a `content-type` header calls it, if anything does.
    pub fn content_type(self) -> Option<&'static str> {
        match self {
            Self::Json | Self::KserveV1 | Self::OipJson | Self::ConnectJson => {
                Some("application/json")
            }
            Self::OipProtobuf => Some("application/x-protobuf"),
            Self::CloudEvents => Some("application/cloudevents+json"),
            Self::F32Le => Some("application/x-f32-le"),
            Self::F64Le => Some("application/x-f64-le"),
            Self::U8 => Some("application/x-u8"),
            Self::Confluent | Self::Auto => None,
        }
    }

    /// Whether its values are JSON documents: a stream configured so says which dialect
    /// `application/json` means.
    pub fn is_json(self) -> bool {
        let dialects = [Self::Json, Self::KserveV1, Self::OipJson];
        dialects.contains(&self) || matches!(self, Self::CloudEvents | Self::ConnectJson)
    }

    /// Whether its values can have fields that a pointer names.
    pub fn has_fields(self) -> bool {
        self.is_json() || self == Self::Auto
    }
}

impl ContentType {
    /// The types we know, beside every `+json` type, which is JSON.
    const KNOWN: [(&'static str, Self); 20] = [
        ("application/json", Self::Json),
        ("text/json", Self::Json),
        ("application/x-ndjson", Self::Json),
        ("application/jsonlines", Self::Json),
        // What senders write who say nothing: no header's value, an editor's, `curl -d`'s own.
        ("", Self::Bytes),
        ("text/plain", Self::Bytes),
        ("application/x-www-form-urlencoded", Self::Bytes),
        ("application/cloudevents+json", Self::Of(Format::CloudEvents)),
        ("application/x-f32-le", Self::Of(Format::F32Le)),
        ("application/x-f64-le", Self::Of(Format::F64Le)),
        ("application/x-u8", Self::Of(Format::U8)),
        ("application/octet-stream", Self::Bytes),
        ("application/x-protobuf", Self::Protobuf),
        ("application/protobuf", Self::Protobuf),
        ("application/vnd.google.protobuf", Self::Protobuf),
        ("application/grpc+proto", Self::Protobuf),
        ("application/avro", Self::Avro),
        ("application/x-avro", Self::Avro),
        ("application/vnd.apache.avro", Self::Avro),
        ("avro/binary", Self::Avro),
    ];

    /// What `header` names, whatever its case and parameters. Spring writes it in quotes.
    pub fn read(header: &[u8]) -> Option<Self> {
        let header = std::str::from_utf8(header).ok()?.trim_ascii();
        let quoted = header.strip_prefix('"').and_then(|header| header.strip_suffix('"'));
        let header = quoted.unwrap_or(header);
        let essence = header.split(';').next().unwrap_or(header).trim_ascii();
        let known = Self::KNOWN.iter().find(|(name, _)| essence.eq_ignore_ascii_case(name));
        if let Some(&(_, known)) = known {
            return Some(known);
        }
        let (kind, suffix) = essence.rsplit_once('+')?;
        // A batch of events is several records in one, which Kafka's binding does not have.
        let batch = kind.eq_ignore_ascii_case("application/cloudevents-batch");
        (kind.contains('/') && suffix.eq_ignore_ascii_case("json") && !batch).then_some(Self::Json)
    }
}

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(name: &str) -> Result<Self, BadFormat> {
        let named = Self::ALL.iter().copied().find(|f| f.name() == name);
        named.ok_or_else(|| BadFormat(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_configuration_the_name_and_serde_agree() {
        for &format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            let written = serde_json::to_string(&format).unwrap();
            assert_eq!(written, format!("\"{}\"", format.name()));
        }
    }

    #[test]
    fn what_a_format_calls_itself_is_a_type_we_read() {
        for &format in Format::ALL {
            let Some(name) = format.content_type() else { continue };
            let read = ContentType::read(name.as_bytes()).unwrap();
            let settled = match format {
                _ if name == "application/json" => ContentType::Json,
                Format::OipProtobuf => ContentType::Protobuf,
                _ => ContentType::Of(format),
            };
            assert_eq!(read, settled, "{format}");
        }
    }

    #[test]
    fn a_name_that_only_looks_like_ours_is_not_ours() {
        for header in [
            "json",
            "application/jsonl",
            "application/x-u8x",
            "+json",
            "a/b+jsonx",
            "application/cloudevents-batch+json",
            "application/cloudevents+avro",
        ] {
            assert_eq!(ContentType::read(header.as_bytes()), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn case_blanks_and_parameters_do_not_change_a_content_type(
            which in 0..=ContentType::KNOWN.len(),
            upper in proptest::collection::vec(any::<bool>(), 64),
            tail in "[ \t]{0,2}(;[ -~]{0,9})?",
        ) {
            let other = ("model/x.v2+json", ContentType::Json);
            let (name, expected) = *ContentType::KNOWN.get(which).unwrap_or(&other);
            let mixed = name.chars().zip(upper);
            let mixed = mixed.map(|(c, up)| if up { c.to_ascii_uppercase() } else { c });
            let header = mixed.collect::<String>() + &tail;
            prop_assert_eq!(ContentType::read(header.as_bytes()), Some(expected));
        }
    }
}
