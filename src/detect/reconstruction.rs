//! How far a row is from its autoencoder's version of it, each feature in its own spread.
//!
//! Catches large changes and inputs unlike anything in the reference. Blind to small
//! perturbations (an unwhitened residual has AUROC near .6 on CW-L2) and to anything the
//! autoencoder reproduces: pair it with `prediction_match`, which watches the model's answer.

use ndarray::{Array1, ArrayViewMut1};

use super::{Detector, Kind, Setting, tabular};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "reconstruction",
    needs: Columns::TWIN,
    needs_protected_model: false,
    role: Role::Attack,
    suits: |_| true,
    contaminated_only: false,
    voice: tabular::minor,
    #[cfg(feature = "fit")]
    learn: |rows, _, _| Box::new(Reconstruction::learn(rows)),
    load: |tensors, setting| Ok(Box::new(Reconstruction::load(tensors, setting)?)),
};

/// Deviations that still count: the squares of a row of 2²⁰ numbers that far out have a finite sum.
const FAR: f32 = 1e15;

/// Mean over features of ((x − twin − mean) / deviation)², unitless; about 1 for clean rows.
struct Reconstruction {
    /// Mean residual on clean rows, `[d]`.
    mean: Array1<f32>,
    /// 1 / floored deviation of the residual on clean rows, `[d]`.
    scale: Array1<f32>,
}

impl Reconstruction {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let d = setting.schema.width();
        Ok(Self {
            mean: tensors.vector("reconstruction.mean", Some(d))?,
            scale: tensors.vector("reconstruction.scale", Some(d))?,
        })
    }

    /// Squared standardized residuals of row `i`, `[d]`.
    fn squares<'a>(&'a self, rows: &'a Rows<'_>, i: usize) -> impl Iterator<Item = f32> + 'a {
        let learned = self.mean.iter().zip(&self.scale);
        rows.x.row(i).into_iter().zip(rows.twin.row(i)).zip(learned).map(
            |((x, twin), (mean, scale))| {
                let z = ((x - twin - mean) * scale).clamp(-FAR, FAR);
                z * z
            },
        )
    }
}

impl Detector for Reconstruction {
    fn needs(&self) -> Columns {
        KIND.needs
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        for (i, score) in scores.iter_mut().enumerate() {
            *score = self.squares(rows, i).sum::<f32>() / self.mean.len() as f32;
        }
    }

    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        self.squares(rows, i).collect()
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        let learned = |values: &Array1<f32>| {
            candle_core::Tensor::from_slice(&values.to_vec(), (1, values.len()), soft.x.device())
        };
        let residual = soft.x.sub(&soft.twin)?.broadcast_sub(&learned(&self.mean)?)?;
        let z = residual.broadcast_mul(&learned(&self.scale)?)?;
        z.sqr()?.mean(candle_core::D::Minus1).map(Some)
    }

    fn save(&self, tensors: &mut Tensors) {
        let d = self.mean.len();
        tensors.put("reconstruction.mean", &[d], self.mean.to_vec());
        tensors.put("reconstruction.scale", &[d], self.scale.to_vec());
    }
}

#[cfg(feature = "fit")]
mod learn {
    use super::super::whitening::Floor;
    use super::*;
    use crate::math::Moments;

    impl Reconstruction {
        pub(super) fn learn(rows: &Rows<'_>) -> Self {
            let mut moments = Moments::new(rows.x.ncols());
            for (x, twin) in rows.x.rows().into_iter().zip(rows.twin.rows()) {
                moments.add((&x - &twin).view());
            }
            Self { mean: moments.mean(), scale: Floor::of(rows).scale(&moments) }
        }
    }
}
