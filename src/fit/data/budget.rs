//! What a budget costs in calibration rows, and what it then buys.
//!
//! The share of clean records that a finished guard flags is not the budget: it is a random number
//! around it, drawn once by the calibration rows. With m of them it is Beta-distributed, and the
//! fewer they are the wider. This file knows that distribution; it says nothing about rows that
//! differ from the calibration rows.

use super::split::Shares;
use crate::record::Probability;

/// Calibration rows that must be expected above the threshold. With 10 the flagged share is within
/// .37 to 2.0 of the budget in 99 of 100 fits; with 1, the bare minimum for any p-value to reach
/// the budget, it is anywhere from .005 to 5.3 of it.
pub const FLAGGED_MIN: f64 = 10.0;

/// A budget that the rows cannot support, and the two ways out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "a budget of {budget} needs at least {rows_needed} rows, {calibration_needed} of them for \
     calibration; there are {rows} and {calibration}: bring more rows, or raise the budget to {least}"
)]
pub struct Unsupported {
    pub budget: Probability,
    pub rows: usize,
    pub rows_needed: usize,
    pub calibration: usize,
    pub calibration_needed: usize,
    /// The smallest budget these rows support.
    pub least: Probability,
}

/// Whether `rows` rows, split by `shares`, can support `budget`.
///
/// # Errors
/// If fewer than [`FLAGGED_MIN`] calibration rows are expected to be flagged.
pub fn check(budget: Probability, rows: usize, shares: Shares) -> Result<(), Unsupported> {
    let calibration = merged(rows, shares);
    // A hair less than FLAGGED_MIN: 10 / (10 / 77) is a little more than 77 in floating point.
    let needed = (FLAGGED_MIN * (1.0 - 1e-9) / budget.get()).ceil();
    if calibration as f64 >= needed {
        return Ok(());
    }
    // A saturating cast: a budget of zero needs more rows than there are.
    let calibration_needed = needed as usize;
    // The part is within a row of its share, so two rows of it below there are too few, and the
    // rows that suffice lie few steps up.
    let mut rows_needed = ((needed - 2.0).max(0.0) / shares.0[3]) as usize;
    while rows_needed < usize::MAX && merged(rows_needed, shares) < calibration_needed {
        rows_needed += 1;
    }
    let least = rounded_up(FLAGGED_MIN / calibration.max(1) as f64).min(1.0);
    let least = Probability::new(least).expect("between 0 and 1");
    Err(Unsupported { budget, rows, rows_needed, calibration, calibration_needed, least })
}

/// The next share with two digits: one that a person writes.
fn rounded_up(share: f64) -> f64 {
    let unit = 10_f64.powi(share.log10().floor() as i32 - 1);
    // A hair below, so that 7.7 % does not become 7.8 %.
    let up = (share / unit - 1e-9).ceil() * unit;
    format!("{up:.9}").parse::<f64>().map_or(up, |up| up.max(share))
}

/// Checks a part that was drawn already: `merged` of `rows` rows are in it.
///
/// # Errors
/// As [`check`].
pub fn check_part(budget: Probability, rows: usize, merged: usize) -> Result<(), Unsupported> {
    let share = merged as f64 / rows.max(1) as f64;
    let rest = (1.0 - share) / 4.0;
    check(budget, rows, Shares([rest, rest, rest, share, rest]))
}

fn merged(rows: usize, shares: Shares) -> usize {
    shares.sizes(rows)[3]
}

/// Between how many of `n` fresh clean rows a guard flags in 99 of 100 fits, calibrated on `m`.
///
/// Of k = ⌊budget · (m + 1)⌋ and exchangeable rows without ties the flagged share is
/// Beta(k, m + 1 − k), so the count is beta-binomial; ties only make it smaller. Central interval:
/// at most .5 % lie below and at most .5 % above. O(n).
///
/// # Source
/// V. Vovk, "Conditional validity of inductive conformal predictors", ACML 2012, proposition 2.
pub fn flagged_interval(budget: Probability, m: usize, n: usize) -> (usize, usize) {
    let k = flagged_ranks(budget, m);
    if k == 0 || k > m {
        // Nothing can be flagged, or everything is.
        return if k == 0 { (0, 0) } else { (n, n) };
    }
    let (a, b, n_f) = (k as f64, (m + 1 - k) as f64, n as f64);
    // ln P(0), then ln P(j + 1) / P(j): no gamma function, no overflow.
    let mut ln_p: f64 = (0..n).map(|i| ((b + i as f64) / (a + b + i as f64)).ln()).sum();
    let (mut below, mut low) = (0.0, None);
    for j in 0..=n {
        below += ln_p.exp();
        if below > 0.005 && low.is_none() {
            low = Some(j);
        }
        if below >= 0.995 {
            return (low.unwrap_or(j), j);
        }
        let j = j as f64;
        ln_p += ((n_f - j) / (j + 1.0) * (a + j) / (b + n_f - j - 1.0)).ln();
    }
    (low.unwrap_or(n), n)
}

