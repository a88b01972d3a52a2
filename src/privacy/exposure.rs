//! The share of rows that stand in small groups, from a sample of the groups.

use crate::math::LevelSample;

/// How re-identifiable the rows of a sample are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exposure {
    /// Rows that the sample stands for.
    pub rows: u64,
    /// Groups, estimated.
    pub groups: f64,
    /// Share of rows whose group has one subject.
    pub unique: f64,
    /// Share of rows whose group has fewer than k subjects.
    pub small: f64,
    /// Three deviations of `small`; 0 if no group was left out.
    pub margin: f64,
}

impl Exposure {
    /// The exposure of `sample`, as if it had `at` rows at most. `k` is from 2 to 8.
    ///
    /// More rows make larger groups, so a stream looks safer the longer one counts. Shares are compared at one number of
    /// rows: each row stays with the chance p = `at` / rows. A row of a group of s subjects is then in a small group if at
    /// most k - 2 of the other s - 1 subjects stay, each with the chance 1 - (1 - p)^(its rows). That is rarefaction,
    /// and needs no other rows than those that are counted. Of a group without subjects each row is one.
    ///
    /// Time: O(k) a group. Only additions, products, quotients and one square root: the same bits on every machine.
    ///
    /// # Source
    /// S. H. Hurlbert, "The nonconcept of species diversity", doi:10.2307/1934145 (rarefaction); L. Sweeney,
    /// "k-anonymity", doi:10.1142/S0218488502001648.
    pub fn of(sample: &LevelSample, k: u64, at: u64) -> Self {
        let rows = sample.total();
        let p = if rows > at { at as f64 / rows as f64 } else { 1.0 };
        let (mut unique, mut small) = (0.0, 0.0);
        for group in sample.groups() {
            let subjects = group.size().min(group.count);
            let count = group.count as f64;
            if p < 1.0 {
                let stays = 1.0 - power(1.0 - p, group.count.div_ceil(subjects));
                unique += count * at_most(0, subjects - 1, stays);
                small += count * at_most(k - 2, subjects - 1, stays);
            } else {
                unique += if subjects < 2 { count } else { 0.0 };
                small += if subjects < k { count } else { 0.0 };
            }
        }
        let share = |sum: f64| (sum * sample.factor() / rows.max(1) as f64).min(1.0);
        let (unique, small) = (share(unique), share(small));
        let margin = match sample.level() {
            0 => 0.0,
            _ => 3.0 * (small * (1.0 - small) / f64::from(sample.most())).sqrt(),
        };
        let groups = sample.groups().len() as f64 * sample.factor();
        Self { rows, groups, unique, small, margin }
    }

    /// Whether more rows stand in small groups than `limit` allows, by more than chance explains.
    pub fn exceeds(&self, limit: f64) -> bool {
        self.small > limit + self.margin
    }
}

/// The chance of at most `most` successes in `n` trials that succeed with the chance `q` < 1.
fn at_most(most: u64, n: u64, q: f64) -> f64 {
    let mut term = power(1.0 - q, n);
    let mut sum = term;
    for successes in 0..most.min(n) {
        term *= (n - successes) as f64 / (successes + 1) as f64 * (q / (1.0 - q));
        sum += term;
    }
    sum.min(1.0)
}

/// `base` to the power of `n`, by squaring.
fn power(mut base: f64, mut n: u64) -> f64 {
    let mut result = 1.0;
    while n > 0 {
        if n & 1 == 1 {
            result *= base;
        }
        base *= base;
        n >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hash that differs for every value.
    fn hash(value: u64) -> u64 {
        let mut z = value.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    /// Groups of these sizes, each row another subject.
    fn sample(most: u32, sizes: &[u64]) -> LevelSample {
        let mut sample = LevelSample::new(most);
        for (group, &size) in sizes.iter().enumerate() {
            (0..size).for_each(|_| sample.add(hash(group as u64), None));
        }
        sample
    }

    #[test]
    fn rows_of_small_groups_are_counted_exactly_while_no_group_is_left_out() {
        let exposure = Exposure::of(&sample(16, &[1, 1, 4, 5, 9]), 5, 100);
        let Exposure { rows, groups, unique, small, margin } = exposure;
        assert_eq!((rows, groups, unique, small, margin), (20, 5.0, 0.1, 0.3, 0.0));
        assert!(exposure.exceeds(0.29) && !exposure.exceeds(0.3));
    }

    #[test]
    fn a_sample_of_many_groups_is_within_its_margin() {
        // 8,000 groups of one row, 4,000 of six: a quarter of the rows is unique.
        let sizes: Vec<u64> = (0..12_000).map(|i| if i % 3 == 0 { 6 } else { 1 }).collect();
        let exposure = Exposure::of(&sample(1024, &sizes), 5, 1 << 40);
        assert!((exposure.small - 0.25).abs() < exposure.margin, "{exposure:?}");
        assert!((0.03..0.06).contains(&exposure.margin), "{exposure:?}");
    }

    #[test]
    fn at_fixed_rows_a_stream_that_runs_twice_as_long_is_no_safer() {
        // Every group has twice as many rows, and each row another subject.
        let sizes: Vec<u64> = (0..4000).map(|i| 1 + i % 12).collect();
        let twice: Vec<u64> = sizes.iter().map(|n| 2 * n).collect();
        let rows: u64 = sizes.iter().sum();
        let [one, two] = [&sizes, &twice].map(|sizes| {
            let sample = sample(1 << 13, sizes);
            [rows, rows / 2].map(|at| Exposure::of(&sample, 5, at).small)
        });
        assert!(two[0] > 0.8 * one[0], "{one:?} {two:?}");
        assert!((two[1] - one[1]).abs() < 0.05, "{one:?} {two:?}");
        let longer = Exposure::of(&sample(1 << 13, &twice), 5, u64::MAX).small;
        assert!(longer < 0.4 * one[0], "{longer} {one:?}");
    }

    #[test]
    fn thinning_is_the_binomial_sum_of_the_textbook() {
        // Of ten trials of chance .3 at most two succeed with chance .3828 (tables of the binomial).
        assert!((at_most(2, 10, 0.3) - 0.382_782_785_9).abs() < 1e-9);
        assert_eq!(at_most(9, 3, 0.5), 1.0);
        assert_eq!(power(0.5, 10), 1.0 / 1024.0);
    }

    #[test]
    fn several_rows_of_one_subject_are_one_subject() {
        let mut sample = LevelSample::new(16);
        for row in 0..20_u32 {
            sample.add(hash(1), Some(row % 3));
            sample.add(hash(2), Some(row));
        }
        let exposure = Exposure::of(&sample, 5, 100);
        assert_eq!((exposure.small, exposure.unique), (0.5, 0.0));
    }
}
