//! Rows seen so far, by bin: what the next row is ranked among.
//!
//! While rows are exchangeable and the bins were fixed beforehand, the smoothed ranks are **exactly**
//! uniform and independent, however many rows and bins there are: few of either cost power, never
//! validity. Source: V. Vovk, I. Nouretdinov, A. Gammerman, ICML 2003.

use serde::{Deserialize, Serialize};

use super::{Key, WindowStart};

/// Counts of rows by bin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bag(Vec<u64>);

/// More rows than these are not counted in any bin: sums stay far from 2⁶⁴.
const COUNT_MAX: u64 = 1 << 40;

impl Bag {
    pub fn new(counts: Vec<u64>) -> Self {
        assert!(!counts.is_empty(), "a bag without bins");
        Self(counts.into_iter().map(|count| count.min(COUNT_MAX)).collect())
    }

    pub fn bins(&self) -> &[u64] {
        &self.0
    }

    pub fn rows(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Smoothed rank of a row of `bin` among all of them, 2³² is 1; small if its bin is high. `u`
    /// says where it stands among its equals. O(bins).
    pub fn rank(&self, bin: usize, u: u32) -> u32 {
        let above: u64 = self.0[bin + 1..].iter().sum();
        let below: u64 = self.0[..bin].iter().sum();
        let equal = self.0[bin];
        let p = ((u128::from(above) << 32) + u128::from(equal + 1) * u128::from(u))
            / u128::from(above + below + equal + 1);
        u32::try_from(p).expect("above + equal is all there are")
    }

    /// One more row.
    pub fn push(&mut self, bin: usize) {
        self.0[bin] = (self.0[bin] + 1).min(COUNT_MAX);
    }

    pub fn add(&mut self, counts: &[u32]) {
        let pairs = self.0.iter_mut().zip(counts);
        pairs.for_each(|(count, &more)| *count = (*count + u64::from(more)).min(COUNT_MAX));
    }

    /// Takes out what was added before: counts subtract exactly.
    pub fn subtract(&mut self, counts: &[u32]) {
        let pairs = self.0.iter_mut().zip(counts);
        pairs.for_each(|(count, &less)| *count = count.saturating_sub(u64::from(less)));
    }
}

/// The rows of a window one after the other in keyed order: for exchangeable rows as good as the true
/// one, and a function of the counts alone.
#[derive(Debug)]
pub struct Draws {
    left: Vec<u32>,
    rows: u64,
    drawn: u64,
    most: u64,
    order: Order,
}

/// Where draws come from.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub key: Key,
    pub window: WindowStart,
}

/// Purposes of keyed draws: which row comes next, and where it stands among its equals.
const NEXT: u8 = 0;
const TIE_BREAK: u8 = 1;

impl Draws {
    /// At most `most` rows are drawn.
    pub fn new(counts: Vec<u32>, most: u64, order: Order) -> Self {
        let rows = counts.iter().map(|&count| u64::from(count)).sum();
        Self { left: counts, rows, drawn: 0, most, order }
    }

    /// How many rows will be drawn in all.
    pub fn len(&self) -> u64 {
        (self.rows + self.drawn).min(self.most)
    }

    /// What is not drawn yet, by bin.
    pub fn left(&self) -> &[u32] {
        &self.left
    }
}

impl Iterator for Draws {
    /// A row's bin, and a number for its tie-break.
    type Item = (usize, u32);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows == 0 || self.drawn >= self.most {
            return None;
        }
        let (Order { key, window }, i) = (self.order, self.drawn);
        // A 64-bit draw modulo a count below 2⁴⁰ is biased by less than 2⁻²⁴.
        let mut at = key.draw(window, NEXT, i) % self.rows;
        let bin = self.left.iter().position(|&count| match at.checked_sub(count.into()) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        let bin = bin.expect("below the sum of all counts");
        self.left[bin] -= 1;
        self.rows -= 1;
        self.drawn += 1;
        Some((bin, key.draw(window, TIE_BREAK, i) as u32))
    }
}
