//! What makes an order of entries: each names the digest of the one before it.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use super::entry::{AuditEntry, Deed};
use crate::record::Timestamp;

const BYTES: usize = 32;
const NAME: &str = "sha256:";

/// SHA-256 of the bytes of an entry; zeros stand before the first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryDigest(pub [u8; BYTES]);

/// The end of a log: what the next entry follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// How many entries there are.
    pub entries: u64,
    /// Of the last one.
    pub last: EntryDigest,
}

/// Why an entry does not follow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error(
        "entry {found} stands where entry {expected} must stand: entries were taken out, added or moved"
    )]
    Order { expected: u64, found: u64 },
    #[error("entry {seq} does not follow the entry before it: one of them was changed")]
    Changed { seq: u64 },
}

impl EntryDigest {
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for EntryDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for EntryDigest {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let digits = text.strip_prefix(NAME).ok_or(())?.as_bytes();
        let lower = |c: u8| (c as char).to_digit(16).filter(|_| !c.is_ascii_uppercase());
        if digits.len() != 2 * BYTES {
            return Err(());
        }
        let mut bytes = [0; BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (lower(pair[0]).ok_or(())?, lower(pair[1]).ok_or(())?);
            *byte = (high << 4 | low) as u8;
        }
        Ok(Self(bytes))
    }
}

impl Chain {
    /// The end of a log whose last entry has these bytes.
    ///
    /// # Errors
    /// If they are no entry.
    pub fn after(last: &[u8]) -> Result<Self, ChainBreak> {
        let entry = AuditEntry::from_bytes(last).map_err(ChainBreak::Unreadable)?;
        Ok(Self { entries: entry.seq.saturating_add(1), last: EntryDigest::of(last) })
    }

    /// The bytes of the entry that writes `deed` down, behind all others. `source` names the log.
    pub fn append(&mut self, source: &str, at: Timestamp, deed: Deed) -> Vec<u8> {
        let entry = AuditEntry { seq: self.entries, at, prev: self.last, deed };
        let bytes = entry.to_bytes(source);
        *self = Self { entries: self.entries.saturating_add(1), last: EntryDigest::of(&bytes) };
        bytes
    }

    /// Reads the next entry, and goes on behind it also if it does not follow: whatever is wrong is found once.
    ///
    /// # Errors
    /// If it cannot be read, stands elsewhere in the order, or names another one before it.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<AuditEntry, ChainBreak> {
        let expected = self.entries;
        let entry = match AuditEntry::from_bytes(bytes) {
            Ok(entry) => entry,
            Err(why) => {
                *self = Self { entries: expected.saturating_add(1), last: EntryDigest::of(bytes) };
                return Err(ChainBreak::Unreadable(why));
            }
        };
        let before = self.last;
        *self = Self { entries: entry.seq.saturating_add(1), last: EntryDigest::of(bytes) };
        if entry.seq != expected {
            return Err(ChainBreak::Order { expected, found: entry.seq });
        }
        if entry.prev != before {
            return Err(ChainBreak::Changed { seq: entry.seq });
        }
        Ok(entry)
    }
}
