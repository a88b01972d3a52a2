//! Counts by size, in buckets that double.
//!
//! Doubling fits what is measured here: a batch or a commit that takes twice as long is news, one
//! that takes a tenth longer is not. A quantile read from it is off by up to a factor of two.

use std::sync::atomic::{AtomicU64, Ordering};

/// Values up to `FIRST`, up to twice as much, … `N` buckets, and one for all beyond.
#[derive(Debug)]
pub struct Histogram<const FIRST: u64, const N: usize> {
    buckets: [AtomicU64; N],
    beyond: AtomicU64,
    sum: AtomicU64,
}

/// Records of a batch: 1, 2, … 4096, the largest `rows_max` that a configuration may ask for.
pub type Sizes = Histogram<1, 13>;

/// Microseconds: 250 µs, 500 µs, … 16.4 s. The quickest batch of one row takes about a
/// millisecond, a commit a median of 3.8; past 10 s the default transaction timeout strikes.
pub type Durations = Histogram<250, 17>;

/// What a histogram held at one moment; that of several threads adds up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buckets {
    /// Upper bounds, and how many values lay at or below each.
    pub up_to: Vec<(u64, u64)>,
    pub count: u64,
    pub sum: u64,
}

impl<const FIRST: u64, const N: usize> Histogram<FIRST, N> {
    /// Counts one value.
    pub fn count(&self, value: u64) {
        let bucket = (0..N).find(|&i| value <= FIRST << i);
        let counter = bucket.map_or(&self.beyond, |i| &self.buckets[i]);
        counter.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Adds what is counted here to `buckets`. A value counted meanwhile may be in the sum and not
    /// in a bucket; the next look has both.
    pub fn add_to(&self, buckets: &mut Buckets) {
        if buckets.up_to.is_empty() {
            buckets.up_to = (0..N).map(|i| (FIRST << i, 0)).collect();
        }
        let mut below = 0;
        for ((_, up_to), counter) in buckets.up_to.iter_mut().zip(&self.buckets) {
            below += counter.load(Ordering::Relaxed);
            *up_to += below;
        }
        buckets.count += below + self.beyond.load(Ordering::Relaxed);
        buckets.sum += self.sum.load(Ordering::Relaxed);
    }
}

impl<const FIRST: u64, const N: usize> Default for Histogram<FIRST, N> {
    fn default() -> Self {
        let zero = |_| AtomicU64::new(0);
        let buckets = std::array::from_fn(zero);
        Self { buckets, beyond: AtomicU64::new(0), sum: AtomicU64::new(0) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_bucket_holds_all_values_at_or_below_its_bound(
            values in prop::collection::vec((0_u32..40).prop_flat_map(|b| 0..=1_u64 << b), 0..100),
        ) {
            let (one, two) = (Durations::default(), Durations::default());
            for (i, &value) in values.iter().enumerate() {
                if i % 2 == 0 { one.count(value) } else { two.count(value) }
            }
            let mut all = Buckets::default();
            one.add_to(&mut all);
            two.add_to(&mut all);
            prop_assert_eq!((all.count, all.sum), (values.len() as u64, values.iter().sum()));
            for (bound, up_to) in all.up_to {
                prop_assert_eq!(up_to, values.iter().filter(|&&v| v <= bound).count() as u64);
            }
        }
    }
}
