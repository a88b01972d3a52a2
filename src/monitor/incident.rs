//! An incident: what is wrong with a stream, since when, and which watches say so.

use serde::{Deserialize, Serialize};

use super::{Cause, Finding};
use crate::decide::{Mode, Policy};
use crate::record::{Oddity, Offset, Partition, Probability, Schema, Timestamp};
use crate::watch::{Cells, Counts, Exemplar, Exemplars};

/// What is known of one incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    pub cause: Cause,
    pub dedup_key: String,
    pub since: Timestamp,
    pub until: Timestamp,
    pub counts: Counts,
    pub first: Option<(Partition, Offset)>,
    /// Flagged records since then by what is most odd about them, the commonest.
    #[serde(default, skip_serializing_if = "Cells::is_empty")]
    pub oddities: Cells,
    /// Flagged records that stand for the others.
    #[serde(default, skip_serializing_if = "Exemplars::is_empty")]
    pub exemplars: Exemplars,
    /// Whether the incident was critical at some time. It stays critical until it ends.
    #[serde(default)]
    pub severe: bool,
    /// What was last told of it.
    #[serde(default)]
    pub told: IncidentNotice,
    /// Sets of features of which too many rows stand in small groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposed: Vec<ExposedSet>,
    /// In the order in which they fired.
    pub members: Vec<FiredWatch>,
}

/// A set of features of which too many rows stand in small groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExposedSet {
    pub features: Vec<String>,
    /// A group of fewer subjects is small.
    pub k: u64,
    pub limit: f64,
    /// Rows that were counted, and at how many of them the shares are compared.
    pub rows: u64,
    pub compared_at: u64,
    /// Share of rows whose group has one subject, and of rows in small groups.
    pub unique: f64,
    pub small: f64,
    /// What would help most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coarser: Option<CoarserSet>,
}

/// A set of features, one or more of them made coarser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoarserSet {
    /// `age rounded to 10, sex left out`
    pub how: String,
    pub small: f64,
    /// Below the limit.
    pub is_enough: bool,
}

/// The last message about an incident: how many records it told of, and the end of its last window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentNotice {
    pub records: u64,
    pub until: Timestamp,
}

/// What came out of the windows since some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    pub counts: Counts,
    pub until: Timestamp,
    pub first: Option<(Partition, Offset)>,
    pub oddities: Cells,
    pub exemplars: Exemplars,
}

/// Oddities of an incident that are told apart: three are named.
const ODDITIES_MAX: usize = 64;

/// A message with new counts is worth sending after so long if there are twice as many records, and else if there are
/// more at all.
const TELL_TWICE_MS: i64 = 60 * 1000;
const TELL_MORE_MS: i64 = 15 * 60 * 1000;

impl Past {
    /// Nothing, until then.
    pub fn nothing(until: Timestamp) -> Self {
        let (counts, first) = (Counts::default(), None);
        Self { counts, until, first, oddities: Cells::default(), exemplars: Exemplars::default() }
    }
}

impl Incident {
    /// More windows count in it.
    pub fn count(&mut self, past: &Past) {
        self.counts.add(&past.counts);
        self.until = self.until.max(past.until);
        self.oddities.add(&past.oddities);
        self.oddities = self.oddities.trimmed(ODDITIES_MAX);
        self.exemplars.join(&past.exemplars);
    }

    /// The commonest oddities, and of how many records each is the first.
    pub fn reasons(&self, most: usize) -> Vec<(Oddity, u32)> {
        let largest = self.oddities.largest(most);
        largest.into_iter().map(|(cell, count)| (Oddity::of_cell(cell), count)).collect()
    }

    /// Flagged records that stand for the others, at most `most`: first those with the commonest oddity, the most
    /// suspicious first.
    pub fn typical(&self, most: usize) -> Vec<Exemplar> {
        let reasons = self.reasons(ODDITIES_MAX);
        let rank = |one: &Exemplar| reasons.iter().position(|(o, _)| o.is_like(one.oddity));
        let mut typical: Vec<Exemplar> = self.exemplars.iter().copied().collect();
        typical.sort_by_key(|one| (rank(one).unwrap_or(usize::MAX), *one));
        typical.truncate(most);
        typical
    }

    /// Whether all that fired is about clients, cells or all clients: no share of the stream's records is unusual.
    pub fn is_of_clients(&self) -> bool {
        let mut own = self.members.iter().filter(|member| !member.inhibited).peekable();
        own.peek().is_some() && own.all(|member| member.finding.client.is_some())
    }

    /// Records that are as they should not be.
    pub fn harmed(&self) -> u64 {
        let Counts { rows, flagged, faults, imputed, misdated, .. } = self.counts;
        match self.cause {
            Cause::Attack => flagged,
            Cause::Quality => faults + imputed + misdated,
            Cause::Drift => rows,
            Cause::Tampering
            | Cause::NoData
            | Cause::Stall
            | Cause::DataLoss
            | Cause::Access
            | Cause::Privacy => 0,
        }
    }

    /// Whether the incident is critical, so that somebody must come at once. A quality incident is critical if most
    /// records do not reach the model.
    pub fn is_critical(&self, policy: Policy) -> bool {
        match self.cause {
            Cause::Attack | Cause::Tampering | Cause::NoData | Cause::Stall | Cause::DataLoss => {
                true
            }
            Cause::Quality => policy.mode == Mode::Enforce && most_are_lost(&self.counts),
            Cause::Drift | Cause::Access | Cause::Privacy => false,
        }
    }

    /// Whether a receiver should hear of it again although no watch says more.
    pub fn has_grown(&self) -> bool {
        let IncidentNotice { records, until } = self.told;
        let harmed = self.harmed();
        let waited_ms = self.until.0.saturating_sub(until.0);
        let is_twice = harmed >= 2 * records && waited_ms >= TELL_TWICE_MS;
        harmed > records && (is_twice || waited_ms >= TELL_MORE_MS)
    }
}

/// Whether half of the records or more cannot be read.
pub fn most_are_lost(counts: &Counts) -> bool {
    counts.faults > 0 && counts.faults >= counts.rows
}

/// A watch that fired.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FiredWatch {
    /// Its place among the stream's watches.
    pub watch: usize,
    pub cause: Cause,
    pub since: Timestamp,
    pub finding: Finding,
    /// Whether this member pages nobody: its change follows from the incident's cause.
    pub inhibited: bool,
    /// Whether the change is still there.
    pub firing: bool,
}

impl FiredWatch {
    /// Which watch it is: of which partition, if those are judged one by one, and its number.
    pub fn place(&self) -> (Option<Partition>, usize) {
        (self.finding.partition, self.watch)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Status {
    /// The first word about an incident: a page.
    Firing,
    /// More is known of it, there are many more records, or it came back within `keep_firing_for`: no page.
    Updated,
    Resolved,
}

impl Status {
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Where to look: the input's position of the first flagged record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    pub topic: String,
    pub partition: Partition,
    pub offset: Offset,
}

/// What is said of every incident of a stream: frozen for a baseline.
#[derive(Clone, Debug)]
pub struct About {
    pub stream: String,
    pub input: String,
    pub sanitized: String,
    pub quarantine: String,
    pub dead_letter: String,
    pub baseline: String,
    pub bundle: String,
    pub policy: Policy,
    pub budget: Probability,
    pub false_page_ms: u64,
    /// Names the features that oddities are of.
    pub schema: Schema,
    /// For commands that a person copies: the brokers, and the configuration's file as `run` was given it.
    pub brokers: String,
    pub file: String,
}
