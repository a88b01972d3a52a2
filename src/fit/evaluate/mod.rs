//! A finished guard on a table: what it flags, and how well it tells attacks from clean rows.
//!
//! Every row becomes a record and goes down the road that a stream's records go: what is measured
//! is what runs. It cannot know which rows the bundle was fitted to: those flatter it. Scores of all
//! rows are held in memory, four bytes for each detector and row.

mod columns;
mod report;

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::Serialize;

use super::budget::flagged_interval;
use super::infer::Label;
use super::record::Writer;
use super::reference::as_cell;
use super::table::{self, Reading, Row, Scalar, TableError};
use super::{FitError, Watch};
use crate::codec::Headers;
use crate::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use crate::emit::ReadTrace;
use crate::math::auroc;
use crate::model::{Networks, Runtime};
use crate::pipeline::{Batch, Guard, GuardError, GuardFailure, Input};
use crate::record::{Action, Feature, Offset, Partition, Position, Probability};
use crate::shell;

use columns::Columns;

/// What to evaluate, and on what.
#[derive(Clone, Debug)]
pub struct Options {
    pub bundle: PathBuf,
    pub data: PathBuf,
    pub reading: Reading,
    /// Which rows are clean; all of them unless given.
    pub label: Option<Label>,
    /// The bundle's own unless given.
    pub budget: Option<Probability>,
}

/// What a guard made of a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    pub bundle: String,
    /// Hexadecimal SHA-256 of the bundle's manifest.
    pub digest: String,
    pub data: PathBuf,
    pub budget: Probability,
    pub clean: Group,
    /// Between how many of the clean rows a sound guard flags, in 99 of 100 fits, if they are like
    /// those that it was calibrated on.
    pub clean_expected: (usize, usize),
    /// All rows that are not clean.
    pub attacks: Group,
    /// The same by what their label says, the most frequent first.
    pub by_label: Vec<Group>,
    pub detectors: Vec<Alone>,
    /// Columns of the file that the bundle does not look at.
    pub unread: Vec<String>,
}

/// Rows of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    pub label: String,
    pub rows: usize,
    /// Scored, and flagged.
    pub flagged: usize,
    /// No row of the schema, by fault: as records they are dead letters and reach no model.
    pub refused: BTreeMap<&'static str, usize>,
    /// Probability that a row of this kind scores higher than a clean one, ties counting half; what
    /// is refused counts as higher than all scores.
    pub auroc: Option<f64>,
}

