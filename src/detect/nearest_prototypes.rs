//! How far a row is from the nearest of a thousand typical rows.
//!
//! The typical rows are k-means centres of the reference, numbers measured in deviations, categories
//! as 0 and 1. Blind to a fake built in the midst of clean rows, and to a row that is near a typical
//! one in every number though clean rows keep closer together than that: that is for
//! `scaled_neighbours`. O(k · d) a row.

use ndarray::ArrayViewMut1;

use super::neighbours::Neighbours;
use super::prototypes::least;
use super::tabular::suits;
use super::{Detector, Kind};
use crate::bundle::{Role, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: NAME,
    needs: Columns::X,
    needs_protected_model: false,
    role: Role::Trigger,
    suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, rng| Box::new(NearestPrototypes::learn(rows, setting, rng)),
    load: |tensors, setting| {
        Ok(Box::new(NearestPrototypes(Neighbours::load(tensors, NAME, false, setting)?)))
    },
};

const NAME: &str = "nearest-prototypes";

/// Euclidean distance to the nearest prototype, in deviations.
struct NearestPrototypes(Neighbours);

impl Detector for NearestPrototypes {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        self.0.score(rows, &mut scores, |squares| least(squares).1.sqrt());
    }

    /// Where the row differs most from its nearest prototype.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        self.0.parts_of_nearest(rows, i)
    }

    /// The nearest prototype.
    fn typical(&self, rows: &Rows<'_>, i: usize, typical: &mut [f32]) {
        self.0.nearest(rows, i, typical);
    }

    fn save(&self, tensors: &mut Tensors) {
        self.0.save(tensors);
    }
}

#[cfg(feature = "fit")]
mod learn {
    use ndarray::Axis;
    use rand_chacha::ChaCha8Rng;

    use super::super::Setting;
    use super::super::prototypes::affordable;
    use super::super::tabular::Tabular;
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
            let centres = k_means(&x, k, rng);
            Self(Neighbours::of(NAME, tabular, &centres))
        }
    }
}
