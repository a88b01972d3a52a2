//! All watches of a stream under one budget: they share one sum, and ring one bell.
//!
//! From a common start the sum is never later than separate alarms with a share of the budget each.
//! Windows come merged over all partitions, so how the stream was split shows nowhere. Proofs and
//! simulations are in `docs/evidence.md`.
//!
//! Cannot see: a change that shows in no signal; what was in the stream from its first record, if the
//! reference is small; a campaign rarer than about half the budget of flagged records.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::bag::{Draws, Order};
use super::bets::RETURN_ONE;
use super::capital::{Capital, ONE, credit};
use super::change::{Excess, excesses, hits, start_of_change};
use super::firing::{Firing, MOST_OF_A_BET};
use super::roster::{Event, Game, Measure, STAKE_ONE, Watch};
use super::{Bag, Bets, Key, Odds, Tally, WindowStart};
use crate::record::Timestamp;

/// What the watches were promised; frozen for an epoch.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Length of a window.
    pub window_ms: u64,
    /// At most one false alarm is expected per this time.
    pub false_page_ms: u64,
    /// At most one false resolve is expected per this time while half of a change remains.
    pub hold_ms: u64,
    /// Rows of one window and watch that are ranked; the rest join the bag unranked. Bounds the
    /// judge's work. 1 where rows of a window depend on each other.
    pub draws_max: u64,
    pub watches: Vec<Watch>,
    /// Of the draws, one per watch.
    keys: Vec<Key>,
}

/// Rows of a window that are ranked unless a stream asks for fewer; the keyed order makes the choice
/// exact.
pub const DRAWS_MAX: u64 = 1000;

impl Terms {
    /// `epoch` and `stream` make the draws unpredictable for who does not know them.
    pub fn new(epoch: &str, stream: &str, watches: Vec<Watch>, time: Times) -> Self {
        let name = |watch: &Watch| format!("{}\0{}", watch.kind.name(), watch.feature);
        let keys = watches.iter().map(|watch| Key::new(epoch, stream, &name(watch))).collect();
        let Times { window_ms, false_page_ms, hold_ms } = time;
        Self { window_ms, false_page_ms, hold_ms, draws_max: DRAWS_MAX, watches, keys }
    }
}

/// Lengths of time that an operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    pub window_ms: u64,
    pub false_page_ms: u64,
    pub hold_ms: u64,
}

/// What the watches remember. Everything beyond it is in the terms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    /// One per watch of the terms.
    states: Vec<State>,
    /// The last windows as they were closed, late parts on their own: where an alarm looks for the start of the change.
    recent: VecDeque<Seen>,
    /// End of the last window that had rows.
    credited_to: Option<WindowStart>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    capital: Capital,
    /// Of a watch on ranks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    bag: Option<Bag>,
    /// How many of the recent windows are in the bag.
    #[serde(default)]
    quiet: usize,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    firing: Option<Firing>,
}

/// A closed window, or a late part of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    window: WindowStart,
    tally: Tally,
}

/// What closing a window led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The bell rang, and this watch was among the loudest.
    Fired {
        watch: usize,
        /// The change probably began in this window.
        since: WindowStart,
        /// Counts by bin since then; of events, which of them.
        seen: Vec<u64>,
        event: Option<usize>,
    },
    /// What the watch saw is gone.
    Resolved { watch: usize },
}

/// The largest part of the period that one window buys: the hours before a rare row must not page by
/// themselves. Crediting less than elapsed is always allowed, and busy streams stay far below this.
const CREDIT_PART: u64 = 500;
/// Windows kept to look for the start of a change, and cells in all of them.
const RECENT_MAX: usize = 64;
const RECENT_CELLS_MAX: usize = 32 << 10;
/// A watch is among the loudest with so large a part of the capital of the loudest.
const LOUD: u64 = 8;

/// Rows to rank for one watch.
struct Turn {
    watch: usize,
    draws: Draws,
    /// Per bet; of a firing watch, one.
    credits: Vec<u64>,
}

