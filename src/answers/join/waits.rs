//! How long answers took, for whoever watches a service. Nothing is bet on it: records of one commit wait together, and waits follow the
//! load.

use std::ops::Range;

use crate::watch::answers::LATENCY;

/// Octaves of milliseconds that waits are counted by: octave i is from 2^i ms up to twice that, the first one also holds less, the
/// last one all beyond.
pub const WAIT_OCTAVES: usize = LATENCY.end - LATENCY.start;

/// From sending on to the answer, of each pair that was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    pub octaves: [u64; WAIT_OCTAVES],
    pub sum_ms: u64,
}

impl Waits {
    /// Counts one.
    pub fn add(&mut self, waited_ms: u64) {
        self.octaves[octave(waited_ms)] += 1;
        self.sum_ms = self.sum_ms.saturating_add(waited_ms);
    }

    /// Upper bound of each octave but the last, in milliseconds, and how many waited at most so long.
    pub fn up_to(&self) -> impl Iterator<Item = (u64, u64)> {
        let bounds: Range<u32> = 1..WAIT_OCTAVES as u32;
        let below = self.octaves.iter().scan(0, |below, octave| {
            *below += octave;
            Some(*below)
        });
        bounds.map(|octave| 1 << octave).zip(below)
    }

    pub fn count(&self) -> u64 {
        self.octaves.iter().sum()
    }
}

/// The octave of a wait.
pub(super) fn octave(waited_ms: u64) -> usize {
    (waited_ms.max(1).ilog2() as usize).min(WAIT_OCTAVES - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_counts_below_every_bound_that_is_larger() {
        let mut waits = Waits::default();
        [0, 1, 3, 4, 1000, u64::MAX].into_iter().for_each(|ms| waits.add(ms));
        let up_to: Vec<_> = waits.up_to().collect();
        assert_eq!(up_to[..4], [(2, 2), (4, 3), (8, 4), (16, 4)]);
        assert_eq!((up_to.last(), waits.count()), (Some(&(1 << 23, 5)), 6));
    }
}
