//! What a monitor remembers: what it writes to the state topic.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::answers::AnswerState;
use super::quasi::QuasiDays;
use crate::monitor::incident::Past;
use crate::monitor::incidents::Incidents;
use crate::monitor::{Incident, LineageState};
use crate::record::{Extent, Offset, Partition, Timestamp};
use crate::watch::{Cells, Exemplars, Heard, Loss, Panel, Tally, Usual, Window, WindowStart};

/// What is written to the state topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Format version, [`VERSION`].
    pub(super) version: u32,
    pub(super) baseline: String,
    /// The next offset of the evidence topic.
    pub(super) next: Offset,
    /// The evidence topic, as it was then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<Extent>,
    /// The shell's clock as last heard.
    pub(super) clock: Timestamp,
    pub(super) partitions: BTreeMap<Partition, Heard>,
    /// Counts of the open windows.
    pub(super) windows: BTreeMap<WindowStart, Open>,
    /// Of windows that were closed not long ago.
    pub(super) past: BTreeMap<WindowStart, Open>,
    /// Windows that start before this are closed.
    pub(super) frontier: Timestamp,
    /// Partitions that stand still although records wait, and where.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) stalled: BTreeMap<Partition, Offset>,
    /// What was lost of the input of late, by partition.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) lost: BTreeMap<Partition, Lost>,
    /// What was said of clients, and the clock when that was last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) clients: BTreeMap<usize, Timestamp>,
    /// The clock when a record was last heard of.
    pub(super) record_at: Option<Timestamp>,
    /// Samples of groups, of the days that are not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quasi: Option<QuasiDays>,
    /// The run that lineage tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lineage: Option<LineageState>,
    /// Of the merged stream; empty if each partition has one.
    pub(super) panel: Panel,
    /// Of each partition, if they are judged one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) panels: Option<BTreeMap<Partition, Panel>>,
    pub(super) incidents: Incidents,
    /// Bundles and budgets that score records of this stream, by their baselines; ours is among them.
    pub(super) bundles: BTreeMap<String, Known>,
    /// Names of the features that our bundle scores.
    pub(super) features: Vec<String>,
    /// Of pairs of own and deployed answers, if those are watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<AnswerState>,
}

/// What was last lost of a partition, and the clock then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lost {
    pub loss: Loss,
    pub at: Timestamp,
}

/// A bundle, as far as a monitor of another one must know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    pub usual: Usual,
    /// The clock when it was last heard of.
    pub at: Timestamp,
}

/// Bundles that are remembered: more than a rolling change has.
const BUNDLES_MAX: usize = 8;

/// Oddities of a closed window that are remembered: an alert names three.
const ODDITIES_MAX: usize = 16;

/// Counts of one window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Open {
    /// Over all partitions; cells only if they are judged together.
    pub tally: Tally,
    /// The first flagged record of the partition with the least number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<(Partition, Offset)>,
    /// By panel, if partitions are judged one by one.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub parts: BTreeMap<Partition, Tally>,
    /// As `first`, by panel.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub firsts: BTreeMap<Partition, (Partition, Offset)>,
    /// Flagged records that stand for the others.
    #[serde(skip_serializing_if = "Exemplars::is_empty", default)]
    pub exemplars: Exemplars,
}

impl Open {
    /// What `partition`, whose panel is `slot`, says of this window: for panels to play later. If another bundle
    /// judged it, `others` says how many clean rows that flags.
    pub fn add(
        &mut self,
        window: &Window,
        (partition, slot): (Partition, Option<Partition>),
        others: Option<Usual>,
    ) {
        let told = match others {
            None => window.tally.clone(),
            Some(usual) => window.tally.clone().of_others(usual),
        };
        match slot {
            None => self.tally.add(&told),
            Some(slot) => {
                let part = Tally { oddities: Cells::default(), ..told.clone() };
                self.parts.entry(slot).or_default().add(&part);
                self.tally.add(&Tally { cells: Cells::default(), ..told });
            }
        }
        // Of another bundle a feature's number means another feature.
        if others.is_none() {
            self.exemplars.join(&window.exemplars);
        }
        self.sample(window, partition, slot);
    }

    fn sample(&mut self, window: &Window, partition: Partition, slot: Option<Partition>) {
        let Some(first) = window.first_flagged.map(|offset| (partition, offset)) else { return };
        // Partitions are heard in an order that is chance; the least is not.
        self.first = Some(self.first.map_or(first, |known| known.min(first)));
        if let Some(slot) = slot {
            let known = self.firsts.entry(slot).or_insert(first);
            *known = first.min(*known);
        }
    }

    /// What was counted in another window counts in this one.
    pub fn join(&mut self, other: Self) {
        self.tally.add(&other.tally);
        for (slot, tally) in other.parts {
            self.parts.entry(slot).or_default().add(&tally);
        }
        self.exemplars.join(&other.exemplars);
        self.first = self.first.into_iter().chain(other.first).min();
        for (slot, first) in other.firsts {
            let known = self.firsts.entry(slot).or_insert(first);
            *known = first.min(*known);
        }
    }

    /// These counts of records whose timestamps are not plausible.
    pub fn misdated(mut self) -> Self {
        for tally in self.parts.values_mut().chain([&mut self.tally]) {
            tally.counts.misdated = tally.counts.rows + tally.counts.faults;
        }
        self
    }

