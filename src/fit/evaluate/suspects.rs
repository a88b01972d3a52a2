//! A clean file and suspects beside it: how well the guard tells each of these from clean rows, and
//! what reaches the protected model.
//!
//! A suspect's rows need not be attacks: of harmless disturbances one wants few flagged. Thresholds
//! come from the clean rows given, so a clean file that holds attacks makes every number worse.

use std::path::PathBuf;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::columns::Columns;
use super::error::EvaluateError;
use super::first_look::{FirstLook, first_scores};
use super::measure::Measure;
use super::record_path::{Audience, RecordPath, SEEN, Turned};
use super::rows::{Named, Rows};
use super::sample::{Counting, Sample};
use super::specimen::{Shelf, Specimen};
use crate::decide::Decider;
use crate::fit::data::budget::flagged_interval;
use crate::fit::data::table::{self, Kind, Reading, Row, TableError};
use crate::fit::progress::Watch;
use crate::model::Runtime;
use crate::record::{Probability, Schema};
use crate::shell;

/// What to compare, and by which guard.
#[derive(Clone, Debug)]
pub struct Trial {
    pub bundle: PathBuf,
    pub clean: Rows,
    /// Labels of the clean rows, if their file does not bring them.
    pub labels: Option<PathBuf>,
    pub suspects: Vec<Named>,
    pub reading: Reading,
    /// The column of tables with the true label, as the protected model numbers them; of arrays it is
    /// `y`.
    pub truth: Option<String>,
    /// The bundle's own unless given.
    pub budget: Option<Probability>,
    /// How many rows of a kind are looked at closely, for a page that shows them.
    pub specimens: usize,
}

/// What a guard made of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub bundle: String,
    /// Hexadecimal SHA-256 of the bundle's manifest.
    pub digest: String,
    pub budget: Probability,
    /// The merged score from which a row is flagged.
    pub threshold: f32,
    pub clean: Clean,
    #[serde(serialize_with = "by_name")]
    pub suspects: Vec<Suspect>,
    #[serde(skip)]
    pub schema: Schema,
    /// The detectors' names, in the bundle's order.
    #[serde(skip)]
    pub kinds: Vec<String>,
}

/// The clean rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clean {
    #[serde(flatten)]
    pub sample: Sample,
    /// Between how many of them a sound guard flags, in 99 of 100 fits, if they are like those that
    /// it was calibrated on.
    pub flagged_expected: (usize, usize),
    /// Columns of the file that the bundle does not look at.
    pub unread: Vec<String>,
    /// Merged score and each detector's, `[1 + k][n]`; of what was refused, ∞.
    #[serde(skip)]
    pub scores: Vec<Vec<f32>>,
    /// The rows with the highest scores.
    #[serde(skip)]
    pub highest: Vec<Specimen>,
}

/// One suspect.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    #[serde(skip)]
    pub name: String,
    #[serde(flatten)]
    pub sample: Sample,
    pub merged: Measure,
    /// Each by its own score alone, in the bundle's order.
    #[serde(serialize_with = "by_kind")]
    pub detectors: Vec<(String, Measure)>,
    /// What a cheap first look would keep, if the bundle has learned detectors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_look: Option<FirstLook>,
    /// As those of the clean rows.
    #[serde(skip)]
    pub scores: Vec<Vec<f32>>,
    /// The rows with the lowest and with the highest scores.
    #[serde(skip)]
    pub lowest: Vec<Specimen>,
    #[serde(skip)]
    pub highest: Vec<Specimen>,
}

impl Report {
    /// Whether the protected model's answers to some of the rows are known to be right or wrong.
    pub fn knows_answers(&self) -> bool {
        let suspects = self.suspects.iter().map(|suspect| &suspect.sample);
        let mut samples = suspects.chain([&self.clean.sample]);
        samples.any(|sample| sample.accuracy.before.is_some())
    }
}

fn by_name<S: Serializer>(suspects: &[Suspect], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(suspects.len()))?;
    suspects.iter().try_for_each(|suspect| map.serialize_entry(&suspect.name, suspect))?;
    map.end()
}

