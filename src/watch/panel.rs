//! All watches of a stream under one budget of false alarms: their capitals are added, and the sum rings one bell.
//!
//! If all begin together, the sum rings no later than separate alarms would, each with its share of the budget. The windows
//! of all partitions are added before they come here, so it does not matter how the stream was split. Or each partition has a
//! panel of its own, with its share of the budget. `docs/evidence.md` has proofs and simulations.
//!
//! Blind spots: a change that no signal shows; a change that was there from the first record, if the reference is small; a
//! campaign with fewer records than about half of the budget of flagged records.

mod succession;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Hypothesis, Share, Source, Tally, Terms};
use crate::alarm::{
    Capital, Draws, Firing, Game, ONE, Onset, Reference, STAKE_ONE, ScaledFloat, WindowStart,
    credit, hits,
};
use crate::record::Timestamp;

/// What the watches remember. All that is fixed is in the terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// One for each hypothesis of the terms.
    states: Vec<State>,
    /// The last closed windows. An alarm looks there for the beginning of the change.
    recent: VecDeque<Seen>,
    /// The end of the last window that had rows.
    credited_to: Option<WindowStart>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    capital: Capital,
    /// Of a watch on ranks.
    #[serde(rename = "bag", skip_serializing_if = "Option::is_none", default)]
    reference: Option<Reference>,
    /// How many of the recent windows are in the reference.
    #[serde(default)]
    quiet: usize,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    firing: Option<Firing>,
}

/// A closed window that the panel remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    window: WindowStart,
    tally: Tally,
}

/// The event that a watch fired for: more than the share `bound` of rows is in its bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beyond {
    pub event: usize,
    pub bound: f64,
}

/// What changed after a window closed.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The alarm fired, and this watch had one of the largest capitals.
    Fired {
        watch: usize,
        /// The change probably began in this window.
        since: WindowStart,
        /// Counts by bin since then.
        seen: Vec<u64>,
        /// The event, if the watch bets on events.
        beyond: Option<Beyond>,
    },
    /// The change that the watch fired for is over.
    Resolved { watch: usize },
}

/// A window is credited with at most this part of the period. So the hours before a rare row do not page by themselves. Less
/// credit than the time that passed is always allowed, and busy streams stay far below this.
const CREDIT_PART: u64 = 500;
/// A watch is named when the alarm fires if its capital is at least this part of the largest one.
const LOUD: u64 = 8;

/// One round: all watches bet on one window.
struct Round<'a> {
    window: WindowStart,
    tally: &'a Tally,
    elapsed_ms: u64,
    /// The part of the period that is credited to all panels together.
    bought_ms: u64,
    share: Share,
    terms: &'a Terms,
}

/// The result of a round.
#[derive(Default)]
struct Outcome {
    /// The watches that are named because the alarm fired, each with its best bet.
    rung: Vec<(usize, usize)>,
    /// Firing watches for which the change is over.
    over: Vec<usize>,
}

/// The rows that one watch ranks.
struct Turn {
    watch: usize,
    draws: Draws,
    /// One for each bet; a firing watch has one.
    credits: Vec<u64>,
}

impl Panel {
    /// A panel before its first window.
    pub fn new(terms: &Terms) -> Self {
        let state = |watch: &Hypothesis| {
            let reference = match &watch.game {
                Game::Ranks { clean, .. } => Some(clean.clone()),
                Game::Bounds(_) => None,
            };
            State { capital: Capital::new(watch.game.bets()), reference, quiet: 0, firing: None }
        };
        let states = terms.hypotheses.iter().map(state).collect();
        Self { states, recent: VecDeque::new(), credited_to: None }
    }

    /// A panel without hypotheses.
    pub fn empty() -> Self {
        Self { states: vec![], recent: VecDeque::new(), credited_to: None }
    }

    /// The number of hypotheses.
    pub fn watches(&self) -> usize {
        self.states.len()
    }

    /// Whether this watch fires.
    pub fn is_firing(&self, watch: usize) -> bool {
        self.states[watch].firing.is_some()
    }

    /// What this watch saw until now does not count.
    pub fn begin_anew(&mut self, watch: usize) {
        let State { capital, firing, .. } = &mut self.states[watch];
        capital.reset();
        *firing = None;
    }

    /// Counts by bin of what a watch on ranks knows as usual; of one that fires, before the change.
    pub fn usual(&self, watch: usize) -> Option<&[u64]> {
        self.states[watch].reference.as_ref().map(Reference::bins)
    }

    /// The sum of all capitals. At 1 the bell rings.
    pub fn level(&self) -> f64 {
        self.total() as f64 / ONE as f64
    }

