//! The alarm: bets against "nothing changed", restarted at every moment, within a budget of time.
//!
//! R ← (R + credit) · e for every row, where e is what one unit staked on the row returned and
//! E\[e\] ≤ 1 while nothing changed; the alarm rings when all R together reach 1, and all start again
//! from 0. Credit is the time that passed, as a share of the period, fixed before e is seen. Then
//! ΣR minus the credit given, plus 1 per alarm, never rises in expectation: **the expected number of
//! false alarms up to any time T is at most T / period**, for any traffic, restarts included.
//!
//! Linear fixed point, rounded down: lost fractions lose evidence, never validity, and the same
//! rows give the same bits on every machine.
//!
//! Source: A. N. Shiryaev, 1963; S. W. Roberts, 1966; as e-detectors: J. Shin, A. Ramdas,
//! A. Rinaldo, "E-detectors", NEJSDS 2024.

use serde::{Deserialize, Serialize};

use super::ScaledFloat;

/// 1.0 of capital and of credit.
pub const ONE: u64 = 1 << 60;
/// Capital grows no further: much more than an alarm needs.
const MOST: u64 = 8 * ONE;

/// What some bets have won so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Capital(Vec<u64>);

impl Capital {
    /// Nothing won yet.
    pub fn new(bets: usize) -> Self {
        Self(vec![0; bets])
    }

    /// Plays one row: each bet gets its credit, then its return, `RETURN_ONE` is 1.
    pub fn play(&mut self, credits: &[u64], returns: &[u32]) {
        for ((r, &credit), &e) in self.0.iter_mut().zip(credits).zip(returns) {
            let grown = (u128::from(r.saturating_add(credit)) * u128::from(e)) >> 20;
            *r = u64::try_from(grown).unwrap_or(u64::MAX).min(MOST);
        }
    }

    /// Bets on a whole window: the returns are products over its rows.
    pub fn multiply(&mut self, credit: u64, returns: impl Iterator<Item = ScaledFloat>) {
        for (r, factor) in self.0.iter_mut().zip(returns) {
            *r = factor.scale(r.saturating_add(credit), MOST);
        }
    }

    /// All bets begin anew.
    pub fn reset(&mut self) {
        self.0.fill(0);
    }

    /// How many bets there are.
    pub fn bets(&self) -> usize {
        self.0.len()
    }

    /// ΣR, `ONE` is 1.
    pub fn sum(&self) -> u64 {
        self.0.iter().fold(0, |sum: u64, &r| sum.saturating_add(r))
    }

    /// The bet that won most; the first of equals.
    pub fn champion(&self) -> usize {
        (0..self.0.len()).rev().max_by_key(|&i| self.0[i]).unwrap_or(0)
    }
}

/// `stake` / `of` of the time `elapsed_ms` as a share of `period_ms`, spread over `rows`. Rounded down.
pub fn credit(elapsed_ms: u64, period_ms: u64, rows: u64, stake: u64, of: u64) -> u64 {
    let parts = u128::from(period_ms.max(1)) * u128::from(rows.max(1));
    // 2⁶⁰ · 2⁴⁰ · stake below 2²⁷ stays below 2¹²⁸.
    let share = u128::from(ONE) * u128::from(elapsed_ms.min(1 << 40)) / parts;
    let credit = share * u128::from(stake) / u128::from(of.max(1));
    u64::try_from(credit).unwrap_or(u64::MAX).min(ONE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{Bets, Reference};

    struct SplitMix(u64);

    impl SplitMix {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            (z ^ (z >> 31)) >> 32
        }
    }

    /// Made by a prototype in Python and by another in Rust, which agree: one million rows from an
    /// empty reference, seed 42, a budget of one alarm per 10,000 rows.
    #[test]
    fn ranks_bets_and_capital_are_those_of_the_prototype_bit_for_bit() {
        const CREDIT: [u64; 12] = {
            let mut credit = [10_376_293_541_461; 12];
            credit[10] = 5_764_607_523_034;
            credit[11] = 5_764_607_523_034;
            credit
        };
        let bets = Bets::tilted([0.3, 0.6, 1.2], [80; 12]);
        let (mut random, mut reference) = (SplitMix(42), Reference::new(vec![0; 64]));
        let (mut capital, mut alarms) = (Capital::new(12), 0);
        for _ in 0..1_000_000 {
            let bin = (random.next() % 64) as usize;
            let p = reference.rank(bin, random.next() as u32);
            capital.play(&CREDIT, bets.returns(p));
            if capital.sum() >= ONE {
                alarms += 1;
                capital.reset();
            }
            reference.push(bin);
        }
        assert_eq!(alarms, 70);
        assert_eq!((capital.0[0], capital.0[11]), (10_825_321_370_560, 2_724_061_617_204_460));
    }

    #[test]
    fn credit_is_the_share_of_the_period_that_passed() {
        assert_eq!(credit(1000, 10_000, 5, 1, 4), ONE / 200);
        assert_eq!(credit(0, 10_000, 5, 1, 1), 0);
        assert_eq!(credit(u64::MAX, 0, 0, u64::from(u32::MAX) >> 5, 1), ONE);
    }
}
