//! A covariance turned into the map that undoes it.

use linfa_linalg::cholesky::Cholesky;
use linfa_linalg::triangular::{SolveTriangular, UPLO};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};

/// Rows whose products are summed at a time: bounds the copy in `f64`.
const ROWS: usize = 1024;

/// Mean variance below which nothing varies, in the rows' units.
const SOME: f64 = 1e-12;

/// Mean `[d]` and whitening map W `[d, d]` of the rows `x` [n, d]: lower triangular, with
/// WᵀW = (Σ + ridge · mean variance · I)⁻¹, Σ the population covariance.
///
/// W (x − mean) then has about unit covariance along every wide direction; along the ones that
/// hardly vary the ridge sets the unit. Where nothing varies at all the ridge is `ridge` itself.
///
/// O(n d² + d³) in `f64`.
///
/// # Panics
/// If `x` has no row, a value is not finite, or `ridge` is not above 1e-9.
///
/// # Source
/// A. Kessy, A. Lewin, K. Strimmer, "Optimal whitening and decorrelation", The American
/// Statistician 72(4), 2018, doi:10.1080/00031305.2016.1277159: Cholesky whitening.
pub fn whitening(x: ArrayView2<'_, f32>, ridge: f64) -> (Array1<f32>, Array2<f32>) {
    let (n, d) = x.dim();
    assert!(n > 0 && ridge > 1e-9, "{n} rows, ridge {ridge}");
    let mut mean = Array1::<f64>::zeros(d);
    for row in x.rows() {
        mean.zip_mut_with(&row, |mean, &v| *mean += f64::from(v) / n as f64);
    }
    let mut covariance = Array2::<f64>::zeros((d, d));
    for chunk in x.axis_chunks_iter(Axis(0), ROWS) {
        let centred = chunk.mapv(f64::from) - &mean;
        covariance += &(centred.t().dot(&centred) / n as f64);
    }
    let variance = covariance.diag().sum() / d.max(1) as f64;
    // Rounding leaves rows that are all the same a variance of their own.
    let floor = ridge * if variance > SOME { variance } else { 1.0 };
    covariance.diag_mut().mapv_inplace(|v| v + floor);
    let factor = covariance.cholesky().expect("the ridge makes it positive definite");
    let inverse = factor.solve_triangular(&Array2::eye(d), UPLO::Lower).expect("no zero pivot");
    let mut whiten = inverse.mapv(|v| v as f32);
    (0..d).for_each(|i| whiten.slice_mut(s![i, i + 1..]).fill(0.0));
    (mean.mapv(|v| v as f32), whiten)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    /// The squared distance of `x` from the rows' mean.
    fn distance(rows: &Array2<f32>, ridge: f64, x: &[f32]) -> f32 {
        let (mean, whiten) = whitening(rows.view(), ridge);
        whiten.dot(&(&ndarray::aview1(x) - &mean)).mapv(|v| v * v).sum()
    }

    #[test]
    fn the_distance_is_that_of_the_inverse_covariance() {
        let rows = array![
            [64.0, 580.0, 29.0],
            [66.0, 570.0, 33.0],
            [68.0, 590.0, 37.0],
            [69.0, 660.0, 46.0],
            [73.0, 600.0, 55.0_f32]
        ];
        // NumPy: z @ inv(C + ridge * trace(C) / 3 * eye(3)) @ z, with C = cov(rows.T, bias=True)
        // and z the row less the mean.
        let check = |ridge, expected: f32| {
            let got = distance(&rows, ridge, &[66.0, 640.0, 44.0]);
            assert!((got / expected - 1.0).abs() < 1e-3, "ridge {ridge}: {got}");
        };
        check(0.01, 3.471_725_8);
        check(1e-8, 35.571_65);
    }

    #[test]
    fn rows_that_do_not_vary_leave_the_ridge_alone() {
        let rows = array![[2.0, 3.0], [2.0, 3.0_f32]];
        assert!((distance(&rows, 0.01, &[3.0, 3.0]) - 100.0).abs() < 1e-3);
    }
}
