//! Rows of a file, scored as records of a stream are, batch by batch.
//!
//! The stages are those of a running stream, so nothing is measured that does not run. The rows are written in one format:
//! what the codec of another format would do to a client's bytes is not measured.

use std::ops::ControlFlow;

use super::columns::Columns;
use super::error::EvaluateError;
use super::rows::Rows;
use crate::bundle::Bundle;
use crate::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use crate::fit::Watch;
use crate::fit::data::record::Writer;
use crate::fit::data::reference::as_cell;
use crate::fit::data::table::{Row, Scalar, Source};
use crate::model::{Networks, Runtime};
use crate::record::{Feature, Offset, Partition, Position, Probability, Record};
use crate::score::{Batch, Guard, PART_NUMBERS_MAX};

/// A guard at work, and the batch it works on.
pub(super) struct RecordPath {
    pub guard: Guard,
    pub networks: Networks,
    writer: Writer,
    batch: Batch,
    /// Rows that are scored together.
    rows_max: usize,
}

/// Who wants to know what became of the rows.
pub(super) trait Audience {
    /// What is remembered of a row until its batch is scored.
    type Tag;

    /// `None`: the row stays behind.
    fn tag(&mut self, row: &Row<'_>) -> Result<Option<Self::Tag>, EvaluateError>;

    /// A batch was turned: one outcome per tag, in order.
    fn scored(&mut self, turned: Turned<'_, Self::Tag>) -> Result<(), EvaluateError>;
}

/// A batch that was turned: [`Batch::look`] shows every row that was scored.
pub(super) struct Turned<'a, T> {
    pub guard: &'a Guard,
    pub networks: &'a mut Networks,
    pub batch: &'a Batch,
    pub tags: &'a [T],
}

/// Why every scored row of what was turned can be looked at.
pub(super) const SEEN: &str = "a batch of one part, or a record alone";

/// Rows per batch: as many as a stream's by default, or fewer if they are wide.
const BATCH_ROWS: usize = 256;

impl RecordPath {
    /// # Errors
    /// If the bundle cannot score, or not at this budget.
    pub fn new(
        bundle: &Bundle,
        budget: Option<Probability>,
        runtime: &Runtime,
    ) -> Result<Self, EvaluateError> {
        let schema = &bundle.manifest.schema;
        let writer = Writer::new(schema);
        let policy = Policy {
            mode: Mode::Enforce,
            on_flagged: OnFlagged::Correct,
            on_guard_failure: OnGuardFailure::Closed,
        };
        Ok(Self {
            guard: Guard::new(bundle, budget, policy, &writer.reading())?,
            networks: Networks::load(runtime, bundle)?,
            writer,
            batch: Batch::default(),
            rows_max: (PART_NUMBERS_MAX / schema.width()).clamp(1, BATCH_ROWS),
        })
    }

    /// Sends the rows of `source` that `audience` gives a tag.
    ///
    /// # Errors
    /// If the file cannot be read to the end, the guard fails, or the audience does.
    pub fn take<A: Audience>(
        &mut self,
        source: &dyn Source,
        columns: &Columns,
        wanted: &Rows,
        watch: &mut dyn Watch,
        audience: &mut A,
    ) -> Result<(), EvaluateError> {
        watch.stage(&format!("evaluating {wanted}"));
        let (mut values, mut tags) = (vec![], vec![]);
        let mut failed = None;
        source.visit(&mut |row| {
            watch.reading(row.number, row.done);
            if wanted.is_behind(row) {
                return ControlFlow::Break(());
            }
            let mut seen = || {
                if !wanted.has(row, columns.only)? {
                    return Ok(());
                }
                let Some(tag) = audience.tag(row)? else { return Ok(()) };
                values.push(self.writer.cells(&cells(row, columns)));
                tags.push(tag);
                match values.len() == self.rows_max {
                    true => self.turn(&mut values, &mut tags, audience),
                    false => Ok(()),
                }
            };
            match seen() {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)?;
        self.turn(&mut values, &mut tags, audience)
    }

    /// Scores the records and shows the outcomes to `audience`.
    fn turn<A: Audience>(
        &mut self,
        values: &mut Vec<Vec<u8>>,
        tags: &mut Vec<A::Tag>,
        audience: &mut A,
    ) -> Result<(), EvaluateError> {
        let record = |(i, value)| {
            let at = Position { partition: Partition(0), offset: Offset(i as i64) };
            Record::bare(at, Some(value))
        };
        let records: Vec<_> = values.iter().map(Vec::as_slice).enumerate().map(record).collect();
        let Self { guard, networks, batch, .. } = self;
        batch.score(guard, networks, &records)?;
        let seen =
            |i: usize| batch.outcomes()[i].judged.is_err() || batch.explain(guard, i).is_some();
        match (0..records.len()).all(seen) {
            true => audience.scored(Turned { guard, networks, batch, tags })?,
            // Together they could not be scored, and what was scored alone shows only the last.
            false => {
                for (record, tag) in records.chunks(1).zip(tags.chunks(1)) {
                    batch.score(guard, networks, record)?;
                    audience.scored(Turned { guard, networks, batch, tags: tag })?;
                }
            }
        }
        values.clear();
        tags.clear();
        Ok(())
    }
}

/// The record's cells, as a row of the file has them.
fn cells<'a>(row: &Row<'a>, columns: &Columns) -> Vec<Scalar<'a>> {
    let cell = |(feature, at): &(Feature, Option<usize>)| {
        let cell = at.map_or(Scalar::Null, |at| as_cell(feature, row.cells[at]));
        match (feature, cell) {
            // Divided in `f32`, as where a record's integers are read.
            (Feature::Image { scale, .. }, Scalar::Number(x)) if columns.divided => {
                Scalar::Number((x as f32 / scale).into())
            }
            _ => cell,
        }
    };
    columns.cells.iter().map(cell).collect()
}
