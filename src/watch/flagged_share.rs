//! Watches whether the share of flagged rows grows beyond what clean rows gave.
//!
//! Each row of a closed window becomes a smoothed conformal p-value of "it was flagged", ranked
//! among the clean reference and all earlier rows: exactly uniform and independent while rows
//! are exchangeable, however many reference rows there are. Likelihood-ratio bets on "the share is
//! 1.5 … 16 times the budget" play against that in an [`EDetector`]. A second one, while firing,
//! plays against "at least half of the excess is still there" and resolves. `evidence.md` §2, §3
//! and §6 of the design's references hold the proofs and simulations.
//!
//! Cannot see: an attack rarer than about half the budget, a campaign that was in the stream from
//! its first record when the reference is small, or anything no detector flags.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{EDetector, Key, WindowStart};
use crate::record::{Probability, Timestamp};

/// Judge-side state of the watch. Everything it needs beyond this is frozen configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlaggedShare {
    bag: WindowCounts,
    alarm: EDetector,
    /// The last windows, oldest first: where the alarm looks for the start of the change.
    recent: VecDeque<Seen>,
    /// End of the last window that had rows.
    credited_to: Option<WindowStart>,
    firing: Option<Firing>,
}

/// Rows as this watch counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowCounts {
    pub rows: u64,
    pub flagged: u64,
}

/// What the watch was promised; frozen for an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Share of clean rows that may be flagged.
    pub budget: Probability,
    /// Length of a window.
    pub window_ms: u64,
    /// At most one false alarm is expected per this time.
    pub false_page_ms: u64,
    /// At most one false resolve is expected per this time while half the excess remains.
    pub hold_ms: u64,
    /// Of the draws.
    pub key: Key,
}

/// What closing a window led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// The alarm rang; the change probably began in the window `since`.
    Fired { since: WindowStart },
    /// The excess is gone.
    Resolved,
}

/// A closed window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    window: WindowStart,
    counts: WindowCounts,
}

/// The life of a firing alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Firing {
    /// Counts from the start of the change to the alarm: the excess that must halve.
    seen: WindowCounts,
    resolve: EDetector,
}

/// Alternatives the alarm bets on, as multiples of the budget.
const MULTIPLES: [f64; 5] = [1.5, 2.0, 4.0, 8.0, 16.0];
/// How bold the bets of the resolving detector are.
const BOLDNESS: [f64; 3] = [0.1, 0.3, 0.9];
/// Rows of one window that are drawn; the rest join the bag uncounted. Bounds the judge's work;
/// the keyed order makes the choice exact.
const DRAWS_MAX: u64 = 1000;
/// Capital from which on time buys no more: rare rows must not page by waiting. Crediting less
/// than elapsed is always allowed, and busy streams stay far below this.
const CREDIT_BELOW: f64 = 1.0 / 64.0;
/// Purposes of the keyed draws: which row comes next, and where it stands among its equals.
const ORDER: u8 = 0;
const TIE_BREAK: u8 = 1;
/// Windows kept to look for the start of a change.
const RECENT_MAX: usize = 64;

impl FlaggedShare {
    /// `reference`: clean rows, judged as the stream's rows are, that nothing was fitted on.
    pub fn new(reference: WindowCounts) -> Self {
        Self {
            bag: reference,
            alarm: EDetector::new(MULTIPLES.len()),
            recent: VecDeque::new(),
            credited_to: None,
            firing: None,
        }
    }

    pub fn is_firing(&self) -> bool {
        self.firing.is_some()
    }

    /// Capital of the alarm, in [0, 1).
    pub fn level(&self) -> f64 {
        self.alarm.level()
    }

    /// Takes the merged counts of a closed window; windows come in order, each once.
    pub fn close(
        &mut self,
        window: WindowStart,
        counts: WindowCounts,
        terms: &Terms,
    ) -> Option<Transition> {
        if counts.rows == 0 {
            return None;
        }
        let length = terms.window_ms as i64;
        let end = Timestamp(window.0.saturating_add(length));
        let before = self.credited_to.replace(end);
        let elapsed = before.map_or(length, |before| end.0.saturating_sub(before.0));
        self.play(window, counts, u64::try_from(elapsed).unwrap_or(0), terms)
    }

