//! A worker's road: guard, networks, registry, and the batch's buffers.

use std::sync::Arc;
use std::time::Instant;

use super::registry::Registry;
use crate::decide::OnGuardFailure;
use crate::deliver;
use crate::model::Networks;
use crate::record::{Fault, Record};
use crate::score::{Batch, Guard, GuardFailure, Outcome};
use crate::watch::Reference;

/// What one worker judges by.
pub struct Road {
    guard: Arc<Guard>,
    registry: Option<Arc<Registry>>,
    networks: Networks,
    batch: Batch,
}

impl Road {
    pub fn new(guard: Arc<Guard>, registry: Option<Arc<Registry>>, networks: Networks) -> Self {
        Self { guard, registry, networks, batch: Batch::default() }
    }
}

impl deliver::Road for Road {
    fn epoch(&self) -> &str {
        self.guard.epoch()
    }

    fn reference(&self) -> Reference {
        self.guard.clean().reference(self.guard.epoch())
    }

    fn supply(&mut self, records: &[Record<'_>]) -> Option<Instant> {
        let unavailable = self.registry.as_ref()?.supply(&self.guard, records).err()?;
        let closed = self.guard.policy().on_guard_failure == OnGuardFailure::Closed;
        closed.then_some(unavailable.retry_at)
    }

    fn wants(&self, record: &Record<'_>) -> bool {
        self.guard.wants(record).is_some()
    }

    fn turn(&mut self, records: &[Record<'_>]) -> Result<(), GuardFailure> {
        self.batch.score(&self.guard, &mut self.networks, records)
    }

    fn refuse(&mut self, record: &Record<'_>, fault: Fault) {
        self.batch.refuse(&self.guard, record, fault);
    }

    fn replace(&mut self, i: usize, record: &Record<'_>, fault: Fault) {
        self.batch.replace(&self.guard, i, record, fault);
    }

    fn tell(&self, fault: &Fault, value: Option<&[u8]>) -> String {
        fault.told(self.guard.schema(), value)
    }

    fn outcomes(&self) -> &[Outcome] {
        self.batch.outcomes()
    }

    fn corrected(&self) -> &[u8] {
        self.batch.corrected()
    }

    fn cells(&self) -> &[u16] {
        self.batch.cells()
    }

    fn traces(&self) -> &[u8] {
        self.batch.traces()
    }
}
