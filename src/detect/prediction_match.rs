//! Whether the protected model answers the same on a row and on its autoencoder's version of it.
//!
//! An attack is built to move the answer; the autoencoder drops most of what it added, and the
//! answer moves back. Catches small perturbations and triggers that reconstruction does not see.
//! Blind to attacks adapted to the autoencoder, and to anything that leaves both answers equal.
//!
//! Source: G. Vacanti, A. Van Looveren, "Adversarial detection and correction by matching
//! prediction distributions", arXiv:2002.09364, 2020.

use ndarray::ArrayViewMut1;

use super::{Detector, Kind};
use crate::bundle::{Role, Tensors};
use crate::math::kl;
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "prediction-match",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Both,
    suits: |_| true,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |_, _, _| Box::new(PredictionMatch),
    load: |_, _| Ok(Box::new(PredictionMatch)),
};

const COLUMNS: Columns =
    Columns::X.and(Columns::TWIN).and(Columns::ANSWER).and(Columns::TWIN_ANSWER);

/// KL(M(x) ‖ M(AE(x))) in nats. It learns nothing beyond the autoencoder itself.
struct PredictionMatch;

impl Detector for PredictionMatch {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (i, score) in scores.iter_mut().enumerate() {
            *score = kl(rows.answer.row(i), rows.twin_answer.row(i));
        }
    }

    /// The features that the autoencoder changed: the model's answer hangs on some of them; which
    /// ones would take its gradient.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let pairs = rows.x.row(i).into_iter().zip(rows.twin.row(i));
        pairs.map(|(x, twin)| (x - twin) * (x - twin)).collect()
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        super::Soft::kl(&soft.answer, &soft.twin_answer).map(Some)
    }

    fn save(&self, _: &mut Tensors) {}
}
