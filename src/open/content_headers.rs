//! What the headers of a record say of how its value is to be read.
//!
//! A header may stand in a record twice. Some readers take the first one, some the last. So a header
//! with two different values says nothing: whoever asks for it gets a fault.
//!
//! Names: Kafka minds the case of a name; HTTP does not, and many of these headers come from HTTP.
//! KServe's client writes `inference-header-content-length`, Triton's `Inference-Header-Content-Length`.

use crate::record::{Ambiguity, Fault, Headers};

/// What the headers of a record say of how its value is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ContentHeaders<'a> {
    /// `content-type`
    pub content_type: Header<'a>,
    /// `__value_schema_id`: the schema of a value without a frame, as Confluent's clients say it.
    pub schema_id: Header<'a>,
    /// `Inference-Header-Content-Length`: where the JSON of a V2 request ends and tensors begin.
    pub json_length: Header<'a>,
}

/// One header of a record.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Header<'a> {
    /// Not there, or null.
    #[default]
    Absent,
    Value(&'a [u8]),
    /// There with two different values.
    Contradictory,
}

impl<'a> ContentHeaders<'a> {
    /// Whether a header of this name says how a value is to be read.
    pub fn is_one(name: &[u8]) -> bool {
        let names: [&[u8]; 3] =
            [b"content-type", b"__value_schema_id", b"inference-header-content-length"];
        names.iter().any(|known| name.eq_ignore_ascii_case(known))
    }

    /// What these headers say.
    pub fn of(headers: &'a dyn Headers) -> Self {
        let mut content = Self::default();
        headers.visit(&mut |name, value| {
            let Some(value) = value else { return };
            if name.eq_ignore_ascii_case(b"content-type") {
                content.content_type.meet(value);
            } else if name == b"__value_schema_id" {
                content.schema_id.meet(value);
            } else if name.eq_ignore_ascii_case(b"inference-header-content-length") {
                content.json_length.meet(value);
            }
        });
        content
    }
}

impl<'a> Header<'a> {
    fn meet(&mut self, value: &'a [u8]) {
        *self = match *self {
            Self::Absent => Self::Value(value),
            Self::Value(before) if before == value => Self::Value(value),
            _ => Self::Contradictory,
        };
    }

    /// The value, if the header is there.
    ///
    /// # Errors
    /// If it is there with two values.
    pub fn get(self) -> Result<Option<&'a [u8]>, Fault> {
        match self {
            Self::Absent => Ok(None),
            Self::Value(value) => Ok(Some(value)),
            Self::Contradictory => Err(Fault::Ambiguous(Ambiguity::Header)),
        }
    }

    pub fn is_there(self) -> bool {
        self != Self::Absent
    }
}

impl<'a> From<&'a [u8]> for Header<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Value(value)
    }
}

impl<'a> From<Option<&'a [u8]>> for Header<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        value.map_or(Self::Absent, Self::Value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(all: &[(&str, &str)], check: impl Fn(ContentHeaders<'_>)) {
        let pair = |(name, value): &(&str, &str)| {
            (name.as_bytes().to_vec(), Some(value.as_bytes().to_vec()))
        };
        let all: Vec<_> = all.iter().map(pair).collect();
        check(ContentHeaders::of(&all));
    }

    #[test]
    fn a_header_that_stands_there_twice_with_two_values_says_nothing() {
        check(&[("content-type", "a/b"), ("x", "y"), ("Content-Type", "c/d")], |twice| {
            assert_eq!(twice.content_type.get(), Err(Fault::Ambiguous(Ambiguity::Header)));
        });
        check(&[("content-type", "a/b"), ("CONTENT-TYPE", "a/b")], |same| {
            assert_eq!(same.content_type.get(), Ok(Some(&b"a/b"[..])));
        });
        let lengths = ["Inference-Header-Content-Length", "inference-header-content-length"];
        check(&[(lengths[0], "7"), (lengths[1], "8")], |length| {
            assert_eq!(length.json_length, Header::Contradictory);
        });
        check(&[("__Value_schema_id", "7")], |other| assert_eq!(other.schema_id, Header::Absent));
    }

    #[test]
    fn a_null_header_is_no_header() {
        let all = [(&b"content-type"[..], None), (b"content-type", Some(&b"a/b"[..]))];
        let null = ContentHeaders::of(&all);
        assert_eq!(null.content_type, Header::Value(b"a/b"));
    }
}
