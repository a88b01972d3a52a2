//! The headers of a record that say how its value is to be read, and how many headers it may have.
//!
//! A header may stand in a record twice. Some readers take the first one, some the last. So a header
//! with two different values says nothing: whoever asks for it gets a fault.
//!
//! Names: Kafka minds the case of a name; HTTP does not, and many of these headers come from HTTP.
//! KServe's client writes `inference-header-content-length`, Triton's `Inference-Header-Content-Length`.

use crate::record::{Ambiguity, Fault};

/// The headers of a record that say how its value is to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Headers<'a> {
    /// `content-type`
    pub content_type: Header<'a>,
    /// `__value_schema_id`: the schema of a value without a frame, as Confluent's clients say it.
    pub schema_id: Header<'a>,
    /// `Inference-Header-Content-Length`: where the JSON of a V2 request ends and tensors begin.
    pub json_length: Header<'a>,
    /// The record has more headers than it may have: nothing else was read of them.
    pub excess: Option<Excess>,
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

/// More headers than [`HEADERS_MAX`], or more bytes than [`HEADER_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// `None`: so many that the Kafka client reads none.
    pub headers: Option<usize>,
    /// Names and values together.
    pub bytes: usize,
}

/// Headers that a record may have. A record with more is dead-lettered as a pointer: whoever copies
/// or reads a hundred thousand headers pays megabytes for each record.
pub const HEADERS_MAX: usize = 1000;
/// Bytes that their names and values may have together.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

impl<'a> Headers<'a> {
    /// Reads the headers of a record: names and values, in order.
    pub fn read(all: impl IntoIterator<Item = (&'a [u8], Option<&'a [u8]>)>) -> Self {
        let mut headers = Self::default();
        let (mut count, mut bytes) = (0, 0);
        for (name, value) in all {
            count += 1;
            bytes += name.len() + value.map_or(0, <[u8]>::len);
            let Some(value) = value else { continue };
            if name.eq_ignore_ascii_case(b"content-type") {
                headers.content_type.meet(value);
            } else if name == b"__value_schema_id" {
                headers.schema_id.meet(value);
            } else if name.eq_ignore_ascii_case(b"inference-header-content-length") {
                headers.json_length.meet(value);
            }
        }
        if count > HEADERS_MAX || bytes > HEADER_BYTES_MAX {
            return Self::excessive(Excess { headers: Some(count), bytes });
        }
        headers
    }

    /// The headers of a record that has too many of them.
    pub fn excessive(excess: Excess) -> Self {
        Self { excess: Some(excess), ..Self::default() }
    }

    /// # Errors
    /// If there are more headers than a record may have.
    pub fn check(&self) -> Result<(), Fault> {
        match self.excess {
            None => Ok(()),
            Some(Excess { headers, bytes }) => Err(Fault::TooManyHeaders { headers, bytes }),
        }
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

/// The same, kept longer than the record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedHeaders {
    /// In the order of the fields of [`Headers`].
    headers: [Owned; 3],
    excess: Option<Excess>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Owned {
    #[default]
    Absent,
    Value(Vec<u8>),
    Contradictory,
}

impl From<Headers<'_>> for OwnedHeaders {
    fn from(headers: Headers<'_>) -> Self {
        let Headers { content_type, schema_id, json_length, excess } = headers;
        let own = |header: Header<'_>| match header {
            Header::Absent => Owned::Absent,
            Header::Value(value) => Owned::Value(value.to_vec()),
            Header::Contradictory => Owned::Contradictory,
        };
        Self { headers: [content_type, schema_id, json_length].map(own), excess }
    }
}

impl OwnedHeaders {
    pub fn borrow(&self) -> Headers<'_> {
        let lend = |at: usize| match &self.headers[at] {
            Owned::Absent => Header::Absent,
            Owned::Value(value) => Header::Value(value),
            Owned::Contradictory => Header::Contradictory,
        };
        let (content_type, schema_id, json_length) = (lend(0), lend(1), lend(2));
        Headers { content_type, schema_id, json_length, excess: self.excess }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(all: &[(&'a str, &'a str)]) -> Headers<'a> {
        Headers::read(all.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes()))))
    }

    #[test]
    fn a_header_that_stands_there_twice_with_two_values_says_nothing() {
        let twice = read(&[("content-type", "a/b"), ("x", "y"), ("Content-Type", "c/d")]);
        assert_eq!(twice.content_type.get(), Err(Fault::Ambiguous(Ambiguity::Header)));
        let same = read(&[("content-type", "a/b"), ("CONTENT-TYPE", "a/b")]);
        assert_eq!(same.content_type.get(), Ok(Some(&b"a/b"[..])));
        let length = read(&[
            ("Inference-Header-Content-Length", "7"),
            ("inference-header-content-length", "8"),
        ]);
        assert_eq!(length.json_length, Header::Contradictory);
        assert_eq!(read(&[("__Value_schema_id", "7")]).schema_id, Header::Absent);
    }

    #[test]
    fn a_null_header_is_no_header() {
        let null =
            Headers::read([(&b"content-type"[..], None), (b"content-type", Some(&b"a/b"[..]))]);
        assert_eq!(null.content_type, Header::Value(b"a/b"));
    }

    #[test]
    fn a_thousand_headers_and_64_kib_are_allowed_and_no_more() {
        let few = vec![("", "1"); HEADERS_MAX];
        assert_eq!(read(&few).check(), Ok(()));
        let many = vec![("", "1"); HEADERS_MAX + 1];
        let fault = Fault::TooManyHeaders { headers: Some(1001), bytes: 1001 };
        assert_eq!(read(&many).check(), Err(fault));
        let long = "x".repeat(HEADER_BYTES_MAX);
        assert_eq!(read(&[("", &long)]).check(), Ok(()));
        let fault = Fault::TooManyHeaders { headers: Some(1), bytes: HEADER_BYTES_MAX + 1 };
        assert_eq!(read(&[("n", &long)]).check(), Err(fault));
    }
}
