//! How coarse a number is made before it is tried whether that helps.

/// A round step for a number within `min..=max`: the largest of 1, 2 and 5 times a power of ten that divides the bounds
/// into 20 steps or more. `fit` gives bounds of three times the range it saw, so about seven steps hold clean rows.
pub fn step_of(min: f64, max: f64) -> f64 {
    const STEPS: f64 = 20.0;
    let most = (max - min) / STEPS;
    if !(most.is_finite() && most > 0.0) {
        return 1.0;
    }
    let mut power = 1.0;
    while power * 10.0 <= most {
        power *= 10.0;
    }
    while power > most {
        power /= 10.0;
    }
    [5.0, 2.0].into_iter().map(|times| times * power).find(|step| *step <= most).unwrap_or(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_neither_too_fine_nor_too_coarse() {
        for (min, max, step) in [
            (-56.0, 163.0, 10.0),
            (0.0, 100.0, 5.0),
            (0.0, 300_000.0, 10_000.0),
            (0.0, 1.0, 0.05),
            (3.0, 3.0, 1.0),
        ] {
            let got = step_of(min, max);
            assert!((got - step).abs() < 1e-9 * step, "{min}..{max}: {got}");
        }
        assert!(step_of(f64::MIN, f64::MAX) == 1.0);
    }
}
