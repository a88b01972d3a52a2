//! How large the mean of a count may be.

/// The mean of a Poisson law of which `count` or fewer come with probability `miss`: an upper limit of the mean that is
/// too low with that probability. O(count).
///
/// # Source
/// F. Garwood, "Fiducial limits for the Poisson distribution", 1936, solved by bisection.
pub fn poisson_upper(count: u64, miss: f64) -> f64 {
    let factorial: f64 = (1..=count).map(|k| (k as f64).ln()).sum();
    let at_most = |mean: f64| {
        // From the last term down: each is k / mean of the one before.
        let (mut term, mut sum) = (1.0, 1.0);
        for k in (1..=count).rev() {
            term *= k as f64 / mean;
            sum += term;
        }
        (count as f64 * mean.ln() - mean - factorial).exp() * sum
    };
    let (mut low, mut high) = (count as f64 + 1e-9, 2.0 * count as f64 + 40.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if at_most(middle) > miss { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upper_bounds_of_counts_are_those_of_the_gamma_law() {
        // scipy.stats.gamma.ppf(1 - miss, count + 1)
        for (count, miss, expected) in
            [(0, 0.01, 4.605_170), (5, 0.01 / 810.0, 22.270_70), (100, 1e-4, 142.715_34)]
        {
            let got = poisson_upper(count, miss);
            assert!((got - expected).abs() < 1e-4, "{count}: {got}");
        }
    }
}