fn by_kind<S: Serializer>(
    detectors: &[(String, Measure)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(detectors.iter().map(|(kind, measure)| (kind, measure)))
}

/// Sends every row of the trial through the bundle.
///
/// # Errors
/// If the bundle or a file cannot be read, a file's columns are not the bundle's, or it has none of
/// the rows that are asked for.
pub fn compare(
    trial: &Trial,
    runtime: &Runtime,
    watch: &mut dyn Watch,
) -> Result<Report, EvaluateError> {
    let bundle = shell::bundle::read(&trial.bundle)?;
    let manifest = &bundle.manifest;
    let mut path = RecordPath::new(&bundle, trial.budget, runtime)?;
    let members = manifest.detectors.len();
    let mut hear = |rows: &Rows, labels| Heard::of(rows, labels, trial, &mut path, members, watch);
    let clean = hear(&trial.clean, trial.labels.clone())?;
    let heard = trial.suspects.iter().map(|Named { rows, .. }| hear(rows, None));
    let heard = heard.collect::<Result<Vec<_>, _>>()?;
    let decider = path.guard.decider();
    let kinds: Vec<String> = manifest.detectors.iter().map(|member| member.kind.clone()).collect();
    let flagged_from = threshold(decider);
    let clean_first = first_scores(decider, &kinds, &clean.scores);
    let mut suspects = vec![];
    for (Named { name, .. }, heard) in trial.suspects.iter().zip(heard) {
        let first = clean_first.as_ref().zip(first_scores(decider, &kinds, &heard.scores));
        let first_look =
            first.map(|(clean, own)| FirstLook::of(clean, &own, &heard.scores[0], flagged_from));
        let measure = |column: usize| Measure::of(&clean.scores[column], &heard.scores[column]);
        suspects.push(Suspect {
            name: name.clone(),
            merged: measure(0),
            detectors: kinds
                .iter()
                .cloned()
                .zip(1..)
                .map(|(kind, at)| (kind, measure(at)))
                .collect(),
            first_look,
            sample: heard.sample,
            scores: heard.scores,
            lowest: heard.lowest,
            highest: heard.highest,
        });
    }
    let budget = decider.budget();
    let calibrated = manifest.provenance.rows.merged as usize;
    Ok(Report {
        bundle: manifest.name.clone(),
        digest: bundle.digest.to_string(),
        budget,
        threshold: flagged_from,
        clean: Clean {
            flagged_expected: flagged_interval(budget, calibrated, clean.sample.scored()),
            sample: clean.sample,
            unread: clean.unread,
            scores: clean.scores,
            highest: clean.highest,
        },
        suspects,
        schema: manifest.schema.clone(),
        kinds,
    })
}

/// The least merged score that is flagged, to the last bit or so: p never rises with it.
fn threshold(decider: &Decider) -> f32 {
    let flags = |score: f32| decider.flags(decider.p(score, 1));
    let (mut passes, mut flagged) = (0.0, 1.0);
    while !flags(flagged) && flagged < f32::MAX / 4.0 {
        (passes, flagged) = (flagged, 2.0 * flagged);
    }
    for _ in 0..40 {
        let middle = (passes + flagged) / 2.0;
        match flags(middle) {
            true => flagged = middle,
            false => passes = middle,
        }
    }
    flagged
}

/// What came of one file.
struct Heard {
    sample: Sample,
    /// Merged score and each detector's, `[1 + k][n]`; of what was refused, ∞.
    scores: Vec<Vec<f32>>,
    unread: Vec<String>,
    lowest: Vec<Specimen>,
    highest: Vec<Specimen>,
}

impl Heard {
    fn of(
        rows: &Rows,
        labels: Option<PathBuf>,
        trial: &Trial,
        path: &mut RecordPath,
        members: usize,
        watch: &mut dyn Watch,
    ) -> Result<Self, EvaluateError> {
        let only = rows.only.as_ref().map(|only| only.column.as_str());
        let marks = only.map(str::to_owned);
        let source = table::open(&rows.file, &Reading { labels, marks, ..trial.reading.clone() })?;
        let truth = match Kind::of(&rows.file)? {
            Kind::Arrays => Some("y").filter(|y| source.names().iter().any(|name| name == y)),
            _ => trial.truth.as_deref(),
        };
        let columns = Columns::of(&rows.file, &*source, path.guard.schema(), truth, only)?;
        let mut hearing = Hearing {
            truth: columns.label.filter(|_| path.networks.labels() > 1),
            counting: Counting::default(),
            scores: vec![vec![]; 1 + members],
            asks: path.networks.labels() > 1 && (columns.label.is_some() || trial.specimens > 0),
            lowest: Shelf::of_lowest(trial.specimens),
            highest: Shelf::of_highest(trial.specimens),
        };
        path.take(&*source, &columns, rows, watch, &mut hearing)?;
        if hearing.scores[0].is_empty() {
            let (file, found) = (rows.file.clone(), format!("{rows} has no rows"));
            let advice = "rows are counted from 0, and the end of a range is left out".into();
            return Err(TableError::Refused { file, found, advice }.into());
        }
        let Hearing { counting, scores, lowest, highest, .. } = hearing;
        Ok(Self {
            sample: counting.finish(rows.clone()),
            scores,
            unread: columns.unread,
            lowest: lowest.into_kept(),
            highest: highest.into_kept(),
        })
    }
}

/// Listens to what becomes of one file's rows.
struct Hearing {
    /// Where the true label stands, if there is a protected model to be held to it.
    truth: Option<usize>,
    /// Whether the protected model is asked about the rows.
    asks: bool,
    counting: Counting,
    scores: Vec<Vec<f32>>,
    lowest: Shelf,
    highest: Shelf,
}

impl Audience for Hearing {
    /// Position in the file, and the true label.
    type Tag = (u64, Option<i64>);

    fn tag(&mut self, row: &Row<'_>) -> Result<Option<Self::Tag>, EvaluateError> {
        let number = self.truth.and_then(|at| table::number(row.cells[at]));
        // What is no whole number is no label: the row then counts for no accuracy.
        let truth = number.filter(|n| n.fract() == 0.0).map(|n| n as i64);
        Ok(Some((row.number - 1, truth)))
    }

    fn scored(&mut self, mut turned: Turned<'_, Self::Tag>) -> Result<(), EvaluateError> {
        let none = || vec![None; turned.tags.len()];
        let answers = if self.asks { self.counting.answers(&mut turned)? } else { none() };
        let truths = turned.tags.iter().map(|&(_, truth)| truth);
        self.counting.count(turned.batch, truths.zip(answers.iter().copied()));
        let Turned { guard, batch, tags, .. } = turned;
        for (i, outcome) in batch.outcomes().iter().enumerate() {
            let own = |column: usize| match (column, outcome.judged) {
                (_, Err(_)) => f32::INFINITY,
                (0, Ok(verdict)) => verdict.score,
                (_, Ok(_)) => batch.explain(guard, i).expect(SEEN).scores()[column - 1],
            };
            self.scores.iter_mut().enumerate().for_each(|(column, all)| all.push(own(column)));
            if let Ok(verdict) = outcome.judged {
                let look = batch.explain(guard, i).expect(SEEN);
                self.lowest.offer(verdict, &look, tags[i], answers[i]);
                self.highest.offer(verdict, &look, tags[i], answers[i]);
            }
        }
        Ok(())
    }
}
