//! Another revision, between two transactions.

use tracing::info;

use super::halves::RequestHalves;
use super::{Last, WorkerParts};
use crate::deliver::{Scorer, Session, SessionError};

impl<R: Scorer> WorkerParts<R> {
    /// Scores by the next revision, if there is one. What was scored by the last one is committed before: no transaction
    /// holds outputs or evidence of two revisions.
    ///
    /// Waits while records are scored again that have left already: they are counted as they left.
    pub(super) fn adopt<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        if self.inbox.is_empty() || !self.arrivals.is_empty() {
            return Ok(());
        }
        self.commit(session)?;
        let Some(next) = self.inbox.take() else { return Ok(()) };
        self.stream = self.scorer.adopt(next);
        self.halves = RequestHalves::new(&self.stream);
        let revision = self.scorer.revision();
        if let Some(spans) = &mut self.spans {
            spans.adopt(&self.stream, revision.clone());
        }
        for (_, slot) in self.partitions.slots_mut() {
            slot.lane.adopt(self.scorer.baseline());
            // The monitor is told anew which partitions are here, and what this revision flags of clean rows.
            slot.told_quiet = None;
            slot.last = Some(Last { lane: slot.lane.clone(), told_quiet: None });
        }
        info!(stream = self.stream.name, revision, "scoring by another revision");
        self.progress.adopt(&revision);
        Ok(())
    }
}
