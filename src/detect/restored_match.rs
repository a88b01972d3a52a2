//! Whether the protected model answers the same on a row and on the restorer's version of it.
//!
//! The restorer keeps detail that the autoencoder drops, and was taught on attacks to give back the
//! row before them: so it hears smaller changes than `prediction_match` does, on-support ones among
//! them. Blind to triggers, which it passes on, and to attacks adapted to it.
//!
//! Source: G. Vacanti, A. Van Looveren, arXiv:2002.09364; the restorer's training on attacks is ours.

use ndarray::ArrayViewMut1;

use super::{Detector, Kind};
use crate::bundle::{Role, Tensors};
use crate::math::kl;
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "restored-match",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Attack,
    suits: |_| true,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |_, _, _| Box::new(RestoredMatch),
    load: |_, _| Ok(Box::new(RestoredMatch)),
};

const COLUMNS: Columns =
    Columns::X.and(Columns::ANSWER).and(Columns::RESTORED).and(Columns::RESTORED_ANSWER);

/// KL(M(x) ‖ M(R(x))) in nats. It learns nothing beyond the restorer itself.
struct RestoredMatch;

impl Detector for RestoredMatch {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (i, score) in scores.iter_mut().enumerate() {
            *score = kl(rows.answer.row(i), rows.restored_answer.row(i));
        }
    }

    /// The features that the restorer changed.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let pairs = rows.x.row(i).into_iter().zip(rows.restored.row(i));
        pairs.map(|(x, restored)| (x - restored) * (x - restored)).collect()
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        super::Soft::kl(&soft.answer, &soft.restored_answer).map(Some)
    }

    fn save(&self, _: &mut Tensors) {}
}
