//! How unlikely a row's pixels are, each given the pixels around it.
//!
//! Anything that dirties the usual texture: L∞ attacks, noise, stamps. It knows the clean rows'
//! texture and nothing about attacks. Blind to a change that keeps the texture (on-support attacks of
//! small strength: measured TPR at 1 % below .2), and it hears harmless sensor noise too.
//!
//! Source: J. Besag, "Statistical analysis of non-lattice data", The Statistician 24, 1975.

use ndarray::ArrayViewMut1;

use super::texture::{Texture, suits};
use super::{Detector, Kind};
use crate::bundle::{Role, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "pseudo-likelihood",
    needs: COLUMNS,
    needs_protected_model: false,
    role: Role::Attack,
    suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| Box::new(PseudoLikelihood(Texture::learn(rows, setting))),
    load: |tensors, setting| Ok(Box::new(PseudoLikelihood(Texture::load(tensors, setting)?))),
};

const COLUMNS: Columns = Columns::X.and(Columns::ANSWER).and(Columns::SURPRISAL);

/// Mean of max(z, 0)² over the row, unitless.
struct PseudoLikelihood(Texture);

impl Detector for PseudoLikelihood {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let mut z = vec![0.0; self.0.width()];
        for (i, score) in scores.iter_mut().enumerate() {
            self.0.unlikely(rows, i, &mut z);
            *score = z.iter().map(|z| z * z).sum::<f32>() / z.len().max(1) as f32;
        }
    }

    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let mut z = vec![0.0; self.0.width()];
        self.0.unlikely(rows, i, &mut z);
        z.iter_mut().for_each(|z| *z *= *z);
        z
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        self.0.soft(soft)?.sqr()?.mean(candle_core::D::Minus1).map(Some)
    }

    fn save(&self, tensors: &mut Tensors) {
        self.0.save(tensors);
    }
}
