//! The wall clock: read here, handed to everything else as data.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::record::Timestamp;

/// Now, UTC.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
