//! From `m·G` back to `m`: baby steps and giant steps.
//!
//! A table holds the first 2¹⁶ multiples of the base point. A point that is not among them goes down by 2¹⁶ at a time until it is.
//! Points are compared in their compressed form, and compressing a batch of doubled points shares one inversion: so the
//! table holds doubled multiples.
//!
//! # Source
//! D. Shanks, "Class number, a theory of factorization, and genera", 1971.

use std::collections::HashMap;

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_POINT;
use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;

use super::Rejection;
use super::group::base;

const BABY: u64 = 1 << 16;
/// Points that are compressed together.
const BATCH: usize = 256;
/// Giant steps for all counters of a window. 2²² are some 6 s, and enough for 5,000 counters of 55,000,000 each. A site that
/// encrypts what is no count costs 2¹⁶ of them, then its window is given up.
const STEPS_MAX: usize = 1 << 22;

/// The table.
pub struct Logarithms {
    /// `2·i·G`, compressed, and `i`.
    baby: HashMap<[u8; 32], u32>,
    /// `−2¹⁶·G`
    giant: RistrettoPoint,
}

impl Default for Logarithms {
    fn default() -> Self {
        Self::new()
    }
}

impl Logarithms {
    /// Takes 0.1 s and 4 MB.
    pub fn new() -> Self {
        let multiples = std::iter::successors(Some(RistrettoPoint::identity()), |last| {
            Some(last + RISTRETTO_BASEPOINT_POINT)
        });
        let multiples: Vec<_> = multiples.take(BABY as usize).collect();
        let compressed = RistrettoPoint::double_and_compress_batch(&multiples);
        let baby = (0..).zip(compressed).map(|(i, point)| (point.0, i)).collect();
        Self { baby, giant: -base(&Scalar::from(BABY)) }
    }

    /// The `m` ≤ 2³² − 1 of each `m·G`.
    ///
    /// # Errors
    /// If a point has none, or all of them are so large that it would take too long.
    pub fn of(&self, points: &[RistrettoPoint]) -> Result<Vec<u32>, Rejection> {
        let mut found = vec![0; points.len()];
        // What is still looked for: its place, the point after `steps` giant steps.
        let mut left: Vec<(usize, RistrettoPoint)> = points.iter().copied().enumerate().collect();
        let mut steps = 0_u64;
        let mut work = 0;
        while let Some(&(index, _)) = left.first() {
            if steps * BABY > u64::from(u32::MAX) {
                return Err(Rejection::Unopenable { index, max: u32::MAX });
            }
            let stride = (BATCH / left.len()).max(1);
            work += stride * left.len();
            if work > STEPS_MAX + points.len() {
                return Err(Rejection::TooMuchWork);
            }
            let mut candidates = Vec::with_capacity(stride * left.len());
            for (_, point) in &mut left {
                for _ in 0..stride {
                    candidates.push(*point);
                    *point += self.giant;
                }
            }
            let compressed = RistrettoPoint::double_and_compress_batch(&candidates);
            let mut each = compressed.chunks_exact(stride);
            let mut beyond = None;
            left.retain(|&(index, _)| {
                let mut tried = each.next().expect("as many as are left").iter().zip(steps..);
                let hit = tried.find_map(|(point, step)| Some((step, *self.baby.get(&point.0)?)));
                let Some((step, baby)) = hit else { return true };
                match u32::try_from(step * BABY + u64::from(baby)) {
                    Ok(m) => found[index] = m,
                    Err(_) => beyond = Some(index),
                }
                false
            });
            if let Some(index) = beyond {
                return Err(Rejection::Unopenable { index, max: u32::MAX });
            }
            steps += stride as u64;
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_count_up_to_two_to_the_32_is_found_and_nothing_else() {
        let table = Logarithms::new();
        let counts: Vec<u32> =
            [0, 1, 65_535, 65_536, 65_537, 16_000_000, u32::MAX - 1, u32::MAX].into();
        let points: Vec<_> = counts.iter().map(|&m| base(&Scalar::from(m))).collect();
        assert_eq!(table.of(&points).unwrap(), counts);
        assert!(table.of(&[]).unwrap().is_empty());
        let beyond = base(&Scalar::from(u64::from(u32::MAX) + 1));
        let negative = -base(&Scalar::ONE);
        for wrong in [beyond, negative] {
            let refused = table.of(&[points[1], wrong]).unwrap_err();
            assert_eq!(refused, Rejection::Unopenable { index: 1, max: u32::MAX });
        }
    }

    #[test]
    fn a_window_of_huge_counters_is_given_up_before_it_takes_minutes() {
        let table = Logarithms::new();
        let huge = vec![base(&Scalar::from(u32::MAX)); 1000];
        assert_eq!(table.of(&huge).unwrap_err(), Rejection::TooMuchWork);
    }
}
