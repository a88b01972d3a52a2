//! Who may look at which row: five disjoint parts, drawn by a seed.
//!
//! A conformal p-value is only valid on rows that nothing was fitted to, so every number that `fit`
//! learns has a part of its own. Rows that are *copies* of each other can still land in two parts:
//! de-duplicate a reference that repeats itself. Rows are drawn without regard to time or client;
//! a stream that changed while it was recorded is calibrated to its average.

use rand::RngCore;
use rand_chacha::ChaCha8Rng;

use crate::fit::seed::{Use, permutation, stream};

/// Row numbers of each part, in drawn order. Disjoint; together every row exactly once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The networks and the detectors learn from these.
    pub train: Vec<usize>,
    /// Decides when training stops and which members earn their place.
    pub validation: Vec<usize>,
    /// Calibration of each detector's own ranks.
    pub ranks: Vec<usize>,
    /// Calibration of the merged score: the p-value's m rows.
    pub merged: Vec<usize>,
    /// Touched once, at the end, to say what share of clean rows is flagged.
    pub test: Vec<usize>,
}

/// Shares of the rows, in the order of [`Split`]; they sum to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shares(pub [f64; 5]);

/// Shares that are no shares.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the shares {0:?} are not positive numbers that sum to 1")]
pub struct BadShares(pub [f64; 5]);

impl Default for Shares {
    /// The most for learning, then what a budget of .1 % asks of the two calibrations.
    fn default() -> Self {
        Self([0.70, 0.05, 0.10, 0.10, 0.05])
    }
}

impl Shares {
    /// Of rows in groups there are fewer than it seems: more for validation and calibration.
    pub fn of_groups() -> Self {
        Self([0.62, 0.10, 0.10, 0.13, 0.05])
    }

    /// How many of `n` rows each part gets; they sum to n. Cuts lie where the running sum of
    /// shares rounds to, so ten times .1 of 10 rows is 10 rows and not 9.
    pub fn sizes(self, n: usize) -> [usize; 5] {
        let (mut sum, mut taken) = (0.0, 0);
        let mut sizes = self.0.map(|share| {
            sum += share;
            let end = ((sum * n as f64).round() as usize).clamp(taken, n);
            let size = end - taken;
            taken = end;
            size
        });
        sizes[4] += n - taken;
        sizes
    }
}

impl Split {
    /// Draws the parts of `n` rows. Part sizes differ from their share of n by less than 1, so a
    /// small n leaves parts empty: the budget, not this function, says how many rows it takes.
    ///
    /// # Errors
    /// If `shares` are not positive or do not sum to 1.
    pub fn draw(n: usize, seed: u64, shares: Shares) -> Result<Self, BadShares> {
        let Shares(each) = shares;
        let positive = each.iter().all(|share| *share > 0.0);
        if !positive || (each.iter().sum::<f64>() - 1.0).abs() > 1e-9 {
            return Err(BadShares(each));
        }
        let mut order = permutation(n, &mut stream(seed, Use::Split)).into_iter();
        let [train, validation, ranks, merged, test] =
            shares.sizes(n).map(|size| order.by_ref().take(size).collect());
        Ok(Self { train, validation, ranks, merged, test })
    }
}

impl Split {
    /// Draws the parts so that no group is in two of them: part sizes differ from their share by less than a group. Within
    /// a part the rows are in a drawn order.
    pub fn draw_groups(groups: &[i64], seed: u64, shares: Shares) -> Self {
        let rng = &mut stream(seed, Use::Split);
        let mut names = groups.to_vec();
        names.sort_unstable();
        names.dedup();
        let mut place = vec![0; names.len()];
        for (at, name) in permutation(names.len(), rng).into_iter().enumerate() {
            place[name] = at;
        }
        let of = |i: usize| place[names.binary_search(&groups[i]).expect("it is one of them")];
        let mut rows = vec![vec![]; names.len()];
        permutation(groups.len(), rng).into_iter().for_each(|i| rows[of(i)].push(i));
        let sizes = shares.sizes(groups.len());
        let mut parts: [Vec<usize>; 5] = Default::default();
        let (mut part, mut end, mut taken) = (0, sizes[0], 0);
        for group in rows {
            while part < 4 && taken >= end {
                part += 1;
                end += sizes[part];
            }
            taken += group.len();
            parts[part].extend(group);
        }
        // Groups one after the other would put neighbours into one batch.
        let shuffled = parts.map(|part| {
            permutation(part.len(), rng).into_iter().map(|i| part[i]).collect::<Vec<usize>>()
        });
        let [train, validation, ranks, merged, test] = shuffled;
        Self { train, validation, ranks, merged, test }
    }
}

