//! What leaves with a record: our headers, and the error headers of a dead letter.

mod changes;
mod dead_letter;
mod reason;
mod theirs;
mod trace;
mod verdict;

pub use changes::{CHANGES, OPERATIONS_MAX, REPR_DIGEST, changes, repr_digest};
pub use dead_letter::connect_headers;
pub use reason::{Account, REASON, REASON_BYTES_MAX};
pub use theirs::{is_theirs, is_theirs_on_a_dead_letter};
pub use trace::{ReadReason, ReadTrace, TRACE, Trace};
pub use verdict::{NOT_SELECTED, UNSCORED, VERDICT, verdict_text};
