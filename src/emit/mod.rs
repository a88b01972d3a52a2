//! What leaves with a record: our two headers, and the error headers of a dead letter.

mod dead_letter;
mod theirs;
mod trace;
mod verdict;

pub use dead_letter::connect_headers;
pub use theirs::{is_theirs, is_theirs_on_a_dead_letter};
pub use trace::{ReadReason, ReadTrace, TRACE, Trace};
pub use verdict::{BESIDE, UNSCORED, VERDICT, verdict_text};
