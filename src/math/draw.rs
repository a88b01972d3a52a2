//! Some of many, drawn without repetition.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// `k` different numbers below `n` in drawn order, every choice as probable as every other; all
/// `n`, in order, if there are no more. A bound is off uniform by less than n / 2⁶⁴. O(n).
///
/// Our own, so that a new version of `rand` cannot change what a seed means.
///
/// # Source
/// R. A. Fisher, F. Yates, "Statistical Tables", 1938, example 12, stopped after `k` exchanges.
pub fn draw(n: usize, k: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut all: Vec<usize> = (0..n).collect();
    if n > k {
        for i in 0..k {
            let drawn = (u128::from(rng.next_u64()) * (n - i) as u128) >> 64;
            all.swap(i, i + drawn as usize);
        }
        all.truncate(k);
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    proptest! {
        #[test]
        fn no_number_is_drawn_twice(n in 0..500_usize, k in 0..500_usize, seed: u64) {
            let mut drawn = draw(n, k, &mut ChaCha8Rng::seed_from_u64(seed));
            drawn.sort_unstable();
            drawn.dedup();
            prop_assert_eq!(drawn.len(), n.min(k));
            prop_assert!(drawn.iter().all(|&i| i < n));
        }
    }

    #[test]
    fn every_number_is_drawn_about_equally_often() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut times = [0_u32; 5];
        for _ in 0..10_000 {
            draw(5, 2, &mut rng).into_iter().for_each(|i| times[i] += 1);
        }
        // Binomial(10 000, 2/5): deviation 49, so 5 deviations either way.
        assert!(times.iter().all(|count| (3755..4245).contains(count)), "{times:?}");
    }
}
