//! What is counted of a window: additive, in frozen cells.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

/// Integer counts of some records: a commutative monoid under [`Counts::add`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Records with a row that was scored.
    pub rows: u64,
    pub flagged: u64,
    pub corrected: u64,
    pub quarantined: u64,
    pub faults: u64,
    /// Records with a value that stands in for a missing one.
    #[serde(default)]
    pub imputed: u64,
    /// Records whose timestamp is far from that of every neighbour in the log, or ahead of the clock.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub misdated: u64,
    /// Records of the input that are gone unread: of an incident, not of a window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Records of outputs that are gone: of an incident, not of a window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub outputs_lost: u64,
    /// How often a partition's log became another.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub other_logs: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.flagged += other.flagged;
        self.corrected += other.corrected;
        self.quarantined += other.quarantined;
        self.faults += other.faults;
        self.imputed += other.imputed;
        self.misdated += other.misdated;
        self.lost += other.lost;
        self.outputs_lost += other.outputs_lost;
        self.other_logs += other.other_logs;
    }
}

/// What records of a window came to: how many of which fate, and of their rows how many in each cell
/// of the stream's signals, [`super::Signals::cells`] in all.
///
/// Sums do not depend on order or on how the records were split up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    pub counts: Counts,
    #[serde(default, skip_serializing_if = "Cells::is_empty")]
    pub cells: Cells,
    /// Flagged records by what is most odd about them: the cells of [`crate::record::Oddity`].
    #[serde(default, skip_serializing_if = "Cells::is_empty")]
    pub oddities: Cells,
    /// Of the records in `counts`, those that another bundle judged. A monitor fills this; a lane never does.
    #[serde(default, skip_serializing_if = "Others::is_empty")]
    pub others: Others,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.counts.add(&other.counts);
        self.cells.add(&other.cells);
        self.oddities.add(&other.oddities);
        self.others.add(&other.others);
    }

    /// These counts for the monitor of a bundle that scored none of the records: cells mean nothing to it. At most `usual` of the
    /// clean rows were flagged.
    pub fn of_others(self, usual: Usual) -> Self {
        let Counts { rows, flagged, .. } = self.counts;
        let usual = usual.max(self.others.usual);
        let others = Others { rows, flagged, usual };
        Self { counts: self.counts, others, ..Self::default() }
    }
}

/// Records that another bundle judged than the one whose signals are watched, or the same one with another budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Others {
    pub rows: u64,
    pub flagged: u64,
    /// Of several bundles the largest.
    pub usual: Usual,
}

impl Others {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.flagged += other.flagged;
        self.usual = self.usual.max(other.usual);
    }
}

/// A bound of the share of clean rows that a bundle flags, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Usual(u32);

impl Usual {
    /// What is believed of a bundle of which nobody said how it flags clean rows: more than any budget in use.
    pub const UNKNOWN: Self = Self(100_000);

    /// Of `rows` clean rows `flagged` were, and the budget allows `budget`: four deviations more than either, because
    /// another sample of clean rows would have had more.
    pub fn new(budget: f64, rows: u64, flagged: u64) -> Self {
        let m = rows.max(1) as f64;
        let share = (flagged as f64 / m).max(budget);
        Self::of(share + 4.0 * ((share + 1.0 / m) / m).sqrt() + 5e-7)
    }

    /// The nearest there is.
    pub fn of(share: f64) -> Self {
        Self((share.clamp(1e-6, 1.0) * 1e6).round() as u32)
    }

    pub fn share(self) -> f64 {
        f64::from(self.0) / 1e6
    }
}

/// Counts by cell, most of them 0. As text: base64 of pairs of varints, how many cells are passed
/// over and what stands in the next one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Cells(Vec<u32>);

impl Cells {
    /// More cells than any layout has: bounds what a message can make us hold.
    pub const MAX: usize = 1 << 16;

