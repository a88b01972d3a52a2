//! Who uses the stream, as a whole: a panel of bets on shares and numbers of clients, played when a window closes.
//!
//! What it finds is told as a finding about all clients, and told again while it lasts. It needs no id of anybody.

use serde::{Deserialize, Serialize};

use super::ClientMonitor;
use crate::watch::{
    Cells, ClientFinding, Counts, Keying, Panel, Share, Tally, Terms, Transition, WindowStart,
};

/// What is remembered of the watches of access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareState {
    panel: Panel,
    /// By watch: what fires, and in which window it was told last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    firing: Vec<(usize, WindowStart, ClientFinding)>,
}

impl ShareState {
    pub fn new(terms: &Terms) -> Self {
        Self { panel: Panel::new(terms), firing: vec![] }
    }

    pub fn fits(&self, terms: &Terms) -> bool {
        self.panel.fits(terms)
    }
}

impl ClientMonitor {
    /// Plays the cells of a closed window of so many rows.
    pub(super) fn watch_shares(
        &mut self,
        window: WindowStart,
        (rows, cells): (u64, &Cells),
        findings: &mut Vec<ClientFinding>,
    ) {
        let Some(terms) = &self.terms.shares else { return };
        let fits = self.state.shares.take().filter(|shares| shares.fits(terms));
        let shares = self.state.shares.insert(fits.unwrap_or_else(|| ShareState::new(terms)));
        let counts = Counts { rows, ..Counts::default() };
        let tally = Tally { counts, cells: cells.clone(), ..Tally::default() };
        for transition in shares.panel.close(window, &tally, Share::WHOLE, terms) {
            match transition {
                Transition::Fired { watch, since, seen, .. } => {
                    let usual = shares.panel.usual(watch).unwrap_or_default();
                    let finding = finding(terms, watch, since, (&seen, usual));
                    shares.firing.retain(|(firing, ..)| *firing != watch);
                    shares.firing.push((watch, window, finding.clone()));
                    findings.push(finding);
                }
                Transition::Resolved { watch } => {
                    shares.firing.retain(|(firing, ..)| *firing != watch);
                }
            }
        }
        // Whoever reads findings forgets what is not said again.
        let again_ms = terms.keep_firing_for_ms as i64 / 2;
        for (_, told, finding) in &mut shares.firing {
            if window.0 - told.0 >= again_ms {
                *told = window;
                findings.push(finding.clone());
            }
        }
    }
}

/// Of two bins the share in the second; of more, all counts since.
fn finding(
    terms: &Terms,
    watch: usize,
    since: WindowStart,
    (seen, usual): (&[u64], &[u64]),
) -> ClientFinding {
    let rows: u64 = seen.iter().sum();
    let is_share = seen.len() == 2;
    let all = usual.iter().sum::<u64>().max(1) as f64;
    let of = |bins: &[u64]| bins.get(1).copied().unwrap_or(0);
    ClientFinding {
        keying: Keying::Stream,
        key: String::new(),
        mark: terms.hypotheses[watch].watch.name().to_owned(),
        rows,
        marked: if is_share { of(seen) } else { rows },
        clean_share: if is_share { (of(usual) as f64 / all * 1e6).round() / 1e6 } else { 0.0 },
        allowed: 0,
        since,
        sample: None,
    }
}
