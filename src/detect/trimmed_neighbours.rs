//! How far a row is from the nearest five of a thousand rows of the crowd.
//!
//! For a reference that may hold attacks: a quarter of it, what an isolation forest parts from the
//! rest with the fewest cuts, has no say, so few attacks are left to be found near each other and taken for
//! normal; and distances are measured so that one wild number does not outweigh all others. Blind to
//! attacks in the crowd's midst, and to a group of them so large or so central that the forest
//! keeps it. O(1000 d) a row.
//!
//! Source: S. Ramaswamy, R. Rastogi, K. Shim, "Efficient algorithms for mining outliers from large
//! data sets", SIGMOD 2000, doi:10.1145/342009.335437, with the mean of the distances instead of the
//! last of them.

use ndarray::ArrayViewMut1;

use super::neighbours::{Neighbours, mean_of_nearest};
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
    contaminated_only: true,
    voice: |_| 1.5,
    #[cfg(feature = "fit")]
    learn: |rows, setting, rng| Box::new(TrimmedNeighbours::learn(rows, setting, rng)),
    load: |tensors, setting| {
        Ok(Box::new(TrimmedNeighbours(Neighbours::load(tensors, NAME, true, setting)?)))
    },
};

const NAME: &str = "trimmed-neighbours";

/// Neighbours of a row that is scored.
const NEIGHBOURS: usize = 5;

/// Mean distance to the nearest rows, in robust deviations, their logarithm beyond three.
struct TrimmedNeighbours(Neighbours);

impl Detector for TrimmedNeighbours {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        self.0.score(rows, &mut scores, |squares| mean_of_nearest(squares, NEIGHBOURS, |_| 1.0));
    }

    /// Where the row differs most from its nearest.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        self.0.parts_of_nearest(rows, i)
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
    use super::super::isolation_forest::crowd;
    use super::super::prototypes::affordable;
    use super::super::tabular::Tabular;
    use super::*;
    use crate::math::draw;

    const ROWS: usize = 1000;

    /// Share of the rows that has no say.
    const TRIMMED: f64 = 0.25;

    impl TrimmedNeighbours {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>, rng: &mut ChaCha8Rng) -> Self {
            let crowd = crowd(rows, TRIMMED, setting, rng);
            let x = rows.x.select(Axis(0), &crowd);
            let tabular = Tabular::robust(x.view(), setting.schema);
            let drawn = draw(x.nrows(), affordable(ROWS, tabular.width()), rng);
            let x = tabular.matrix(x.select(Axis(0), &drawn).view());
            Self(Neighbours::compressed(NAME, tabular, x))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::super::super::tabular::outnumbered;
        use super::*;

        #[test]
        fn attacks_in_the_reference_are_told_from_it() {
            outnumbered(|rows, setting, rng| {
                Box::new(TrimmedNeighbours::learn(rows, setting, rng))
            });
        }
    }
}
