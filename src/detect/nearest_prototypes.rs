//! How far a row is from the nearest of a thousand typical rows.
//!
//! The typical rows are k-means centres of the reference, numbers measured in deviations, categories
//! as 0 and 1. Blind to a fake built in the midst of clean rows, and to a row that is near a typical
//! one in every number though clean rows keep closer together than that. O(k · d) a row.

use ndarray::{Array2, ArrayViewMut1};

use super::tabular::{Tabular, suits};
use super::{Detector, Kind, Setting};
use crate::bundle::{TensorError, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: NAME,
    needs: Columns::X,
    needs_guarded_model: false,
    suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, rng| Box::new(NearestPrototypes::learn(rows, setting, rng)),
    load: |tensors, setting| Ok(Box::new(NearestPrototypes::load(tensors, setting)?)),
};

const NAME: &str = "nearest-prototypes";

const PROTOTYPES_MAX: usize = 1000;

/// Euclidean distance to the nearest prototype, in deviations.
struct NearestPrototypes {
    tabular: Tabular,
    /// One prototype per column, `[d, k]`: a row's distances to all of them grow side by side.
    prototypes: Array2<f32>,
}

impl NearestPrototypes {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let tabular = Tabular::load(tensors, NAME, setting.schema)?;
        let k = tensors.vector(COUNT, None)?[0];
        if !(1.0..=PROTOTYPES_MAX as f32).contains(&k) || k.fract() != 0.0 {
            let expected = "a whole number from 1 to 1000";
            return Err(TensorError::Value { name: COUNT.into(), value: k, expected });
        }
        let prototypes = tensors.matrix(PROTOTYPES, tabular.width(), k as usize)?;
        Ok(Self { tabular, prototypes })
    }

    /// Squared distances to all prototypes into `squares` `[k]`; the nearest and its own.
    fn nearest(&self, z: &[f32], squares: &mut [f32]) -> (usize, f32) {
        squares.fill(0.0);
        for (&z, column) in z.iter().zip(self.prototypes.rows()) {
            let column = column.to_slice().expect("rows of a matrix of its own");
            squares.iter_mut().zip(column).for_each(|(sum, c)| *sum += (z - c) * (z - c));
        }
        let mut best = (0, f32::INFINITY);
        for (k, &square) in squares.iter().enumerate() {
            if square < best.1 {
                best = (k, square);
            }
        }
        best
    }

    /// Scratch for one call: `[d]` and `[k]`.
    fn scratch(&self) -> (Vec<f32>, Vec<f32>) {
        (vec![0.0; self.prototypes.nrows()], vec![0.0; self.prototypes.ncols()])
    }
}

impl Detector for NearestPrototypes {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let (mut z, mut squares) = self.scratch();
        for (row, score) in rows.x.rows().into_iter().zip(&mut scores) {
            self.tabular.standardize(row, &mut z);
            *score = self.nearest(&z, &mut squares).1.sqrt();
        }
    }

    /// Where the row differs most from its nearest prototype.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let (mut z, mut squares) = self.scratch();
        self.tabular.standardize(rows.x.row(i), &mut z);
        let (nearest, _) = self.nearest(&z, &mut squares);
        let centre = self.prototypes.column(nearest);
        z.iter_mut().zip(centre).for_each(|(z, c)| *z = (*z - c) * (*z - c));
        self.tabular.spread(&z, rows.x.ncols())
    }

    /// The nearest prototype.
    fn typical(&self, rows: &Rows<'_>, i: usize, typical: &mut [f32]) {
        let (mut z, mut squares) = self.scratch();
        self.tabular.standardize(rows.x.row(i), &mut z);
        let (nearest, _) = self.nearest(&z, &mut squares);
        self.tabular.restore(self.prototypes.column(nearest).iter().copied(), typical);
    }

    fn save(&self, tensors: &mut Tensors) {
        let (d, k) = self.prototypes.dim();
        self.tabular.save(tensors, NAME);
        tensors.put(COUNT, &[1], vec![k as f32]);
        tensors.put(PROTOTYPES, &[d, k], self.prototypes.iter().copied().collect());
    }
}

const COUNT: &str = "nearest-prototypes.count";
const PROTOTYPES: &str = "nearest-prototypes.prototypes";

#[cfg(feature = "fit")]
mod learn {
    use ndarray::Axis;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::math::{draw, k_means};

    /// Rows the centres are made from; more change little and cost as many distances more.
    const ROWS_MAX: usize = 20_000;

    /// Most numbers of all prototypes together: 1 MiB, so that they stay in the L2 cache. Up to 262
    /// columns there may be 1000 prototypes, beyond that fewer.
    const NUMBERS_MAX: usize = 1 << 18;

    impl NearestPrototypes {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>, rng: &mut ChaCha8Rng) -> Self {
            let tabular = Tabular::learn(rows, setting.schema);
            let drawn = draw(rows.len(), ROWS_MAX, rng);
            let x = rows.x.select(Axis(0), &drawn);
            let x = tabular.matrix(x.view());
            // A third of the rows at most, or each would be a centre of its own.
            let k = PROTOTYPES_MAX.min(x.nrows() / 3).min(NUMBERS_MAX / x.ncols()).max(1);
            let prototypes = k_means(&x, k, rng).t().as_standard_layout().into_owned();
            Self { tabular, prototypes }
        }
    }
}
