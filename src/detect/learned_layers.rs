//! What a small network, taught by attacks of our own, thinks of the protected model's inner layers.
//!
//! An attacked row is seldom on the way to its label that clean rows of that label take. It reads what
//! the run of the model leaves behind, so it costs no further run. Blind to an attack that imitates the
//! inside of its target too (feature matching), and to families unlike those it was taught by.

use ndarray::ArrayViewMut1;

use super::{Detector, Kind, colour};
use crate::bundle::{Role, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "learned-layers",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Attack,
    suits: colour::suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |_, _, _| Box::new(LearnedLayers),
    load: |_, _| Ok(Box::new(LearnedLayers)),
};

/// The restorer's version is for the explanation only.
const COLUMNS: Columns = Columns::X.and(Columns::RESTORED).and(Columns::LAYER_ODDS);

/// The odds that the network gives the row of being attacked, times e⁴. What was learned is in the network.
struct LearnedLayers;

impl Detector for LearnedLayers {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (score, &z) in scores.iter_mut().zip(rows.layer_odds) {
            *score = colour::odds(z);
        }
    }

    /// The features that the restorer changed: the network itself names none.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        colour::changed(rows, i)
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        colour::soft_odds(&soft.layer_odds).map(Some)
    }

    fn save(&self, _: &mut Tensors) {}
}
