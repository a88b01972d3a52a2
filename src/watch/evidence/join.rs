//! What the join of requests and answers tells the monitor: counts by window, additive.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Cells;
use crate::alarm::WindowStart;
use crate::record::{Offset, Partition};

/// The counts that the offsets `from..to` of the join topic led to, by window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinEvidence {
    pub from: Offset,
    pub to: Offset,
    /// The first message since somebody took the join over.
    #[serde(default, skip_serializing_if = "super::is_false")]
    pub begins: bool,
    /// By their start, ascending.
    pub windows: Vec<JoinWindow>,
}

/// What pairs and single halves of one window came to: pairs by the answer's time, a request without an answer by the
/// time at which it was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinWindow {
    pub window: WindowStart,
    pub counts: JoinCounts,
    /// Cells of `watch::answers`.
    #[serde(default, skip_serializing_if = "Cells::is_empty")]
    pub cells: Cells,
    /// Rows by the endpoint that answered, if the answers say it: a canary beside the default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub endpoints: BTreeMap<String, EndpointCounts>,
    /// The least input record whose answer differs although the own model is sure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<(Partition, Offset)>,
}

/// How many rows or halves had which fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JoinCounts {
    /// Rows whose label is the own one, and those with another.
    pub same: u64,
    pub other: u64,
    /// A horizon later: pairs, requests that got no answer, and answers that no request waited for.
    pub settled: u64,
    pub unanswered: u64,
    pub orphan: u64,
    /// Halves that came again, or of a time that was over.
    pub doubled: u64,
    pub late: u64,
    /// Halves that had to make room for newer ones.
    pub given_up: u64,
    /// Pairs whose halves have different numbers of rows, or an answer that cannot be read.
    pub misshapen: u64,
}

/// Rows that an endpoint answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointCounts {
    pub rows: u64,
    /// Of those, rows with another label than the own one, although the own model is sure.
    pub differing: u64,
}

/// Endpoints that are told apart in one window; the rest is `other`.
const ENDPOINTS_MAX: usize = 8;

impl JoinWindow {
    /// Nothing counted yet.
    pub fn empty(window: WindowStart) -> Self {
        let (counts, cells) = (JoinCounts::default(), Cells::default());
        Self { window, counts, cells, endpoints: BTreeMap::new(), first: None }
    }

    /// Both together, in this one's window.
    pub fn add(&mut self, more: &Self) {
        self.counts.add(&more.counts);
        self.cells.add(&more.cells);
        for (name, counts) in &more.endpoints {
            self.endpoint(name).add(*counts);
        }
        self.first = self.first.into_iter().chain(more.first).min();
    }

    /// The counts of an endpoint.
    pub fn endpoint(&mut self, name: &str) -> &mut EndpointCounts {
        let known = self.endpoints.contains_key(name) || self.endpoints.len() < ENDPOINTS_MAX;
        self.endpoints.entry(if known { name } else { "other" }.to_owned()).or_default()
    }
}

impl EndpointCounts {
    pub fn add(&mut self, more: Self) {
        self.rows = self.rows.saturating_add(more.rows);
        self.differing = self.differing.saturating_add(more.differing);
    }
}

impl JoinCounts {
    pub fn add(&mut self, more: &Self) {
        self.same = self.same.saturating_add(more.same);
        self.other = self.other.saturating_add(more.other);
        self.settled = self.settled.saturating_add(more.settled);
        self.unanswered = self.unanswered.saturating_add(more.unanswered);
        self.orphan = self.orphan.saturating_add(more.orphan);
        self.doubled = self.doubled.saturating_add(more.doubled);
        self.late = self.late.saturating_add(more.late);
        self.given_up = self.given_up.saturating_add(more.given_up);
        self.misshapen = self.misshapen.saturating_add(more.misshapen);
    }

    /// Everything that the watches count: a window without any buys nothing.
    pub fn watched(&self) -> u64 {
        let pairs = [self.same, self.other, self.misshapen];
        let all = pairs.into_iter().chain([self.settled, self.unanswered, self.orphan]);
        all.fold(0, u64::saturating_add)
    }
}
