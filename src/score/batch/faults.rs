//! What becomes of records that are not scored.

use super::{Batch, Cover, Span};
use crate::decide::OnGuardFailure;
use crate::model::{ModelError, Networks};
use crate::record::{Fault, Record};
use crate::score::{Guard, GuardFailure, Outcome};

impl Batch {
    /// A single outcome: the record is dead-lettered with `fault`, without being read.
    pub fn refuse(&mut self, guard: &Guard, record: &Record<'_>, fault: Fault) {
        self.clear(guard);
        self.outcomes.push(Outcome::of(Err(fault)));
        self.spans.push(Span { rows: 0..0, worst: 0 });
        self.address(guard, (record, Cover::Bare), 0);
    }

    /// Replaces the outcome of `record`, which is the `i`th of the last batch: it has `fault` now.
    pub fn replace(&mut self, guard: &Guard, i: usize, record: &Record<'_>, fault: Fault) {
        self.outcomes[i] = Outcome::of(Err(fault));
        self.spans[i] = Span { rows: 0..0, worst: 0 };
        self.address(guard, (record, Cover::Bare), i);
    }

    /// Deals with the first of `records`, which could not be scored alone; its rows are in `rows`. `sound` says whether the
    /// networks scored anything in this batch, if that was tried.
    ///
    /// # Errors
    /// If the networks score nothing, and the policy is that nothing passes unscored.
    pub(super) fn fail(
        &mut self,
        guard: &Guard,
        networks: &mut Networks,
        records: &[Record<'_>],
        error: ModelError,
        sound: &mut Option<bool>,
    ) -> Result<(), GuardFailure> {
        let first = self.outcomes.len() - 1;
        // Once more: a machine may fail once for no reason of the record.
        if *sound != Some(false) && self.scored.run(guard, networks, &self.rows).is_ok() {
            self.decide(guard, records, first);
            return Ok(());
        }
        let sound = match *sound {
            Some(sound) => sound,
            None => *sound.insert(self.witness.is_sound(guard, networks, &records[1..])),
        };
        let outcome = &mut self.outcomes[first];
        match guard.policy.on_guard_failure {
            _ if sound => {
                outcome.judged = Err(Fault::Unscorable);
                self.spans[first].rows = 0..0;
            }
            OnGuardFailure::Open => outcome.unscored = true,
            OnGuardFailure::Closed => {
                return Err(GuardFailure::of_all(records[0].at, error));
            }
        }
        Ok(())
    }
}
