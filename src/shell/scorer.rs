//! A worker's scoring: revision, networks, registry, and the batch's buffers.

use std::sync::Arc;
use std::time::Instant;

use super::registry::Registry;
use super::registry::data_keys::DataKeys;
use super::vault::Vaults;
use crate::clients::RowVisit;
use crate::config::Stream;
use crate::decide::OnGuardFailure;
use crate::deliver::Scorer;
use crate::model::Networks;
use crate::privacy::{Occurrence, QuasiPlan};
use crate::record::{Fault, Record};
use crate::score::{Batch, Explanation, Guard, GuardFailure, Outcome, PartSwap, counterfactual};
use crate::watch::Baseline;

/// A revision of a stream, and what one worker needs to score by it.
pub struct Next {
    pub stream: Arc<Stream>,
    pub guard: Arc<Guard>,
    pub registry: Option<Arc<Registry>>,
    pub vaults: Option<Arc<Vaults>>,
    pub data_keys: Option<Arc<DataKeys>>,
    /// Of this worker alone.
    pub networks: Networks,
}

/// How a revision is written for people.
pub fn hexadecimal(revision: [u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(revision))
}

/// Scores records of one stream by its present revision.
pub struct StreamScorer {
    guard: Arc<Guard>,
    registry: Option<Arc<Registry>>,
    vaults: Option<Arc<Vaults>>,
    data_keys: Option<Arc<DataKeys>>,
    networks: Networks,
    batch: Batch,
}

impl StreamScorer {
    /// Scores by `first`, and gives the configuration that came with it.
    pub fn new(first: Next) -> (Self, Arc<Stream>) {
        let Next { stream, guard, registry, vaults, data_keys, networks } = first;
        (Self { guard, registry, vaults, data_keys, networks, batch: Batch::default() }, stream)
    }
}

impl StreamScorer {
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// What the most suspicious row of record `i` of the last batch shows, if it was scored.
    pub fn explain(&self, i: usize) -> Option<Explanation<'_>> {
        self.batch.explain(&self.guard, i)
    }

    /// A small change with which `record` would pass, if one is found.
    ///
    /// # Errors
    /// If the networks score nothing.
    pub fn counterfactual(
        &mut self,
        record: &Record<'_>,
    ) -> Result<Option<Vec<PartSwap>>, GuardFailure> {
        counterfactual(&self.guard, &mut self.networks, record)
    }
}

impl Scorer for StreamScorer {
    type Next = Next;

    fn adopt(&mut self, next: Next) -> Arc<Stream> {
        let stream;
        // Buffers begin anew too: rows may be of another width.
        (*self, stream) = Self::new(next);
        stream
    }

    fn revision(&self) -> String {
        hexadecimal(self.guard.revision())
    }

    fn baseline(&self) -> &str {
        self.guard.baseline()
    }

    fn reference(&self) -> Baseline {
        self.guard.clean().baseline(self.guard.baseline())
    }

    fn fetch(&mut self, records: &[Record<'_>]) -> Option<Instant> {
        // First the keys: what is sealed does not say which schema it needs. Last the data keys, which a schema names.
        let guard = &self.guard;
        let away = self.vaults.as_ref().and_then(|vaults| vaults.fetch(guard).err());
        let retry_at = away.map(|away| away.retry_at);
        let unavailable = |registry: &Arc<Registry>| registry.fetch(guard, records).err();
        let retry_at = retry_at
            .or_else(|| Some(self.registry.as_ref().and_then(unavailable)?.retry_at))
            .or_else(|| Some(self.data_keys.as_ref()?.fetch(guard, records).err()?.retry_at))?;
        let closed = self.guard.policy().on_guard_failure == OnGuardFailure::Closed;
        closed.then_some(retry_at)
    }

    fn misses(&self, record: &Record<'_>) -> bool {
        self.guard.missing(record).is_some()
    }

    fn score(&mut self, records: &[Record<'_>]) -> Result<(), GuardFailure> {
        self.batch.score(&self.guard, &mut self.networks, records)
    }

    fn refuse(&mut self, record: &Record<'_>, fault: Fault) {
        self.batch.refuse(&self.guard, record, fault);
    }

    fn replace(&mut self, i: usize, record: &Record<'_>, fault: Fault) {
        self.batch.replace(&self.guard, i, record, fault);
    }

    fn outcomes(&self) -> &[Outcome] {
        self.batch.outcomes()
    }

    fn corrected(&self) -> &[u8] {
        self.batch.corrected()
    }

    fn own_answers(&self) -> &[u8] {
        self.batch.answers()
    }

    fn cells(&self) -> &[u16] {
        self.batch.cells()
    }

    fn visits(&self) -> &[RowVisit] {
        self.batch.visits()
    }

    fn quasi(&self) -> Option<&QuasiPlan> {
        self.guard.quasi().map(|plan| &**plan)
    }

    fn groups(&self) -> &[Occurrence] {
        self.batch.groups()
    }

    fn traces(&self) -> &[u8] {
        self.batch.traces()
    }

    fn reasons(&self) -> &[u8] {
        self.batch.reasons()
    }
}