impl Panel {
    pub fn new(terms: &Terms) -> Self {
        let state = |watch: &Watch| {
            let (bets, bag) = match &watch.game {
                Game::Ranks { bets, clean, .. } => (bets.count(), Some(clean.clone())),
                Game::Bounds(events) => (events.iter().map(|event| event.bets.len()).sum(), None),
            };
            State { capital: Capital::new(bets), bag, quiet: 0, firing: None }
        };
        let states = terms.watches.iter().map(state).collect();
        Self { states, recent: VecDeque::new(), credited_to: None }
    }

    /// Nothing is watched.
    pub fn empty() -> Self {
        Self { states: vec![], recent: VecDeque::new(), credited_to: None }
    }

    /// Whether it is of these terms: as many watches, each with as many bets and bins.
    pub fn fits(&self, terms: &Terms) -> bool {
        let fresh = Self::new(terms);
        let alike = |a: &State, b: &State| {
            let bins = |state: &State| state.bag.as_ref().map(|bag| bag.bins().len());
            a.capital.bets() == b.capital.bets() && bins(a) == bins(b)
        };
        self.states.len() == fresh.states.len()
            && self.states.iter().zip(&fresh.states).all(|(a, b)| alike(a, b))
    }

    pub fn is_firing(&self, watch: usize) -> bool {
        self.states[watch].firing.is_some()
    }

    /// Capital of all watches, 1 rings: how near an alarm is.
    pub fn level(&self) -> f64 {
        self.total() as f64 / ONE as f64
    }

    /// Takes the merged counts of a closed window; windows come in order, each once.
    pub fn close(&mut self, window: WindowStart, tally: &Tally, terms: &Terms) -> Vec<Transition> {
        if tally.counts.rows + tally.counts.faults == 0 {
            return vec![];
        }
        let length = terms.window_ms as i64;
        let end = Timestamp(window.0.saturating_add(length));
        let before = self.credited_to.replace(end);
        let elapsed = before.map_or(length, |before| end.0.saturating_sub(before.0));
        self.play(window, 0, tally, u64::try_from(elapsed).unwrap_or(0), terms)
    }

    /// Takes counts that came after their window closed, the `part`th of them: tested like all others,
    /// but they buy no time.
    pub fn late(
        &mut self,
        window: WindowStart,
        part: u64,
        tally: &Tally,
        terms: &Terms,
    ) -> Vec<Transition> {
        self.play(window, part, tally, 0, terms)
    }

    fn play(
        &mut self,
        window: WindowStart,
        part: u64,
        tally: &Tally,
        elapsed_ms: u64,
        terms: &Terms,
    ) -> Vec<Transition> {
        let bought = elapsed_ms.min(terms.false_page_ms / CREDIT_PART);
        let (mut rung, mut over) = (vec![], vec![]);
        self.play_ranks(&mut rung, &mut over, (window, part), tally, (bought, elapsed_ms), terms);
        self.play_bounds(&mut rung, &mut over, (window, part), tally, (bought, elapsed_ms), terms);
        self.remember(window, tally);
        let resolved = over.into_iter().map(|watch| {
            self.states[watch].firing = None;
            Transition::Resolved { watch }
        });
        let mut transitions: Vec<_> = resolved.collect();
        for (watch, champion) in rung {
            transitions.push(self.fire(watch, champion, terms));
        }
        transitions
    }

