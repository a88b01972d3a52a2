//! How far a row is from five rows of the reference, where they keep close together further.
//!
//! Beside `nearest_prototypes`, which measures every distance alike: a distance to a row counts less
//! if that row's own neighbours are far. So it sees a fake in the seam between two dense groups, and
//! is gentle to sparse corners of clean traffic; blind to a fake that lies as deep among clean rows
//! as they lie among themselves. O(k · d) a row.
//!
//! Source: the idea of M. M. Breunig, H.-P. Kriegel, R. T. Ng, J. Sander, "LOF: identifying
//! density-based local outliers", SIGMOD 2000, doi:10.1145/342009.335388, with two departures that
//! were measured: the square root of the radius, for the full ratio is worse on 12 ADBench sets
//! (AUROC .909 where the root has .923, both as prototypes of ours), and a floor under it.

use ndarray::{Array1, ArrayViewMut1};

use super::neighbours::{Neighbours, mean_of_nearest};
use super::tabular::suits;
use super::{Detector, Kind, Setting};
use crate::bundle::{Role, TensorError, Tensors};
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
    learn: |rows, setting, rng| Box::new(ScaledNeighbours::learn(rows, setting, rng)),
    load: |tensors, setting| Ok(Box::new(ScaledNeighbours::load(tensors, setting)?)),
};

const NAME: &str = "scaled-neighbours";

/// Neighbours of a row that is scored.
const NEIGHBOURS: usize = 5;

/// Mean over the nearest prototypes of distance · weight, in √deviations.
struct ScaledNeighbours {
    neighbours: Neighbours,
    /// Of each prototype 1 / √(mean distance to its own neighbours), `[k]`.
    weight: Array1<f32>,
}

impl ScaledNeighbours {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let neighbours = Neighbours::load(tensors, NAME, false, setting)?;
        let range = (f32::MIN_POSITIVE, WEIGHT_MAX);
        let expected = "positive numbers up to 1e6";
        let weight = tensors.within(WEIGHT, neighbours.len(), range, expected)?;
        Ok(Self { neighbours, weight })
    }
}

/// With it, and 1e9 as the farthest that two standardized rows can be apart, a score is finite.
const WEIGHT_MAX: f32 = 1e6;

impl Detector for ScaledNeighbours {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        self.neighbours.score(rows, &mut scores, |squares| {
            mean_of_nearest(squares, NEIGHBOURS, |k| self.weight[k])
        });
    }

    /// Where the row differs most from its nearest prototype.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        self.neighbours.parts_of_nearest(rows, i)
    }

    fn save(&self, tensors: &mut Tensors) {
        self.neighbours.save(tensors);
        tensors.put(WEIGHT, &[self.weight.len()], self.weight.to_vec());
    }
}

const WEIGHT: &str = "scaled-neighbours.weight";

#[cfg(feature = "fit")]
mod learn {
    use ndarray::Axis;
    use rand_chacha::ChaCha8Rng;

    use super::super::prototypes::{Prototypes, affordable};
    use super::super::tabular::Tabular;
    use super::*;
    use crate::math::draw;

    const PROTOTYPES: usize = 1000;

    /// Neighbours that a prototype's own distance is the mean over.
    const OWN: usize = 10;

    /// Share of the median distance between neighbours that is added to each radius: copies of one
    /// row would have none.
    const FLOOR: f32 = 0.1;

    impl ScaledNeighbours {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>, rng: &mut ChaCha8Rng) -> Self {
            let tabular = Tabular::learn(rows, setting.schema);
            let k = affordable(PROTOTYPES, tabular.width());
            let x = rows.x.select(Axis(0), &draw(rows.len(), k, rng));
            let x = tabular.matrix(x.view());
            let weight = weights(&x, &Prototypes::of(&x));
            Self { neighbours: Neighbours::of(NAME, tabular, &x), weight }
        }
    }

    /// 1 / √radius of every row of `x` `[k, d]`, the radius its mean distance to its [`OWN`] nearest
    /// others. Rows that are all the same have a radius of 1.
    fn weights(x: &ndarray::Array2<f32>, prototypes: &Prototypes) -> Array1<f32> {
        let mut squares = vec![0.0; prototypes.len()];
        let own = OWN.min(prototypes.len() - 1);
        let mut all = Vec::with_capacity(prototypes.len() * own);
        let mut radius = Array1::<f32>::ones(prototypes.len());
        for (k, row) in x.rows().into_iter().enumerate() {
            prototypes.squares(row.to_slice().expect("a row of its own"), &mut squares);
            squares[k] = f32::INFINITY;
            squares.sort_unstable_by(f32::total_cmp);
            let distances = squares[..own].iter().map(|square| square.sqrt());
            let start = all.len();
            all.extend(distances);
            radius[k] = all[start..].iter().sum::<f32>() / own.max(1) as f32;
        }
        all.sort_unstable_by(f32::total_cmp);
        let floor = FLOOR * all.get(all.len() / 2).copied().unwrap_or(0.0);
        let least = WEIGHT_MAX.powi(-2);
        match radius.iter().all(|radius| radius + floor <= least) {
            true => Array1::ones(prototypes.len()),
            false => radius.mapv(|radius| (radius + floor).max(2.0 * least).sqrt().recip()),
        }
    }

    #[cfg(test)]
    mod tests {
        use ndarray::{Array2, array};

        use super::*;

        #[test]
        fn distances_and_radii_are_those_of_sklearn() {
            // NearestNeighbors: mean of D / sqrt(r[i]) over the 5 nearest, r the mean of each row's
            // 10 nearest others plus .1 of np.sort(d.ravel())[d.size // 2].
            let x = Array2::from_shape_fn((14, 2), |(i, j)| match j {
                0 => (i * i) as f32 / 10.0,
                _ => (i * 3 % 7) as f32,
            });
            let prototypes = Prototypes::of(&x);
            let weight = weights(&x, &prototypes);
            for (z, expected) in [([1.0, 2.0], 0.743_221_2_f32), ([30.0, -4.0], 6.890_725)] {
                let mut squares = vec![0.0; prototypes.len()];
                prototypes.squares(&z, &mut squares);
                let mean = mean_of_nearest(&mut squares, NEIGHBOURS, |k| weight[k]);
                assert!((mean / expected - 1.0).abs() < 1e-5, "{mean}, not {expected}");
            }
        }

        #[test]
        fn a_row_among_close_ones_weighs_more_than_one_alone() {
            // Distances on a line: 0, 1, 3; each has two others.
            let x = array![[0.0], [1.0], [3.0]];
            let weight = weights(&x, &Prototypes::of(&x));
            // Median of {1, 3, 1, 2, 2, 3} as its upper middle is 2: radii 2.2, 1.7 and 2.7.
            let expected = array![2.2_f32, 1.7, 2.7].mapv(|radius| radius.sqrt().recip());
            assert!((&weight - &expected).iter().all(|off| off.abs() < 1e-6), "{weight}");
        }

        #[test]
        fn copies_of_one_row_are_as_far_from_another_as_it_is() {
            let x = array![[1.0], [1.0], [1.0]];
            assert_eq!(weights(&x, &Prototypes::of(&x)), array![1.0, 1.0, 1.0]);
        }
    }
}