/// One detector's own score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alone {
    pub kind: String,
    pub weight: f32,
    pub auroc: Option<f64>,
}

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    #[error(transparent)]
    Folder(#[from] shell::bundle::BundleDirError),
    #[error("the bundle cannot judge: {0}")]
    Guard(#[from] GuardError),
    #[error(transparent)]
    Failed(#[from] GuardFailure),
    #[error(transparent)]
    Fit(#[from] FitError),
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Rows per batch: as many as a stream's by default.
const BATCH_ROWS: usize = 256;

/// Different labels; what has more is no label.
const LABELS_MAX: usize = 1000;

impl Group {
    fn count(&mut self, other: &Self) {
        self.rows += other.rows;
        self.flagged += other.flagged;
        for (fault, count) in &other.refused {
            *self.refused.entry(fault).or_default() += count;
        }
    }

    /// Rows that have a score.
    pub fn scored(&self) -> usize {
        self.rows - self.refused.values().sum::<usize>()
    }
}

/// Sends every row of `options.data` through the bundle.
///
/// # Errors
/// If the bundle or the file cannot be read, or the file's columns are not the bundle's.
pub fn evaluate(
    options: &Options,
    runtime: &Runtime,
    watch: &mut dyn Watch,
) -> Result<Evaluation, EvaluateError> {
    let bundle = shell::bundle::read(&options.bundle)?;
    let manifest = &bundle.manifest;
    let writer = Writer::new(&manifest.schema);
    let policy = Policy {
        mode: Mode::Enforce,
        on_flagged: OnFlagged::Quarantine,
        on_guard_failure: OnGuardFailure::Closed,
    };
    let guard = Guard::new(&bundle, options.budget, policy, &writer.reading())?;
    let networks = Networks::load(runtime, &bundle).map_err(FitError::from)?;
    watch.stage(&format!("evaluating {}", options.data.display()));
    let source = table::open(&options.data, &options.reading)?;
    let mut run = Run {
        columns: Columns::of(options, &*source, &manifest.schema)?,
        typed: source.typed(),
        writer,
        guard: &guard,
        networks,
        batch: Batch::default(),
        values: vec![],
        kinds: vec![],
        groups: vec![],
        index: HashMap::new(),
        scores: vec![],
        members: manifest.detectors.len(),
    };
    let mut failed = None;
    source.visit(&mut |row| {
        watch.reading(row.number, row.done);
        match run.row(options, row) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    run.turn()?;

    let Run { groups, scores, columns: Columns { unread, .. }, .. } = run;
    let is_clean = |group: &Group| options.label.as_ref().is_none_or(|l| l.is_normal(&group.label));
    let of = |which: &dyn Fn(&Group) -> bool, column: usize| -> Vec<f32> {
        let these = groups.iter().zip(&scores).filter(|(group, _)| which(group));
        let width = 1 + manifest.detectors.len();
        these.flat_map(|(_, s)| s.iter().skip(column).step_by(width).copied()).collect()
    };
    let told = |which: &dyn Fn(&Group) -> bool, column: usize| {
        Some(auroc(&of(&is_clean, column), &of(which, column))).filter(|auroc| !auroc.is_nan())
    };
    let mut clean = Group { label: "clean".into(), ..Group::default() };
    let mut attacks = Group { label: "attacks".into(), ..Group::default() };
    let mut by_label = vec![];
    for group in &groups {
        if is_clean(group) {
            clean.count(group);
            continue;
        }
        attacks.count(group);
        let auroc = told(&|other| other.label == group.label, 0);
        by_label.push(Group { auroc, ..group.clone() });
    }
    by_label.sort_by(|a, b| b.rows.cmp(&a.rows).then_with(|| a.label.cmp(&b.label)));
    attacks.auroc = told(&|group| !is_clean(group), 0);
    let detectors = manifest.detectors.iter().zip(1..).map(|(member, column)| Alone {
        kind: member.kind.clone(),
        weight: member.weight,
        auroc: told(&|group| !is_clean(group), column),
    });
    let budget = guard.decider().budget();
    let calibrated = manifest.provenance.rows.merged as usize;
    Ok(Evaluation {
        bundle: manifest.name.clone(),
        digest: bundle.digest.to_string(),
        data: options.data.clone(),
        budget,
        clean_expected: flagged_interval(budget, calibrated, clean.scored()),
        clean,
        attacks,
        by_label,
        detectors: detectors.collect(),
        unread,
    })
}

/// The rows on the road.
struct Run<'a> {
    columns: Columns,
    typed: bool,
    writer: Writer,
    guard: &'a Guard,
    networks: Networks,
    batch: Batch,
    /// Records of this batch, and the group of each.
    values: Vec<Vec<u8>>,
    kinds: Vec<usize>,
    groups: Vec<Group>,
    index: HashMap<String, usize>,
    /// Per group the merged score and each detector's, `[n · (1 + k)]`.
    scores: Vec<Vec<f32>>,
    members: usize,
}

impl Run<'_> {
    fn row(&mut self, options: &Options, row: &Row<'_>) -> Result<(), EvaluateError> {
        let label = match self.columns.label {
            None => String::new(),
            Some(at) => table::word(row.cells[at], self.typed).ok_or_else(|| TableError::Row {
                file: options.data.clone(),
                row: row.number,
                found: "has no label".into(),
                advice: "label every row".into(),
            })?,
        };
        let next = self.groups.len();
        let kind = *self.index.entry(label.clone()).or_insert(next);
        if kind == next {
            if next == LABELS_MAX {
                return Err(EvaluateError::Table(TableError::Refused {
                    file: options.data.clone(),
                    found: format!("more than {LABELS_MAX} different labels"),
                    advice: "name the column that says what a row is".into(),
                }));
            }
            self.groups.push(Group { label, ..Group::default() });
            self.scores.push(vec![]);
        }
        let cell = |(feature, at): &(Feature, Option<usize>)| {
            let cell = at.map_or(Scalar::Null, |at| as_cell(feature, row.cells[at], self.typed));
            match (feature, cell) {
                // The same division, in `f32`, as where a record's integers are read.
                (Feature::Image { scale, .. }, Scalar::Number(x)) if self.columns.divided => {
                    Scalar::Number((x as f32 / scale).into())
                }
                _ => cell,
            }
        };
        let cells: Vec<_> = self.columns.cells.iter().map(cell).collect();
        self.values.push(self.writer.cells(&cells));
        self.kinds.push(kind);
        match self.values.len() {
            BATCH_ROWS => self.turn(),
            _ => Ok(()),
        }
    }

    /// Takes the batch down the road and counts what became of it.
    fn turn(&mut self) -> Result<(), EvaluateError> {
        let values = self.values.iter().map(Vec::as_slice).enumerate();
        let input = |(i, value)| Input {
            position: Position { partition: Partition(0), offset: Offset(i as i64) },
            headers: Headers::default(),
            value: Some(value),
        };
        let inputs: Vec<Input<'_>> = values.map(input).collect();
        self.batch.turn(self.guard, &mut self.networks, &inputs)?;
        for (outcome, &kind) in self.batch.outcomes().iter().zip(&self.kinds) {
            let (group, scores) = (&mut self.groups[kind], &mut self.scores[kind]);
            group.rows += 1;
            match outcome.judged {
                Ok(verdict) => {
                    group.flagged += usize::from(verdict.action != Action::Pass);
                    let trace = ReadTrace::unpack(&self.batch.traces()[outcome.trace.clone()]);
                    scores.push(verdict.score);
                    scores.extend(trace.expect("a trace of ours").scores);
                }
                Err(fault) => {
                    *group.refused.entry(fault.name()).or_default() += 1;
                    scores.extend(std::iter::repeat_n(f32::INFINITY, 1 + self.members));
                }
            }
        }
        self.values.clear();
        self.kinds.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
