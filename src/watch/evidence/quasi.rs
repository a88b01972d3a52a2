//! Samples of the groups of rows: how many rows have the same values in a set of features.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::alarm::WindowStart;
use crate::math::LevelSample;
use crate::privacy::{Occurrence, QuasiPlan};
use crate::record::{Offset, Partition};

/// Samples of the rows of the input offsets `from..to` of one partition. It comes before the counts of these offsets,
/// so a monitor that knows up to where it heard those adds nothing twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quasi {
    /// Which sets, by which key: samples of two plans are never merged.
    pub plan: String,
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
    /// As in [`super::Evidence`].
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub begins: bool,
    /// The span of time that the rows are of, by its start.
    pub day: WindowStart,
    /// By their places in the plan, ascending.
    pub samples: Vec<(u16, LevelSample)>,
}

/// Samples of one message: with eight hashes of subjects in each of 1,024 groups a sample is 54 KB, and six of them
/// stay below the megabyte that a topic takes.
const SAMPLES_MAX: usize = 6;

/// What was counted of the offsets of one message of evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowGroups {
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
    pub begins: bool,
    /// In order of records, with the day of each.
    pub rows: Vec<(WindowStart, Occurrence)>,
}

impl RowGroups {
    /// Messages with these rows: one for each day and a few samples.
    pub fn messages(mut self, plan: &QuasiPlan) -> Vec<Quasi> {
        self.rows.sort_unstable_by_key(|&(day, one)| (day, one.sample));
        let mut days: BTreeMap<WindowStart, BTreeMap<u16, LevelSample>> = BTreeMap::new();
        for same in self.rows.chunk_by(|a, b| (a.0, a.1.sample) == (b.0, b.1.sample)) {
            let (day, Occurrence { sample, .. }) = same[0];
            let Some(mut counted) = plan.sample_at(sample) else { continue };
            same.iter().for_each(|(_, one)| counted.add(one.value, one.member));
            days.entry(day).or_default().insert(sample, counted);
        }
        let Self { partition, from, to, begins, .. } = self;
        let mut messages = vec![];
        for (day, samples) in days {
            let mut samples = samples.into_iter().peekable();
            while samples.peek().is_some() {
                let samples = samples.by_ref().take(SAMPLES_MAX).collect();
                let plan = plan.id().to_owned();
                messages.push(Quasi { plan, partition, from, to, begins, day, samples });
            }
        }
        messages
    }
}
