//! The names of the formats: in the configuration, and in a record's `content-type` header.
//!
//! It reads names only: a header that lies about its bytes is found by the codec it names, or,
//! where the lengths happen to agree, not at all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a record's value is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    #[default]
    /// `json`: numbers, or nested arrays of them, at given places of a JSON document.
    Json,
    /// `f32-le`: the row as it is, 32-bit floats, little-endian.
    F32Le,
    /// `u8`: one byte per number, divided by the schema's scale (255 for images).
    U8,
    /// `confluent`: Avro, Protobuf or JSON Schema, framed with the id of its schema in a registry.
    Confluent,
}

/// A name that no format has.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("no format is called {0:?}: write \"json\", \"f32-le\", \"u8\" or \"confluent\"")]
pub struct BadFormat(pub String);

impl Format {
    pub const ALL: [Self; 4] = [Self::Json, Self::F32Le, Self::U8, Self::Confluent];

    /// What the configuration calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::F32Le => "f32-le",
            Self::U8 => "u8",
            Self::Confluent => "confluent",
        }
    }

    /// What a `content-type` header calls it.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::F32Le => "application/x-f32-le",
            Self::U8 => "application/x-u8",
            Self::Confluent => "application/avro",
        }
    }

    /// The format a `content-type` header names, whatever its case and parameters; every
    /// `+json` type is JSON.
    pub fn of_content_type(header: &[u8]) -> Option<Self> {
        let header = std::str::from_utf8(header).ok()?;
        let essence = header.split(';').next().unwrap_or(header).trim_ascii();
        let named = |f: &Self| essence.eq_ignore_ascii_case(f.content_type());
        Self::ALL.into_iter().find(named).or_else(|| {
            let suffix = essence.rsplit_once('+')?.1;
            (essence.contains('/') && suffix.eq_ignore_ascii_case("json")).then_some(Self::Json)
        })
    }
}

impl FromStr for Format {
    type Err = BadFormat;

    fn from_str(name: &str) -> Result<Self, BadFormat> {
        let named = Self::ALL.into_iter().find(|f| f.name() == name);
        named.ok_or_else(|| BadFormat(name.to_owned()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_configuration_the_name_and_serde_agree() {
        for format in Format::ALL {
            assert_eq!(format.name().parse(), Ok(format));
            let written = serde_json::to_string(&format).unwrap();
            assert_eq!(written, format!("\"{}\"", format.name()));
        }
    }

    #[test]
    fn a_name_that_only_looks_like_ours_is_not_ours() {
        for header in ["json", "application/jsonl", "application/x-u8x", "+json", "a/b+jsonx"] {
            assert_eq!(Format::of_content_type(header.as_bytes()), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn case_blanks_and_parameters_do_not_change_a_content_type(
            which in 0..4_usize,
            upper in proptest::collection::vec(any::<bool>(), 32),
            tail in "[ \t]{0,2}(;[ -~]{0,9})?",
        ) {
            let all = Format::ALL.map(|f| (f.content_type(), f));
            let (name, format) = *all.get(which).unwrap_or(&("model/x.v2+json", Format::Json));
            let mixed = name.chars().zip(upper);
            let mixed = mixed.map(|(c, up)| if up { c.to_ascii_uppercase() } else { c });
            let header = mixed.collect::<String>() + &tail;
            prop_assert_eq!(Format::of_content_type(header.as_bytes()), Some(format));
        }
    }
}
