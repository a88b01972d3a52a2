//! Plain rules, outside the budget: no data, a partition that stands still, records that are lost.

use super::Monitor;
use super::state::Lost;
use crate::monitor::{Alert, Cause};
use crate::watch::{Loss, Stall};

impl Monitor {
    /// Nothing else follows from it: a partition that stands still holds no window open.
    pub(super) fn hear_stall(&mut self, stall: &Stall) {
        match stall.over {
            true => drop(self.state.stalled.remove(&stall.partition)),
            false => drop(self.state.stalled.insert(stall.partition, stall.at)),
        }
    }

    /// Records of the input are gone: nothing else is to be learned of them.
    pub(super) fn hear_loss(&mut self, loss: &Loss, alerts: &mut Vec<Alert>) {
        let lost = Lost { loss: loss.clone(), at: self.state.clock };
        let known = self.state.lost.insert(loss.partition, lost).map(|known| known.loss);
        let is_of = |known: &Loss| Loss { waits: loss.waits, ..known.clone() } == *loss;
        // A worker that took the partition over says the same, and so does one that goes on after it.
        if known.is_some_and(|known| is_of(&known)) {
            return;
        }
        let Self { frame, state, .. } = self;
        let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
        state.incidents.lose(&frame.about, state.clock, loss, keep_firing_for_ms, alerts);
    }

    /// A plain rule, outside the budget: a stream that had records has none for too long.
    pub(super) fn check_no_data(&mut self, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let (Some(no_data_ms), Some(heard)) = (frame.no_data_ms, state.record_at) else { return };
        let silent = state.clock.0.saturating_sub(heard.0) >= no_data_ms as i64;
        match (silent, state.incidents.is_open(Cause::NoData)) {
            (true, false) => {
                let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
                state.incidents.no_data(&frame.about, heard, keep_firing_for_ms, alerts);
            }
            (false, true) => state.incidents.end(&frame.about, Cause::NoData, None, alerts),
            _ => {}
        }
    }

    /// A plain rule, outside the budget: records wait, and somebody must know.
    pub(super) fn check_stalls(&mut self, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let stalled = state.stalled.first_key_value().map(|(&p, &offset)| (p, offset));
        match (stalled, state.incidents.is_open(Cause::Stall)) {
            (Some(at), false) => {
                let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
                state.incidents.stall(&frame.about, state.clock, at, keep_firing_for_ms, alerts);
            }
            (None, true) => state.incidents.go_on(&frame.about, state.clock, alerts),
            _ => {}
        }
    }

    /// A loss is over when every partition reads on and nothing more was lost for a while.
    pub(super) fn check_losses(&mut self, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let (clock, keep_firing_for_ms) = (state.clock, frame.terms.keep_firing_for_ms as i64);
        let is_recent =
            |lost: &Lost| lost.loss.waits || clock.0 < lost.at.0.saturating_add(keep_firing_for_ms);
        state.lost.retain(|_, lost| is_recent(lost));
        if state.lost.is_empty() && state.incidents.is_open(Cause::DataLoss) {
            state.incidents.end(&frame.about, Cause::DataLoss, None, alerts);
        }
    }
}
