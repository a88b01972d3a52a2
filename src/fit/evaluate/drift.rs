//! How often the alarm of a stream would ring, and how soon: rows whose nature is known, dealt out as
//! streams.
//!
//! Every row is scored once; then its cells are dealt out, in random order or in the file's,
//! to the watches that a stream of this bundle has. A stream of `records` clean rows says how often the
//! alarm rings for nothing; one into which a suspect is mixed, how soon it rings and what it names.
//! It cannot know whether the rows come as a real stream's do: rows in random order depend on nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::columns::Columns;
use super::error::EvaluateError;
use super::record_path::{Audience, RecordPath, Turned};
use super::rows::{Named, Rows};
use crate::fit::data::table::{self, Reading, Row, TableError};
use crate::fit::progress::Watch;
use crate::model::Runtime;
use crate::monitor::Finding;
use crate::record::{Action, Probability, Timestamp};
use crate::score::Guard;
use crate::shell;
use crate::watch::{
    Beyond, Cells, Counts, Flagged, Panel, Share, Tally, Terms, Times, Transition, hypotheses,
};

/// What is dealt out, and how.
#[derive(Clone, Debug)]
pub struct Trial {
    pub bundle: PathBuf,
    pub clean: Rows,
    pub suspects: Vec<Named>,
    pub reading: Reading,
    pub budget: Option<Probability>,
    /// Share of a stream's rows that are a suspect's, once they begin.
    pub mix: Probability,
    pub runs: usize,
    /// Rows of a stream; the suspect is among them from the first one after `before`.
    pub records: usize,
    pub before: usize,
    /// One false page is allowed per so many rows.
    pub period: u64,
    /// Rows of a window.
    pub window: u64,
    /// One stream, in the file's order.
    pub in_order: bool,
    /// Only one row of every window is ranked: for rows that depend on their neighbours.
    pub one_of_window: bool,
}

/// What the watches said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub bundle: String,
    pub runs: usize,
    pub records: usize,
    pub before: usize,
    pub mix: f64,
    /// One false page is allowed per so many rows.
    pub period: u64,
    pub window: u64,
    /// How many things are watched.
    pub watches: usize,
    pub clean: Clean,
    pub suspects: BTreeMap<String, Suspect>,
}

/// Streams of clean rows alone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clean {
    pub rows: u64,
    /// That begin an incident.
    pub alarms: u64,
    pub allowed: f64,
    /// How often each kind of watch was named first.
    pub named: BTreeMap<String, u64>,
}

/// Streams with a suspect among the rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// Streams in which the alarm rang after the suspect began; what rang before is left out.
    pub found: usize,
    pub streams: usize,
    /// Rows of the stream from its beginning to the alarm, over all streams; `None`: it never rang.
    pub median: Option<u64>,
    pub ninety: Option<u64>,
    /// How often each kind of watch was named first, and the features most often named.
    pub named: BTreeMap<String, u64>,
    pub features: Vec<(String, u64)>,
}

/// What is counted of one row.
struct Seen {
    /// `None`: it was refused.
    cells: Option<Vec<u16>>,
    action: Action,
}

struct Gather(Vec<Seen>);

impl Audience for Gather {
    type Tag = ();

    fn tag(&mut self, _: &Row<'_>) -> Result<Option<()>, EvaluateError> {
        Ok(Some(()))
    }

    fn scored(&mut self, turned: Turned<'_, ()>) -> Result<(), EvaluateError> {
        let cells = turned.batch.cells();
        self.0.extend(turned.batch.outcomes().iter().map(|outcome| match outcome.judged {
            Err(_) => Seen { cells: None, action: Action::Pass },
            Ok(verdict) => {
                let cells = Some(cells[outcome.cells.clone()].to_vec());
                Seen { cells, action: verdict.action }
            }
        }));
        Ok(())
    }
}

