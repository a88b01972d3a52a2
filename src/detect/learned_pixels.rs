//! What a small network, taught by attacks of our own, thinks of a row's pixels.
//!
//! It hears the texture that attacks leave, patches loudest of all, and asks the protected model
//! nothing. Blind to attacks unlike those it was taught by, to triggers that look like paint, and to
//! changes so small that the texture hides them.

use ndarray::ArrayViewMut1;

use super::{Detector, Kind, colour};
use crate::bundle::{Role, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "learned-pixels",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Attack,
    suits: colour::suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |_, _, _| Box::new(LearnedPixels),
    load: |_, _| Ok(Box::new(LearnedPixels)),
};

/// The restorer's version is for the explanation only.
const COLUMNS: Columns = Columns::X.and(Columns::RESTORED).and(Columns::PIXEL_ODDS);

/// The odds that the network gives the row of being attacked, times e⁴. What was learned is in the network.
struct LearnedPixels;

impl Detector for LearnedPixels {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (score, &z) in scores.iter_mut().zip(rows.pixel_odds) {
            *score = colour::odds(z);
        }
    }

    /// The features that the restorer changed: the network itself names none.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        colour::changed(rows, i)
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        colour::soft_odds(&soft.pixel_odds).map(Some)
    }

    fn save(&self, _: &mut Tensors) {}
}
