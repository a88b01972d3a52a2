//! One table whose rows say what they are: what is flagged of each kind.
//!
//! Without labels all rows count as clean. It believes the labels.

mod report;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::columns::Columns;
use super::error::EvaluateError;
use super::record_path::{Audience, RecordPath, SEEN, Turned};
use super::rows::Rows;
use crate::fit::data::budget::flagged_interval;
use crate::fit::data::hints::Label;
use crate::fit::data::table::{self, Reading, Row, TableError};
use crate::fit::progress::Watch;
use crate::math::auroc;
use crate::model::Runtime;
use crate::record::{Action, Probability};
use crate::shell;

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
    /// The attacks by what their label says, the most frequent first.
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
    let mut path = RecordPath::new(&bundle, options.budget, runtime)?;
    let source = table::open(&options.data, &options.reading)?;
    let label = options.label.as_ref().map(|label| label.name.as_str());
    let columns = Columns::of(&options.data, &*source, &manifest.schema, label, None)?;
    let mut tally = Tally {
        file: &options.data,
        label: columns.label,
        groups: vec![],
        index: HashMap::new(),
        scores: vec![],
        members: manifest.detectors.len(),
    };
    path.take(&*source, &columns, &Rows::all(&options.data), watch, &mut tally)?;

    let Tally { groups, scores, .. } = tally;
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
    let budget = path.guard.decider().budget();
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
        unread: columns.unread,
    })
}

/// Counts of the rows by their label.
struct Tally<'a> {
    file: &'a Path,
    /// Where the label stands.
    label: Option<usize>,
    groups: Vec<Group>,
    index: HashMap<String, usize>,
    /// Per group the merged score and each detector's, `[n · (1 + k)]`.
    scores: Vec<Vec<f32>>,
    members: usize,
}

impl Audience for Tally<'_> {
    /// The row's group.
    type Tag = usize;

    fn tag(&mut self, row: &Row<'_>) -> Result<Option<usize>, EvaluateError> {
        let label = match self.label {
            None => String::new(),
            Some(at) => table::word(row.cells[at]).ok_or_else(|| TableError::Row {
                file: self.file.to_owned(),
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
                    file: self.file.to_owned(),
                    found: format!("more than {LABELS_MAX} different labels"),
                    advice: "name the column that says what a row is".into(),
                }));
            }
            self.groups.push(Group { label, ..Group::default() });
            self.scores.push(vec![]);
        }
        Ok(Some(kind))
    }

    fn scored(&mut self, turned: Turned<'_, usize>) -> Result<(), EvaluateError> {
        let Turned { guard, batch, tags, .. } = turned;
        for (i, (outcome, &kind)) in batch.outcomes().iter().zip(tags).enumerate() {
            let (group, scores) = (&mut self.groups[kind], &mut self.scores[kind]);
            group.rows += 1;
            match outcome.judged {
                Ok(verdict) => {
                    group.flagged += usize::from(verdict.action != Action::Pass);
                    scores.push(verdict.score);
                    scores.extend(batch.explain(guard, i).expect(SEEN).scores());
                }
                Err(fault) => {
                    *group.refused.entry(fault.name()).or_default() += 1;
                    scores.extend(std::iter::repeat_n(f32::INFINITY, 1 + self.members));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
