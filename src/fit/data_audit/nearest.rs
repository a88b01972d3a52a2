//! The nearest rows of every row, exactly: all pairs, in blocks.

use ndarray::parallel::prelude::*;
use ndarray::{Array2, ArrayView2, Axis};

/// Who is near whom.
pub struct Nearest {
    /// `[n, k]`, the nearest first.
    rows: Array2<u32>,
}

/// Rows of a block: its distances to all others fit into a cache's neighbourhood.
const BLOCK: usize = 128;

impl Nearest {
    /// The `k` nearest of every row of `codes` but itself; fewer if there are fewer.
    pub fn of(codes: ArrayView2<'_, f32>, k: usize) -> Self {
        let n = codes.nrows();
        let k = k.min(n.saturating_sub(1));
        let squares: Vec<f32> = codes.rows().into_iter().map(|row| row.dot(&row)).collect();
        let mut rows = Array2::zeros((n, k));
        rows.axis_chunks_iter_mut(Axis(0), BLOCK)
            .into_par_iter()
            .zip(codes.axis_chunks_iter(Axis(0), BLOCK).into_par_iter())
            .enumerate()
            .for_each(|(block, (mut rows, own))| {
                let products = own.dot(&codes.t());
                let mut nearest = Vec::with_capacity(k + 1);
                for (i, (mut row, products)) in
                    rows.rows_mut().into_iter().zip(products.rows()).enumerate()
                {
                    let distances = products
                        .iter()
                        .zip(&squares)
                        .map(|(&product, square)| square - 2.0 * product);
                    take_nearest(distances, block * BLOCK + i, k, &mut nearest);
                    row.iter_mut().zip(&nearest).for_each(|(row, &(_, j))| *row = j);
                }
            });
        Self { rows }
    }

    /// How many there are of each row.
    pub fn k(&self) -> usize {
        self.rows.ncols()
    }

    /// The nearest first.
    pub fn of_row(&self, i: usize) -> impl Iterator<Item = usize> + '_ {
        self.rows.row(i).into_iter().map(|&j| j as usize)
    }
}

/// The `k` smallest but that at `own`, sorted.
fn take_nearest(
    distances: impl Iterator<Item = f32>,
    own: usize,
    k: usize,
    nearest: &mut Vec<(f32, u32)>,
) {
    nearest.clear();
    let mut worst = f32::INFINITY;
    for (j, distance) in distances.enumerate() {
        if distance >= worst || j == own {
            continue;
        }
        let at = nearest.partition_point(|&(other, _)| other <= distance);
        nearest.insert(at, (distance, j as u32));
        nearest.truncate(k);
        if nearest.len() == k {
            worst = nearest.last().map_or(f32::NEG_INFINITY, |last| last.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_nearest_come_first_and_nobody_is_his_own_neighbour() {
        let near = Nearest::of(array![[0.0], [1.0], [3.0], [7.0]].view(), 2);
        let all: Vec<Vec<usize>> = (0..4).map(|i| near.of_row(i).collect()).collect();
        assert_eq!(all, [[1, 2], [0, 2], [1, 0], [2, 1]]);
        assert_eq!(Nearest::of(array![[0.0], [1.0]].view(), 5).k(), 1);
    }
}
