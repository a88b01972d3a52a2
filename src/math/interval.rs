//! How far a share or an area measured on a sample may be from the truth.
//!
//! Knows only the sample's size: rows that are not drawn independently (frames of one video,
//! copies of one attack) are worth fewer than they count.

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// 95 % interval of a share `estimate` of `n` independent draws: Wilson's. In [0, 1], contains the
/// estimate, and has a width even at 0 and 1; all of [0, 1] if `n` is 0.
///
/// # Source
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927;
/// recommended by Brown, Cai, DasGupta, "Interval estimation for a binomial proportion", 2001.
pub fn wilson(estimate: f64, n: usize) -> (f64, f64) {
    if n == 0 || estimate.is_nan() {
        return (0.0, 1.0);
    }
    let n = n as f64;
    let centre = estimate + Z * Z / (2.0 * n);
    let half = Z * (estimate * (1.0 - estimate) / n + Z * Z / (4.0 * n * n)).sqrt();
    let at = |value: f64| (value / (1.0 + Z * Z / n)).clamp(0.0, 1.0);
    // The clamps matter in the last bit only.
    (at(centre - half).min(estimate), at(centre + half).max(estimate))
}

/// 95 % interval of an area under the ROC curve, of `low` and `high` scores. In [0, 1], contains the
/// estimate, and has a width even at 0 and 1, where DeLong's has none.
///
/// The areas θ with |estimate − θ| = z · √V(θ), where V is the variance for exponential scores:
/// V(θ) = θ (1 − θ) (1 + N (1 − θ) / (2 − θ) + N θ / (1 + θ)) / (low · high), N = (low + high) / 2 − 1.
///
/// # Source
/// R. G. Newcombe, "Confidence intervals for an effect size measure based on the Mann–Whitney
/// statistic. Part 2", Statistics in Medicine 25, 2006, method 5.
pub fn auroc_interval(estimate: f64, low: usize, high: usize) -> (f64, f64) {
    if low == 0 || high == 0 || estimate.is_nan() {
        return (0.0, 1.0);
    }
    let (m, n) = (low as f64, high as f64);
    let pairs = (m + n) / 2.0 - 1.0;
    let width = |t: f64| {
        let shape = 1.0 + pairs * (1.0 - t) / (2.0 - t) + pairs * t / (1.0 + t);
        Z * (t * (1.0 - t) * shape / (m * n)).max(0.0).sqrt()
    };
    // Between the estimate and the edge, |estimate − θ| − z √V(θ) changes its sign once.
    let solve = |edge: f64| {
        let (mut inside, mut outside) = (estimate, edge);
        for _ in 0..60 {
            let middle = (inside + outside) / 2.0;
            match (estimate - middle).abs() < width(middle) {
                true => inside = middle,
                false => outside = middle,
            }
        }
        inside
    };
    (solve(0.0), solve(1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn near((a, b): (f64, f64), (c, d): (f64, f64)) {
        assert!((a - c).abs() < 5e-7 && (b - d).abs() < 5e-7, "({a}, {b}), not ({c}, {d})");
    }

    #[test]
    fn shares_have_the_interval_that_scipy_gives_them() {
        // scipy 1.17: `binomtest(k, n).proportion_ci(method="wilson")`.
        near(wilson(0.0, 500), (0.0, 0.007_624_3));
        near(wilson(217.0 / 500.0, 500), (0.391_223_6, 0.477_782_8));
        near(wilson(1.0, 500), (0.992_375_7, 1.0));
        near(wilson(0.5, 2), (0.094_531_2, 0.905_468_8));
    }

    #[test]
    fn areas_have_the_interval_of_the_formula_solved_by_scipy() {
        // `scipy.optimize.brentq` on |estimate − θ| − z √V(θ), on either side of the estimate.
        near(auroc_interval(0.986, 5000, 1000), (0.981_343_8, 0.989_489_3));
        near(auroc_interval(1.0, 5000, 1000), (0.998_846_5, 1.0));
        near(auroc_interval(0.6, 20, 10), (0.384_448_9, 0.778_824_9));
    }

    proptest! {
        #[test]
        fn an_interval_contains_its_estimate_and_shrinks_with_more_rows(
            k in 0_usize..500,
            more in 0_usize..500,
            factor in 2_usize..50,
        ) {
            let n = (k + more).max(1);
            let share = k as f64 / n as f64;
            for interval in [wilson as fn(f64, usize) -> _, |area, n| auroc_interval(area, n, n)] {
                let (low, high) = interval(share, n);
                prop_assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
                let (a, b) = interval(share, n * factor);
                prop_assert!(b - a <= high - low + 1e-12);
            }
        }

        #[test]
        fn a_larger_estimate_has_no_smaller_limits(a in 0.0_f64..=1.0, b in 0.0_f64..=1.0, n in 1_usize..500) {
            for interval in [wilson as fn(f64, usize) -> _, |area, n| auroc_interval(area, n, n)] {
                let (low, high) = (interval(a.min(b), n), interval(a.max(b), n));
                prop_assert!(low.0 <= high.0 + 1e-9 && low.1 <= high.1 + 1e-9);
            }
        }
    }
}