/// Largest k with k / (m + 1) ≤ budget, by the same division that makes the p-value.
fn flagged_ranks(budget: Probability, m: usize) -> usize {
    let fits = |k: usize| k as f64 / (m + 1) as f64 <= budget.get();
    let mut k = (budget.get() * (m + 1) as f64) as usize;
    while fits(k + 1) && k <= m {
        k += 1;
    }
    while k > 0 && !fits(k) {
        k -= 1;
    }
    k
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::Calibration;

    fn share(text: &str) -> Probability {
        text.parse().unwrap()
    }

    #[test]
    fn one_percent_needs_ten_thousand_rows_and_says_so() {
        assert_eq!(check(share("1%"), 10_000, Shares::default()), Ok(()));
        let refusal = check(share("1%"), 9_000, Shares::default()).unwrap_err();
        assert_eq!((refusal.calibration, refusal.calibration_needed), (900, 1000));
        let message = refusal.to_string();
        assert!(message.contains("a budget of 1% needs at least"), "{message}");
        assert!(message.ends_with("raise the budget to 1.2%"), "{message}");
    }

    #[test]
    fn a_budget_of_zero_is_refused_whatever_the_rows() {
        assert!(check(share("0%"), 1_000_000, Shares::default()).is_err());
    }

    proptest! {
        #[test]
        fn the_rows_asked_for_suffice_and_so_does_the_least_budget(
            budget in 0.0005_f64..1.0,
            rows in 0_usize..20_000,
        ) {
            let budget = Probability::new(budget).unwrap();
            if let Err(refusal) = check(budget, rows, Shares::default()) {
                prop_assert_eq!(check(budget, refusal.rows_needed, Shares::default()), Ok(()));
                prop_assert!(check(budget, refusal.rows_needed - 1, Shares::default()).is_err());
                let digits = refusal.least.to_string().chars().filter(|c| ('1'..='9').contains(c)).count();
                prop_assert!(digits <= 2, "{}", refusal.least);
                if refusal.calibration >= 10 {
                    prop_assert_eq!(check(refusal.least, rows, Shares::default()), Ok(()));
                }
            }
        }

        #[test]
        fn as_many_ranks_are_flagged_as_the_p_value_flags(m in 1_usize..300, budget in 0.0_f64..1.0) {
            let calibration = Calibration::new((0..m).map(|i| i as f32).collect());
            // A row between two calibration rows has one of m + 1 ranks.
            let ranks = (0..=m).filter(|&i| calibration.p(i as f32 - 0.5) <= budget).count();
            prop_assert_eq!(flagged_ranks(Probability::new(budget).unwrap(), m), ranks);
        }
    }

    #[test]
    fn the_interval_is_that_of_the_beta_binomial() {
        // Python: the probabilities C(n, j) B(a + j, b + n - j) / B(a, b) by `math.lgamma`, summed.
        let check = |budget, m, n, expected| {
            assert_eq!(flagged_interval(share(budget), m, n), expected, "{budget} {m} {n}");
        };
        check("1%", 6000, 3000, (15, 49));
        check("1%", 1000, 500, (0, 14));
        check("0.1%", 10_000, 200_000, (71, 405));
        check("50%", 1, 2, (0, 2));
    }

    #[test]
    fn nothing_is_flagged_below_the_smallest_p_value_and_everything_at_one() {
        assert_eq!(flagged_interval(share("1%"), 98, 50), (0, 0));
        assert_eq!(flagged_interval(share("100%"), 98, 50), (50, 50));
    }
}
