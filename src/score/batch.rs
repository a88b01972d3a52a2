//! Takes records through the stages: read, score, decide, correct, choose the output. It does no I/O.

mod faults;

use std::ops::Range;

use super::client_marks::RowMarks;
use super::columns::Scored;
use super::correct::Corrections;
use super::destination::destination;
use super::histogram_cells::{Cells, Counted};
use super::leave::{Leaver, output};
use super::outcome::{Outcome, Span};
use super::read::{Read, read};
use super::trace::trace;
use super::unseal::{Cover, Unsealing};
use super::verdict::{UNJUDGED, verdict};
use super::witness::Witness;
use super::{Explanation, Guard, GuardFailure};
use crate::answers::push_row;
use crate::clients::RowVisit;
use crate::decide::{Mode, OnGuardFailure};
use crate::emit::NOT_SELECTED;
use crate::model::{ModelError, Networks};
use crate::privacy::Occurrence;
use crate::record::{Action, Fault, Record, Rows, Unread};
use crate::sanitize::TraceDetail;

/// The buffers of one worker. They are reused, so scoring allocates memory per batch and not per record.
#[derive(Debug, Default)]
pub struct Batch {
    outcomes: Vec<Outcome>,
    /// One for each outcome.
    spans: Vec<Span>,
    /// The first outcome whose rows are still in `rows`.
    part: usize,
    /// The rows of the readable records of a part, `[n · d]`, and their scores.
    rows: Vec<f32>,
    scored: Scored,
    corrections: Corrections,
    leaver: Leaver,
    traces: Vec<u8>,
    reasons: Vec<u8>,
    /// For every scored row: its cells in the stream's histograms.
    cells: Cells,
    /// For every scored row: its marks, if clients are watched.
    visits: RowMarks,
    /// What the bundle's own model answers, for the join with the deployed model's answers.
    answers: Vec<u8>,
    /// For every scored row: its values in the stream's sets of features (`[stream.privacy]`).
    groups: Vec<Occurrence>,
    /// Of a flagged row: the row that it is compared with, `[d]`, and each detector's share of its score, `[k]`.
    typical: Vec<f32>,
    shares: Vec<f32>,
    witness: Witness,
    unsealing: Unsealing,
}

/// At most so many numbers are scored together: 16 MiB of `f32`, and as much again for each column. A single record may
/// have more, up to its size limit.
pub const PART_NUMBERS_MAX: usize = 4 << 20;

