//! How the values that a thread counts are spread: sizes of batches, durations.
//!
//! An HDR histogram: any quantile of it is at most 1/128 above the true one, up to an hour. A value
//! costs one lock that nobody else wants, except while `/metrics` is read, and no allocation; it is
//! counted once per batch or commit, never per record.
//!
//! Source: Gil Tene, "HdrHistogram: A High Dynamic Range Histogram", hdrhistogram.org.

use std::sync::Mutex;

use hdrhistogram::Histogram;

use super::lock;

/// Values of one thread, and the bounds that they are shown by: `FIRST`, twice as much, … `N` of them.
#[derive(Debug, Default)]
pub struct Spread<const FIRST: u64, const N: usize>(Mutex<Values>);

/// Records of a batch: 1, 2, … 4096, the largest `rows_max` that a configuration may ask for.
pub type Sizes = Spread<1, 13>;

/// Microseconds: 250 µs, 500 µs, … 16.4 s. The quickest batch of one row takes about a
/// millisecond, a commit a median of 3.8; past 10 s the default transaction timeout strikes.
pub type Durations = Spread<250, 17>;

/// What was counted up to one moment; that of several threads adds up.
#[derive(Clone, Debug)]
pub struct Values {
    /// One less than each value. A slot of the histogram begins at a multiple of its width and ends
    /// before the next; bounds that double lie on its beginnings. So less by one, a bound ends a slot, and
    /// no value beyond it counts as one up to it.
    less_one: Histogram<u64>,
    sum: u64,
}

/// Larger values are counted as this: an hour, in microseconds.
const LARGEST: u64 = 3_600_000_000;
/// Two decimal digits: 256 slots for each doubling from the second on, 27 KiB in all.
const DIGITS: u8 = 2;
/// What a person asks of a spread.
pub const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

impl<const FIRST: u64, const N: usize> Spread<FIRST, N> {
    /// Counts one value.
    pub fn count(&self, value: u64) {
        let mut values = lock(&self.0);
        values.less_one.saturating_record(value.saturating_sub(1));
        values.sum += value;
    }

    /// All that was counted so far.
    pub fn values(&self) -> Values {
        lock(&self.0).clone()
    }

    /// The bounds that `values` are shown by, and how many lie at or below each.
    pub fn up_to(values: &Values) -> impl Iterator<Item = (u64, u64)> {
        let below = |bound: u64| values.less_one.count_between(0, bound - 1);
        (0..N).map(move |i| FIRST << i).map(move |bound| (bound, below(bound)))
    }
}

impl Values {
    pub fn count(&self) -> u64 {
        self.less_one.len()
    }

    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// A value that `share` of all lie at or below; `None` of none.
    pub fn quantile(&self, share: f64) -> Option<u64> {
        (self.count() > 0).then(|| self.less_one.value_at_quantile(share) + 1)
    }

    /// Adds the values of another thread.
    pub fn add(&mut self, other: &Self) {
        self.less_one.add(&other.less_one).expect("the same bounds");
        self.sum += other.sum;
    }
}

impl Default for Values {
    fn default() -> Self {
        let less_one = Histogram::new_with_bounds(1, LARGEST, DIGITS).expect("sound bounds");
        Self { less_one, sum: 0 }
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
            let mut all = one.values();
            all.add(&two.values());
            prop_assert_eq!((all.count(), all.sum()), (values.len() as u64, values.iter().sum()));
            for (bound, up_to) in Durations::up_to(&all).chain(Sizes::up_to(&all)) {
                prop_assert_eq!(up_to, values.iter().filter(|&&v| v <= bound).count() as u64);
            }
        }

        #[test]
        fn a_quantile_is_at_most_a_128th_above_the_true_one(
            mut values in prop::collection::vec(
                (0_u32..31).prop_flat_map(|b| 1..=1_u64 << b), 1..2000),
        ) {
            let spread = Durations::default();
            values.iter().for_each(|&value| spread.count(value));
            values.sort_unstable();
            let spread = spread.values();
            for share in QUANTILES {
                let place = (share * values.len() as f64).ceil() as usize;
                let (truth, said) = (values[place - 1], spread.quantile(share).unwrap());
                prop_assert!(truth <= said && said <= truth + truth / 128, "{share}: {said} for {truth}");
            }
        }
    }

    #[test]
    fn no_value_has_no_quantile() {
        assert_eq!(Sizes::default().values().quantile(0.5), None);
    }
}
