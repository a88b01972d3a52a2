//! What the client monitor says: one incident per cause, which a second client joins.
//!
//! The budget was paid where it was found. A finding holds for as long as incidents are kept firing; said again, longer.

use sha2::{Digest as _, Sha256};

use super::{Monitor, past_since};
use crate::monitor::finding::client_cause;
use crate::monitor::incidents::Fired;
use crate::monitor::{Alert, Finding};
use crate::watch::{ClientFinding, ClientFindings};

/// Numbers of findings about clients: above those of all watches, below that of one that is gone.
const FIRST: usize = 1 << 62;

/// Findings about clients that are held at a time; beyond, the oldest is over.
const HELD_MAX: usize = 1024;

/// The number of a finding: one for each key and mark.
fn number(found: &ClientFinding) -> usize {
    let ClientFinding { keying, key, mark, .. } = found;
    let hash = Sha256::digest(format!("{}\0{mark}\0{key}", keying.name()));
    let hash = u64::from_le_bytes(hash[..8].try_into().expect("eight of them"));
    FIRST | (hash as usize & (FIRST - 1))
}

/// Whether a member of an incident is about a client.
pub(super) fn is_of_client(watch: usize) -> bool {
    (FIRST..usize::MAX).contains(&watch)
}

impl Monitor {
    pub(super) fn hear_clients(&mut self, told: &ClientFindings, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
        let mut fired = vec![];
        for found in &told.findings {
            let watch = number(found);
            state.clients.insert(watch, state.clock);
            let finding = Finding::of_client(found);
            fired.push(Fired { cause: client_cause(found), watch, since: found.since, finding });
        }
        let (closed, frontier) = (&state.past, state.frontier);
        let past = |since, slot| past_since(closed, frontier, (since, slot));
        state.incidents.fire(&frame.about, fired, keep_firing_for_ms, past, alerts);
    }

    /// What was not said again for long enough is over.
    pub(super) fn forget_clients(&mut self, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
        loop {
            let oldest = state.clients.iter().min_by_key(|(watch, at)| (**at, **watch));
            let Some((&watch, &at)) = oldest else { return };
            let is_over = state.clock.0 >= at.0.saturating_add(keep_firing_for_ms);
            if !is_over && state.clients.len() <= HELD_MAX {
                return;
            }
            state.clients.remove(&watch);
            let ended = state.incidents.resolve(&frame.about, (None, watch), alerts);
            state.watch_anew(frame, &ended);
        }
    }
}