    /// Takes the counts of a closed window. Windows come in order, each once.
    pub fn close(
        &mut self,
        window: WindowStart,
        tally: &Tally,
        share: Share,
        terms: &Terms,
    ) -> Vec<Transition> {
        if tally.counts.rows + tally.counts.faults == 0 {
            return vec![];
        }
        let length = terms.window_ms as i64;
        let end = Timestamp(window.0.saturating_add(length));
        let before = self.credited_to.replace(end);
        let elapsed = before.map_or(length, |before| end.0.saturating_sub(before.0));
        let elapsed_ms = u64::try_from(elapsed).unwrap_or(0);
        let bought_ms = elapsed_ms.min(terms.false_page_ms / CREDIT_PART);
        self.play(Round { window, tally, elapsed_ms, bought_ms, share, terms })
    }

    fn play(&mut self, round: Round<'_>) -> Vec<Transition> {
        let mut outcome = Outcome::default();
        self.play_ranks(&round, &mut outcome);
        self.play_bounds(&round, &mut outcome);
        self.remember(&round);
        let resolved = outcome.over.into_iter().map(|watch| {
            self.states[watch].firing = None;
            Transition::Resolved { watch }
        });
        let mut transitions: Vec<_> = resolved.collect();
        for (watch, champion) in outcome.rung {
            transitions.push(self.fire(watch, champion, &round));
        }
        transitions
    }

    /// Takes row after row, each by all watches, so that the bell rings at the right row.
    fn play_ranks(&mut self, round: &Round<'_>, outcome: &mut Outcome) {
        let mut turns = self.turns(round);
        let mut total = self.total();
        loop {
            let mut any = false;
            for Turn { watch, draws, credits } in &mut turns {
                let Some((bin, u)) = draws.next() else { continue };
                any = true;
                let Game::Ranks { bets, measure, .. } = &round.terms.hypotheses[*watch].game else {
                    continue;
                };
                let State { capital, reference, firing, .. } = &mut self.states[*watch];
                let reference = reference.as_mut().expect("it ranks");
                match firing {
                    Some(firing) => {
                        let c = firing.c_of(*measure, bets, reference, (bin, u));
                        if !outcome.over.contains(watch) && firing.row(c, credits[0]) {
                            outcome.over.push(*watch);
                        }
                    }
                    None => {
                        let returns = bets.returns(reference.rank(bin, u));
                        total -= u128::from(capital.sum());
                        capital.play(credits, returns);
                        total += u128::from(capital.sum());
                        reference.push(bin);
                    }
                }
            }
            if total >= u128::from(ONE) {
                self.ring(&mut outcome.rung);
                total = 0;
            }
            if !any {
                break;
            }
        }
        // Rows that were not drawn join the reference, too.
        for Turn { watch, draws, .. } in turns {
            let State { reference, firing: None, .. } = &mut self.states[watch] else { continue };
            reference.as_mut().expect("it ranks").add(draws.left());
        }
    }

    /// The rows that each watch on ranks bets on.
    fn turns(&self, round: &Round<'_>) -> Vec<Turn> {
        let &Round { window, tally, share, terms, .. } = round;
        let mut turns = vec![];
        for (watch, Hypothesis { source, game, stake, .. }) in terms.hypotheses.iter().enumerate() {
            let Game::Ranks { bets, .. } = game else { continue };
            let draws = terms.draws(watch, (share, window), source.counts(tally));
            let rows = draws.total();
            let credits = match self.states[watch].firing {
                Some(_) => vec![Firing::credit(round.elapsed_ms, terms.keep_firing_for_ms, rows)],
                None => {
                    let of = STAKE_ONE * 1000 * share.panels;
                    let stake = |weight: &u32| stake * u64::from(*weight);
                    let weights = bets.weights().iter();
                    let each = |w| credit(round.bought_ms, terms.false_page_ms, rows, stake(w), of);
                    weights.map(each).collect()
                }
            };
            turns.push(Turn { watch, draws, credits });
        }
        turns
    }