    /// Takes counts that arrived after their window closed: tested like all others, but they buy
    /// no time.
    pub fn late(
        &mut self,
        window: WindowStart,
        counts: WindowCounts,
        terms: &Terms,
    ) -> Option<Transition> {
        self.play(window, counts, 0, terms)
    }

    fn play(
        &mut self,
        window: WindowStart,
        counts: WindowCounts,
        elapsed_ms: u64,
        terms: &Terms,
    ) -> Option<Transition> {
        match self.firing.take() {
            Some(firing) => self.play_firing(firing, window, counts, elapsed_ms, terms),
            None => self.play_quiet(window, counts, elapsed_ms, terms),
        }
    }

    fn play_quiet(
        &mut self,
        window: WindowStart,
        counts: WindowCounts,
        elapsed_ms: u64,
        terms: &Terms,
    ) -> Option<Transition> {
        let bets = Bets::new(terms.budget);
        let credit = match self.alarm.level() < CREDIT_BELOW {
            true => credit(elapsed_ms, terms.false_page_ms, counts, MULTIPLES.len()),
            false => 0,
        };
        let (mut bag, mut fired) = (self.bag, false);
        for (i, flagged) in counts.draws(window, &terms.key).enumerate() {
            let u = terms.key.draw(window, TIE_BREAK, i as u64) as u32;
            let p = bag.rank(flagged, u);
            fired |= self.alarm.play(credit, bets.returns(p));
        }
        self.bag.add(counts);
        self.recent.push_back(Seen { window, counts });
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        if !fired {
            return None;
        }
        let since = self.fire(terms.budget);
        Some(Transition::Fired { since })
    }

    /// Starts to fire: takes what the change brought out of the bag, so that it does not become
    /// the reference. Counts subtract exactly.
    fn fire(&mut self, budget: Probability) -> WindowStart {
        let start = self.start_of_change(budget);
        // A late window may be older than those before it in the queue.
        let mut since = self.recent[start].window;
        let mut seen = WindowCounts::default();
        for window in self.recent.drain(start..) {
            since = since.min(window.window);
            seen.add(window.counts);
            self.bag.subtract(window.counts);
        }
        self.alarm.reset();
        self.firing = Some(Firing { seen, resolve: EDetector::new(BOLDNESS.len()) });
        since
    }

    fn play_firing(
        &mut self,
        mut firing: Firing,
        window: WindowStart,
        counts: WindowCounts,
        elapsed_ms: u64,
        terms: &Terms,
    ) -> Option<Transition> {
        let budget = terms.budget.get();
        let share = firing.seen.flagged as f64 / firing.seen.rows.max(1) as f64;
        let half_way = ((share.max(budget) + budget) / 2.0).clamp(1e-6, 0.99);
        // Each bet has mean 1 if the share is half_way, less if it is larger.
        let returns =
            |bet: fn(f64, f64) -> f64| BOLDNESS.map(|k| fixed(bet(k, half_way / (1.0 - half_way))));
        let if_flagged = returns(|k, _| 1.0 - k);
        let if_not = returns(|k, odds| 1.0 + k * odds);
        let credit = credit(elapsed_ms, terms.hold_ms, counts, BOLDNESS.len());
        let mut resolved = false;
        for flagged in counts.draws(window, &terms.key) {
            resolved |= firing.resolve.play(credit, if flagged { &if_flagged } else { &if_not });
        }
        if resolved {
            return Some(Transition::Resolved);
        }
        self.firing = Some(firing);
        None
    }

