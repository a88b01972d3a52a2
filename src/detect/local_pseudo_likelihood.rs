//! The place where a row's pixels are least likely, each given the pixels around it.
//!
//! A stamp has edges that no clean row has there. Blind to triggers spread thin over the whole
//! image, and to a stamp that continues the texture around it.

use ndarray::ArrayViewMut1;

use super::neighbourhood::Neighbourhoods;
use super::texture::{Texture, suits};
use super::{Detector, Kind};
use crate::bundle::{Role, Tensors};
use crate::record::{Columns, Reasons, Rows};

pub(super) const KIND: Kind = Kind {
    name: "local-pseudo-likelihood",
    needs: COLUMNS,
    needs_guarded_model: false,
    role: Role::Trigger,
    suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| {
        let neighbourhoods = Neighbourhoods::of(setting.schema);
        Box::new(LocalPseudoLikelihood { texture: Texture::learn(rows, setting), neighbourhoods })
    },
    load: |tensors, setting| {
        let neighbourhoods = Neighbourhoods::of(setting.schema);
        let texture = Texture::load(tensors, setting)?;
        Ok(Box::new(LocalPseudoLikelihood { texture, neighbourhoods }))
    },
};

const COLUMNS: Columns = Columns::X.and(Columns::ANSWER).and(Columns::SURPRISAL);

/// Largest mean of max(z, 0) over 3×3 windows, unitless.
struct LocalPseudoLikelihood {
    texture: Texture,
    neighbourhoods: Neighbourhoods,
}

impl Detector for LocalPseudoLikelihood {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let mut z = vec![0.0; self.texture.width()];
        let mut scratch = self.neighbourhoods.scratch();
        for (i, score) in scores.iter_mut().enumerate() {
            self.texture.unlikely(rows, i, &mut z);
            *score = self.neighbourhoods.strangest(&z, &mut scratch);
        }
    }

    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let mut z = vec![0.0; self.texture.width()];
        self.texture.unlikely(rows, i, &mut z);
        z
    }

    fn explain(&self, rows: &Rows<'_>, i: usize) -> Reasons {
        self.neighbourhoods.explain(&self.parts(rows, i))
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        self.neighbourhoods.soft(&self.texture.soft(soft)?)
    }

    fn save(&self, tensors: &mut Tensors) {
        self.texture.save(tensors);
    }
}
