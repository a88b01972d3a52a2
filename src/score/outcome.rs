//! What became of one record of a batch.

use std::ops::Range;

use super::departure::Departure;
use super::destination::Destination;
use crate::record::{Fault, Oddity, Verdict};

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub destination: Destination,
    /// What was decided, or what is wrong with the record. In observe mode the destination is the sanitized topic
    /// whatever this says.
    pub judged: Result<Verdict, Fault>,
    /// Whether it passes because the guard did not score it. The verdict then means nothing.
    pub unscored: bool,
    /// Whether the record is not an input of the model (`select`). It goes on as it came.
    pub not_input: bool,
    /// Whether a missing value was imputed.
    pub imputed: bool,
    /// Where in [`Batch::corrected`](super::Batch::corrected) the bytes to deliver are; `None` is the record's own.
    pub corrected: Option<Range<usize>>,
    /// How many numbers of its rows the correction changed.
    pub changed: u32,
    /// The form in which it leaves, if its output has a table.
    pub departure: Departure,
    /// Value of the verdict header.
    pub text: &'static str,
    /// Where in [`Batch::traces`](super::Batch::traces) the trace header's value is.
    pub trace: Range<usize>,
    /// Where in [`Batch::reasons`](super::Batch::reasons) the words are that say why it was flagged or could not be read. The range
    /// is empty for a record that passes.
    pub reason: Range<usize>,
    /// What is most odd about a flagged record.
    pub oddity: Option<Oddity>,
    /// Where in [`Batch::cells`](super::Batch::cells) the cells of its rows are.
    pub cells: Range<usize>,
    /// Where in [`Batch::visits`](super::Batch::visits) its rows are, if clients are watched.
    pub visits: Range<usize>,
    /// Where in [`Batch::answers`](super::Batch::answers) the bundle's own model answers its rows. The range is empty unless answers
    /// are watched.
    pub answer: Range<usize>,
    /// Where in [`Batch::groups`](super::Batch::groups) the values of its rows in sets of features are.
    pub groups: Range<usize>,
}

/// The rows of one record among those scored together, and the most suspicious of them.
#[derive(Clone, Debug)]
pub struct Span {
    pub rows: Range<usize>,
    pub worst: usize,
}

impl Outcome {
    pub(super) fn of(judged: Result<Verdict, Fault>) -> Self {
        Self {
            destination: Destination::Sanitized,
            judged,
            unscored: false,
            not_input: false,
            imputed: false,
            corrected: None,
            changed: 0,
            departure: Departure::default(),
            text: "",
            trace: 0..0,
            reason: 0..0,
            oddity: None,
            cells: 0..0,
            visits: 0..0,
            answer: 0..0,
            groups: 0..0,
        }
    }
}
