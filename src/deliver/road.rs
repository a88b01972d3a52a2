//! What a worker judges by, as far as delivery must know it.

use std::time::Instant;

use crate::record::{Fault, Record};
use crate::score::{GuardFailure, Outcome};
use crate::watch::Reference;

/// Takes records to their outcomes; holds the buffers that the outcomes point into.
pub trait Road {
    /// Names the knowledge that judges: evidence of two epochs is never merged.
    fn epoch(&self) -> &str;

    /// What a judge of another bundle must know of ours.
    fn reference(&self) -> Reference;

    /// Fetches what is missing to read `records`. Says when to ask again if it cannot and records
    /// must wait for it.
    fn supply(&mut self, records: &[Record<'_>]) -> Option<Instant>;

    /// Whether the record still cannot be read after [`Road::supply`].
    fn wants(&self, record: &Record<'_>) -> bool;

    /// One outcome per record, in order. How the stream was cut into turns shows in no outcome.
    ///
    /// # Errors
    /// If the guard itself fails and nothing may pass unscored.
    fn turn(&mut self, records: &[Record<'_>]) -> Result<(), GuardFailure>;

    /// One outcome: the record is dead-lettered with `fault`, unread.
    fn refuse(&mut self, record: &Record<'_>, fault: Fault);

    /// The `i`th record of the last turn is `record`, and is dead-lettered with `fault` instead.
    fn replace(&mut self, i: usize, record: &Record<'_>, fault: Fault);

    /// What is wrong with a record whose value this is, in words and names.
    fn tell(&self, fault: &Fault, value: Option<&[u8]>) -> String;

    /// One per record of the last turn.
    fn outcomes(&self) -> &[Outcome];

    /// Bytes of corrected records.
    fn corrected(&self) -> &[u8];

    /// Cells of rows in the stream's histograms.
    fn cells(&self) -> &[u16];

    /// Bytes of trace headers.
    fn traces(&self) -> &[u8];
}
