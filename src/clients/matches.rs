//! Rows that were there before, nearly: which rows of a window share enough fingerprints with another row.
//!
//! A row is matched if at least T values of one family were seen in a row of the last windows, or in another row of its own
//! window: symmetric, so the order of rows does not show. Whose the other row is does not matter. A row that is equal to an
//! earlier one, to the bit, is no match: cameras on a still scene and retries send such rows.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};

use super::mix::mix;
use super::prints::{LOCAL, PRINTS, RowPrints, SMOOTH};
use crate::alarm::WindowStart;

/// A row, as far as matching needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchRow {
    pub hash: u32,
    pub prints: RowPrints,
}

/// Fingerprints of the last windows.
#[derive(Clone, Debug, Default)]
pub struct MatchSet {
    /// How many rows of one hash have a value.
    rows: HashMap<u64, u32, Mixed>,
    /// How many different hashes have it.
    hashes: HashMap<u64, u32, Mixed>,
    windows: VecDeque<(WindowStart, Vec<MatchRow>)>,
    held: usize,
}

/// Windows that are held: of a quiet stream a day of the usual ten seconds.
const WINDOWS_MAX: usize = 8640;

impl MatchSet {
    /// Takes the rows of the next window; says which of them match. Keeps as many windows as hold `horizon` rows.
    pub fn take(
        &mut self,
        window: WindowStart,
        rows: Vec<MatchRow>,
        (threshold, horizon): (usize, usize),
    ) -> Vec<bool> {
        self.insert(window, rows);
        let (_, rows) = self.windows.back().expect("it was put there");
        let matched = rows.iter().map(|row| self.is_matched(row, threshold)).collect();
        self.trim(horizon);
        matched
    }

    /// Adds the rows of a window without looking for matches: they were looked for before a restart.
    pub fn remember(&mut self, window: WindowStart, rows: Vec<MatchRow>, horizon: usize) {
        self.insert(window, rows);
        self.trim(horizon);
    }

    /// The first window that is held.
    pub fn first(&self) -> Option<WindowStart> {
        self.windows.front().map(|(window, _)| *window)
    }

    /// Rows that are held.
    pub fn held(&self) -> usize {
        self.held
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn is_matched(&self, row: &MatchRow, threshold: usize) -> bool {
        let shared = |slot: &usize| {
            let print = row.prints.0[*slot];
            print != 0 && {
                let value = value(*slot, print);
                // One of them is the row's own.
                self.hashes.get(&value).is_some_and(|&hashes| hashes > 1)
            }
        };
        let family = |slots: std::ops::Range<usize>| slots.filter(shared).count() >= threshold;
        family(0..SMOOTH) || family(SMOOTH..SMOOTH + LOCAL)
    }

    fn insert(&mut self, window: WindowStart, rows: Vec<MatchRow>) {
        for row in &rows {
            for value in values(row) {
                let of_hash = self.rows.entry(own(value, row.hash)).or_default();
                *of_hash += 1;
                if *of_hash == 1 {
                    *self.hashes.entry(value).or_default() += 1;
                }
            }
        }
        self.held += rows.len();
        self.windows.push_back((window, rows));
    }

    fn trim(&mut self, horizon: usize) {
        let is_beyond = |set: &Self| {
            let first = set.windows.front().map_or(0, |(_, rows)| rows.len());
            set.held - first >= horizon || set.windows.len() > WINDOWS_MAX
        };
        while self.windows.len() > 1 && is_beyond(self) {
            let (_, rows) = self.windows.pop_front().expect("it is there");
            self.held -= rows.len();
            rows.iter().for_each(|row| self.forget(row));
        }
    }

    fn forget(&mut self, row: &MatchRow) {
        for value in values(row) {
            if less(&mut self.rows, own(value, row.hash)) {
                less(&mut self.hashes, value);
            }
        }
    }
}

/// One less; true if there is none any more.
fn less(counts: &mut HashMap<u64, u32, Mixed>, key: u64) -> bool {
    let Some(count) = counts.get_mut(&key) else { return false };
    *count -= 1;
    let none = *count == 0;
    if none {
        counts.remove(&key);
    }
    none
}

fn values(row: &MatchRow) -> impl Iterator<Item = u64> {
    let printed = (0..PRINTS).filter(|&slot| row.prints.0[slot] != 0);
    printed.map(|slot| value(slot, row.prints.0[slot]))
}

/// A fingerprint, beside those of other slots.
fn value(slot: usize, print: u64) -> u64 {
    (slot as u64) << 40 | print
}

/// A fingerprint of rows of one hash.
fn own(value: u64, hash: u32) -> u64 {
    mix(value) ^ u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// Fingerprints are keyed hashes already: nobody without the key can make them collide.
#[derive(Clone, Copy, Debug, Default)]
struct PrintHasher(u64);

type Mixed = BuildHasherDefault<PrintHasher>;

impl Hasher for PrintHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = mix(self.0 ^ u64::from(byte)));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mix(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Timestamp;

    fn row(hash: u32, prints: &[(usize, u64)]) -> MatchRow {
        let mut all = Box::new([0; PRINTS]);
        prints.iter().for_each(|&(slot, print)| all[slot] = print);
        MatchRow { hash, prints: RowPrints(all) }
    }

    fn smooth(hash: u32, from: u64) -> MatchRow {
        row(hash, &(0..SMOOTH).map(|slot| (slot, from)).collect::<Vec<_>>())
    }

    #[test]
    fn a_row_matches_another_one_of_the_window_or_the_horizon_and_never_an_equal_one() {
        let mut set = MatchSet::default();
        let t = (4, 3);
        assert_eq!(set.take(Timestamp(0), vec![smooth(1, 7), smooth(1, 7)], t), [false, false]);
        assert_eq!(
            set.take(Timestamp(1), vec![smooth(1, 7), smooth(2, 7), smooth(3, 8)], t),
            [true, true, false]
        );
        // Three rows are held: the windows before are gone once another has three.
        assert_eq!(
            set.take(Timestamp(2), vec![smooth(9, 1), smooth(9, 1), smooth(9, 1)], t),
            [false; 3]
        );
        assert_eq!(set.take(Timestamp(3), vec![smooth(4, 7)], t), [false]);
        assert_eq!((set.first(), set.held()), (Some(Timestamp(2)), 4));
    }

    #[test]
    fn values_of_two_families_do_not_add_up() {
        let three = |base: usize| (base..base + 3).map(|slot| (slot, 5)).collect::<Vec<_>>();
        let both: Vec<_> = three(0).into_iter().chain(three(SMOOTH)).collect();
        let mut set = MatchSet::default();
        assert_eq!(
            set.take(Timestamp(0), vec![row(1, &both), row(2, &both)], (4, 9)),
            [false, false]
        );
        assert_eq!(set.take(Timestamp(1), vec![row(3, &both)], (3, 9)), [true]);
        set.clear();
        assert!(set.rows.is_empty() && set.hashes.is_empty());
    }

    #[test]
    fn what_left_the_horizon_leaves_nothing_behind() {
        let mut set = MatchSet::default();
        for window in 0..50 {
            let rows = (0..7).map(|i| smooth(i, u64::from(i % 3) + 1)).collect();
            set.take(Timestamp(window), rows, (4, 10));
        }
        assert_eq!(set.held(), 14);
        let left: u32 = set.rows.values().sum();
        assert_eq!(left as usize, 14 * SMOOTH);
        set.remember(Timestamp(50), vec![smooth(1, 1); 20], 10);
        assert_eq!((set.held(), set.hashes.len()), (20, SMOOTH));
    }
}
