//! A panel that goes on under other terms: after a restart, or under another bundle.

use super::{Panel, Seen, State};
use crate::alarm::Firing;
use crate::watch::hypothesis::OF_RECORDS;
use crate::watch::{Terms, Usual};

impl Panel {
    /// Whether it is of these terms: as many watches, each with as many bets and bins.
    pub fn fits(&self, terms: &Terms) -> bool {
        let fresh = Self::new(terms);
        let alike = |a: &State, b: &State| {
            let bins =
                |state: &State| state.reference.as_ref().map(|reference| reference.bins().len());
            a.capital.bets() == b.capital.bets() && bins(a) == bins(b)
        };
        self.states.len() == fresh.states.len()
            && self.states.iter().zip(&fresh.states).all(|(a, b)| alike(a, b))
    }

    /// The panel of another bundle that goes on where this one stood, whose bundle flags at most `usual` of clean rows.
    /// Watches of signals begin anew, and so does the one of the bundle's own flagged records; if that was firing, the
    /// one of other bundles' records goes on with it.
    pub fn under(self, terms: &Terms, usual: Usual) -> Self {
        let mut next = Self::new(terms);
        let (old, new) = (self.states.len(), next.states.len());
        let alike = |(was, is): (&State, &State)| was.capital.bets() == is.capital.bets();
        let tail = self.states.iter().rev().zip(next.states.iter().rev()).take(OF_RECORDS);
        if old < OF_RECORDS || new < OF_RECORDS || !tail.clone().all(alike) {
            return next;
        }
        let seen = |seen: Seen| Seen { tally: seen.tally.of_others(usual), ..seen };
        next.recent = self.recent.into_iter().map(seen).collect();
        next.credited_to = self.credited_to;
        let mut states = self.states.into_iter().skip(old - OF_RECORDS);
        let flagged = states.next().and_then(|state| state.firing);
        next.states.truncate(new - OF_RECORDS + 1);
        next.states.extend(states);
        let others = next.states.last_mut().expect("the others'");
        others.firing = others.firing.take().or(flagged.and_then(Firing::into_event));
        next
    }

    /// Where the watch that had this place in the panel before [`Panel::under`] goes on, if it does: `was` and `is` are the
    /// numbers of watches.
    pub fn place_under(watch: usize, was: usize, is: usize) -> Option<usize> {
        let from_end = was.checked_sub(watch).filter(|n| (1..=OF_RECORDS).contains(n))?;
        // The bundle's own flagged records are another bundle's now.
        let from_end = if from_end == OF_RECORDS { 1 } else { from_end };
        is.checked_sub(from_end)
    }
}
