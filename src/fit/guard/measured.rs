//! What each detector costs and what it catches, for the report alone: none of it enters a bundle,
//! so a slow minute changes no digest.
//!
//! Times are of this machine and of what else it did. What is caught is caught of the attacks that
//! were given: about others it says nothing.

#![expect(clippy::disallowed_methods, reason = "it measures how long a row takes")]

use std::fmt;
use std::time::Instant;

use ndarray::{Array1, s};

use super::columns::Table;
use super::detectors::{Detectors, Weighed, label_of, score};
use crate::bundle::Member;
use crate::decide::{Calibration, Decider};
use crate::detect::Detector;
use crate::fit::train::material::Weighing;
use crate::fit::train::protected::BATCH_ROWS;
use crate::math::auroc;
use crate::record::{Probability, Rows};

/// Passes a detector is timed over; the median counts.
const PASSES: usize = 7;

/// Rows of a pass at most.
const ROWS_MAX: usize = 16 * BATCH_ROWS;

/// The detectors of a fit, and all of them together.
#[derive(Clone, Debug)]
pub struct Measured {
    pub budget: Probability,
    pub detectors: Vec<Line>,
    /// What the merged score catches.
    pub merged: Option<Caught>,
    /// The largest record whose p-value is a rank and nothing else.
    pub rows_max: usize,
    /// What the merged score makes of attacks of our own, if some could be made, and of rows that
    /// were disturbed without harm. They weighed the detectors: a handful of numbers, learned from
    /// thousands of rows; attacks by somebody else are the better measure.
    pub own: Vec<OwnLine>,
}

/// One family of attacks of our own.
#[derive(Clone, Debug)]
pub struct OwnLine {
    pub family: String,
    pub rows: usize,
    pub caught: Caught,
    /// Share that has the answer it had before, once corrected; none for what is no attack.
    pub restored: Option<f64>,
}

/// One detector.
#[derive(Clone, Debug)]
pub struct Line {
    pub kind: String,
    /// In the sum; a detector of weight 0 is not in the bundle, unless it stands beside the sum.
    pub weight: f32,
    /// Of a row, in batches of 256, without the networks; `None` if there was no row to time.
    pub cost_us: Option<f64>,
    /// If it judged alone.
    pub caught: Option<Caught>,
}

/// What a score makes of attacks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Caught {
    /// Probability that an attack scores higher than a clean row.
    pub auroc: f64,
    /// Share of the attacks flagged at the budget.
    pub share: f64,
}

/// Rows to measure on; clean but for `attacks`.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// To be timed on.
    pub validation: &'a Table,
    /// What the detectors' ranks were calibrated on: gives each a threshold of its own.
    pub ranks: &'a Table,
    /// Rows that nothing was made from, to be told from the attacks.
    pub test: &'a Table,
    pub attacks: Option<&'a Table>,
}

impl Detectors {
    /// Times every detector and, if there are attacks, counts what each would catch alone and what
    /// `decider` catches with all of them.
    pub fn measure(&self, decider: &Decider, parts: Parts<'_>) -> Measured {
        let budget = decider.budget();
        let alone = |detector: &dyn Detector, attacks: &Table| {
            let [ranks, test, attacks] =
                [parts.ranks, parts.test, attacks].map(|table| score(detector, table).to_vec());
            let calibration = Calibration::new(ranks);
            caught(&test, &attacks, |s| calibration.p(s) <= budget.get())
        };
        let line = |((kind, detector), member): ((&str, &dyn Detector), Member)| Line {
            kind: kind.into(),
            weight: member.weight,
            cost_us: cost_us(detector, parts.validation),
            caught: parts.attacks.map(|attacks| alone(detector, attacks)),
        };
        let merged = parts.attacks.map(|attacks| {
            let scores = |table| self.merged(decider, table);
            let flagged = |s| decider.flags(decider.p(s, 1));
            caught(&scores(parts.test), &scores(attacks), flagged)
        });
        let detectors = self.each().zip(decider.members()).map(line).collect();
        Measured { budget, detectors, merged, rows_max: decider.rows_max(), own: vec![] }
    }