/// Draws a number of rows out of a number of rows, shown one after the other: each set of that size
/// is equally likely, and the order stays.
///
/// # Source
/// D. E. Knuth, "The Art of Computer Programming" 2, 3.4.2, algorithm S.
#[derive(Debug)]
pub struct Draw {
    left: u64,
    wanted: u64,
    rng: ChaCha8Rng,
}

impl Draw {
    pub fn new(of: u64, wanted: u64, seed: u64, purpose: Use) -> Self {
        Self { left: of, wanted, rng: stream(seed, purpose) }
    }

    /// Whether the next row is drawn.
    pub fn takes(&mut self) -> bool {
        let drawn = (u128::from(self.rng.next_u64()) * u128::from(self.left)) >> 64;
        let drawn = (drawn as u64) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= u64::from(drawn);
        drawn
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_is_in_exactly_one_part(n in 0..5000_usize, seed: u64) {
            let split = Split::draw(n, seed, Shares::default()).unwrap();
            let Split { train, validation, ranks, merged, test } = split;
            let parts = [train, validation, ranks, merged, test];
            for (part, share) in parts.iter().zip(Shares::default().0) {
                prop_assert!((part.len() as f64 - share * n as f64).abs() < 1.0 + 1e-6);
            }
            let mut rows = parts.concat();
            rows.sort_unstable();
            prop_assert!(rows.into_iter().eq(0..n));
        }

        #[test]
        fn a_group_is_in_one_part_and_every_row_in_exactly_one(
            groups in prop::collection::vec(-20_i64..20, 0..800),
            seed: u64,
        ) {
            let split = Split::draw_groups(&groups, seed, Shares::of_groups());
            let Split { train, validation, ranks, merged, test } = split;
            let parts = [train, validation, ranks, merged, test];
            let mut seen = std::collections::BTreeMap::new();
            for (part, rows) in parts.iter().enumerate() {
                for &i in rows {
                    prop_assert_eq!(*seen.entry(groups[i]).or_insert(part), part);
                }
            }
            let mut rows = parts.concat();
            rows.sort_unstable();
            prop_assert!(rows.into_iter().eq(0..groups.len()));
        }

        #[test]
        fn as_many_rows_are_drawn_as_were_asked_for(of in 0..500_u64, share in 0.0..=1.0_f64, seed: u64) {
            let wanted = (of as f64 * share) as u64;
            let mut draw = Draw::new(of, wanted, seed, Use::Sample);
            prop_assert_eq!((0..of).filter(|_| draw.takes()).count() as u64, wanted);
            prop_assert!(!draw.takes());
        }

        #[test]
        fn one_seed_is_one_split(n in 20..500_usize, seed: u64) {
            let draw = |seed| Split::draw(n, seed, Shares::default()).unwrap();
            prop_assert_eq!(draw(seed), draw(seed));
            prop_assert_ne!(draw(seed), draw(seed.wrapping_add(1)));
        }
    }

    #[test]
    fn the_split_of_a_seed_never_changes() {
        // Pinned: a bundle's provenance says "seed 7" and means these rows.
        let split = Split::draw(20, 7, Shares::default()).unwrap();
        assert_eq!((split.ranks, split.merged), (vec![18, 8], vec![12, 0]));
        assert_eq!(split.test, [19]);
    }

    #[test]
    fn shares_that_do_not_sum_to_one_are_refused() {
        for bad in [[0.2; 5].map(|s| s * 1.1), [1.0, 0.0, 0.0, 0.0, 0.0], [f64::NAN; 5]] {
            assert!(Split::draw(10, 0, Shares(bad)).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_permutation_puts_each_row_first_about_equally_often() {
        let mut rng = stream(0, Use::Split);
        let mut first = [0_u32; 5];
        for _ in 0..10_000 {
            first[permutation(5, &mut rng)[0]] += 1;
        }
        // Binomial(10 000, 1/5): deviation 40, so 5 deviations either way.
        assert!(first.iter().all(|count| (1800..2200).contains(count)), "{first:?}");
    }
}
