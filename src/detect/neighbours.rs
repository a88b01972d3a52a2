//! A row against rows of the reference: what the detectors of distances share.
//!
//! How a row is measured, kept and explained. Which rows stand for the reference, and what their
//! distances mean, is each detector's own.

use super::Setting;
use super::prototypes::{Prototypes, least};
use super::tabular::{Tabular, compress};
use crate::bundle::{TensorError, Tensors};
use crate::record::Rows;

/// Rows of the reference, and the measure that they are told apart by.
pub(super) struct Neighbours {
    /// Of the detector: its tensors begin with it.
    name: &'static str,
    tabular: Tabular,
    points: Prototypes,
    /// Whether numbers beyond three deviations count by their logarithm.
    compressed: bool,
}

impl Neighbours {
    pub(super) fn load(
        tensors: &Tensors,
        name: &'static str,
        compressed: bool,
        setting: Setting<'_>,
    ) -> Result<Self, TensorError> {
        let tabular = Tabular::load(tensors, name, setting.schema)?;
        let points = Prototypes::load(tensors, name, tabular.width())?;
        Ok(Self { name, tabular, points, compressed })
    }

    pub(super) fn save(&self, tensors: &mut Tensors) {
        self.tabular.save(tensors, self.name);
        self.points.save(tensors, self.name);
    }

    /// How many rows of the reference there are.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// A score for each row, from its squared distances to the reference's, `[len]`, which it may
    /// overwrite.
    pub(super) fn score<'s>(
        &self,
        rows: &Rows<'_>,
        scores: impl IntoIterator<Item = &'s mut f32>,
        of: impl Fn(&mut [f32]) -> f32,
    ) {
        let (mut z, mut squares) = self.scratch();
        for (i, score) in (0..rows.len()).zip(scores) {
            self.measure(rows, i, &mut z, &mut squares);
            *score = of(&mut squares);
        }
    }

    /// How far row `i` is in each feature from those of the reference that `which` names, given its
    /// squared distances: squares summed over them.
    pub(super) fn parts<I: Iterator<Item = usize>>(
        &self,
        rows: &Rows<'_>,
        i: usize,
        which: impl FnOnce(&[f32]) -> I,
    ) -> Vec<f32> {
        let (mut z, mut squares) = self.scratch();
        self.measure(rows, i, &mut z, &mut squares);
        let mut parts = vec![0.0; z.len()];
        for k in which(&squares) {
            for ((part, z), c) in parts.iter_mut().zip(&z).zip(self.points.get(k)) {
                *part += (z - c) * (z - c);
            }
        }
        self.tabular.spread(&parts, rows.x.ncols())
    }

    /// Each column's part in the distance to the nearest row alone.
    pub(super) fn parts_of_nearest(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        self.parts(rows, i, |squares| std::iter::once(least(squares).0))
    }

    /// The nearest row of the reference, in the row's own units.
    pub(super) fn nearest(&self, rows: &Rows<'_>, i: usize, nearest: &mut [f32]) {
        let (mut z, mut squares) = self.scratch();
        self.measure(rows, i, &mut z, &mut squares);
        let point = self.points.get(least(&squares).0);
        self.tabular.restore(point.iter().copied(), nearest);
    }

    fn measure(&self, rows: &Rows<'_>, i: usize, z: &mut [f32], squares: &mut [f32]) {
        self.tabular.standardize(rows.x.row(i), z);
        if self.compressed {
            compress(z);
        }
        self.points.squares(z, squares);
    }

    /// `[d]` and `[len]`.
    fn scratch(&self) -> (Vec<f32>, Vec<f32>) {
        (vec![0.0; self.points.width()], vec![0.0; self.points.len()])
    }
}

/// Mean over the nearest `count` of their distance times its weight; overwrites their squares.
pub(super) fn mean_of_nearest(
    squares: &mut [f32],
    count: usize,
    weight: impl Fn(usize) -> f32,
) -> f32 {
    let count = count.min(squares.len());
    let mut sum = 0.0;
    for _ in 0..count {
        let (k, square) = least(squares);
        sum += square.sqrt() * weight(k);
        squares[k] = f32::INFINITY;
    }
    sum / count as f32
}

#[cfg(feature = "fit")]
mod learn {
    use ndarray::Array2;

    use super::*;

    impl Neighbours {
        /// The rows `x` [k, d] of the reference, standardized.
        pub(in crate::detect) fn of(name: &'static str, tabular: Tabular, x: &Array2<f32>) -> Self {
            Self { name, tabular, points: Prototypes::of(x), compressed: false }
        }

        /// Rows of the reference, where numbers beyond three deviations count by their logarithm.
        pub(in crate::detect) fn compressed(
            name: &'static str,
            tabular: Tabular,
            mut x: Array2<f32>,
        ) -> Self {
            compress(x.as_slice_mut().expect("its own layout"));
            Self { compressed: true, ..Self::of(name, tabular, &x) }
        }
    }
}
