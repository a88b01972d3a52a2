//! Another bundle scores, or judged until now: what goes on, and what begins anew.
//!
//! Counts of records go on: open windows, what partitions said, that no data came, partitions that stand still. So do the watches of
//! records: unreadable, incomplete, misdated. What was flagged counts as another bundle's, under the bound that
//! bundle told (`watch::Baseline`). Watches of signals begin anew, because their cells are the bundle's. An incident goes on
//! as long as one of its watches does.

use super::answers::ANSWERS_AT;
use super::clients::is_of_client;
use super::{Frame, Monitor, State};
use crate::monitor::{Alert, FiredWatch};
use crate::record::Feature;
use crate::watch::{Panel, Usual};

/// Bytes of names of features that are remembered: the state must fit what a topic takes. Of a wider table nobody says which
/// features the next bundle lacks.
const NAMES_BYTES_MAX: usize = 64 << 10;

impl Frame {
    /// Names of what a row is made of.
    pub(super) fn features(&self) -> Vec<String> {
        let names = self.schema.features.iter().map(Feature::name);
        match names.clone().map(str::len).sum::<usize>() <= NAMES_BYTES_MAX {
            true => names.map(str::to_owned).collect(),
            false => vec![],
        }
    }
}

impl Monitor {
    /// The monitor that goes on from what one of another bundle or budget knew, and what is to be said of incidents that it
    /// cannot follow.
    pub(super) fn under(mut self, state: State) -> (Self, Vec<Alert>) {
        const NOTE: &str = "the bundle or the budget was changed";
        if state.panels.is_some() != self.frame.per_partition {
            self.state.clock = state.clock;
            self.state.next = state.next;
            self.state.lineage.clone_from(&state.lineage);
            let ended = self.end(&state, NOTE);
            return (self, ended);
        }
        let fresh = self.state;
        let Frame { about, terms, .. } = &*self.frame;
        let usual = state.bundles.get(&state.baseline).map_or(Usual::UNKNOWN, |known| known.usual);
        let last = self.frame.shared_from();
        let kept = |slot| last.is_none_or(|last| slot <= last);
        let was = state.panels.iter().flat_map(|panels| panels.values()).chain([&state.panel]);
        let was = was.map(Panel::watches).max().unwrap_or(0);
        let under = |panel: Panel| panel.under(terms, usual);
        let panels = state.panels.map(|panels| {
            let panels = panels.into_iter().filter(|&(slot, _)| kept(slot));
            panels.map(|(slot, panel)| (slot, under(panel))).collect()
        });
        let panel = if panels.is_some() { Panel::empty() } else { under(state.panel) };
        let windows = state.windows.into_iter();
        // Of other features an oddity's number means another one.
        let same = !state.features.is_empty() && state.features == fresh.features;
        let past = state.past.into_iter().map(|(start, open)| match same {
            true => (start, open),
            false => (start, open.without_oddities()),
        });
        self.state = State {
            windows: windows.map(|(start, open)| (start, open.of_others(usual))).collect(),
            past: past.collect(),
            panel,
            panels,
            version: fresh.version,
            baseline: fresh.baseline,
            features: fresh.features,
            ..state
        };
        let own = terms.usual();
        self.state.know(&about.baseline, own);
        let mut ended = vec![];
        let Self { frame, state, .. } = &mut self;
        let goes_on = |member: &FiredWatch| {
            let (slot, watch) = member.place();
            if is_of_client(watch) {
                return Some(watch);
            }
            if let Some(pairs) = watch.checked_sub(ANSWERS_AT) {
                // Whose model the own one is, does not matter to them.
                let panel = &state.answers.as_ref()?.panel;
                let is_there = pairs < panel.watches() && panel.is_firing(pairs);
                return is_there.then_some(watch);
            }
            let watch = Panel::place_under(watch, was, frame.terms.hypotheses.len())?;
            let panel = match (&state.panels, slot) {
                (None, None) => &state.panel,
                (Some(panels), Some(slot)) => panels.get(&slot)?,
                _ => return None,
            };
            panel.is_firing(watch).then_some(watch)
        };
        let mut incidents = std::mem::take(&mut state.incidents);
        if !same {
            incidents.forget_oddities();
        }
        incidents.under(&frame.about, goes_on, NOTE, &mut ended);
        state.incidents = incidents;
        (self, ended)
    }
}