    /// Row by row, every watch in turn, so that the bell rings at the row at which it must.
    fn play_ranks(
        &mut self,
        rung: &mut Vec<(usize, usize)>,
        over: &mut Vec<usize>,
        (window, part): (WindowStart, u64),
        tally: &Tally,
        (bought, elapsed_ms): (u64, u64),
        terms: &Terms,
    ) {
        let mut turns = vec![];
        for (watch, Watch { source, game, stake, .. }) in terms.watches.iter().enumerate() {
            let Game::Ranks { bets, .. } = game else { continue };
            let order = Order { key: terms.keys[watch], window, part };
            let draws = Draws::new(source.counts(tally), terms.draws_max, order);
            let rows = draws.len();
            let credits = match self.states[watch].firing {
                Some(_) => vec![Firing::credit(elapsed_ms, terms.hold_ms, rows)],
                None => {
                    let of = STAKE_ONE * 1000;
                    let stake = |weight: &u32| stake * u64::from(*weight);
                    let weights = bets.weights().iter();
                    let each = |w| credit(bought, terms.false_page_ms, rows, stake(w), of);
                    weights.map(each).collect()
                }
            };
            turns.push(Turn { watch, draws, credits });
        }
        let mut total = self.total();
        loop {
            let mut any = false;
            for Turn { watch, draws, credits } in &mut turns {
                let Some((bin, u)) = draws.next() else { continue };
                any = true;
                let Game::Ranks { bets, measure, .. } = &terms.watches[*watch].game else {
                    continue;
                };
                let State { capital, bag, firing, .. } = &mut self.states[*watch];
                let bag = bag.as_mut().expect("it ranks");
                match firing {
                    Some(firing) => {
                        let c = c_of(firing, *measure, bets, bag, bin, u);
                        if !over.contains(watch) && firing.row(c, credits[0]) {
                            over.push(*watch);
                        }
                    }
                    None => {
                        let returns = bets.returns(bag.rank(bin, u));
                        total -= u128::from(capital.sum());
                        capital.play(credits, returns);
                        total += u128::from(capital.sum());
                        bag.push(bin);
                    }
                }
            }
            if total >= u128::from(ONE) {
                self.ring(rung);
                total = 0;
            }
            if !any {
                break;
            }
        }
        // What was not drawn joins the bag too.
        for Turn { watch, draws, .. } in turns {
            let State { bag, firing: None, .. } = &mut self.states[watch] else { continue };
            bag.as_mut().expect("it ranks").add(draws.left());
        }
    }

