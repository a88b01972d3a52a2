//! What the deployed model answered, beside what the bundle's own model says: two halves of a pair, how answers are read,
//! and the join. No I/O, no clock.
//!
//! A worker writes a request half for each model input that has an id and leaves by the sanitized topic, in the transaction in
//! which the record leaves. The answer reader writes answer halves. Both go to one topic, whose reader matches them by a keyed hash of the id and counts.

mod format;
mod half;
mod identity;
mod join;
mod source;

pub use format::{AnswerBody, AnswerFormat, BadAnswer, BodyRow, BodySettings, FORMATS};
pub use half::{
    BadJoinValue, CORRECTED, Half, HalfOf, HalfRow, Halves, JoinValue, ROWS_MAX, TOP_MAX,
    push_half, push_row, tick_value,
};
pub use identity::{HeaderOrField, Identity};
pub use join::{Join, JoinSettings, WAIT_OCTAVES, Waits};
pub use source::{AnswerSettings, AnswerSource, NoHalf};
