//! How far another label leads once the restorer has had its way with the row.
//!
//! The smallest attacks stop where the model barely changes its mind: what the restorer gives back then
//! has another label by a clear lead. Blind to a change that the restorer leaves in place, and louder
//! for clean rows that the model finds hard: their label changes too.

use ndarray::ArrayViewMut1;

use super::{Detector, Kind, colour};
use crate::bundle::{Role, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "restored-margin",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Attack,
    suits: colour::suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |_, _, _| Box::new(RestoredMargin),
    load: |_, _| Ok(Box::new(RestoredMargin)),
};

const COLUMNS: Columns =
    Columns::X.and(Columns::ANSWER).and(Columns::RESTORED).and(Columns::RESTORED_ANSWER);

/// How much likelier M(R(x)) finds the best other label than the label of M(x): p(other) / p(label).
/// It learns nothing beyond the restorer itself.
struct RestoredMargin;

impl Detector for RestoredMargin {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (i, score) in scores.iter_mut().enumerate() {
            let (label, answer) = (rows.label(i), rows.restored_answer.row(i));
            let others = answer.iter().enumerate().filter(|&(k, _)| k != label);
            let other = others.map(|(_, &v)| v).fold(f32::NEG_INFINITY, f32::max);
            // Log-probabilities are within 60 nats: the odds are finite.
            *score = (other - answer[label]).exp();
        }
    }

    /// The features that the restorer changed.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        colour::changed(rows, i)
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        use candle_core::{D, Tensor};
        let label = soft.answer.argmax_keepdim(D::Minus1)?;
        let own = soft.restored_answer.gather(&label, 1)?;
        let away = Tensor::full(-1e9_f32, own.shape(), own.device())?;
        let other = soft.restored_answer.scatter(&label, &away, 1)?.max_keepdim(D::Minus1)?;
        (other - own)?.squeeze(1)?.exp().map(Some)
    }

    fn save(&self, _: &mut Tensors) {}
}
