//! Why a record has no rows: something is wrong with it, or something else must be fetched first.

use std::fmt;

use super::{DataKeyId, Fault};

/// Why a record has no rows.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum Unread {
    /// The record caused it.
    #[error("{0}")]
    Fault(Fault),
    /// A schema or a key is not loaded yet. With it the record may be readable.
    #[error("{0} is missing")]
    Missing(#[from] Missing),
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// What must be fetched before a record can be read. The core does no I/O: the shell fetches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Missing {
    #[error("schema {0}")]
    Schema(SchemaId),
    /// A key that is kept elsewhere, and may be the one that opens the value.
    #[error("a key of [stream.decrypt]")]
    Key,
    /// A key that a registry keeps wrapped, and that values are encrypted with.
    #[error("data key {0}")]
    DataKey(DataKeyId),
}

/// What a registry knows a schema by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaId {
    Number(u32),
    Guid([u8; 16]),
}

impl fmt::Display for SchemaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(id) => id.fmt(f),
            Self::Guid(guid) => {
                for (i, byte) in guid.iter().enumerate() {
                    let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}
