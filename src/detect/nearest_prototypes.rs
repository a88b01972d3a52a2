//! How far a row is from the nearest of a thousand typical rows.
//!
//! The typical rows are k-means centres of the reference, numbers measured in deviations, categories
//! as 0 and 1. Blind to a fake built in the midst of clean rows, and to a row that is near a typical
//! one in every number though clean rows keep closer together than that: that is for
//! `scaled_neighbours`. O(k · d) a row.

use ndarray::ArrayViewMut1;

use super::prototypes::{Prototypes, least};
use super::tabular::{Tabular, suits};
use super::{Detector, Kind, Setting};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: NAME,
    needs: Columns::X,
    needs_guarded_model: false,
    role: Role::Trigger,
    suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, rng| Box::new(NearestPrototypes::learn(rows, setting, rng)),
    load: |tensors, setting| Ok(Box::new(NearestPrototypes::load(tensors, setting)?)),
};

const NAME: &str = "nearest-prototypes";

/// Euclidean distance to the nearest prototype, in deviations.
struct NearestPrototypes {
    tabular: Tabular,
    prototypes: Prototypes,
}

impl NearestPrototypes {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let tabular = Tabular::load(tensors, NAME, setting.schema)?;
        let prototypes = Prototypes::load(tensors, NAME, tabular.width())?;
        Ok(Self { tabular, prototypes })
    }

    /// Scratch for one call: `[d]` and `[k]`.
    fn scratch(&self) -> (Vec<f32>, Vec<f32>) {
        (vec![0.0; self.prototypes.width()], vec![0.0; self.prototypes.len()])
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
            self.prototypes.squares(&z, &mut squares);
            *score = least(&squares).1.sqrt();
        }
    }

    /// Where the row differs most from its nearest prototype.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let (mut z, mut squares) = self.scratch();
        self.tabular.standardize(rows.x.row(i), &mut z);
        self.prototypes.squares(&z, &mut squares);
        let centre = self.prototypes.get(least(&squares).0);
        z.iter_mut().zip(centre).for_each(|(z, c)| *z = (*z - c) * (*z - c));
        self.tabular.spread(&z, rows.x.ncols())
    }

    /// The nearest prototype.
    fn typical(&self, rows: &Rows<'_>, i: usize, typical: &mut [f32]) {
        let (mut z, mut squares) = self.scratch();
        self.tabular.standardize(rows.x.row(i), &mut z);
        self.prototypes.squares(&z, &mut squares);
        let nearest = self.prototypes.get(least(&squares).0);
        self.tabular.restore(nearest.iter().copied(), typical);
    }

    fn save(&self, tensors: &mut Tensors) {
        self.tabular.save(tensors, NAME);
        self.prototypes.save(tensors, NAME);
    }
}

#[cfg(feature = "fit")]
mod learn {
    use ndarray::Axis;
    use rand_chacha::ChaCha8Rng;

    use super::super::prototypes::affordable;
    use super::*;
    use crate::math::{draw, k_means};

    const CENTRES: usize = 1000;

    /// Rows the centres are made from; more change little and cost as many distances more.
    const ROWS_MAX: usize = 20_000;

    impl NearestPrototypes {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>, rng: &mut ChaCha8Rng) -> Self {
            let tabular = Tabular::learn(rows, setting.schema);
            let drawn = draw(rows.len(), ROWS_MAX, rng);
            let x = rows.x.select(Axis(0), &drawn);
            let x = tabular.matrix(x.view());
            let k = affordable(CENTRES.min(x.nrows()), x.ncols());
            let prototypes = Prototypes::of(&k_means(&x, k, rng));
            Self { tabular, prototypes }
        }
    }
}