    /// `counts`, by cell.
    ///
    /// # Panics
    /// If no layout has so many.
    pub fn of(mut counts: Vec<u32>) -> Self {
        assert!(counts.len() <= Self::MAX, "no layout has {} cells", counts.len());
        while counts.pop_if(|&mut count| count == 0).is_some() {}
        Self(counts)
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&count| count == 0)
    }

    /// One more row in `cell`.
    ///
    /// # Panics
    /// If there is no such cell in any layout.
    pub fn push(&mut self, cell: usize) {
        assert!(cell < Self::MAX, "no layout has cell {cell}");
        if self.0.len() <= cell {
            self.0.resize(cell + 1, 0);
        }
        self.0[cell] = self.0[cell].saturating_add(1);
    }

    pub fn add(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        let pairs = self.0.iter_mut().zip(&other.0);
        pairs.for_each(|(count, &more)| *count = count.saturating_add(more));
    }

    /// The counts of the cells `from..to`.
    pub fn slice(&self, from: usize, to: usize) -> Vec<u32> {
        (from..to).map(|cell| self.0.get(cell).copied().unwrap_or(0)).collect()
    }

    /// Cells with a row in them.
    pub fn occupied(&self) -> usize {
        self.0.iter().filter(|&&count| count > 0).count()
    }

    /// The cells with the largest counts, at most `most`, with their counts. Of equal counts the first cell.
    pub fn largest(&self, most: usize) -> Vec<(usize, u32)> {
        let mut occupied: Vec<(usize, u32)> =
            self.0.iter().copied().enumerate().filter(|&(_, count)| count > 0).collect();
        occupied.sort_by_key(|&(cell, count)| (std::cmp::Reverse(count), cell));
        occupied.truncate(most);
        occupied
    }

    /// Only the `most` largest counts.
    pub fn trimmed(&self, most: usize) -> Self {
        let mut kept = Self::default();
        for (cell, count) in self.largest(most) {
            if kept.0.len() <= cell {
                kept.0.resize(cell + 1, 0);
            }
            kept.0[cell] = count;
        }
        kept
    }

    /// For the next batch; memory is kept.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl From<Cells> for String {
    fn from(cells: Cells) -> Self {
        let mut bytes = vec![];
        let mut passed = 0;
        for &count in &cells.0 {
            if count == 0 {
                passed += 1;
                continue;
            }
            varint(passed, &mut bytes);
            varint(count, &mut bytes);
            passed = 0;
        }
        BASE64.encode(bytes)
    }
}

impl TryFrom<String> for Cells {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = BASE64.decode(text).map_err(|_| "cells are not base64")?;
        let (mut cells, mut rest) = (vec![], bytes.as_slice());
        while !rest.is_empty() {
            let (passed, count) = (read_varint(&mut rest)?, read_varint(&mut rest)?);
            let cell = cells.len() + passed as usize;
            if cell >= Self::MAX || count == 0 {
                return Err("cells beyond any layout, or an empty one");
            }
            cells.resize(cell, 0);
            cells.push(count);
        }
        Ok(Self(cells))
    }
}

/// LEB128.
fn varint(mut value: u32, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

fn read_varint(bytes: &mut &[u8]) -> Result<u32, &'static str> {
    let mut value = 0_u64;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first().ok_or("cells end in the middle of a number")?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return u32::try_from(value).map_err(|_| "a count beyond 32 bits");
        }
    }
    Err("a count beyond 32 bits")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cells() -> impl Strategy<Value = Cells> {
        proptest::collection::vec(0_usize..300, 0..200).prop_map(|rows| {
            let mut cells = Cells::default();
            rows.into_iter().for_each(|cell| cells.push(cell));
            cells
        })
    }

    proptest! {
        #[test]
        fn cells_read_back_as_they_were_written(cells in cells()) {
            let text = String::from(cells.clone());
            prop_assert_eq!(Cells::try_from(text).unwrap(), cells);
        }

        #[test]
        fn sums_do_not_depend_on_order_or_grouping(a in cells(), b in cells(), c in cells()) {
            let sum = |parts: &[&Cells]| {
                let mut sum = Cells::default();
                parts.iter().for_each(|part| sum.add(part));
                sum
            };
            let ab = sum(&[&a, &b]);
            prop_assert_eq!(sum(&[&ab, &c]), sum(&[&c, &sum(&[&b, &a])]));
        }

        #[test]
        fn the_largest_counts_are_kept_and_no_others(cells in cells(), most in 0_usize..20) {
            let largest = cells.largest(most);
            prop_assert_eq!(cells.trimmed(most).largest(usize::MAX), largest.clone());
            let least = largest.last().map_or(u32::MAX, |&(_, count)| count);
            let left_out = cells.largest(usize::MAX).split_off(largest.len());
            prop_assert!(left_out.iter().all(|&(_, count)| count <= least));
        }

        #[test]
        fn no_text_panics_or_takes_more_than_a_layout(text in ".{0,200}", bytes: Vec<u8>) {
            let _ = Cells::try_from(text);
            if let Ok(cells) = Cells::try_from(BASE64.encode(bytes)) {
                prop_assert!(cells.0.len() <= Cells::MAX);
            }
        }
    }
}
