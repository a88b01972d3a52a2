//! What delivery knows of scoring.

use std::sync::Arc;
use std::time::Instant;

use crate::clients::RowVisit;
use crate::config::Stream;
use crate::privacy::{Occurrence, QuasiPlan};
use crate::record::{Fault, Record};
use crate::score::{GuardFailure, Outcome};
use crate::watch::Baseline;

/// Takes records to their outcomes by one revision; holds the buffers that the outcomes point into.
pub trait Scorer {
    /// A revision, with what one worker needs to score by it.
    type Next;

    /// Scores by `next` from here on; gives the configuration that came with it. A worker asks for it between two
    /// transactions, nowhere else.
    fn adopt(&mut self, next: Self::Next) -> Arc<Stream>;

    /// Names the revision, for people.
    fn revision(&self) -> String;

    /// Names the knowledge that scores: cells of two baselines are never merged. Revisions may share one.
    fn baseline(&self) -> &str;

    /// What a monitor of another revision must know of ours.
    fn reference(&self) -> Baseline;

    /// Fetches what is missing to read `records`. Says when to ask again if it cannot and records
    /// must wait for it.
    fn fetch(&mut self, records: &[Record<'_>]) -> Option<Instant>;

    /// Whether something is still missing to read the record after [`Scorer::fetch`].
    fn misses(&self, record: &Record<'_>) -> bool;

    /// One outcome per record, in order. How the stream was cut into batches shows in no outcome.
    ///
    /// # Errors
    /// If the guard itself fails and nothing may pass unscored.
    fn score(&mut self, records: &[Record<'_>]) -> Result<(), GuardFailure>;

    /// One outcome: the record is dead-lettered with `fault`, unread.
    fn refuse(&mut self, record: &Record<'_>, fault: Fault);

    /// The `i`th record of the last batch is `record`, and is dead-lettered with `fault` instead.
    fn replace(&mut self, i: usize, record: &Record<'_>, fault: Fault);

    /// One per record of the last batch.
    fn outcomes(&self) -> &[Outcome];

    /// Bytes of corrected records.
    fn corrected(&self) -> &[u8];

    /// What the bundle's own model says of the rows of records: as `answers::push_row` writes it. Empty unless answers are
    /// watched.
    fn own_answers(&self) -> &[u8] {
        &[]
    }

    /// Cells of rows in the stream's histograms.
    fn cells(&self) -> &[u16];

    /// What is odd about rows, if clients are watched.
    fn visits(&self) -> &[RowVisit] {
        &[]
    }

    /// Sets of features whose groups are counted, if there are some.
    fn quasi(&self) -> Option<&QuasiPlan> {
        None
    }

    /// Values of rows in these sets.
    fn groups(&self) -> &[Occurrence] {
        &[]
    }

    /// Bytes of trace headers.
    fn traces(&self) -> &[u8];

    /// Words of flagged and unreadable records, UTF-8.
    fn reasons(&self) -> &[u8];
}
