//! All hypotheses of a stream under one budget: they share one sum, and ring one bell.
//!
//! From a common start the sum is never later than separate alarms with a share of the budget each.
//! Windows come merged over all partitions, so how the stream was split shows nowhere; or each partition
//! has a panel and its share of the budget. Proofs and simulations are in `docs/evidence.md`.
//!
//! Cannot see: a change that shows in no signal; what was in the stream from its first record, if the
//! reference is small; a campaign rarer than about half the budget of flagged records.

mod succession;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Hypothesis, Share, Source, Tally, Terms};
use crate::alarm::{
    Capital, Draws, Firing, Game, ONE, Onset, Reference, STAKE_ONE, ScaledFloat, WindowStart,
    credit, hits,
};
use crate::record::Timestamp;

/// What the watches remember. Everything beyond it is in the terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// One per hypothesis of the terms.
    states: Vec<State>,
    /// The last windows as they were closed: where an alarm looks for the start of the change.
    recent: VecDeque<Seen>,
    /// End of the last window that had rows.
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

/// A closed window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    window: WindowStart,
    tally: Tally,
}

/// Which event happened, and in more rows than what share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beyond {
    pub event: usize,
    pub bound: f64,
}

/// What closing a window led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The bell rang, and this watch was among the loudest.
    Fired {
        watch: usize,
        /// The change probably began in this window.
        since: WindowStart,
        /// Counts by bin since then.
        seen: Vec<u64>,
        /// Of a watch on events.
        beyond: Option<Beyond>,
    },
    /// What the watch saw is gone.
    Resolved { watch: usize },
}

/// The largest part of the period that one window buys: the hours before a rare row must not page by
/// themselves. Crediting less than elapsed is always allowed, and busy streams stay far below this.
const CREDIT_PART: u64 = 500;
/// A watch is among the loudest with so large a part of the capital of the loudest.
const LOUD: u64 = 8;

/// What all watches play at once: a window.
struct Round<'a> {
    window: WindowStart,
    tally: &'a Tally,
    elapsed_ms: u64,
    /// The part of it that is credited to all panels together.
    bought_ms: u64,
    share: Share,
    terms: &'a Terms,
}

/// What a round came to.
#[derive(Default)]
struct Outcome {
    /// The watches that the bell named, each with what won most for it.
    rung: Vec<(usize, usize)>,
    /// Firing watches that saw the end.
    over: Vec<usize>,
}

/// Rows to rank for one watch.
struct Turn {
    watch: usize,
    draws: Draws,
    /// Per bet; of a firing watch, one.
    credits: Vec<u64>,
}

impl Panel {
    /// Nothing played yet.
    pub fn new(terms: &Terms) -> Self {
        let state = |watch: &Hypothesis| {
            let reference = match &watch.game {
                Game::Ranks { clean, .. } => Some(clean.clone()),
                Game::Bounds(_) => None,
            };
            State { capital: Capital::new(watch.game.bets()), reference, quiet: 0, firing: None }
        };
        let states = terms.watches.iter().map(state).collect();
        Self { states, recent: VecDeque::new(), credited_to: None }
    }

    /// Nothing is watched.
    pub fn empty() -> Self {
        Self { states: vec![], recent: VecDeque::new(), credited_to: None }
    }

    /// How many hypotheses it plays.
    pub fn watches(&self) -> usize {
        self.states.len()
    }

    /// Whether this one fires.
    pub fn is_firing(&self, watch: usize) -> bool {
        self.states[watch].firing.is_some()
    }

    /// Capital of all watches, 1 rings: how near an alarm is.
    pub fn level(&self) -> f64 {
        self.total() as f64 / ONE as f64
    }

    /// Takes the counts of a closed window; windows come in order, each once.
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

    /// Row by row, every watch in turn, so that the bell rings at the row at which it must.
    fn play_ranks(&mut self, round: &Round<'_>, outcome: &mut Outcome) {
        let mut turns = self.turns(round);
        let mut total = self.total();
        loop {
            let mut any = false;
            for Turn { watch, draws, credits } in &mut turns {
                let Some((bin, u)) = draws.next() else { continue };
                any = true;
                let Game::Ranks { bets, measure, .. } = &round.terms.watches[*watch].game else {
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
        // What was not drawn joins the reference too.
        for Turn { watch, draws, .. } in turns {
            let State { reference, firing: None, .. } = &mut self.states[watch] else { continue };
            reference.as_mut().expect("it ranks").add(draws.left());
        }
    }

    /// What every watch on ranks has to play.
    fn turns(&self, round: &Round<'_>) -> Vec<Turn> {
        let &Round { window, tally, share, terms, .. } = round;
        let mut turns = vec![];
        for (watch, Hypothesis { source, game, stake, .. }) in terms.watches.iter().enumerate() {
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

    /// A window at a time: what is held against a bound needs no order.
    fn play_bounds(&mut self, round: &Round<'_>, outcome: &mut Outcome) {
        let &Round { window, tally, share, terms, .. } = round;
        for (i, watch) in terms.watches.iter().enumerate() {
            let Game::Bounds(events) = &watch.game else { continue };
            let events = watch.events(events, tally.others.usual);
            let mut counts = watch.source.counts(tally);
            if watch.source == Source::Others
                && self.states[i].firing.is_some()
                && counts.iter().all(|&count| count == 0)
            {
                // No other bundle works any more: the bundle's own records say whether it is over.
                counts = Source::Flagged.counts(tally);
            }
            if terms.draws_max == 1 {
                // Rows of a window depend on each other: one stands for all.
                let drawn = terms.draws(i, (share, window), counts.clone()).next();
                counts.fill(0);
                drawn.into_iter().for_each(|(bin, _)| counts[bin] = 1);
            }
            let State { capital, firing, .. } = &mut self.states[i];
            if counts.iter().all(|&count| count == 0) {
                let of_others = |seen: &Seen| seen.tally.others.rows > 0;
                if watch.source == Source::Others && !self.recent.iter().any(of_others) {
                    // What it won is of windows that nobody remembers: it could not say since when.
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

    /// The loudest are named, each with what won most for it; all begin anew.
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

    /// Starts to fire, and looks for the change among the recent windows that are in the reference.
    fn fire(&mut self, watch: usize, champion: usize, round: &Round<'_>) -> Transition {
        let &Round { share, terms, .. } = round;
        let Hypothesis { source, game, .. } = &terms.watches[watch];
        let State { reference, quiet, firing, .. } = &mut self.states[watch];
        let start = self.recent.len() - (*quiet).clamp(1, self.recent.len());
        let recent = self.recent.range(start..);
        let windows: Vec<_> =
            recent.map(|seen| (seen.window, source.counts(&seen.tally))).collect();
        let (onset, beyond) = match game {
            Game::Bounds(events) => {
                let others = self.recent.iter().map(|seen| seen.tally.others.usual);
                let events = terms.watches[watch].events(events, others.max().unwrap_or_default());
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

    /// Forgets the oldest windows, as far as the share has no room for them.
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
