//! How far a row is from the nearest of sixteen drawn rows, sixty-four times over.
//!
//! For a reference that may hold attacks: in a sample of sixteen there is seldom one of them, so a
//! group of attacks that keeps close together stays far from most samples, where full nearest
//! neighbours find each other and call it normal. Samples are drawn from what an isolation forest
//! parts least easily. Blind to attacks that make up much of that, and to everything that is far
//! only by the measure of a dense neighbourhood: sixteen rows know no density. O(1024 d) a row.
//!
//! Source: M. Sugiyama, K. M. Borgwardt, "Rapid distance-based outlier detection via sampling",
//! NIPS 2013, averaged over samples as in K. M. Ting, T. Washio, J. R. Wells, S. Aryal, "Defying the
//! gravity of learning curve", Machine Learning 106, 2017, doi:10.1007/s10994-016-5586-4.

use ndarray::ArrayViewMut1;

use super::prototypes::{Prototypes, least};
use super::tabular::{Tabular, compress, suits};
use super::{Detector, Kind, Setting};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: NAME,
    needs: Columns::X,
    needs_guarded_model: false,
    role: Role::Trigger,
    suits,
    contaminated_only: true,
    voice: |_| 1.5,
    #[cfg(feature = "fit")]
    learn: |rows, setting, rng| Box::new(SampledNeighbours::learn(rows, setting, rng)),
    load: |tensors, setting| Ok(Box::new(SampledNeighbours::load(tensors, setting)?)),
};

const NAME: &str = "sampled-neighbours";

/// Rows of a sample.
const SAMPLE: usize = 16;

/// Mean over the samples of the distance to the nearest row, in robust deviations, their logarithm
/// beyond three.
struct SampledNeighbours {
    tabular: Tabular,
    /// One sample after the other; the last may be shorter.
    drawn: Prototypes,
}

impl SampledNeighbours {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let tabular = Tabular::load(tensors, NAME, setting.schema)?;
        let drawn = Prototypes::load(tensors, NAME, tabular.width())?;
        Ok(Self { tabular, drawn })
    }

    fn scratch(&self) -> (Vec<f32>, Vec<f32>) {
        (vec![0.0; self.drawn.width()], vec![0.0; self.drawn.len()])
    }
}

impl Detector for SampledNeighbours {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let (mut z, mut squares) = self.scratch();
        let samples = squares.len().div_ceil(SAMPLE) as f32;
        for (row, score) in rows.x.rows().into_iter().zip(&mut scores) {
            self.tabular.standardize(row, &mut z);
            compress(&mut z);
            self.drawn.squares(&z, &mut squares);
            *score = squares.chunks(SAMPLE).map(|s| least(s).1.sqrt()).sum::<f32>() / samples;
        }
    }

    /// Where the row differs most from the nearest of each sample.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let (mut z, mut squares) = self.scratch();
        self.tabular.standardize(rows.x.row(i), &mut z);
        compress(&mut z);
        self.drawn.squares(&z, &mut squares);
        let mut parts = vec![0.0; z.len()];
        for (at, sample) in squares.chunks(SAMPLE).enumerate() {
            let nearest = self.drawn.get(at * SAMPLE + least(sample).0);
            for ((part, z), c) in parts.iter_mut().zip(&z).zip(nearest) {
                *part += (z - c) * (z - c);
            }
        }
        self.tabular.spread(&parts, rows.x.ncols())
    }

    fn save(&self, tensors: &mut Tensors) {
        self.tabular.save(tensors, NAME);
        self.drawn.save(tensors, NAME);
    }
}

#[cfg(feature = "fit")]
mod learn {
    use ndarray::Axis;
    use rand_chacha::ChaCha8Rng;

    use super::super::isolation_forest::crowd;
    use super::super::prototypes::affordable;
    use super::*;
    use crate::math::draw;

    const SAMPLES: usize = 64;

    /// Share of the rows that no sample is drawn from.
    const TRIMMED: f64 = 0.25;

    impl SampledNeighbours {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>, rng: &mut ChaCha8Rng) -> Self {
            let crowd = crowd(rows, TRIMMED, setting, rng);
            let x = rows.x.select(Axis(0), &crowd);
            let tabular = Tabular::robust(x.view(), setting.schema);
            let samples = affordable(SAMPLES * SAMPLE, tabular.width()).div_ceil(SAMPLE);
            let drawn: Vec<usize> =
                (0..samples).flat_map(|_| draw(x.nrows(), SAMPLE, rng)).collect();
            let mut x = tabular.matrix(x.select(Axis(0), &drawn).view());
            compress(x.as_slice_mut().expect("its own layout"));
            Self { tabular, drawn: Prototypes::of(&x) }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::super::super::tabular::outnumbered;
        use super::*;

        #[test]
        fn attacks_in_the_reference_are_told_from_it() {
            outnumbered(|rows, setting, rng| {
                Box::new(SampledNeighbours::learn(rows, setting, rng))
            });
        }
    }
}
