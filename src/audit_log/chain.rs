//! What makes an order of entries: each names the digest of the one before it.

use super::digest::EntryDigest;
use super::entry::{AuditEntry, Deed};
use crate::record::Timestamp;

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