/// Deals the rows of the trial out.
///
/// # Errors
/// As [`super::compare`]; also if there are fewer clean rows than a stream takes.
pub fn drift(
    trial: &Trial,
    runtime: &Runtime,
    watch: &mut dyn Watch,
) -> Result<Report, EvaluateError> {
    let bundle = shell::bundle::read(&trial.bundle)?;
    let mut path = RecordPath::new(&bundle, trial.budget, runtime)?;
    let clean = gather(&trial.clean, trial, &mut path, watch)?;
    if !trial.in_order && clean.len() < trial.records {
        let found =
            format!("{} clean rows are too few for streams of {}", clean.len(), trial.records);
        let (file, advice) = (trial.clean.file.clone(), "--records with a smaller number".into());
        return Err(TableError::Refused { file, found, advice }.into());
    }
    watch.stage("dealing out streams");
    let table = Deal { guard: &path.guard, trial };
    let watches = table.terms("").hypotheses.len();
    let told = table.clean(&clean);
    let mut suspects = BTreeMap::new();
    for Named { name, rows } in &trial.suspects {
        let rows = gather(rows, trial, &mut path, watch)?;
        let table = Deal { guard: &path.guard, trial };
        suspects.insert(name.clone(), table.suspect(&clean, &rows));
    }
    Ok(Report {
        bundle: bundle.manifest.name.clone(),
        runs: if trial.in_order { 1 } else { trial.runs },
        records: if trial.in_order { clean.len() } else { trial.records },
        before: trial.before,
        mix: trial.mix.get(),
        period: trial.period,
        window: trial.window,
        watches,
        clean: told,
        suspects,
    })
}

fn gather(
    rows: &Rows,
    trial: &Trial,
    path: &mut RecordPath,
    watch: &mut dyn Watch,
) -> Result<Vec<Seen>, EvaluateError> {
    let only = rows.only.as_ref().map(|only| only.column.as_str());
    let marks = only.map(str::to_owned);
    let source = table::open(&rows.file, &Reading { marks, ..trial.reading.clone() })?;
    let columns = Columns::of(&rows.file, &*source, path.guard.schema(), None, only)?;
    let mut gather = Gather(vec![]);
    path.take(&*source, &columns, rows, watch, &mut gather)?;
    if gather.0.is_empty() {
        let (file, found) = (rows.file.clone(), format!("{rows} has no rows"));
        let advice = "rows are counted from 0, and the end of a range is left out".into();
        return Err(TableError::Refused { file, found, advice }.into());
    }
    Ok(gather.0)
}

struct Deal<'a> {
    guard: &'a Guard,
    trial: &'a Trial,
}

impl Deal<'_> {
    /// One row a millisecond.
    fn terms(&self, stream: &str) -> Terms {
        let Trial { window, period, one_of_window, .. } = *self.trial;
        let decider = self.guard.decider();
        let (flagged, rows) = decider.clean_flagged();
        let clean = Flagged { budget: decider.budget(), rows, flagged };
        let watches = hypotheses(self.guard.signals(), clean, |_| true);
        let times = Times { window_ms: window, false_page_ms: period, keep_firing_for_ms: period };
        let mut terms = Terms::new(self.guard.baseline(), stream, watches, times);
        if one_of_window {
            terms.draws_max = 1;
        }
        terms
    }

    fn clean(&self, clean: &[Seen]) -> Clean {
        let (mut alarms, mut rows, mut named) = (0, 0, BTreeMap::new());
        let runs = if self.trial.in_order { 1 } else { self.trial.runs };
        for run in 0..runs {
            let order = self.order(clean.len(), run);
            rows += order.len() as u64;
            let mut stream = Stream::new(self.terms(&format!("clean {run}")));
            for window in order.chunks(self.trial.window as usize) {
                // What fires while something else does joins its incident.
                let joins = stream.fires();
                let fired = stream.window(window.iter().map(|&i| &clean[i]));
                if joins {
                    continue;
                }
                alarms += u64::from(!fired.is_empty());
                fired.first().into_iter().for_each(|first| count(&mut named, first.kind));
            }
        }
        Clean { rows, alarms, allowed: rows as f64 / self.trial.period as f64, named }
    }

    fn suspect(&self, clean: &[Seen], suspect: &[Seen]) -> Suspect {
        let Trial { runs, before, window, mix, .. } = *self.trial;
        let (mut delays, mut named, mut features) = (vec![], BTreeMap::new(), BTreeMap::new());
        let mut streams = 0;
        for run in 0..runs {
            let mut rng = ChaCha8Rng::seed_from_u64(run as u64 + 1_000_000);
            let order = self.order(clean.len(), run);
            let mut stream = Stream::new(self.terms(&format!("suspect {run}")));
            let (mut at, mut first) = (0, None);
            for rows in order.chunks(window as usize) {
                let pick = |(i, &row): (usize, &usize)| {
                    let dealt = at + i >= before && rng.random_bool(mix.get());
                    if dealt { &suspect[rng.random_range(0..suspect.len())] } else { &clean[row] }
                };
                let picked: Vec<&Seen> = rows.iter().enumerate().map(pick).collect();
                let fired = stream.window(picked.into_iter());
                at += rows.len();
                if !fired.is_empty() {
                    first = Some((at, fired));
                    break;
                }
            }
            match first {
                // A false alarm says nothing of the suspect.
                Some((at, _)) if at <= before => {}
                Some((at, fired)) => {
                    streams += 1;
                    delays.push(Some((at - before) as u64));
                    count(&mut named, fired[0].kind);
                    fired
                        .iter()
                        .for_each(|fired| count(&mut features, &self.feature(&stream, fired)));
                }
                None => {
                    streams += 1;
                    delays.push(None);
                }
            }
        }
        // None is the longest.
        delays.sort_by_key(|delay| delay.unwrap_or(u64::MAX));
        let at = |share: f64| delays.get((share * delays.len() as f64) as usize).copied().flatten();
        let mut features: Vec<(String, u64)> = features.into_iter().collect();
        features.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
        features.truncate(5);
        let found = delays.iter().flatten().count();
        Suspect { found, streams, median: at(0.5), ninety: at(0.9), named, features }
    }

    fn order(&self, n: usize, run: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        if !self.trial.in_order {
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(run as u64));
            order.truncate(self.trial.records);
        }
        order
    }

    fn feature(&self, stream: &Stream, fired: &Fired) -> String {
        let watch = &stream.terms.hypotheses[fired.watch];
        let (signals, schema) = (self.guard.signals(), self.guard.schema());
        let finding = Finding::new(watch, &fired.seen, fired.beyond, signals, schema);
        format!("{}: {}", finding.watch, finding.feature)
    }
}

