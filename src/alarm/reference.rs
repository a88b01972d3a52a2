//! Rows seen so far, by bin: what the next row is ranked among.
//!
//! While rows are exchangeable and the bins were fixed beforehand, the smoothed ranks are **exactly**
//! uniform and independent, however many rows and bins there are: few of either cost power, never
//! validity. Source: V. Vovk, I. Nouretdinov, A. Gammerman, ICML 2003.

use serde::{Deserialize, Serialize};

/// Counts of rows by bin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reference(Vec<u64>);

/// More rows than these are not counted in any bin: sums stay far from 2⁶⁴.
const COUNT_MAX: u64 = 1 << 40;

impl Reference {
    /// # Panics
    /// If there are no bins.
    pub fn new(counts: Vec<u64>) -> Self {
        assert!(!counts.is_empty(), "a reference without bins");
        Self(counts.into_iter().map(|count| count.min(COUNT_MAX)).collect())
    }

    /// Rows by bin.
    pub fn bins(&self) -> &[u64] {
        &self.0
    }

    /// All of its rows.
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

    /// More rows, by bin.
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