    /// Index into `recent` of the window since when most more rows were flagged than before it:
    /// the start that maximizes excess² / rows. Counts, not the ranks that the alarm plays on:
    /// those of unflagged rows are all tie-break, and would drown a few flagged ones in noise.
    fn start_of_change(&self, budget: Probability) -> usize {
        let mut since = WindowCounts::default();
        let mut best = (self.recent.len() - 1, 0.0_f64);
        for (i, seen) in self.recent.iter().enumerate().rev() {
            since.add(seen.counts);
            let mut before = self.bag;
            before.subtract(since);
            // One row at the budget stands for a bag that is empty.
            let share = (before.flagged as f64 + budget.get()) / (before.rows as f64 + 1.0);
            let excess = since.flagged as f64 - share * since.rows as f64;
            let strength = excess.max(0.0).powi(2) / since.rows.max(1) as f64;
            if strength > best.1 {
                best = (i, strength);
            }
        }
        best.0
    }
}

/// Credit per row and bet: the time elapsed, at most a twentieth of the period, as a share of the
/// period, spread over the rows drawn and the bets.
fn credit(elapsed_ms: u64, period_ms: u64, counts: WindowCounts, bets: usize) -> u64 {
    let elapsed = u128::from(elapsed_ms.min(period_ms / 20));
    let drawn = counts.rows.clamp(1, DRAWS_MAX);
    let parts = u128::from(period_ms.max(1)) * u128::from(drawn) * bets as u128;
    let share = u128::from(EDetector::ONE) * elapsed / parts;
    u64::try_from(share).expect("at most a twentieth of ONE")
}

/// A return as the detector counts it, a shade smaller: 1 − 2⁻²⁰ covers the 2⁻³² granularity of p
/// and the rounding of the return itself.
fn fixed(e: f64) -> u64 {
    const ONE: f64 = EDetector::RETURN_ONE as f64;
    (e * (ONE - 1.0)) as u64
}

/// Returns of the alarm's bets: "the share of p-values below q is π".
struct Bets {
    below: u32,
    if_below: [u64; MULTIPLES.len()],
    if_above: [u64; MULTIPLES.len()],
}

impl Bets {
    fn new(budget: Probability) -> Self {
        let q = budget.get().clamp(1e-6, 0.5);
        let shares = MULTIPLES.map(|m| (q * m).min((1.0 + q) / 2.0));
        let bets = Self {
            below: (q * 2.0_f64.powi(32)) as u32,
            if_below: shares.map(|pi| fixed(pi / q)),
            if_above: shares.map(|pi| fixed((1.0 - pi) / (1.0 - q))),
        };
        for (low, high) in bets.if_below.iter().zip(&bets.if_above) {
            let mean = u128::from(*low) * u128::from(bets.below)
                + u128::from(*high) * ((1_u128 << 32) - u128::from(bets.below));
            assert!(
                mean <= u128::from(EDetector::RETURN_ONE) << 32,
                "a bet must not pay for nothing"
            );
        }
        bets
    }

    fn returns(&self, p: u32) -> &[u64] {
        if p < self.below { &self.if_below } else { &self.if_above }
    }
}

impl WindowCounts {
    /// Smoothed rank of one row among all counted so far, 2³² is 1; small if it is flagged. The
    /// row then joins.
    fn rank(&mut self, flagged: bool, u: u32) -> u32 {
        let (larger, equal) =
            if flagged { (0, self.flagged) } else { (self.flagged, self.rows - self.flagged) };
        let p = ((u128::from(larger) << 32) + (u128::from(equal) + 1) * u128::from(u))
            / (u128::from(self.rows) + 1);
        self.rows += 1;
        self.flagged += u64::from(flagged);
        u32::try_from(p).expect("larger + equal is all there are")
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.flagged += other.flagged;
    }

    fn subtract(&mut self, other: Self) {
        self.rows -= other.rows;
        self.flagged -= other.flagged;
    }

    /// The first rows of the window in keyed order: is each flagged?
    fn draws(self, window: WindowStart, key: &Key) -> impl Iterator<Item = bool> {
        let key = *key;
        let (mut rows, mut flagged) = (self.rows, self.flagged);
        (0..self.rows.min(DRAWS_MAX)).map(move |i| {
            // A 64-bit draw modulo a count below 2⁴⁰ is biased by less than 2⁻²⁴.
            let hit = key.draw(window, ORDER, i) % rows < flagged;
            rows -= 1;
            flagged -= u64::from(hit);
            hit
        })
    }
}

#[cfg(test)]
mod tests;
