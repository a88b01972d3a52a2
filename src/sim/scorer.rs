//! Scoring whose outcomes are plain functions of a value's bytes, and whose model has bad days.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::ground::{Ground, Process};
use super::names::{REVISIONS, kind};
use super::scene::Scene;
use crate::answers::push_row;
use crate::clients::{PRINTS, RowFacts, RowPrints, RowVisit, marks_of};
use crate::config::Stream;
use crate::decide::Mode;
use crate::deliver::Scorer;
use crate::privacy::{Occurrence, QuasiPlan};
use crate::record::{
    Action, Fault, Manner, Missing, Oddity, Position, Reasons, Record, SchemaId, Verdict,
};
use crate::score::{self, GuardFailure, Outcome, Unscorable};
use crate::watch::Baseline;

/// The scoring of one worker.
pub struct Toy {
    ground: Rc<Ground>,
    process: Rc<Process>,
    scene: Rc<Scene>,
    stream: Arc<Stream>,
    /// Which of [`REVISIONS`] it scores by.
    revision: usize,
    /// The schema was brought.
    supplied: bool,
    /// Hard records that were tried, and how often.
    tried: Vec<(Position, u64)>,
    outcomes: Vec<Outcome>,
    corrected: Vec<u8>,
    traces: Vec<u8>,
    reasons: Vec<u8>,
    cells: Vec<u16>,
    visits: Vec<RowVisit>,
    answers: Vec<u8>,
    /// Sets of features, and the values of rows in them.
    quasi: Option<QuasiPlan>,
    groups: Vec<Occurrence>,
}

/// What becomes of a value that nothing gets in the way of.
pub fn judged(value: Option<&[u8]>) -> Result<Action, Fault> {
    let value = value.ok_or(Fault::NullValue)?;
    match value[0] {
        kind::QUARANTINE => Ok(Action::Quarantine),
        kind::CORRECT => Ok(Action::Correct),
        kind::FAULT => Err(Fault::Unreadable { at: value.len() }),
        _ => Ok(Action::Pass),
    }
}

/// The corrected version of a value.
pub fn correct(value: &[u8]) -> Vec<u8> {
    value.iter().map(|byte| !byte).collect()
}

/// The outcome that follows, and what goes into the trace header.
pub fn outcome(
    mode: Mode,
    position: Position,
    judged: Result<Action, Fault>,
    unscored: bool,
) -> (Outcome, Vec<u8>) {
    let (destination, text) = score::destination(mode, judged, unscored);
    let verdict = |action| Verdict { action, p: 0.5, score: 1.0, reasons: Reasons::NONE };
    let judged = judged.map(verdict);
    let trace = format!("{}/{} {text}", position.partition, position.offset).into_bytes();
    let imputed = judged.is_ok() && !unscored && position.offset.0 % 11 == 0;
    let (corrected, none) = (None, 0..0);
    let (cells, at) = (none.clone(), none);
    let mut outcome = Outcome {
        destination,
        judged,
        unscored,
        not_input: false,
        imputed,
        corrected,
        changed: 0,
        departure: score::Departure::default(),
        text,
        trace: at,
        reason: 0..0,
        oddity: None,
        cells,
        visits: 0..0,
        answer: 0..0,
        groups: 0..0,
    };
    outcome.oddity = oddity(position, &outcome);
    (outcome, trace)
}

/// Cells of a scored record's rows: as many as there may be rows.
pub fn cells(position: Position, outcome: &Outcome) -> Vec<u16> {
    let rows = if outcome.judged.is_ok() && !outcome.unscored { position.offset.0 % 3 } else { 0 };
    (0..rows).map(|row| ((position.offset.0 * 7 + row) % 97) as u16).collect()
}