    /// These counts for a monitor of another bundle.
    pub fn of_others(self, usual: Usual) -> Self {
        let tally = self.tally.of_others(usual);
        let parts = self.parts.into_iter().map(|(slot, part)| (slot, part.of_others(usual)));
        Self { tally, parts: parts.collect(), exemplars: Exemplars::default(), ..self }
    }

    /// These counts for a bundle of other features.
    pub fn without_oddities(self) -> Self {
        let tally = Tally { oddities: Cells::default(), ..self.tally };
        Self { tally, exemplars: Exemplars::default(), ..self }
    }

    /// What incidents need of a window once it is closed.
    pub fn closed(self) -> Self {
        let counts = self.tally.counts;
        let oddities = self.tally.oddities.trimmed(ODDITIES_MAX);
        Self { tally: Tally { counts, oddities, ..Tally::default() }, parts: [].into(), ..self }
    }

    /// What it adds to incidents.
    pub fn past(&self, until: Timestamp) -> Past {
        let Self { tally, first, exemplars, .. } = self;
        let (oddities, exemplars) = (tally.oddities.clone(), exemplars.clone());
        Past { counts: tally.counts, until, first: *first, oddities, exemplars }
    }

    /// Cells with a row in them.
    pub fn cells(&self) -> usize {
        let parts = self.parts.values().chain([&self.tally]);
        parts.map(|tally| tally.cells.occupied() + tally.oddities.occupied()).sum()
    }
}

/// Why a monitor cannot go on from what the state topic holds.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    #[error("cannot read the monitor's state: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error(
        "the monitor's state is version {0}; this build reads {VERSION}: run the build that \
         wrote it, or a newer one"
    )]
    Version(u32),
    #[error(
        "the group of monitors committed {committed}, but there is no state: the state topic was \
         emptied, or the group's offsets are another program's"
    )]
    Missing { committed: Offset },
    #[error(
        "the monitor's state covers evidence below {covered}, but the group committed {committed}; if \
         the group's offsets were moved by hand, move this one back to {covered}"
    )]
    Mismatch { covered: Offset, committed: Offset },
    #[error(
        "the monitor's state covers evidence below {covered}, but its group has no offset: the evidence \
         topic was made anew, or the group's offset expired or was deleted; only if the topic is still \
         the same, give the group {covered} by hand"
    )]
    NoOffset { covered: Offset },
}

/// Format version that this build writes and reads.
const VERSION: u32 = 6;

/// The version before, which lacks what is empty by default.
const BEFORE: u32 = 5;

impl State {
    /// What a monitor wrote.
    ///
    /// # Errors
    /// If the bytes cannot be read, or another build wrote them.
    pub fn read(bytes: &[u8]) -> Result<Self, MonitorError> {
        #[derive(Deserialize)]
        struct VersionOnly {
            version: u32,
        }
        let VersionOnly { version } = serde_json::from_slice(bytes)?;
        // Whoever raises VERSION after a release keeps today's struct under a name of its own and adds a line.
        match version {
            BEFORE | VERSION => Ok(Self { version: VERSION, ..serde_json::from_slice(bytes)? }),
            other => Err(MonitorError::Version(other)),
        }
    }

    pub(super) fn new(baseline: &str, panel: Panel) -> Self {
        Self {
            version: VERSION,
            baseline: baseline.into(),
            next: Offset(0),
            log: None,
            clock: Timestamp(0),
            partitions: BTreeMap::new(),
            windows: BTreeMap::new(),
            past: BTreeMap::new(),
            frontier: Timestamp(0),
            stalled: BTreeMap::new(),
            lost: BTreeMap::new(),
            clients: BTreeMap::new(),
            record_at: None,
            quasi: None,
            lineage: None,
            panel,
            panels: None,
            incidents: Incidents::default(),
            bundles: BTreeMap::new(),
            features: vec![],
            answers: None,
        }
    }

    /// How many clean rows the bundle of `baseline` flags, of which something was heard a moment ago.
    pub(super) fn usual_of(&mut self, baseline: &str) -> Usual {
        match self.bundles.get_mut(baseline) {
            Some(known) => {
                known.at = self.clock;
                known.usual
            }
            None => Usual::UNKNOWN,
        }
    }

    /// A worker says by what it scores.
    pub(super) fn know(&mut self, baseline: &str, usual: Usual) {
        self.bundles.insert(baseline.to_owned(), Known { usual, at: self.clock });
        while self.bundles.len() > BUNDLES_MAX {
            let (own, others) = (&self.baseline, self.bundles.iter());
            let others = others.filter(|(other, _)| *other != own && *other != baseline);
            let oldest =
                others.min_by_key(|(_, known)| known.at).map(|(baseline, _)| baseline.clone());
            self.bundles.remove(&oldest.expect("there are more than two"));
        }
    }

    /// Names of the features that the bundle judged which was last heard of; none of a build that did not tell.
    pub fn features(&self) -> &[String] {
        &self.features
    }

    pub fn baseline(&self) -> &str {
        &self.baseline
    }

    /// The next offset of the evidence topic: it covers those below.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// The evidence topic, as it was then.
    pub fn log(&self) -> Option<&Extent> {
        self.log.as_ref()
    }

    /// The log that state in `bytes` belongs to, if both are known.
    pub fn log_of(bytes: &[u8]) -> Option<Extent> {
        Self::read(bytes).ok()?.log
    }

    /// How many windows are remembered, closed ones included.
    pub fn windows(&self) -> usize {
        self.windows.len() + self.past.len()
    }

    /// The incidents that are not over.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.open()
    }
}
