//! A latent space for comparing rows: the directions in which they differ most (principal components).
//!
//! Found by subspace iteration, so rows of 3,072 pixels cost no matrix of 3,072². The axes span the space of the largest
//! components; each by itself is no component.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rand_chacha::ChaCha8Rng;

use crate::fit::seed::unit;

/// A mean, and axes of length 1 that are perpendicular to each other.
pub struct Latent {
    mean: Array1<f32>,
    /// `[d, k]`.
    axes: Array2<f32>,
}

/// Rounds of the iteration: the space has settled where components fall off as those of images do.
const ROUNDS: usize = 6;
/// Added to each column's deviation, in pixels of [0, 1]: a column that never varies would drown the others.
const FLOOR: f32 = 0.02;

impl Latent {
    /// Of `x`, `[n, d]`; at most `k` axes, and no more than there are columns or rows.
    pub fn of(x: ArrayView2<'_, f32>, k: usize, rng: &mut ChaCha8Rng) -> Self {
        let k = k.min(x.ncols()).min(x.nrows());
        let mean = x.mean_axis(Axis(0)).expect("at least one row");
        let mut axes = Array2::from_shape_simple_fn((x.ncols(), k), || unit(rng) - 0.5);
        orthonormalize(&mut axes);
        for _ in 0..ROUNDS {
            let codes = centred(x, &mean, &axes);
            // (x − mean)ᵀ · codes, without a centred copy of x.
            let sums = codes.sum_axis(Axis(0));
            axes = x.t().dot(&codes);
            for (mut row, &mean) in axes.rows_mut().into_iter().zip(&mean) {
                row.scaled_add(-mean, &sums);
            }
            orthonormalize(&mut axes);
        }
        Self { mean, axes }
    }

    /// Where each row lies, `[n, k]`.
    pub fn codes(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        centred(x, &self.mean, &self.axes)
    }

    /// How far rows deviate in each column from what their codes say, with a floor, `[d]`.
    pub fn deviation(&self, x: ArrayView2<'_, f32>, codes: &Array2<f32>) -> Array1<f32> {
        let mut squares = Array1::<f64>::zeros(x.ncols());
        for (rows, codes) in
            x.axis_chunks_iter(Axis(0), 1024).zip(codes.axis_chunks_iter(Axis(0), 1024))
        {
            let twins = codes.dot(&self.axes.t()) + &self.mean;
            for (sum, column) in squares.iter_mut().zip((&rows - &twins).columns()) {
                *sum += column.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
            }
        }
        squares.mapv(|sum| (sum / x.nrows() as f64).sqrt() as f32 + FLOOR)
    }
}

fn centred(x: ArrayView2<'_, f32>, mean: &Array1<f32>, axes: &Array2<f32>) -> Array2<f32> {
    x.dot(axes) - mean.dot(axes)
}

/// Gram and Schmidt, twice for the sake of rounding. A column that depends on those before it becomes zero.
fn orthonormalize(axes: &mut Array2<f32>) {
    for _ in 0..2 {
        for j in 0..axes.ncols() {
            let (before, mut own) = axes.view_mut().split_at(Axis(1), j);
            let mut own = own.column_mut(0);
            let shares = before.t().dot(&own);
            own -= &before.dot(&shares);
            let length = own.dot(&own).sqrt();
            own.mapv_inplace(|x| if length > f32::MIN_POSITIVE { x / length } else { 0.0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::seed::{Use, stream};

    #[test]
    fn rows_that_lie_in_a_plane_have_no_rest_and_their_distances_stay() {
        let mut rng = stream(3, Use::Audit);
        let plane = Array2::from_shape_simple_fn((2, 9), || unit(&mut rng));
        let at = Array2::from_shape_simple_fn((40, 2), || unit(&mut rng));
        let x = at.dot(&plane) + 5.0;
        let latent = Latent::of(x.view(), 3, &mut rng);
        let codes = latent.codes(x.view());
        for deviation in latent.deviation(x.view(), &codes) {
            assert!((deviation - FLOOR).abs() < 1e-3, "{deviation}");
        }
        let square = |a: &Array2<f32>| (&a.row(0) - &a.row(7)).mapv(|x| x * x).sum();
        assert!((square(&x) - square(&codes)).abs() < 1e-3);
    }
}