/// What is odd about the row of a scored record: some rows are near others.
pub fn visit(position: Position, outcome: &Outcome) -> Option<RowVisit> {
    let verdict = outcome.judged.ok().filter(|_| !outcome.unscored)?;
    let (n, p) = (position.offset.0.cast_unsigned(), position.partition.0 as u64);
    let near = if n % 7 == 3 { 5 } else { 1000 + n * 8 + p };
    let facts = RowFacts { flagged: verdict.action != Action::Pass, ..RowFacts::default() };
    Some(RowVisit {
        marks: marks_of(&facts),
        cell: Some((n % 4) as u32),
        hash: (n * 8 + p) as u32,
        prints: Some(RowPrints(Box::new([near; PRINTS]))),
        ..RowVisit::default()
    })
}

/// What is told of a record that is flagged or cannot be read.
pub fn reason(outcome: &Outcome) -> String {
    match outcome.judged {
        Err(fault) => fault.to_string(),
        Ok(verdict) if verdict.action == Action::Pass || outcome.unscored => String::new(),
        Ok(_) => "x: never seen (100%)".to_owned(),
    }
}

/// What is most odd about a flagged record.
fn oddity(position: Position, outcome: &Outcome) -> Option<Oddity> {
    let verdict = outcome.judged.ok().filter(|_| !outcome.unscored)?;
    let feature = (position.offset.0 % 5) as u32;
    let manner = if position.offset.0 % 3 == 0 { Manner::Unseen } else { Manner::High };
    (verdict.action != Action::Pass).then_some(Oddity { feature, manner, with: None })
}

/// The label that the own model gives the record at this offset.
pub fn answered(offset: i64) -> u16 {
    (offset % 3) as u16
}

impl Toy {
    pub fn new(
        ground: &Rc<Ground>,
        process: &Rc<Process>,
        scene: &Rc<Scene>,
        stream: &Arc<Stream>,
        revision: usize,
    ) -> Self {
        Self {
            stream: stream.clone(),
            revision,
            ground: ground.clone(),
            process: process.clone(),
            scene: scene.clone(),
            supplied: false,
            tried: vec![],
            outcomes: vec![],
            corrected: vec![],
            traces: vec![],
            reasons: vec![],
            cells: vec![],
            visits: vec![],
            answers: vec![],
            quasi: scene.quasi(),
            groups: vec![],
        }
    }

    fn begin(&mut self) {
        self.outcomes.clear();
        self.corrected.clear();
        self.traces.clear();
        self.reasons.clear();
        self.cells.clear();
        self.visits.clear();
        self.answers.clear();
        self.groups.clear();
    }

    fn push(&mut self, record: &Record<'_>, judged: Result<Action, Fault>, unscored: bool) {
        let mode = self.scene.stream.policy.mode;
        let (mut outcome, trace) = outcome(mode, record.at, judged, unscored);
        if judged == Ok(Action::Correct) && mode == Mode::Enforce && !unscored {
            let start = self.corrected.len();
            self.corrected.extend(correct(record.value.expect("it was judged")));
            outcome.corrected = Some(start..self.corrected.len());
        }
        let start = self.traces.len();
        self.traces.extend(trace);
        self.traces.extend(format!(" {} {}", self.process.no, self.revision).bytes());
        outcome.trace = start..self.traces.len();
        let start = self.reasons.len();
        self.reasons.extend(reason(&outcome).bytes());
        outcome.reason = start..self.reasons.len();
        let start = self.cells.len();
        self.cells.extend(cells(record.at, &outcome));
        outcome.cells = start..self.cells.len();
        let start = self.visits.len();
        self.visits.extend(visit(record.at, &outcome));
        outcome.visits = start..self.visits.len();
        let scored = outcome.judged.is_ok() && !outcome.unscored;
        if scored && self.stream.answers.is_some() {
            let (start, label) = (self.answers.len(), answered(record.at.offset.0));
            push_row(label, [(label, 0.9)].into_iter(), start, &mut self.answers);
            outcome.answer = start..self.answers.len();
        }
        if let Some(plan) = self.quasi.as_ref().filter(|_| scored) {
            let start = self.groups.len();
            plan.observe(record, &[(record.at.offset.0 % 13) as f32], 1, &mut self.groups);
            outcome.groups = start..self.groups.len();
        }
        self.outcomes.push(outcome);
    }

