//! How much each detector counts in the merged score, from clean rows alone.
//!
//! Detectors that say the same thing on clean rows share one voice: with C the correlation of their
//! surprises, w minimizes ½ wᵀCw − Σw over w ≥ 0. Two detectors that agree fully weigh half each,
//! independent ones weigh 1. No attack has a say, so figures measured on attacks are not
//! flattered; weights chosen on attacks of our own making would be stronger.
//!
//! Source: generalized least squares for one common effect (A. C. Aitken, 1936), kept non-negative.

use ndarray::Array1;

use crate::math::Moments;

/// One weight in [0, 1] per detector. Shapes: `surprises` k arrays [n] over the same rows. O(k² n).
pub fn weights(surprises: &[Array1<f32>]) -> Vec<f32> {
    let correlation = correlation(surprises);
    let mut w = vec![0.0; surprises.len()];
    // Coordinate descent: each step is exact, and the problem is convex.
    for _ in 0..1000 {
        for i in 0..w.len() {
            let others: f64 =
                (0..w.len()).filter(|&j| j != i).map(|j| correlation[i][j] * w[j]).sum();
            w[i] = (1.0 - others).max(0.0);
        }
    }
    // Four digits: no power hangs on the fifth, and a person reads them in the manifest.
    w.into_iter().map(|w: f64| ((w * 1e4).round() / 1e4) as f32).collect()
}

fn correlation(columns: &[Array1<f32>]) -> Vec<Vec<f64>> {
    let standard = |column: &Array1<f32>| {
        let mut moments = Moments::new(1);
        column.iter().for_each(|&v| moments.add(ndarray::aview1(&[v])));
        let (mean, deviation) = (moments.mean()[0], moments.deviation()[0].max(f32::MIN_POSITIVE));
        column.mapv(|v| f64::from((v - mean) / deviation))
    };
    let standard: Vec<_> = columns.iter().map(standard).collect();
    let n = columns.first().map_or(1, Array1::len).max(1) as f64;
    let row = |a: &Array1<f64>| standard.iter().map(|b| a.dot(b) / n).collect();
    standard.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn detectors_that_say_the_same_share_one_voice() {
        let a = array![0.0, 1.0, 2.0, 3.0];
        let independent = array![1.0, -1.0, -1.0, 1.0];
        let w = weights(&[a.clone(), 2.0 * &a, independent]);
        assert!((w[0] + w[1] - 1.0).abs() < 1e-3, "{w:?}");
        assert!((w[2] - 1.0).abs() < 1e-3, "{w:?}");
    }

    #[test]
    fn half_correlated_pairs_weigh_two_thirds() {
        // C = [[1, .5], [.5, 1]]: w = 1 / 1.5.
        let w = weights(&[
            array![1.0, 1.0, -1.0, -1.0, 0.0, 0.0],
            array![1.0, 0.0, 0.0, -1.0, 1.0, -1.0],
        ]);
        assert!(w.iter().all(|w| (w - 2.0 / 3.0).abs() < 1e-3), "{w:?}");
    }
}
