//! Records through the road: decode, validate, score, decide, sanitize. No I/O.

use std::ops::Range;

use super::Guard;
use super::scored::Scored;
use crate::decide::{Mode, OnGuardFailure};
use crate::emit::{Trace, UNSCORED, verdict_text};
use crate::model::{ModelError, Networks};
use crate::record::{Action, Fault, Position, Reasons, Verdict};

/// One record as the road sees it: borrowed, so nothing is copied on the way in.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    pub position: Position,
    /// Value of the last `content-type` header.
    pub content_type: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

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
    /// Where in [`Batch::corrected`] the bytes to deliver are; `None` is the record's own.
    pub corrected: Option<Range<usize>>,
    /// Value of the verdict header.
    pub text: &'static str,
    /// Where in [`Batch::traces`] the trace header's value is.
    pub trace: Range<usize>,
}

/// The guard itself failed, and its policy is to let nothing pass unscored.
#[derive(Debug, thiserror::Error)]
#[error("the guard cannot score: {0}")]
pub struct GuardFailure(#[from] pub ModelError);

/// Buffers of one worker, reused from batch to batch: a turn allocates per batch, not per record.
#[derive(Debug, Default)]
pub struct Batch {
    /// Rows of the readable records, `[n · d]`.
    rows: Vec<f32>,
    scored: Scored,
    /// Corrected records as their reader will decode them, `[corrections · d]`.
    corrections: Vec<f32>,
    corrections_scored: Scored,
    corrected: Vec<u8>,
    traces: Vec<u8>,
    outcomes: Vec<Outcome>,
}

impl Batch {
    /// Takes `inputs` through the road; [`Batch::outcomes`] then has one outcome each, in order.
    /// How the stream was cut into batches shows in no outcome.
    ///
    /// # Errors
    /// If a network fails and the policy is to let nothing pass unscored.
    pub fn turn(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        inputs: &[Input<'_>],
    ) -> Result<(), GuardFailure> {
        self.rows.clear();
        self.outcomes.clear();
        for input in inputs {
            let judged = read(guard, input, &mut self.rows).map(|()| UNJUDGED);
            self.outcomes.push(Outcome::of(judged));
        }
        let failed = self.scored.run(guard, networks, &self.rows).err();
        match (failed, guard.policy.on_guard_failure) {
            (None, _) => self.judge(guard),
            (Some(_), OnGuardFailure::Open) => {
                let readable = self.outcomes.iter_mut().filter(|outcome| outcome.judged.is_ok());
                readable.for_each(|outcome| outcome.unscored = true);
            }
            (Some(error), OnGuardFailure::Closed) => return Err(error.into()),
        }
        self.correct(guard, networks, inputs)?;
        self.finish(guard, inputs);
        Ok(())
    }

    /// One outcome per input of the last turn, in order.
    pub fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    /// Bytes of corrected records.
    pub fn corrected(&self) -> &[u8] {
        &self.corrected
    }

    /// Bytes of trace headers.
    pub fn traces(&self) -> &[u8] {
        &self.traces
    }

    /// A verdict for every row.
    fn judge(&mut self, guard: &Guard) {
        let view = self.scored.rows(&self.rows);
        let readable = self.outcomes.iter_mut().filter_map(|outcome| outcome.judged.as_mut().ok());
        for (row, verdict) in readable.enumerate() {
            let scores = self.scored.scores(row);
            let (merged, p) = guard.decider.weigh(scores);
            let action = guard.decider.action(p, guard.policy);
            let reasons = match action {
                Action::Pass => Reasons::default(),
                _ => guard.detectors[guard.decider.leading(scores)].explain(&view, row),
            };
            *verdict = Verdict { action, p: p as f32, score: merged, reasons };
        }
    }

    /// Makes the corrected version of every record that shall have one, and judges it as its
    /// reader will see it: one that would itself be flagged is held back instead.
    fn correct(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        inputs: &[Input<'_>],
    ) -> Result<(), GuardFailure> {
        self.corrected.clear();
        self.corrections.clear();
        let mut row = 0;
        let mut sanitized = vec![];
        let mut candidates = vec![];
        for (i, (input, outcome)) in inputs.iter().zip(&mut self.outcomes).enumerate() {
            let Ok(verdict) = &outcome.judged else { continue };
            row += 1;
            if outcome.unscored || verdict.action != Action::Correct {
                continue;
            }
            sanitized.clear();
            guard.reconstruct.apply(self.scored.twin(row - 1), &mut sanitized);
            let codec = guard.codecs.pick(input.content_type).expect("it was read with one");
            let start = self.corrected.len();
            let original = input.value.expect("it was read");
            codec.encode(original, &sanitized, &mut self.corrected);
            let again = codec.decode(&self.corrected[start..], &mut self.corrections);
            debug_assert!(again.is_ok(), "a codec must read what it wrote: {again:?}");
            if again.is_ok() {
                outcome.corrected = Some(start..self.corrected.len());
                candidates.push(i);
            }
        }
        let failed = self.corrections_scored.run(guard, networks, &self.corrections).err();
        match (failed, guard.policy.on_guard_failure) {
            (Some(error), OnGuardFailure::Closed) => return Err(error.into()),
            (Some(_), OnGuardFailure::Open) => {
                candidates.iter().for_each(|&i| self.outcomes[i].corrected = None);
            }
            (None, _) => {
                for (row, &i) in candidates.iter().enumerate() {
                    let (_, p) = guard.decider.weigh(self.corrections_scored.scores(row));
                    if guard.decider.flags(p) {
                        self.outcomes[i].corrected = None;
                    }
                }
            }
        }
        for outcome in &mut self.outcomes {
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
    fn finish(&mut self, guard: &Guard, inputs: &[Input<'_>]) {
        self.traces.clear();
        let observed = guard.policy.mode == Mode::Observe;
        let mut row = 0;
        for (input, outcome) in inputs.iter().zip(&mut self.outcomes) {
            let scored = outcome.judged.is_ok() && !outcome.unscored;
            let scores = if scored { self.scored.scores(row) } else { &[] };
            row += usize::from(outcome.judged.is_ok());
            let action = outcome.judged.map(|verdict| verdict.action);
            outcome.text =
                if outcome.unscored { UNSCORED } else { verdict_text(guard.policy.mode, action) };
            outcome.route = match action {
                _ if observed => Route::Sanitized,
                Ok(Action::Pass | Action::Correct) => Route::Sanitized,
                Ok(Action::Quarantine) => Route::Quarantine,
                Err(_) => Route::DeadLetter,
            };
            if observed {
                outcome.corrected = None;
            }
            let verdict = outcome.judged.ok().filter(|_| scored);
            let start = self.traces.len();
            Trace {
                flagged: verdict.is_some_and(|v| v.action != Action::Pass),
                corrected: outcome.corrected.is_some(),
                fault: outcome.judged.is_err(),
                observed,
                unscored: outcome.unscored,
                source: input.position,
                bundle: guard.digest().prefix(),
                p: verdict.map_or(f32::NAN, |v| v.p),
                merged: verdict.map_or(f32::NAN, |v| v.score),
                scores,
                reasons: verdict.map(|v| v.reasons).unwrap_or_default(),
            }
            .pack(&mut self.traces);
            outcome.trace = start..self.traces.len();
        }
    }
}

/// Appends the record's row to `rows`, if it has a valid one.
fn read(guard: &Guard, input: &Input<'_>, rows: &mut Vec<f32>) -> Result<(), Fault> {
    let value = input.value.ok_or(Fault::NullValue)?;
    if value.len() > guard.value_bytes_max {
        return Err(Fault::TooLarge { bytes: value.len(), bytes_max: guard.value_bytes_max });
    }
    let start = rows.len();
    guard.codecs.pick(input.content_type)?.decode(value, rows)?;
    guard.bounds.check(&rows[start..]).inspect_err(|_| rows.truncate(start))
}

/// Stands for the verdict of a row until it is scored.
const UNJUDGED: Verdict =
    Verdict { action: Action::Pass, p: 1.0, score: 0.0, reasons: Reasons::NONE };

impl Outcome {
    fn of(judged: Result<Verdict, Fault>) -> Self {
        Self {
            route: Route::Sanitized,
            judged,
            unscored: false,
            corrected: None,
            text: "",
            trace: 0..0,
        }
    }
}