    /// A window at a time: what is held against a bound needs no order.
    fn play_bounds(
        &mut self,
        rung: &mut Vec<(usize, usize)>,
        over: &mut Vec<usize>,
        (window, part): (WindowStart, u64),
        tally: &Tally,
        (bought, elapsed_ms): (u64, u64),
        terms: &Terms,
    ) {
        for (i, watch) in terms.watches.iter().enumerate() {
            let Game::Bounds(events) = &watch.game else { continue };
            let mut counts = watch.source.counts(tally);
            if terms.draws_max == 1 {
                // Rows of a window depend on each other: one stands for all.
                let order = Order { key: terms.keys[i], window, part };
                let drawn = Draws::new(counts.clone(), 1, order).next();
                counts.fill(0);
                drawn.into_iter().for_each(|(bin, _)| counts[bin] = 1);
            }
            let State { capital, firing, .. } = &mut self.states[i];
            if counts.iter().all(|&count| count == 0) {
                continue;
            }
            if let Some(firing) = firing {
                let (hits, rows) = hits(&counts, &events[firing.champion].bins);
                let credit = Firing::credit(elapsed_ms, terms.hold_ms, 1);
                if firing.window(hits, rows, credit) {
                    over.push(i);
                }
                continue;
            }
            let of = STAKE_ONE * capital.bets() as u64;
            let credit = credit(bought, terms.false_page_ms, 1, watch.stake, of);
            let products = events.iter().flat_map(|event| {
                let (hits, rows) = hits(&counts, &event.bins);
                let pays = move |(hit, miss): &(Odds, Odds)| {
                    hit.power(hits).times(miss.power(rows - hits))
                };
                event.bets.iter().map(pays)
            });
            capital.multiply(credit, products);
        }
        if self.total() >= u128::from(ONE) {
            self.ring(rung);
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

    /// Starts to fire: takes what the change brought out of the bag, so that it does not become
    /// the reference. Counts subtract exactly.
    fn fire(&mut self, watch: usize, champion: usize, terms: &Terms) -> Transition {
        let Watch { source, game, .. } = &terms.watches[watch];
        let State { bag, quiet, firing, .. } = &mut self.states[watch];
        let start = self.recent.len() - (*quiet).clamp(1, self.recent.len());
        let windows: Vec<(WindowStart, Vec<u32>)> = self
            .recent
            .range(start..)
            .map(|seen| (seen.window, source.counts(&seen.tally)))
            .collect();
        let begin = |excesses: Vec<Vec<Excess>>| {
            let windows = &windows[start_of_change(&excesses)..];
            let mut seen = vec![0_u64; windows[0].1.len()];
            for (_, counts) in windows {
                seen.iter_mut().zip(counts).for_each(|(sum, &count)| *sum += u64::from(count));
            }
            // A late window may be older than those before it.
            let since = windows.iter().map(|(window, _)| *window).min().expect("not empty");
            (windows, seen, since)
        };
        let (since, seen, event, begun) = match game {
            Game::Bounds(events) => {
                let event = champion / events[0].bets.len();
                let Event { bins, bound, .. } = &events[event];
                let excess = |counts: &Vec<u32>| {
                    let (hits, rows) = hits(counts, bins);
                    let sum = (hits as f64 - bound * rows as f64).max(0.0);
                    vec![Excess { sum, variance: rows as f64 }]
                };
                let each = windows.iter().map(|(_, counts)| excess(counts)).collect();
                let (_, seen, since) = begin(each);
                let (hits, rows): (u64, u64) = (seen[bins.clone()].iter().sum(), seen.iter().sum());
                let share = hits as f64 / rows.max(1) as f64;
                let firing = Firing::of_share(since, event, *bound, share.max(bound * 1.02));
                (since, seen, Some(event), firing)
            }
            Game::Ranks { bets, measure, .. } => {
                let bag = bag.as_mut().expect("it ranks");
                let of = |(_, counts): &(_, Vec<u32>)| excesses(*measure, bag, counts);
                let (windows, seen, since) = begin(windows.iter().map(of).collect());
                windows.iter().for_each(|(_, counts)| bag.subtract(counts));
                let firing = match measure {
                    Measure::Share { .. } => {
                        let share = |of: u64, all: u64| (of as f64 + 0.5) / (all as f64 + 1.0);
                        let usual = share(bag.bins()[1], bag.rows());
                        let became = share(seen[1], seen.iter().sum());
                        Firing::of_share(since, champion, usual, became)
                    }
                    Measure::Ranks | Measure::Tail => {
                        let (mut paid, mut rows) = (0, 0);
                        for (window, counts) in windows {
                            let order = Order { key: terms.keys[watch], window: *window, part: 0 };
                            for (bin, u) in Draws::new(counts.clone(), terms.draws_max, order) {
                                paid += return_of(bets, bag, champion, bin, u);
                                rows += 1;
                            }
                        }
                        Firing::of_bet(since, champion, paid / rows.max(1))
                    }
                };
                (since, seen, None, firing)
            }
        };
        *firing = Some(begun);
        *quiet = 0;
        Transition::Fired { watch, since, seen, event }
    }

    fn remember(&mut self, window: WindowStart, tally: &Tally) {
        self.recent.push_back(Seen { window, tally: tally.clone() });
        let quiet = self.states.iter_mut().filter(|state| state.firing.is_none());
        quiet.for_each(|state| state.quiet += 1);
        let mut cells: usize = self.recent.iter().map(|seen| seen.tally.cells.occupied()).sum();
        while self.recent.len() > RECENT_MAX || cells > RECENT_CELLS_MAX && self.recent.len() > 1 {
            cells -= self.recent.pop_front().map_or(0, |seen| seen.tally.cells.occupied());
        }
        let kept = self.recent.len();
        self.states.iter_mut().for_each(|state| state.quiet = state.quiet.min(kept));
    }

    fn total(&self) -> u128 {
        self.states.iter().map(|state| u128::from(state.capital.sum())).sum()
    }
}

/// What bet `champion` pays for a row, capped.
fn return_of(bets: &Bets, bag: &Bag, champion: usize, bin: usize, u: u32) -> u64 {
    u64::from(bets.returns(bag.rank(bin, u))[champion]).min(MOST_OF_A_BET)
}

/// c of a row, to a watch that fired.
fn c_of(firing: &Firing, measure: Measure, bets: &Bets, bag: &Bag, bin: usize, u: u32) -> u64 {
    match measure {
        Measure::Share { .. } if (bin == 1) != firing.down => RETURN_ONE,
        Measure::Share { .. } => 0,
        Measure::Ranks | Measure::Tail => return_of(bets, bag, firing.champion, bin, u),
    }
}
