//! Where records come from and go to, as OpenLineage tells it: one run for each bundle and configuration, an event for
//! each period.
//!
//! Events are a function of the evidence topic, as alerts are: the same messages give the same bytes. Rows are those
//! that the counts tell of, so every record of the input is in one event. It cannot prove that nobody else wrote to a
//! topic.

mod event;
mod facts;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use facts::{LineageChange, LineageFacts, LineageField, LineageOutput};

use super::{About, Incident};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::Passage;

/// An event of OpenLineage, as it stands in its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageEvent {
    /// The run, which is the record's key.
    pub run: String,
    /// JSON.
    pub value: Vec<u8>,
}

/// What a monitor remembers of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineageState {
    /// Names the facts: other facts are another run.
    facts: String,
    run: String,
    /// The bundle that the run is of.
    bundle: String,
    /// Whether its beginning was told.
    started: bool,
    /// The end of the last period that was told.
    told: Timestamp,
    #[serde(default)]
    counted: PassageCounts,
    /// The offsets of the last message of each partition: what lies below their end was counted.
    #[serde(default)]
    heard: BTreeMap<Partition, (Offset, Offset)>,
    /// What the run before counted and did not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<Box<LineageState>>,
}

/// Records since the last event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PassageCounts {
    records: u64,
    quarantine: u64,
    dead_letter: u64,
    /// Spans of input offsets, without gaps where they meet.
    offsets: BTreeMap<Partition, Vec<(Offset, Offset)>>,
}

/// What an event is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunMoment {
    Start,
    Running,
    Complete,
}

/// Spans of one partition that are told one by one; what comes then is joined to the last.
const SPANS_MAX: usize = 64;

impl PassageCounts {
    fn add(&mut self, passage: &Passage) {
        self.records += passage.records;
        self.quarantine += passage.quarantine;
        self.dead_letter += passage.dead_letter;
        let spans = self.offsets.entry(passage.partition).or_default();
        let is_full = spans.len() == SPANS_MAX;
        match spans.last_mut() {
            Some(last) if last.1 == passage.from => last.1 = passage.to,
            Some(last) if is_full => last.1 = last.1.max(passage.to),
            _ => spans.push((passage.from, passage.to)),
        }
    }
}

impl LineageState {
    /// A run that begins with the message at `offset` of the evidence topic.
    pub fn new(facts: &LineageFacts, about: &About, offset: Offset) -> Self {
        Self {
            facts: facts.id(about),
            run: facts.run(about, offset),
            bundle: about.bundle.clone(),
            started: false,
            told: Timestamp(0),
            counted: PassageCounts::default(),
            heard: BTreeMap::new(),
            before: None,
        }
    }

    /// This run, or the one that follows because the facts are others now.
    pub fn under(self, facts: &LineageFacts, about: &About, offset: Offset) -> Self {
        if self.facts == facts.id(about) {
            return self;
        }
        let next = Self { heard: self.heard.clone(), ..Self::new(facts, about, offset) };
        // A run that never began has no end; what it counted is told by the next one.
        match self.started {
            true => Self { before: Some(Box::new(self)), ..next },
            false => Self { counted: self.counted, before: self.before, ..next },
        }
    }

    /// Records left. What was told before is not counted again, unless offsets were moved back.
    pub fn hear(&mut self, passage: &Passage) {
        let span = (passage.from, passage.to);
        let known = self.heard.insert(passage.partition, span);
        let is_known =
            |known: (Offset, Offset)| known == span || span.0 < known.1 && !passage.begins;
        if let Some(known) = known.filter(|&known| is_known(known)) {
            self.heard.insert(passage.partition, known);
            return;
        }
        self.counted.add(passage);
    }

    /// The clock is `clock`: what is to be told now.
    pub fn tick(
        &mut self,
        facts: &LineageFacts,
        about: &About,
        clock: Timestamp,
        incidents: &[&Incident],
        events: &mut Vec<LineageEvent>,
    ) {
        if clock == Timestamp(0) {
            return;
        }
        if let Some(mut before) = self.before.take() {
            let counted = std::mem::take(&mut before.counted);
            events.push(before.event(facts, about, RunMoment::Complete, clock, &counted, &[]));
        }
        let period = Timestamp(clock.0 - clock.0.rem_euclid(facts.every_ms));
        if !self.started {
            (self.started, self.told) = (true, period);
            events.push(self.event(
                facts,
                about,
                RunMoment::Start,
                clock,
                &PassageCounts::default(),
                &[],
            ));
        }
        if period > self.told {
            self.told = period;
            let counted = std::mem::take(&mut self.counted);
            events.push(self.event(facts, about, RunMoment::Running, period, &counted, incidents));
        }
    }

    /// Records of the input that no event told of yet.
    pub fn untold(&self) -> u64 {
        self.counted.records + self.before.as_ref().map_or(0, |before| before.untold())
    }
}
