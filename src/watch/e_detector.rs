//! The alarm: bets against "nothing changed", restarted at every moment, within a budget of time.
//!
//! R ← (R + credit) · e for every row, where e is what one unit staked on the row returned and
//! E\[e\] ≤ 1 while nothing changed; the alarm rings at Σ R ≥ 1 and R starts again from 0. Credit
//! is the time that passed, as a share of the period, fixed before e is seen. Then R minus the
//! credit given, plus 1 per alarm, never rises in expectation: **the expected number of false
//! alarms up to any time T is at most T / period**, for any traffic, restarts included.
//!
//! Linear fixed point, rounded down: lost fractions lose evidence, never validity, and the same
//! rows give the same bits on every machine.
//!
//! Source: A. N. Shiryaev, 1963; S. W. Roberts, 1966; as e-detectors: J. Shin, A. Ramdas,
//! A. Rinaldo, "E-detectors", NEJSDS 2024.

use serde::{Deserialize, Serialize};

/// Several bets sharing one budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EDetector {
    /// Capital per bet; `ONE` is 1.
    r: Vec<u64>,
}

impl EDetector {
    /// 1.0 of capital and of credit.
    pub const ONE: u64 = 1 << 60;
    /// 1.0 of a return.
    pub const RETURN_ONE: u64 = 1 << 20;

    pub fn new(bets: usize) -> Self {
        Self { r: vec![0; bets] }
    }

    /// Plays one row: adds `credit` to each bet's capital, then multiplies it by its return
    /// (`RETURN_ONE` is 1.0). True if the alarm rings; the capital is then back at 0.
    ///
    /// # Panics
    /// If there is not one return per bet.
    pub fn play(&mut self, credit: u64, returns: &[u64]) -> bool {
        assert_eq!(returns.len(), self.r.len());
        let mut sum = 0_u64;
        for (r, &e) in self.r.iter_mut().zip(returns) {
            let grown = (u128::from(r.saturating_add(credit)) * u128::from(e)) >> 20;
            *r = u64::try_from(grown).unwrap_or(u64::MAX).min(8 * Self::ONE);
            sum = sum.saturating_add(*r);
        }
        let rings = sum >= Self::ONE;
        if rings {
            self.reset();
        }
        rings
    }

    pub fn reset(&mut self) {
        self.r.fill(0);
    }

    /// How many bets it was made for.
    pub fn bets(&self) -> usize {
        self.r.len()
    }

    /// Σ R, in [0, 1): how near the alarm is.
    pub fn level(&self) -> f64 {
        self.r.iter().map(|&r| r as f64).sum::<f64>() / Self::ONE as f64
    }
}
