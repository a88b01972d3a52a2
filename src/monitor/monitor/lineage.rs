//! The run that the monitor tells of, and its events.

use super::Monitor;
use crate::monitor::{Incident, LineageEvent, LineageState};
use crate::record::Offset;
use crate::watch::Passage;

impl Monitor {
    /// The run of these facts, with the message at `offset` if there is none yet.
    pub(super) fn begin_run(&mut self, offset: Offset) {
        if std::mem::replace(&mut self.has_run, true) {
            return;
        }
        let about = &self.frame.about;
        let known = self.state.lineage.take();
        self.state.lineage = self.frame.lineage.as_ref().map(|facts| match known {
            Some(known) => known.under(facts, about, offset),
            None => LineageState::new(facts, about, offset),
        });
    }

    pub(super) fn hear_passage(&mut self, passage: &Passage) {
        if let Some(run) = &mut self.state.lineage {
            run.hear(passage);
        }
    }

    /// Tells of the periods that are over.
    pub(super) fn tell_lineage(&mut self) {
        let Self { frame, state, events, .. } = self;
        let (Some(facts), Some(run)) = (&frame.lineage, &mut state.lineage) else { return };
        let incidents: Vec<&Incident> = state.incidents.open().collect();
        run.tick(facts, &frame.about, state.clock, &incidents, events);
    }

    /// Events that are to be written with the next state, in order.
    pub fn lineage(&self) -> &[LineageEvent] {
        &self.events
    }

    /// The events are written.
    pub fn forget_lineage(&mut self) {
        self.events.clear();
    }

    /// Records of the input that were counted and are in no event yet.
    pub fn untold(&self) -> u64 {
        self.state.lineage.as_ref().map_or(0, LineageState::untold)
    }
}
