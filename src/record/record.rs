//! One Kafka message.

use super::{Headers, NO_HEADERS, Position, Stamp, Timestamp};

/// One Kafka message, borrowed from whoever holds it: nothing is copied on the way in.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub at: Position,
    pub stamp: Stamp,
    pub key: Option<&'a [u8]>,
    pub headers: &'a dyn Headers,
    /// `None`: null, a tombstone.
    pub value: Option<&'a [u8]>,
}

/// A record that owns its bytes, so that it outlives the client's buffer. Its position is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedRecord {
    pub stamp: Stamp,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub value: Option<Vec<u8>>,
}

impl<'a> Record<'a> {
    /// A value alone: no key, no headers, no time.
    pub fn bare(at: Position, value: Option<&'a [u8]>) -> Self {
        let stamp = Stamp::of_sender(Timestamp(-1));
        Self { at, stamp, key: None, headers: &NO_HEADERS, value }
    }

    /// A copy.
    pub fn to_owned(self) -> OwnedRecord {
        let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let mut headers = vec![];
        self.headers.visit(&mut |name, value| headers.push((name.to_vec(), own(value))));
        OwnedRecord { stamp: self.stamp, key: own(self.key), headers, value: own(self.value) }
    }

    /// Bytes that it takes of a batch.
    pub fn footprint(&self) -> usize {
        let bytes = |of: Option<&[u8]>| of.map_or(0, <[u8]>::len);
        bytes(self.key) + bytes(self.value) + self.headers.footprint()
    }
}

impl OwnedRecord {
    /// The record, which stands at `at`.
    pub fn at(&self, at: Position) -> Record<'_> {
        Record {
            at,
            stamp: self.stamp,
            key: self.key.as_deref(),
            headers: &self.headers,
            value: self.value.as_deref(),
        }
    }

    /// The value of the first header of this name, unless that is null.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(known, _)| known == name.as_bytes());
        found.and_then(|(_, value)| value.as_deref())
    }
}