/// A watch that fired.
struct Fired {
    watch: usize,
    kind: &'static str,
    seen: Vec<u64>,
    beyond: Option<Beyond>,
}

struct Stream {
    terms: Terms,
    panel: Panel,
    at: i64,
}

impl Stream {
    fn new(terms: Terms) -> Self {
        Self { panel: Panel::new(&terms), terms, at: 0 }
    }

    fn fires(&self) -> bool {
        (0..self.terms.hypotheses.len()).any(|watch| self.panel.is_firing(watch))
    }

    /// What fires when this window is closed.
    fn window<'s>(&mut self, rows: impl Iterator<Item = &'s Seen>) -> Vec<Fired> {
        let (mut counts, mut cells) = (Counts::default(), Cells::default());
        for seen in rows {
            let Some(own) = &seen.cells else {
                counts.faults += 1;
                continue;
            };
            counts.rows += 1;
            counts.flagged += u64::from(seen.action != Action::Pass);
            own.iter().for_each(|&cell| cells.push(cell.into()));
        }
        let window = Timestamp(self.at);
        self.at += self.terms.window_ms as i64;
        let transitions = self.panel.close(
            window,
            &Tally { counts, cells, ..Tally::default() },
            Share::WHOLE,
            &self.terms,
        );
        let fired = transitions.into_iter().filter_map(|transition| match transition {
            Transition::Fired { watch, seen, beyond, .. } => {
                Some(Fired { watch, kind: self.terms.hypotheses[watch].watch.name(), seen, beyond })
            }
            Transition::Resolved { .. } => None,
        });
        fired.collect()
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    *counts.entry(name.to_owned()).or_default() += 1;
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bundle, runs, records, period, window, watches, clean, .. } = self;
        let named = |named: &BTreeMap<String, u64>| {
            let mut named: Vec<_> = named.iter().collect();
            named.sort_by(|a, b| b.1.cmp(a.1));
            let words: Vec<_> = named.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
            words.join(", ")
        };
        writeln!(
            f,
            "{bundle}: {runs} streams of {records} rows in windows of {window}, {watches} things watched, \
             one false page allowed per {period} rows"
        )?;
        write!(
            f,
            "  clean rows alone: {} alarms in {} rows, {:.1} are allowed",
            clean.alarms, clean.rows, clean.allowed
        )?;
        if clean.alarms > 0 {
            write!(f, " ({})", named(&clean.named))?;
        }
        for (name, suspect) in &self.suspects {
            let Suspect { found, streams, median, ninety, features, .. } = suspect;
            let rows = |delay: &Option<u64>| delay.map_or("-".into(), |rows| rows.to_string());
            write!(
                f,
                "\n  {name}, {:.1}% of the rows from row {} on: found in {found} of {streams}, after {} rows \
                 (median; 90%: {})\n    by {}",
                100.0 * self.mix,
                self.before,
                rows(median),
                rows(ninety),
                named(&suspect.named),
            )?;
            for (feature, times) in features {
                write!(f, "\n    {times:>4} × {feature}")?;
            }
        }
        Ok(())
    }
}