    /// Takes the whole window at once: watches on events need no order of rows.
    fn play_bounds(&mut self, round: &Round<'_>, outcome: &mut Outcome) {
        let &Round { window, tally, share, terms, .. } = round;
        for (i, watch) in terms.hypotheses.iter().enumerate() {
            let Game::Bounds(events) = &watch.game else { continue };
            let events = watch.events(events, tally.others.usual);
            let mut counts = watch.source.counts(tally);
            if watch.source == Source::Others
                && self.states[i].firing.is_some()
                && counts.iter().all(|&count| count == 0)
            {
                // No other bundle scores any more, so the records of this bundle say whether it is over.
                counts = Source::Flagged.counts(tally);
            }
            if terms.draws_max == 1 {
                // The rows of a window depend on each other, so one of them stands for all.
                let drawn = terms.draws(i, (share, window), counts.clone()).next();
                counts.fill(0);
                drawn.into_iter().for_each(|(bin, _)| counts[bin] = 1);
            }
            let State { capital, firing, .. } = &mut self.states[i];
            if counts.iter().all(|&count| count == 0) {
                let of_others = |seen: &Seen| seen.tally.others.rows > 0;
                if watch.source == Source::Others && !self.recent.iter().any(of_others) {
                    // Its capital is of windows that are forgotten, so it could not say since when.
                    capital.reset();
                }
                continue;
            }
            if let Some(firing) = firing {
                let (hits, rows) = hits(&counts, &events[firing.champion].bins);
                let credit = Firing::credit(round.elapsed_ms, terms.keep_firing_for_ms, 1);
                if firing.window(hits, rows, credit) {
                    outcome.over.push(i);
                }
                continue;
            }
            let of = STAKE_ONE * capital.bets() as u64 * share.panels;
            let credit = credit(round.bought_ms, terms.false_page_ms, 1, watch.stake, of);
            let products = events.iter().flat_map(|event| {
                let (hits, rows) = hits(&counts, &event.bins);
                let pays = move |(hit, miss): &(ScaledFloat, ScaledFloat)| {
                    hit.power(hits).times(miss.power(rows - hits))
                };
                event.bets.iter().map(pays)
            });
            capital.multiply(credit, products);
        }
        if self.total() >= u128::from(ONE) {
            self.ring(&mut outcome.rung);
        }
    }

    /// Names the watches with the largest capitals, each with its best bet. Then all begin anew.
    fn ring(&mut self, rung: &mut Vec<(usize, usize)>) {
        let sums: Vec<u64> = self.states.iter().map(|state| state.capital.sum()).collect();
        let loudest = sums.iter().max().copied().unwrap_or(0);
        for (watch, &sum) in sums.iter().enumerate() {
            let named = rung.iter().any(|&(named, _)| named == watch);
            if sum > 0 && sum >= loudest / LOUD && !named {
                rung.push((watch, self.states[watch].capital.champion()));
            }
        }
        self.states.iter_mut().for_each(|state| state.capital.reset());
    }

    /// Begins to fire, and looks for the beginning of the change among the recent windows of the reference.
    fn fire(&mut self, watch: usize, champion: usize, round: &Round<'_>) -> Transition {
        let &Round { share, terms, .. } = round;
        let Hypothesis { source, game, .. } = &terms.hypotheses[watch];
        let State { reference, quiet, firing, .. } = &mut self.states[watch];
        let start = self.recent.len() - (*quiet).clamp(1, self.recent.len());
        let recent = self.recent.range(start..);
        let windows: Vec<_> =
            recent.map(|seen| (seen.window, source.counts(&seen.tally))).collect();
        let (onset, beyond) = match game {
            Game::Bounds(events) => {
                let others = self.recent.iter().map(|seen| seen.tally.others.usual);
                let events =
                    terms.hypotheses[watch].events(events, others.max().unwrap_or_default());
                let event = champion / events[0].bets.len();
                let beyond = Beyond { event, bound: events[event].bound };
                (Onset::of_event(&windows, event, &events[event]), Some(beyond))
            }
            Game::Ranks { bets, measure, .. } => {
                let reference = reference.as_mut().expect("it ranks");
                let draws = |window, counts| terms.draws(watch, (share, window), counts);
                (Onset::of_ranks(&windows, (bets, *measure), champion, reference, draws), None)
            }
        };
        let Onset { since, seen, firing: begun } = onset;
        *firing = Some(begun);
        *quiet = 0;
        Transition::Fired { watch, since, seen, beyond }
    }

    fn remember(&mut self, round: &Round<'_>) {
        self.recent.push_back(Seen { window: round.window, tally: round.tally.clone() });
        let quiet = self.states.iter_mut().filter(|state| state.firing.is_none());
        quiet.for_each(|state| state.quiet += 1);
        self.trim(round.share);
    }

    /// Forgets the oldest windows that its share of memory has no room for.
    pub fn trim(&mut self, share: Share) {
        let (windows_max, cells_max) = share.room();
        let mut cells: usize = self.recent.iter().map(|seen| seen.tally.cells.occupied()).sum();
        while self.recent.len() > windows_max || cells > cells_max && self.recent.len() > 1 {
            cells -= self.recent.pop_front().map_or(0, |seen| seen.tally.cells.occupied());
        }
        let kept = self.recent.len();
        self.states.iter_mut().for_each(|state| state.quiet = state.quiet.min(kept));
    }

    fn total(&self) -> u128 {
        self.states.iter().map(|state| u128::from(state.capital.sum())).sum()
    }
}

#[cfg(all(test, feature = "fit"))]
mod tests;
