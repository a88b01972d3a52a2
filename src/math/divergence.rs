//! Categorical answers and how far two of them are apart.

use ndarray::{ArrayView1, ArrayViewMut2};

/// Turns each row of logits, `[n, k]`, into log-probabilities, in place.
///
/// Shifts by the row's maximum first, so any finite logits give finite log-probabilities, none
/// below `LOG_PROBABILITY_MIN`: an answer of exactly 0 would make every divergence infinite.
pub fn log_softmax_rows(mut logits: ArrayViewMut2<'_, f32>) {
    for mut row in logits.rows_mut() {
        let max = row.fold(f32::NEG_INFINITY, |m, &v| m.max(v));
        let log_sum = row.fold(0.0_f32, |s, &v| s + (v - max).exp()).ln() + max;
        row.mapv_inplace(|v| (v - log_sum).max(LOG_PROBABILITY_MIN));
    }
}

/// e⁻⁶⁰ ≈ 1e-26: far below any probability a classifier means, far above `f32`'s underflow.
pub const LOG_PROBABILITY_MIN: f32 = -60.0;

/// Kullback–Leibler divergence Σ p (ln p − ln q), in nats, of two rows of log-probabilities `[k]`.
///
/// Never negative and always finite for rows out of [`log_softmax_rows`]. O(k).
pub fn kl(p: ArrayView1<'_, f32>, q: ArrayView1<'_, f32>) -> f32 {
    let sum: f32 = p.iter().zip(q).map(|(&lp, &lq)| lp.exp() * (lp - lq)).sum();
    sum.max(0.0)
}

/// Kullback–Leibler divergence of softened answers: each row of log-probabilities is first divided by
/// `temperature` and normalized again.
///
/// Never negative and finite for rows out of [`log_softmax_rows`]. O(k), allocates nothing.
pub fn kl_softened(p: ArrayView1<'_, f32>, q: ArrayView1<'_, f32>, temperature: f32) -> f32 {
    let total =
        |row: &ArrayView1<'_, f32>| row.iter().map(|&v| (v / temperature).exp()).sum::<f32>().ln();
    let (of_p, of_q) = (total(&p), total(&q));
    let term = |(&p, &q): (&f32, &f32)| {
        let p = p / temperature - of_p;
        p.exp() * (p - (q / temperature - of_q))
    };
    p.iter().zip(&q).map(term).sum::<f32>().max(0.0)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn softened_answers_are_closer_and_at_temperature_one_they_are_the_answers() {
        let mut logits = array![[0.5_f32.ln(), 0.5_f32.ln()], [0.9_f32.ln(), 0.1_f32.ln()]];
        log_softmax_rows(logits.view_mut());
        let (p, q) = (logits.row(0), logits.row(1));
        assert!((kl_softened(p, q, 1.0) - kl(p, q)).abs() < 1e-6);
        // √.9 : √.1 is .75 : .25; .5 ln(.5/.75) + .5 ln(.5/.25) = 0.143841 nats.
        assert!((kl_softened(p, q, 2.0) - 0.143_841).abs() < 1e-5);
    }

    #[test]
    fn kl_of_a_fair_and_a_biased_coin_is_the_textbook_number() {
        // .5 ln(.5/.9) + .5 ln(.5/.1) = 0.510826 nats.
        let mut logits = array![[0.5_f32.ln(), 0.5_f32.ln()], [0.9_f32.ln(), 0.1_f32.ln()]];
        log_softmax_rows(logits.view_mut());
        assert!((kl(logits.row(0), logits.row(1)) - 0.510_825_6).abs() < 1e-6);
        assert_eq!(kl(logits.row(0), logits.row(0)), 0.0);
    }

    #[test]
    fn logits_of_any_finite_size_give_finite_divergences() {
        let mut logits = array![[f32::MAX, 0.0, f32::MIN], [-1e30, 0.0, 1e30], [0.0, 0.0, 0.0]];
        log_softmax_rows(logits.view_mut());
        assert!(logits.iter().all(|v| v.is_finite() && *v <= 1e-6), "{logits}");
        for (i, j) in [(0, 1), (1, 0), (0, 2), (2, 1)] {
            assert!(kl(logits.row(i), logits.row(j)).is_finite());
        }
    }
}
