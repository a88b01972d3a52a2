//! What bets on marks have won, by key: a client, a cell, the stream.
//!
//! R ← (R + credit) · (π/p₀)^k · ((1 − π)/(1 − p₀))^(n − k) for a key with n rows in a closed window, k of them marked. A key
//! whose R together reach 1 is a page, and begins anew. The credit of a window is shared by all keys in it, and is fixed
//! before marks are looked at.
//!
//! While rows are marked with probability p₀ at most, given the past, every factor has expectation 1 at most. So the
//! sum of all R and of pages never rises beyond the credit given, whatever the number of keys; a key that is
//! not stored, or forgotten because the table is full, only loses what it won. **Expected pages up to T are at most share · T /
//! period.** `docs/clients.md` has the table of delays.

use std::collections::BTreeMap;

use crate::alarm::{ONE, ScaledFloat, WindowStart};

/// Bets on one mark: what a marked row pays, and one that is not.
#[derive(Clone, Debug)]
pub struct MarkBets {
    hit: [ScaledFloat; BETS],
    miss: [ScaledFloat; BETS],
}

/// Bets on a mark.
const BETS: usize = 3;
/// Capital grows no further.
const MOST: u64 = 8 * ONE;

impl MarkBets {
    /// Bets that the share of marked rows is one of `pi`, not `p0` at most.
    pub fn new(p0: f64, pi: [f64; BETS]) -> Self {
        Self {
            hit: pi.map(|pi| ScaledFloat::below(pi / p0)),
            miss: pi.map(|pi| ScaledFloat::below((1.0 - pi) / (1.0 - p0))),
        }
    }

    /// The bets on a key of which little is known: a few marked rows are many for a client, and for a cell.
    pub fn on_a_key(p0: f64) -> Self {
        match p0 {
            ..=0.005 => Self::new(p0, [0.02, 0.1, 0.5]),
            ..=0.05 => Self::new(p0, [0.08, 0.25, 0.7]),
            _ => Self::new(p0, [0.1, 0.3, 0.6].map(|part| p0 + (1.0 - p0) * part)),
        }
    }

    /// The bets on the whole stream: an attack is a small part of it.
    pub fn on_the_stream(p0: f64) -> Self {
        Self::new(p0, [3.0, 10.0, 40.0].map(|times| (times * p0).min(f64::midpoint(1.0, p0))))
    }

    fn factors(&self, rows: u64, marked: u64) -> [ScaledFloat; BETS] {
        let factor = |at: usize| {
            self.hit[at].power(marked).times(self.miss[at].power(rows.saturating_sub(marked)))
        };
        std::array::from_fn(factor)
    }
}

/// What a table is promised; frozen for a baseline.
#[derive(Clone, Debug)]
pub struct TableTerms {
    pub bets: MarkBets,
    /// At most so many false pages, all tables together, are expected per this time.
    pub period_ms: u64,
    /// The part of them that is this table's: so many of so many.
    pub share: (u64, u64),
    /// Keys that are remembered.
    pub entries_max: usize,
}

/// Capital by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapitalTable {
    entries: BTreeMap<u64, CapitalEntry>,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapitalEntry {
    pub capital: [u64; BETS],
    /// Rows since it is in the table, and those of them that were marked.
    pub rows: u64,
    pub marked: u64,
    /// The first of their windows.
    pub since: WindowStart,
}

/// A key whose bets have won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapitalPage {
    pub key: u64,
    pub rows: u64,
    pub marked: u64,
    pub since: WindowStart,
}

impl CapitalEntry {
    fn sum(&self) -> u64 {
        self.capital.iter().fold(0, |sum: u64, &r| sum.saturating_add(r))
    }
}

impl CapitalTable {
    /// Takes a closed window: rows and marked rows by key. `bought_ms` is the time that is credited. Windows come in
    /// order.
    pub fn close(
        &mut self,
        (window, bought_ms): (WindowStart, u64),
        keys: &BTreeMap<u64, (u64, u64)>,
        terms: &TableTerms,
    ) -> Vec<CapitalPage> {
        let mut pages = vec![];
        let credit = credit(bought_ms, keys.len(), terms);
        for (&key, &(rows, marked)) in keys {
            let known = self.entries.get(&key).copied();
            if marked == 0 && known.is_none() {
                continue;
            }
            let before = CapitalEntry { capital: [0; BETS], rows: 0, marked: 0, since: window };
            let mut entry = known.unwrap_or(before);
            for (r, factor) in entry.capital.iter_mut().zip(terms.bets.factors(rows, marked)) {
                *r = factor.scale(r.saturating_add(credit), MOST);
            }
            entry.rows += rows;
            entry.marked += marked;
            if entry.sum() >= ONE {
                let CapitalEntry { rows, marked, since, .. } = entry;
                pages.push(CapitalPage { key, rows, marked, since });
                self.entries.remove(&key);
            } else {
                self.entries.insert(key, entry);
            }
        }
        self.trim(terms.entries_max);
        pages
    }

    /// Those that won most stay; of equals those with the smaller key.
    fn trim(&mut self, entries_max: usize) {
        if self.entries.len() <= entries_max {
            return;
        }
        let mut all: Vec<(u64, u64)> =
            self.entries.iter().map(|(&key, entry)| (u64::MAX - entry.sum(), key)).collect();
        all.sort_unstable();
        for (_, key) in &all[entries_max..] {
            self.entries.remove(key);
        }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Capital of all keys together, `alarm::ONE` is 1.
    pub fn sum(&self) -> u128 {
        self.entries.values().map(|entry| u128::from(entry.sum())).sum()
    }

    /// By key, ascending.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &CapitalEntry)> {
        self.entries.iter().map(|(&key, entry)| (key, entry))
    }

    /// A table of these.
    pub fn of(entries: impl IntoIterator<Item = (u64, CapitalEntry)>) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

/// What each bet of each of `keys` gets. Rounded down, once.
fn credit(bought_ms: u64, keys: usize, terms: &TableTerms) -> u64 {
    let (share, of) = terms.share;
    let parts = u128::from(terms.period_ms.max(1)) * u128::from(of.max(1));
    let parts = parts * keys.max(1) as u128 * BETS as u128;
    // 2⁶⁰ · 2³⁰ · 2²⁰ stays below 2¹²⁸.
    let bought =
        u128::from(ONE) * u128::from(bought_ms.min(1 << 30)) * u128::from(share.min(1 << 20));
    u64::try_from(bought / parts).unwrap_or(u64::MAX).min(ONE)
}

#[cfg(test)]
mod tests;
