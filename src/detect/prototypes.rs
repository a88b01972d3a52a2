//! Rows that stand for the reference, laid side by side: how far another row is from each of them.
//!
//! What nearest-neighbour detectors share. It measures; which rows stand for the others, and what a
//! distance means, is theirs to say.

use ndarray::{Array2, ArrayView1};

use crate::bundle::{TensorError, Tensors};

/// Most rows that stand for the others: bounds what a hostile bundle asks for, and `fit` leaves no
/// more.
pub(super) const PROTOTYPES_MAX: usize = 1024;

/// `k` rows `[d]`, one per column: a row's distances to all of them grow together.
pub(super) struct Prototypes(Array2<f32>);

impl Prototypes {
    /// From `count` and `prototypes` under the detector's name, `d` numbers a row.
    pub(super) fn load(tensors: &Tensors, detector: &str, d: usize) -> Result<Self, TensorError> {
        let name = format!("{detector}.count");
        let k = tensors.vector(&name, Some(1))?[0];
        if !(1.0..=PROTOTYPES_MAX as f32).contains(&k) || k.fract() != 0.0 {
            let expected = "a whole number from 1 to 1024";
            return Err(TensorError::Value { name, value: k, expected });
        }
        Ok(Self(tensors.matrix(&format!("{detector}.prototypes"), d, k as usize)?))
    }

    pub(super) fn save(&self, tensors: &mut Tensors, detector: &str) {
        let (d, k) = self.0.dim();
        tensors.put(format!("{detector}.count"), &[1], vec![k as f32]);
        let values = self.0.iter().copied().collect();
        tensors.put(format!("{detector}.prototypes"), &[d, k], values);
    }

    pub(super) fn len(&self) -> usize {
        self.0.ncols()
    }

    /// Numbers of a row.
    pub(super) fn width(&self) -> usize {
        self.0.nrows()
    }

    pub(super) fn get(&self, k: usize) -> ArrayView1<'_, f32> {
        self.0.column(k)
    }

    /// Squared distance of `z` `[d]` to each, into `squares` `[k]`. O(k d).
    pub(super) fn squares(&self, z: &[f32], squares: &mut [f32]) {
        squares.fill(0.0);
        for (&z, column) in z.iter().zip(self.0.rows()) {
            let column = column.to_slice().expect("rows of a matrix of its own");
            squares.iter_mut().zip(column).for_each(|(sum, c)| *sum += (z - c) * (z - c));
        }
    }
}

/// The least of `squares` and where it is; the first of equals.
pub(super) fn least(squares: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::INFINITY);
    for (k, &square) in squares.iter().enumerate() {
        if square < best.1 {
            best = (k, square);
        }
    }
    best
}

#[cfg(feature = "fit")]
mod learn {
    use super::*;

    /// Most numbers of all prototypes together: 1 MiB, so that they stay in the L2 cache. Up to 262
    /// columns there may be 1000 prototypes, beyond that fewer.
    const NUMBERS_MAX: usize = 1 << 18;

    impl Prototypes {
        /// The rows `x` [k, d].
        pub(in crate::detect) fn of(x: &Array2<f32>) -> Self {
            Self(x.t().as_standard_layout().into_owned())
        }
    }

    /// How many of `wanted` prototypes a detector of rows `d` wide may keep.
    pub(in crate::detect) fn affordable(wanted: usize, d: usize) -> usize {
        wanted.min(NUMBERS_MAX / d.max(1)).max(1)
    }
}

#[cfg(feature = "fit")]
pub(super) use learn::affordable;
