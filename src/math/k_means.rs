//! Centres of a cloud of rows.

use linfa::DatasetBase;
use linfa::traits::Fit;
use linfa_clustering::{KMeans, KMeansInit};
use ndarray::{Array2, ArrayView1, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// Steps of Lloyd's algorithm. Nearly all of the gain lies in the first few.
const STEPS_MAX: u64 = 20;

/// At most `k` centres of the rows `x` [n, d], `[·, d]`: fewer where fewer rows differ.
///
/// O(k n d) per step, at most 21 steps. The same rows and generator give the same bits on any
/// number of threads: only independent rows are shared among them.
///
/// # Panics
/// If `x` has no row, `k` is 0 or a squared distance is not finite.
///
/// # Source
/// D. Arthur, S. Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007, for the
/// first centres: linfa's own would measure every distance anew for each of them, O(k² n d). Then
/// S. Lloyd, "Least squares quantization in PCM", 1982, as linfa has it: the old centre counts as
/// one more row of its cluster.
pub fn k_means(x: &Array2<f32>, k: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let first = seeds(x, k, rng);
    // No random number is drawn here: the first centres are given.
    KMeans::params(first.nrows())
        .init_method(KMeansInit::Precomputed(first))
        .n_runs(1)
        .max_n_iterations(STEPS_MAX)
        .tolerance(1e-3)
        .fit(&DatasetBase::from(x.view()))
        .expect("finite rows and at least one centre")
        .centroids()
        .clone()
}

/// Rows drawn one by one, each with a probability that grows as its squared distance to the
/// nearest one drawn before.
fn seeds(x: &Array2<f32>, k: usize, rng: &mut ChaCha8Rng) -> Array2<f32> {
    assert!(x.nrows() > 0 && k > 0, "{k} centres of {} rows", x.nrows());
    let mut unit = || (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    let mut drawn = vec![(unit() * x.nrows() as f64) as usize];
    let mut nearest = vec![f64::INFINITY; x.nrows()];
    while drawn.len() < k {
        let last = x.row(drawn[drawn.len() - 1]);
        for (row, nearest) in x.rows().into_iter().zip(&mut nearest) {
            *nearest = nearest.min(squared_distance(row, last).into());
        }
        let total: f64 = nearest.iter().sum();
        if total <= 0.0 {
            break; // Every row is a centre already.
        }
        let mut left = unit() * total;
        let far = nearest.iter().position(|part| {
            left -= part;
            left < 0.0
        });
        // Rounding can leave nothing to the last row.
        let farthest = || (0..nearest.len()).max_by(|&a, &b| nearest[a].total_cmp(&nearest[b]));
        drawn.push(far.or_else(farthest).expect("at least one row"));
    }
    x.select(Axis(0), &drawn)
}

fn squared_distance(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum()
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn three_clouds_have_three_centres() {
        let clouds = [[0.0_f32, 1.0], [-10.0, 20.0], [-1.0, 10.0]];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut unit = || (rng.next_u32() >> 8) as f32 / (1 << 24) as f32 - 0.5;
        let x = Array2::from_shape_fn((300, 2), |(i, j)| clouds[i / 100][j] + unit());
        let centres = k_means(&x, 3, &mut ChaCha8Rng::seed_from_u64(2));
        for cloud in clouds {
            let distance = |row| squared_distance(row, ndarray::aview1(&cloud));
            let nearest = centres.rows().into_iter().map(distance).fold(f32::MAX, f32::min);
            assert!(nearest < 0.05, "{centres} has none at {cloud:?}");
        }
    }

    #[test]
    fn copies_of_two_rows_have_two_centres_however_many_are_asked_for() {
        let x = array![[1.0], [5.0], [1.0], [5.0], [5.0]];
        let centres = k_means(&x, 4, &mut ChaCha8Rng::seed_from_u64(3));
        let mut centres = centres.into_raw_vec_and_offset().0;
        centres.sort_unstable_by(f32::total_cmp);
        assert_eq!(centres, [1.0, 5.0]);
    }
}
