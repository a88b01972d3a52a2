//! Records through the road: decode, validate, score, decide, sanitize. No I/O.

mod fault;

use std::ops::Range;

use super::Guard;
use super::count;
use super::look::Look;
use super::scored::Scored;
use crate::codec::{ContentHeaders, SchemaId};
use crate::decide::{Mode, OnGuardFailure};
use crate::emit::{Trace, UNSCORED, verdict_text};
use crate::model::{ModelError, Networks};
use crate::record::{Action, Fault, Position, Reasons, Record, Verdict};

/// Where a record leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    Sanitized,
    Quarantine,
    DeadLetter,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    pub route: Route,
    /// What was decided, or what is wrong with the record. In observe mode the route is sanitized
    /// whatever this says.
    pub judged: Result<Verdict, Fault>,
    /// Passed because the guard could not score it; the verdict then means nothing.
    pub unscored: bool,
    /// A value of it stands in for a missing one.
    pub imputed: bool,
    /// Where in [`Batch::corrected`] the bytes to deliver are; `None` is the record's own.
    pub corrected: Option<Range<usize>>,
    /// Value of the verdict header.
    pub text: &'static str,
    /// Where in [`Batch::traces`] the trace header's value is.
    pub trace: Range<usize>,
    /// Where in [`Batch::cells`] the cells of its rows are.
    pub cells: Range<usize>,
}

/// The rows of one record among those scored together, and the most suspicious of them.
#[derive(Clone, Debug)]
struct Span {
    rows: Range<usize>,
    worst: usize,
}

/// The guard itself failed, and its policy is to let nothing pass unscored.
#[derive(Debug, thiserror::Error)]
#[error("partition {}, offset {}: the guard cannot score: {error}", at.partition, at.offset)]
pub struct GuardFailure {
    /// The first record that cannot be scored even alone.
    pub at: Position,
    pub error: Unscorable,
    /// No record can be scored, as far as was tried.
    pub all: bool,
}

/// What keeps a record from being scored.
#[derive(Debug, thiserror::Error)]
pub enum Unscorable {
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("nobody brought schema {0}")]
    Schema(SchemaId),
}

impl GuardFailure {
    /// Whether it is about every record of the batch, not about the one at `at`.
    pub fn is_of_all(&self) -> bool {
        self.all
    }

    fn of_all(at: Position, error: ModelError) -> Self {
        Self { at, error: error.into(), all: true }
    }
}

impl From<SchemaId> for Unscorable {
    fn from(id: SchemaId) -> Self {
        Self::Schema(id)
    }
}

/// Buffers of one worker, reused from batch to batch: a turn allocates per batch, not per record.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows of the readable records of a part, `[n · d]`.
    rows: Vec<f32>,
    scored: Scored,
    /// Corrected records as their reader will decode them, `[corrections · d]`.
    corrections: Vec<f32>,
    corrections_scored: Scored,
    corrected: Vec<u8>,
    /// What a flagged row is compared with, `[d]`, and who spoke against it, `[k]`.
    typical: Vec<f32>,
    shares: Vec<f32>,
    traces: Vec<u8>,
    /// Cells of the stream's histograms, of every scored row.
    cells: Vec<u16>,
    values: Vec<f32>,
    scratch: Vec<f32>,
    outcomes: Vec<Outcome>,
    /// One per outcome.
    spans: Vec<Span>,
    /// The first outcome whose rows are still in `rows`.
    part: usize,
    /// The last row that was scored, `[d]`, or none yet: what the networks can do.
    witness: Vec<f32>,
}

/// Numbers that are scored together, if records of many rows bring more: 16 MiB of `f32`, and as
/// much again per column. One record may go beyond, by what its size limit allows.
pub const PART_NUMBERS_MAX: usize = 4 << 20;

