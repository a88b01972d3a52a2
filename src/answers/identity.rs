//! Which record an answer is of: an id that both have, and its keyed hash.
//!
//! Nothing but the hash leaves. Whoever has the key can try all ids of a small domain.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::AnswerBody;
use crate::record::Record;

/// Where an id stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderOrField {
    /// A header. `ce-id` and `ce_id` are the same: HTTP and Kafka write CloudEvents' attributes in two ways.
    Header(String),
    /// The record's key.
    Key,
    /// A JSON pointer into the value, to a word or a number.
    Field(String),
}

/// Makes hashes of ids.
#[derive(Clone)]
pub struct Identity(Hmac<Sha256>);

/// Longer ids are none: they cost time, and nobody has them.
const ID_BYTES_MAX: usize = 1024;

impl Identity {
    /// By this key; an empty one hides no id from who can guess it.
    pub fn new(key: &[u8]) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        mac.update(b"tripline answers\0");
        Self(mac)
    }

    /// The hash of an id; none of an empty or an endless one.
    pub fn hash(&self, id: &[u8]) -> Option<u64> {
        if id.is_empty() || id.len() > ID_BYTES_MAX {
            return None;
        }
        let mut mac = self.0.clone();
        mac.update(id);
        let hash = mac.finalize().into_bytes();
        Some(u64::from_be_bytes(hash[..8].try_into().expect("it has 32 bytes")))
    }

    /// The hash of a record's id, where `place` says. Only a field needs the value read, once more.
    pub fn of_record(&self, place: &HeaderOrField, record: &Record<'_>) -> Option<u64> {
        match place {
            HeaderOrField::Header(name) => self.hash(header(record, name)?),
            HeaderOrField::Key => self.hash(record.key?),
            HeaderOrField::Field(pointer) => self.of_body(pointer, &AnswerBody::new(record.value?)),
        }
    }

    /// The hash of the word or number that `pointer` leads to.
    pub fn of_body(&self, pointer: &str, body: &AnswerBody<'_>) -> Option<u64> {
        match body.json.as_ref()?.pointer(pointer)? {
            serde_json::Value::String(id) => self.hash(id.as_bytes()),
            serde_json::Value::Number(id) => self.hash(id.to_string().as_bytes()),
            _ => None,
        }
    }
}

/// The first header of this name that has a value, `-` and `_` being the same.
pub(super) fn header<'a>(record: &Record<'a>, name: &str) -> Option<&'a [u8]> {
    let same = |a: u8, b: u8| {
        let fold = |c: u8| if c == b'_' { b'-' } else { c.to_ascii_lowercase() };
        fold(a) == fold(b)
    };
    let mut found = None;
    record.headers.visit(&mut |called, value| {
        let is = called.len() == name.len()
            && called.iter().zip(name.as_bytes()).all(|(a, b)| same(*a, *b));
        if is && found.is_none() {
            found = value;
        }
    });
    found
}

/// Nothing of the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python 3.11: `int.from_bytes(hmac.digest(b"k" * 32, b"tripline answers\0" + b"r-1", "sha256")[:8], "big")`
    #[test]
    fn a_hash_is_the_hmac_that_python_computes() {
        let identity = Identity::new(&[b'k'; 32]);
        assert_eq!(identity.hash(b"r-1"), Some(PYTHON));
        assert_eq!(identity.hash(b""), None);
        assert_eq!(identity.hash(&[b'x'; 2000]), None);
    }

    const PYTHON: u64 = 1411242388010442770;
}
