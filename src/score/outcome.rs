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
    /// Passed because the guard could not score it; the verdict then means nothing.
    pub unscored: bool,
    /// It is no input of the model, and goes on as it came.
    pub not_input: bool,
    /// A value of it stands in for a missing one.
    pub imputed: bool,
    /// Where in [`Batch::corrected`](super::Batch::corrected) the bytes to deliver are; `None` is the record's own.
    pub corrected: Option<Range<usize>>,
    /// How many numbers of its rows the correction changed.
    pub changed: u32,
    /// As what it leaves, if its output has a table.
    pub departure: Departure,
    /// Value of the verdict header.
    pub text: &'static str,
    /// Where in [`Batch::traces`](super::Batch::traces) the trace header's value is.
    pub trace: Range<usize>,
    /// Where in [`Batch::reasons`](super::Batch::reasons) the words are that say why it was flagged or could not be read;
    /// empty of what passes.
    pub reason: Range<usize>,
    /// What is most odd about a flagged record.
    pub oddity: Option<Oddity>,
    /// Where in [`Batch::cells`](super::Batch::cells) the cells of its rows are.
    pub cells: Range<usize>,
    /// Where in [`Batch::visits`](super::Batch::visits) its rows are, if clients are watched.
    pub visits: Range<usize>,
    /// Where in [`Batch::answers`](super::Batch::answers) is what the own model says of its rows; nothing unless answers are
    /// watched.
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