impl Batch {
    /// Takes `records` through the road; [`Batch::outcomes`] then has one outcome each, in order.
    /// How the stream was cut into batches shows in no outcome.
    ///
    /// A record that no network scores alone, tried twice, while others are scored, is at fault
    /// itself: it is held back whatever the policy says of a guard that fails.
    ///
    /// # Errors
    /// If a network fails on every row, or a record's schema is still wanted, and the policy is to
    /// let nothing pass unscored.
    pub fn turn(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        records: &[Record<'_>],
    ) -> Result<(), GuardFailure> {
        self.outcomes.clear();
        self.spans.clear();
        self.corrected.clear();
        self.traces.clear();
        self.cells.clear();
        // How many records are tried together: halved when they fail, doubled when they do not, so
        // that a few bad ones among many cost a few runs each.
        let mut most = records.len();
        // Whether the networks score anything: asked once per turn, when a record fails alone.
        let mut sound = None;
        while self.outcomes.len() < records.len() {
            let first = self.outcomes.len();
            self.part = first;
            let n = self.read(guard, &records[first..], most)?;
            match self.scored.run(guard, networks, &self.rows) {
                Ok(()) => {
                    self.testify(guard);
                    self.judge(guard, first);
                    most = most.saturating_mul(2);
                }
                // No row keeps a network busy: it would not come back from any of them alone.
                Err(error @ ModelError::Late { .. }) => match guard.policy.on_guard_failure {
                    OnGuardFailure::Open => {
                        let readable = |outcome: &&mut Outcome| outcome.judged.is_ok();
                        let outcomes = self.outcomes[first..].iter_mut().filter(readable);
                        outcomes.for_each(|outcome| outcome.unscored = true);
                    }
                    OnGuardFailure::Closed => {
                        return Err(GuardFailure::of_all(records[first].at, error));
                    }
                },
                // Whose row it was must not hang on who came with it.
                Err(_) if n > 1 => {
                    self.outcomes.truncate(first);
                    self.spans.truncate(first);
                    most = n.div_ceil(2);
                    continue;
                }
                Err(error) => self.fail(guard, networks, &records[first..], error, &mut sound)?,
            }
            self.correct(guard, networks, records, first)?;
            self.finish(guard, records, first);
        }
        Ok(())
    }

    /// One outcome: dead-lettered with `fault`, unread.
    pub fn refuse(&mut self, guard: &Guard, record: &Record<'_>, fault: Fault) {
        self.outcomes.clear();
        self.spans.clear();
        self.corrected.clear();
        self.traces.clear();
        self.cells.clear();
        self.outcomes.push(Outcome::of(Err(fault)));
        self.spans.push(Span { rows: 0..0, worst: 0 });
        self.settle(guard, record, 0);
    }

    /// The `i`th record of the last turn is `record`, and has `fault` instead of what it was found to
    /// be.
    pub fn replace(&mut self, guard: &Guard, i: usize, record: &Record<'_>, fault: Fault) {
        self.outcomes[i] = Outcome::of(Err(fault));
        self.spans[i] = Span { rows: 0..0, worst: 0 };
        self.settle(guard, record, i);
    }

    /// One outcome per record of the last turn, in order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// A closer look at the most suspicious row of record `i`, as the last turn saw it. `None` if it
    /// was not scored, or was not among the last rows that were scored together: at most
    /// [`PART_NUMBERS_MAX`] numbers are.
    pub fn look<'a>(&'a self, guard: &'a Guard, i: usize) -> Option<Look<'a>> {
        let outcome = &self.outcomes[i];
        let scored = i >= self.part && outcome.judged.is_ok() && !outcome.unscored;
        scored.then(|| Look::new(guard, &self.scored, &self.rows, self.spans[i].worst))
    }

    /// Bytes of corrected records.
    pub fn corrected(&self) -> &[u8] {
        &self.corrected
    }

    /// Bytes of trace headers.
    pub fn traces(&self) -> &[u8] {
        &self.traces
    }

    /// Cells of rows in the stream's histograms.
    pub fn cells(&self) -> &[u16] {
        &self.cells
    }

    /// The rows of as many of `records` as are scored together, at most `most`, and how many those
    /// are; an outcome for each.
    fn read(
        &mut self,
        guard: &Guard,
        records: &[Record<'_>],
        most: usize,
    ) -> Result<usize, GuardFailure> {
        self.rows.clear();
        let width = guard.schema.width();
        let first = self.outcomes.len();
        for record in records.iter().take(most) {
            let start = self.rows.len() / width;
            let wanted = guard.wants(record);
            let judged = match (wanted, guard.policy.on_guard_failure) {
                (None, _) => read(guard, record, &mut self.rows),
                (Some(_), OnGuardFailure::Open) => Ok(Read { rows: 0, imputed: false }),
                (Some(id), OnGuardFailure::Closed) => {
                    return Err(GuardFailure { at: record.at, error: id.into(), all: false });
                }
            };
            let imputed = judged.is_ok_and(|read| read.imputed);
            let outcome = Outcome::of(judged.map(|_| UNJUDGED));
            self.outcomes.push(Outcome { unscored: wanted.is_some(), imputed, ..outcome });
            self.spans.push(Span { rows: start..self.rows.len() / width, worst: start });
            if self.rows.len() >= PART_NUMBERS_MAX {
                break;
            }
        }
        Ok(self.outcomes.len() - first)
    }

    /// A verdict for every record: that of its most suspicious row, given how many it has.
    fn judge(&mut self, guard: &Guard, first: usize) {
        let judged = self.outcomes[first..].iter_mut().zip(&mut self.spans[first..]);
        for (outcome, span) in judged {
            let Ok(verdict) = &mut outcome.judged else { continue };
            if outcome.unscored {
                continue;
            }
            let (worst, merged) = worst(&self.scored, span.rows.clone());
            let p = guard.decider.p(merged, span.rows.len());
            let action = guard.decider.action(p, guard.policy);
            let reasons = match action {
                Action::Pass => Reasons::default(),
                _ => Look::new(guard, &self.scored, &self.rows, worst).reasons(&mut self.typical),
            };
            let start = self.cells.len();
            for row in span.rows.clone() {
                let counted = guard.counted(&self.scored, self.scored.rows(&self.rows), row);
                let detectors = guard.detectors.iter().map(|detector| &**detector);
                let (scratch, values) = (&mut self.scratch, &mut self.values);
                count::values(&guard.signals, counted, detectors, scratch, values);
                let cells = self.values.iter().enumerate();
                self.cells.extend(cells.map(|(i, &value)| guard.signals.cell(i, value) as u16));
            }
            outcome.cells = start..self.cells.len();
            span.worst = worst;
            *verdict = Verdict { action, p: p as f32, score: merged, reasons };
        }
    }

    /// Makes the corrected version of every record that shall have one, and judges it as its
    /// reader will see it: one that would itself be flagged is held back instead. Of several rows
    /// only those change that would be flagged.
    fn correct(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        records: &[Record<'_>],
        first: usize,
    ) -> Result<(), GuardFailure> {
        self.corrections.clear();
        let width = guard.schema.width();
        let mut sanitized = vec![];
        let mut candidates = vec![];
        for (i, record) in records.iter().enumerate().take(self.outcomes.len()).skip(first) {
            let (outcome, rows) = (&mut self.outcomes[i], self.spans[i].rows.clone());
            let wanted = matches!(outcome.judged, Ok(v) if v.action == Action::Correct);
            if outcome.unscored || !wanted {
                continue;
            }
            sanitized.clear();
            for row in rows.clone() {
                let merged = self.scored.merged(row);
                match guard.decider.flags(guard.decider.p(merged, rows.len())) {
                    true => sanitized_row(guard, &self.scored, &self.rows, row, &mut sanitized),
                    false => sanitized.extend_from_slice(&self.rows[row * width..][..width]),
                }
            }
            let original = record.value.expect("it was read");
            let hints = ContentHeaders::of(record.headers);
            let codec = guard.codecs.pick(&hints, original).expect("it was read with one");
            let start = self.corrected.len();
            codec.encode(original, &hints, &sanitized, &mut self.corrected);
            let value = Some(&self.corrected[start..]);
            let before = self.corrections.len() / width;
            let again = read(guard, &Record { value, ..*record }, &mut self.corrections);
            if again.is_ok_and(|again| again.rows == rows.len()) {
                outcome.corrected = Some(start..self.corrected.len());
                candidates.push((i, before..before + rows.len()));
            }
        }
        let failed = self.corrections_scored.run(guard, networks, &self.corrections).err();
        let (together, late) = (failed.is_none(), matches!(failed, Some(ModelError::Late { .. })));
        if let Some(error) = failed.filter(|_| late)
            && guard.policy.on_guard_failure == OnGuardFailure::Closed
        {
            return Err(GuardFailure::of_all(records[first].at, error));
        }
        for (i, rows) in candidates {
            let n = rows.len();
            let mut rows = rows;
            if late {
                self.outcomes[i].corrected = None;
                continue;
            }
            if !together {
                let own = &self.corrections[rows.start * width..rows.end * width];
                // The record itself was scored just now: the networks are well, and what they cannot
                // judge is not delivered.
                if self.corrections_scored.run(guard, networks, own).is_err() {
                    self.outcomes[i].corrected = None;
                    continue;
                }
                rows = 0..n;
            }
            let (_, merged) = worst(&self.corrections_scored, rows);
            if guard.decider.flags(guard.decider.p(merged, n)) {
                self.outcomes[i].corrected = None;
            }
        }
        for outcome in &mut self.outcomes[first..] {
            if let Ok(verdict) = &mut outcome.judged
                && verdict.action == Action::Correct
                && outcome.corrected.is_none()
            {
                verdict.action = Action::Quarantine;
            }
        }
        Ok(())
    }

    /// Routes and header values, now that everything is known.
    fn finish(&mut self, guard: &Guard, records: &[Record<'_>], first: usize) {
        for (i, record) in records.iter().enumerate().take(self.outcomes.len()).skip(first) {
            self.settle(guard, record, i);
        }
    }

    /// Route and header values of the `i`th record.
    fn settle(&mut self, guard: &Guard, record: &Record<'_>, i: usize) {
        let (outcome, span) = (&mut self.outcomes[i], &self.spans[i]);
        let scored = outcome.judged.is_ok() && !outcome.unscored;
        let scores = if scored { self.scored.scores(span.worst) } else { &[] };
        let action = outcome.judged.map(|verdict| verdict.action);
        // A record that its topic does not take goes elsewhere in observe mode too.
        let mode = match action {
            Err(fault) if fault.holds_back() => Mode::Enforce,
            _ => guard.policy.mode,
        };
        let observed = mode == Mode::Observe;
        outcome.text = if outcome.unscored { UNSCORED } else { verdict_text(mode, action) };
        outcome.route = match action {
            _ if observed => Route::Sanitized,
            Ok(Action::Pass | Action::Correct) => Route::Sanitized,
            Ok(Action::Quarantine) => Route::Quarantine,
            Err(fault) if fault.is_quarantined() => Route::Quarantine,
            Err(_) => Route::DeadLetter,
        };
        if observed {
            outcome.corrected = None;
        }
        let verdict = outcome.judged.ok().filter(|_| scored);
        let flagged = verdict.is_some_and(|v| v.action != Action::Pass);
        self.shares.clear();
        if flagged {
            guard.decider.shares(scores, &mut self.shares);
        }
        let start = self.traces.len();
        Trace {
            flagged,
            corrected: outcome.corrected.is_some(),
            fault: outcome.judged.is_err(),
            observed: guard.policy.mode == Mode::Observe,
            unscored: outcome.unscored,
            source: record.at,
            bundle: guard.digest().prefix(),
            p: verdict.map_or(f32::NAN, |v| v.p),
            merged: verdict.map_or(f32::NAN, |v| v.score),
            rows: span.rows.len() as u32,
            row: if scored { (span.worst - span.rows.start) as u32 } else { 0 },
            scores,
            shares: &self.shares,
            reasons: verdict.map(|v| v.reasons).unwrap_or_default(),
        }
        .pack(&mut self.traces);
        outcome.trace = start..self.traces.len();
    }
}

/// Appends what is delivered instead of row `row` of `x`, if it is flagged.
pub(super) fn sanitized_row(
    guard: &Guard,
    scored: &Scored,
    x: &[f32],
    row: usize,
    out: &mut Vec<f32>,
) {
    guard.reconstruct.apply(scored.restored(guard, x, row), out);
}

/// The most suspicious of `rows`, the first of equals, and its merged score.
fn worst(scored: &Scored, rows: Range<usize>) -> (usize, f32) {
    let mut worst = (rows.start, f32::NEG_INFINITY);
    for row in rows {
        let merged = scored.merged(row);
        if merged > worst.1 {
            worst = (row, merged);
        }
    }
    worst
}

/// Rows of a record, and whether a value of them stands in for a missing one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Read {
    rows: usize,
    imputed: bool,
}

/// Appends the record's rows to `rows`, if it has valid ones.
fn read(guard: &Guard, record: &Record<'_>, rows: &mut Vec<f32>) -> Result<Read, Fault> {
    if let Some(excess) = record.headers.excess() {
        return Err(excess.into());
    }
    let value = record.value.ok_or(Fault::NullValue)?;
    if value.len() > guard.value_bytes_max {
        return Err(Fault::TooLarge { bytes: value.len(), bytes_max: guard.value_bytes_max });
    }
    let start = rows.len();
    let hints = ContentHeaders::of(record.headers);
    let n = guard.codecs.pick(&hints, value)?.decode(value, &hints, rows)?;
    let imputed = rows[start..].iter().fold(false, |any, x| any | x.is_nan());
    let settled = rows[start..].chunks_exact_mut(guard.schema.width());
    let settled = settled.into_iter().try_for_each(|row| guard.bounds.settle(row));
    settled.inspect_err(|_| rows.truncate(start)).map(|()| Read { rows: n, imputed })
}

/// Stands for the verdict of a record until it is scored.
const UNJUDGED: Verdict =
    Verdict { action: Action::Pass, p: 1.0, score: 0.0, reasons: Reasons::NONE };

impl Outcome {
    pub(super) fn of(judged: Result<Verdict, Fault>) -> Self {
        Self {
            route: Route::Sanitized,
            judged,
            unscored: false,
            imputed: false,
            corrected: None,
            text: "",
            trace: 0..0,
            cells: 0..0,
        }
    }
}
