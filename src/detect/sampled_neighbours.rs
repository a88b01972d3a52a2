//! How far a row is from the nearest of sixteen drawn rows, sixty-four times over.
//!
//! For a reference that may hold attacks: in a sample of sixteen there is seldom one of them, so a
//! group of attacks that keeps close together stays far from most samples, where full nearest
//! neighbours find each other and call it normal. Samples are drawn from what an isolation forest
//! parts with the most cuts. Blind to attacks that make up much of that, and to everything that is far
//! only by the measure of a dense neighbourhood: sixteen rows know no density. O(1024 d) a row.
//!
//! Source: M. Sugiyama, K. M. Borgwardt, "Rapid distance-based outlier detection via sampling",
//! NIPS 2013, averaged over samples as in K. M. Ting, T. Washio, J. R. Wells, S. Aryal, "Defying the
//! gravity of learning curve", Machine Learning 106, 2017, doi:10.1007/s10994-016-5586-4.

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
    contaminated_only: true,
    voice: |_| 1.5,
    #[cfg(feature = "fit")]
    learn: |rows, setting, rng| Box::new(SampledNeighbours::learn(rows, setting, rng)),
    load: |tensors, setting| {
        Ok(Box::new(SampledNeighbours(Neighbours::load(tensors, NAME, true, setting)?)))
    },
};

const NAME: &str = "sampled-neighbours";

/// Rows of a sample.
const SAMPLE: usize = 16;

/// Mean over the samples of the distance to the nearest row, in robust deviations, their logarithm
/// beyond three.
/// One sample after the other; the last may be shorter.
struct SampledNeighbours(Neighbours);

impl Detector for SampledNeighbours {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let samples = self.0.len().div_ceil(SAMPLE) as f32;
        self.0.score(rows, &mut scores, |squares| {
            squares.chunks(SAMPLE).map(|sample| least(sample).1.sqrt()).sum::<f32>() / samples
        });
    }

    /// Where the row differs most from the nearest of each sample.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        self.0.parts(rows, i, |squares| {
            let samples = squares.chunks(SAMPLE).enumerate();
            let nearest: Vec<_> = samples.map(|(at, s)| at * SAMPLE + least(s).0).collect();
            nearest.into_iter()
        })
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
                Box::new(SampledNeighbours::learn(rows, setting, rng))
            });
        }
    }
}