    /// The merged score on what weighed the detectors, beside the rows of `test`.
    pub fn own(
        &self,
        decider: &Decider,
        test: &Table,
        weighing: &Weighing,
        weighed: &Weighed,
    ) -> Vec<OwnLine> {
        let clean = self.merged(decider, test);
        let flagged = |s| decider.flags(decider.p(s, 1));
        let line = |family: &str, table: &Table, labels: Option<&[u32]>| {
            let rows = table.rows();
            let same = |labels: &[u32]| {
                let versions = self.versions(decider, table);
                let each = labels.iter().zip(versions).enumerate();
                let right = each.filter(|&(i, (&label, version))| {
                    label_of(&rows, version, i) == label as usize
                });
                let right = right.count();
                right as f64 / labels.len().max(1) as f64
            };
            let caught = caught(&clean, &self.merged(decider, table), flagged);
            let restored = labels.map(same);
            OwnLine { family: family.into(), rows: rows.len(), caught, restored }
        };
        let attacks = weighing.attacks.iter().zip(&weighed.attacks);
        let attacks = attacks.map(|(own, (table, _))| line(&own.family, table, Some(&own.labels)));
        attacks.chain([line("harmless", &weighed.harmless, None)]).collect()
    }
}

fn caught(clean: &[f32], attacks: &[f32], flagged: impl Fn(f32) -> bool) -> Caught {
    let count = attacks.iter().filter(|&&s| flagged(s)).count();
    Caught { auroc: auroc(clean, attacks), share: count as f64 / attacks.len() as f64 }
}

/// Microseconds per row, the median of [`PASSES`] passes.
fn cost_us(detector: &dyn Detector, table: &Table) -> Option<f64> {
    let rows = table.rows();
    let n = rows.len().min(ROWS_MAX);
    let mut scores = Array1::zeros(BATCH_ROWS);
    let mut pass = || {
        let start = Instant::now();
        for from in (0..n).step_by(BATCH_ROWS) {
            let to = (from + BATCH_ROWS).min(n);
            detector.score(&cut(&rows, from, to), scores.slice_mut(s![..to - from]));
        }
        start.elapsed().as_secs_f64() * 1e6 / n as f64
    };
    let mut passes: Vec<f64> = (0..PASSES).map(|_| pass()).collect();
    passes.sort_unstable_by(f64::total_cmp);
    (n > 0).then(|| passes[PASSES / 2])
}

fn cut<'a>(rows: &Rows<'a>, from: usize, to: usize) -> Rows<'a> {
    let cut = |column: ndarray::ArrayView2<'a, f32>| column.slice_move(s![from..to, ..]);
    Rows {
        x: cut(rows.x),
        twin: cut(rows.twin),
        answer: cut(rows.answer),
        twin_answer: cut(rows.twin_answer),
        restored: cut(rows.restored),
        restored_answer: cut(rows.restored_answer),
        surprisal: cut(rows.surprisal),
        layers: cut(rows.layers),
        pixel_odds: cut(rows.pixel_odds),
        layer_odds: cut(rows.layer_odds),
        copy_answers: cut(rows.copy_answers),
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.detectors.iter().map(|line| line.kind.len()).fold(9, usize::max);
        write!(f, "  {:width$}    weight  µs a row", "detectors")?;
        if self.merged.is_some() {
            write!(f, "  AUROC  caught at {}", self.budget)?;
        }
        for Line { kind, weight, cost_us, caught } in &self.detectors {
            let cost_us = cost_us.map_or("-".into(), |us| format!("{us:.2}"));
            write!(f, "\n    {kind:width$}{weight:>8.4}  {cost_us:>8}")?;
            caught.iter().try_for_each(|caught| write!(f, "  {caught}"))?;
        }
        if let Some(caught) = self.merged {
            write!(f, "\n    {:width$}{:>18}  {caught}", "merged", "")?;
        }
        if self.own.is_empty() {
            return Ok(());
        }
        let width = self.own.iter().map(|line| line.family.len()).fold(11, usize::max);
        write!(f, "\n  {:width$}      rows  AUROC  caught  answer restored", "own attacks")?;
        for OwnLine { family, rows, caught, restored } in &self.own {
            let restored = restored.map_or("-".into(), |share| format!("{:.1}%", 100.0 * share));
            let (auroc, share) = (caught.auroc, 100.0 * caught.share);
            write!(f, "\n    {family:width$}{rows:>6}  {auroc:.3}  {share:>5.1}%  {restored:>15}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Caught {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5.3}  {:.1}%", self.auroc, 100.0 * self.share)
    }
}