    /// Whether the model cannot score this one now.
    fn fails(&mut self, record: &Record<'_>) -> bool {
        let now = self.ground.now();
        if self.scene.outages.iter().any(|&(from, to)| (from..to).contains(&now)) {
            return true;
        }
        if record.value.is_some_and(|value| value[0] == kind::HARD) {
            let tries = match self.tried.iter_mut().find(|(at, _)| *at == record.at) {
                Some((_, tries)) => tries,
                None => {
                    self.tried.push((record.at, 0));
                    &mut self.tried.last_mut().expect("pushed above").1
                }
            };
            *tries += 1;
            return *tries <= 2;
        }
        self.misses(record)
    }
}

impl Scorer for Toy {
    type Next = usize;

    fn adopt(&mut self, next: usize) -> Arc<Stream> {
        self.revision = next;
        self.stream.clone()
    }

    fn revision(&self) -> String {
        self.revision.to_string()
    }

    fn baseline(&self) -> &str {
        REVISIONS[self.revision]
    }

    fn reference(&self) -> Baseline {
        Baseline { baseline: self.baseline().into(), budget: 0.01, rows: 3000, flagged: 30 }
    }

    fn fetch(&mut self, records: &[Record<'_>]) -> Option<Instant> {
        if !records.iter().any(|record| self.misses(record)) {
            return None;
        }
        let now = self.ground.now();
        self.supplied = now >= self.scene.supply_from;
        (!self.supplied).then(|| self.ground.instant(now + 300))
    }

    fn misses(&self, record: &Record<'_>) -> bool {
        !self.supplied && record.value.is_some_and(|value| value[0] == kind::WANTING)
    }

    fn score(&mut self, records: &[Record<'_>]) -> Result<(), GuardFailure> {
        self.begin();
        let slow = {
            let mut faults = self.ground.faults.borrow_mut();
            let slow = !faults.healed() && faults.chance(0.01);
            slow.then(|| faults.below(6000))
        };
        if let Some(ms) = slow
            && let Some(rest) = self.ground.environment()
        {
            self.ground.note(|| format!("process {}: a model takes {ms} ms", self.process.no));
            rest.go_on(ms);
        }
        for record in records {
            let value = record.value;
            if value.is_some_and(|value| value[0] == kind::POISON) {
                self.ground.faults.borrow_mut().hit("poison");
                self.ground.note(|| format!("process {}: poison", self.process.no));
                self.process.die(&self.ground);
            }
            if !self.process.alive.get() {
                return Err(failure(record));
            }
            let fails = self.fails(record);
            if fails && !self.scene.is_open() {
                self.ground.faults.borrow_mut().hit("guard failed, closed");
                return Err(failure(record));
            }
            match fails && judged(value).is_ok() {
                true => self.push(record, Ok(Action::Pass), true),
                false => self.push(record, judged(value), false),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, record: &Record<'_>, fault: Fault) {
        self.begin();
        self.push(record, Err(fault), false);
    }

    fn replace(&mut self, i: usize, record: &Record<'_>, fault: Fault) {
        self.push(record, Err(fault), false);
        self.outcomes.swap_remove(i);
    }

    fn outcomes(&self) -> &[Outcome] {
        &self.outcomes
    }

    fn corrected(&self) -> &[u8] {
        &self.corrected
    }

    fn cells(&self) -> &[u16] {
        &self.cells
    }

    fn own_answers(&self) -> &[u8] {
        &self.answers
    }

    fn visits(&self) -> &[RowVisit] {
        &self.visits
    }

    fn quasi(&self) -> Option<&QuasiPlan> {
        self.quasi.as_ref()
    }

    fn groups(&self) -> &[Occurrence] {
        &self.groups
    }

    fn traces(&self) -> &[u8] {
        &self.traces
    }

    fn reasons(&self) -> &[u8] {
        &self.reasons
    }
}

fn failure(record: &Record<'_>) -> GuardFailure {
    GuardFailure {
        at: record.at,
        error: Unscorable::Missing(Missing::Schema(SchemaId::Number(0))),
        all: false,
    }
}
