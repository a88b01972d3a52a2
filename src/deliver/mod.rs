//! Exactly once: from a record fetched to a transaction committed, whatever fails in between.
//!
//! The worker and the judge of a stream as plain state machines over a [`Session`]. They know
//! when to commit, when to hand over, when to begin again; they do no I/O of their own.

mod progress;
mod session;

pub use progress::{Buckets, Durations, Histogram, Progress, Sizes};
pub use session::{Beginning, Change, Forward, Message, Output, Session, SessionError};