impl Batch {
    /// Scores `records`. Afterwards [`Batch::outcomes`] has one outcome for each, in order. An outcome does not depend on how
    /// the stream was cut into batches.
    ///
    /// A record may fail alone, twice, while the networks score other records. Then the record is the cause, and it is held
    /// back, whatever the policy says about a guard that fails.
    ///
    /// # Errors
    /// If a network fails on every row, or if something is missing that is needed to read a record. Only if the policy is that
    /// nothing passes unscored.
    pub fn score(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        records: &[Record<'_>],
    ) -> Result<(), GuardFailure> {
        let Some(opener) = &guard.opener else {
            return self.score_inner(guard, networks, records, &[]);
        };
        let mut unsealing = std::mem::take(&mut self.unsealing);
        unsealing.open(guard, opener, records);
        unsealing.count(opener);
        let headers = unsealing.headers(records);
        let (inner, covers) = unsealing.records(records, &headers);
        let scored = self.score_inner(guard, networks, &inner, &covers);
        unsealing.wipe();
        self.unsealing = unsealing;
        scored
    }

    /// Scores records that were opened before; `covers` says how each came. Without covers all came in clear.
    pub(super) fn score_inner(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        records: &[Record<'_>],
        covers: &[Cover<'_>],
    ) -> Result<(), GuardFailure> {
        self.clear(guard);
        let cover = |i: usize| covers.get(i).copied().unwrap_or(Cover::Bare);
        // How many records are scored in one run. A run that fails halves it, one that succeeds doubles it. So each of a few
        // bad records costs a few runs.
        let mut most = records.len();
        // Whether the networks score anything at all. It is tried once per batch, when a record fails alone.
        let mut sound = None;
        while self.outcomes.len() < records.len() {
            let first = self.outcomes.len();
            self.part = first;
            let ahead = (&records[first..], covers.get(first..).unwrap_or_default());
            let n = self.read(guard, ahead, most)?;
            match self.scored.run(guard, networks, &self.rows) {
                Ok(()) => {
                    self.decide(guard, &records[first..], first);
                    most = most.saturating_mul(2);
                }
                // The run took too long. That is not one row's doing, so rows are not tried alone.
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
                // Which record is the cause must not depend on the records beside it.
                Err(_) if n > 1 => {
                    self.outcomes.truncate(first);
                    self.spans.truncate(first);
                    most = n.div_ceil(2);
                    continue;
                }
                Err(error) => self.fail(guard, networks, &records[first..], error, &mut sound)?,
            }
            let part = &records[first..self.outcomes.len()];
            let (outcomes, spans) = (&mut self.outcomes[first..], &self.spans[first..]);
            let original = (self.rows.as_slice(), &self.scored);
            self.corrections.make(guard, networks, part, original, outcomes, spans)?;
            for (i, record) in part.iter().enumerate() {
                self.address(guard, (record, cover(first + i)), first + i);
            }
        }
        Ok(())
    }

    /// One outcome per record of the last batch, in order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// The most suspicious row of record `i`, as it was scored. `None` if the record was not scored, or not in the last run:
    /// a run has at most [`PART_NUMBERS_MAX`] numbers.
    pub fn explain<'a>(&'a self, guard: &'a Guard, i: usize) -> Option<Explanation<'a>> {
        let outcome = &self.outcomes[i];
        let scored = i >= self.part && outcome.judged.is_ok() && !outcome.unscored;
        scored.then(|| Explanation::new(guard, &self.scored, &self.rows, self.spans[i].worst))
    }

    /// Values that leave in place of the records' own (corrected, changed or sealed), and keys.
    pub fn corrected(&self) -> &[u8] {
        self.corrections.bytes()
    }

    /// The bytes of trace headers.
    pub fn traces(&self) -> &[u8] {
        &self.traces
    }

    /// The reasons of flagged and unreadable records in words, UTF-8.
    pub fn reasons(&self) -> &[u8] {
        &self.reasons
    }

    /// What the bundle's own model answers for rows, as `answers::push_row` writes it.
    pub fn answers(&self) -> &[u8] {
        &self.answers
    }

    /// The cells of rows in the stream's histograms.
    pub fn cells(&self) -> &[u16] {
        self.cells.all()
    }

    /// The marks of rows. Which client sent a row is not known here.
    pub fn visits(&self) -> &[RowVisit] {
        self.visits.all()
    }

    /// The values of rows in the stream's sets of features.
    pub fn groups(&self) -> &[Occurrence] {
        &self.groups
    }

    fn clear(&mut self, guard: &Guard) {
        self.groups.clear();
        self.outcomes.clear();
        self.visits.clear();
        self.spans.clear();
        self.corrections.clear(guard.opener.is_some());
        self.traces.clear();
        self.reasons.clear();
        self.cells.clear();
        self.answers.clear();
    }

    /// Reads the first of `records`, as many as fit into one run and at most `most`, and returns how many. Each record that was read
    /// has an outcome afterwards: a fault, or a verdict that is still to be made. A record that `select` does not choose has its
    /// final outcome.
    fn read(
        &mut self,
        guard: &Guard,
        (records, covers): (&[Record<'_>], &[Cover<'_>]),
        most: usize,
    ) -> Result<usize, GuardFailure> {
        self.rows.clear();
        let width = guard.schema.width();
        let first = self.outcomes.len();
        for (i, record) in records.iter().enumerate().take(most) {
            let start = self.rows.len() / width;
            let is_input = record.headers.excess().is_some()
                || guard.select.takes(record.headers, record.value);
            let read = is_input.then(|| match covers.get(i) {
                Some(&Cover::Shut(unread)) => Err(unread),
                _ => read(guard, record, &mut self.rows),
            });
            let Some(read) = read else {
                // `select` did not choose the record: it goes on as it came, without a score.
                let not_input =
                    Outcome { unscored: true, not_input: true, ..Outcome::of(Ok(UNJUDGED)) };
                self.outcomes.push(not_input);
                self.spans.push(Span { rows: start..start, worst: start });
                continue;
            };
            let outcome = match read {
                Ok(Read { imputed, .. }) => Outcome { imputed, ..Outcome::of(Ok(UNJUDGED)) },
                Err(Unread::Fault(fault)) => Outcome::of(Err(fault)),
                Err(Unread::Missing(missing)) => match guard.policy.on_guard_failure {
                    OnGuardFailure::Open => Outcome { unscored: true, ..Outcome::of(Ok(UNJUDGED)) },
                    OnGuardFailure::Closed => {
                        let (at, error) = (record.at, missing.into());
                        return Err(GuardFailure { at, error, all: false });
                    }
                },
            };
            self.outcomes.push(outcome);
            self.spans.push(Span { rows: start..self.rows.len() / width, worst: start });
            if self.rows.len() >= PART_NUMBERS_MAX {
                break;
            }
        }
        Ok(self.outcomes.len() - first)
    }

    /// Decides on `records`, whose rows were scored last and whose outcomes begin at `first`, and counts their rows.
    fn decide(&mut self, guard: &Guard, records: &[Record<'_>], first: usize) {
        self.witness.remember(guard, &self.rows);
        let scored = self.outcomes[first..].iter_mut().zip(&mut self.spans[first..]);
        for ((outcome, span), record) in scored.zip(records) {
            if outcome.judged.is_err() || outcome.unscored {
                continue;
            }
            let (x, rows) = (&self.rows, span.rows.clone());
            if guard.tells_answers {
                outcome.answer = own_answers(&self.scored.rows(x), &rows, &mut self.answers);
            }
            let (worst, verdict) = verdict(guard, &self.scored, x, rows, &mut self.typical);
            (outcome.judged, span.worst) = (Ok(verdict), worst);
            if verdict.action != Action::Pass {
                let told = (verdict.reasons, self.typical.as_slice());
                let start = self.reasons.len();
                let look = Explanation::new(guard, &self.scored, x, worst);
                let row = worst - span.rows.start;
                outcome.oddity = look.tell(told, (record, row), &mut self.reasons);
                outcome.reason = start..self.reasons.len();
            }
            outcome.cells = self.cells.count(
                guard,
                |row| {
                    let (scores, merged) = (self.scored.scores(row), self.scored.merged(row));
                    Counted { rows: self.scored.rows(x), row, scores, merged }
                },
                span.rows.clone(),
            );
            if let Some(marking) = &guard.marking {
                let flagged = (verdict.action != Action::Pass).then_some(worst);
                let rows = self.scored.rows(x);
                outcome.visits = self.visits.mark(marking, &rows, span.rows.clone(), flagged);
            }
            if let Some(plan) = &guard.quasi {
                let (start, width) = (self.groups.len(), guard.schema.width());
                let own = &x[span.rows.start * width..span.rows.end * width];
                plan.observe(record, own, width, &mut self.groups);
                outcome.groups = start..self.groups.len();
            }
        }
    }

    /// Sets the output, the value, the key and the headers of the `i`th record.
    fn address(&mut self, guard: &Guard, (record, cover): (&Record<'_>, Cover<'_>), i: usize) {
        let mut corrected = self.destine(guard, i);
        let (made, outcome) = (&mut self.corrections, &mut self.outcomes[i]);
        if self.leaver.leave(guard, (record, cover), outcome, made).is_err() {
            *outcome = Outcome::of(Err(Fault::StepFailed));
            self.spans[i] = Span { rows: 0..0, worst: 0 };
            corrected = self.destine(guard, i);
            let (made, outcome) = (&mut self.corrections, &mut self.outcomes[i]);
            let left = self.leaver.leave(guard, (record, cover), outcome, made);
            assert!(left.is_ok(), "a dead letter leaves as a pointer at least");
        }
        let (outcome, span) = (&mut self.outcomes[i], &self.spans[i]);
        let action = outcome.judged.map(|verdict| verdict.action);
        self.shares.clear();
        let scored = outcome.judged.is_ok() && !outcome.unscored;
        let scores = if scored { self.scored.scores(span.worst) } else { &[] };
        if scored && action.is_ok_and(|action| action != Action::Pass) {
            guard.decider.shares(scores, &mut self.shares);
        }
        let detail = output(&guard.outputs, outcome.destination).map(|output| output.trace);
        let mut detail = detail.unwrap_or_default();
        if matches!(cover, Cover::Sealed(..)) && detail == TraceDetail::Full {
            // Headers are never sealed.
            detail = TraceDetail::Shares;
        }
        // The reasons in words say no more than the trace may say.
        let tells = guard.tells_values() && detail == TraceDetail::Full;
        if let Err(fault) = outcome.judged {
            let start = self.reasons.len();
            let told = fault.told(&guard.schema, record.value, tells);
            self.reasons.extend(told.bytes());
            outcome.reason = start..self.reasons.len();
        } else if detail == TraceDetail::Source || tells != guard.tells_values() {
            outcome.reason = 0..0;
        }
        let start = self.traces.len();
        let trace = trace(guard, record, outcome, span, (scores, &self.shares), corrected);
        trace.pack_as(detail, &guard.schema, &mut self.traces);
        outcome.trace = start..self.traces.len();
    }

    /// Chooses the output of the `i`th record, and whether its corrected version goes there.
    fn destine(&mut self, guard: &Guard, i: usize) -> bool {
        let outcome = &mut self.outcomes[i];
        let action = outcome.judged.map(|verdict| verdict.action);
        let mode = guard.policy.mode;
        (outcome.destination, outcome.text) = destination(mode, action, outcome.unscored);
        if outcome.not_input {
            outcome.text = NOT_SELECTED;
        }
        if mode == Mode::Observe {
            outcome.corrected = None;
        }
        outcome.corrected.is_some()
    }
}

/// Appends what the bundle's own model answers for the rows `which`, and returns where.
fn own_answers(rows: &Rows<'_>, which: &Range<usize>, out: &mut Vec<u8>) -> Range<usize> {
    let start = out.len();
    for row in which.clone() {
        // The column holds log-probabilities.
        let each = rows.answer.row(row).into_iter().enumerate();
        let each = each.map(|(label, log_p)| (label as u16, log_p.exp()));
        push_row(rows.label(row) as u16, each, start, out);
    }
    start..out.len()
}
