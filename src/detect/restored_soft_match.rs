//! Whether the protected model's whole answer, not only its favourite, is the same on a row and on the
//! restorer's version of it.
//!
//! Both answers are made three times softer first: an attack that was pushed until the model was sure
//! moves the labels behind the favourite too. Blind to the smallest changes, which stop at the boundary
//! and leave those labels as they were: that is for `restored_match` and `restored_margin`.
//!
//! Source: temperature, G. Vacanti, A. Van Looveren, arXiv:2002.09364, §3.2.

use ndarray::ArrayViewMut1;

use super::{Detector, Kind, colour};
use crate::bundle::{Role, Tensors};
use crate::math::kl_softened;
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "restored-soft-match",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Attack,
    suits: colour::suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |_, _, _| Box::new(RestoredSoftMatch),
    load: |_, _| Ok(Box::new(RestoredSoftMatch)),
};

const COLUMNS: Columns =
    Columns::X.and(Columns::ANSWER).and(Columns::RESTORED).and(Columns::RESTORED_ANSWER);

/// What logits are divided by.
const TEMPERATURE: f32 = 3.0;

/// KL(M(x) ‖ M(R(x))) in nats, both at [`TEMPERATURE`]. It learns nothing beyond the restorer itself.
struct RestoredSoftMatch;

impl Detector for RestoredSoftMatch {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (i, score) in scores.iter_mut().enumerate() {
            *score = kl_softened(rows.answer.row(i), rows.restored_answer.row(i), TEMPERATURE);
        }
    }

    /// The features that the restorer changed.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        colour::changed(rows, i)
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        let softened = |answer: &candle_core::Tensor| {
            let softer = (answer / f64::from(TEMPERATURE))?;
            candle_nn::ops::log_softmax(&softer, candle_core::D::Minus1)
        };
        super::Soft::kl(&softened(&soft.answer)?, &softened(&soft.restored_answer)?).map(Some)
    }

    fn save(&self, _: &mut Tensors) {}
}
