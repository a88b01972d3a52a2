//! How unlikely each pixel is given its neighbours, against what is usual for the label at that place.

use ndarray::Array2;

use super::Setting;
use crate::bundle::{TensorError, Tensors};
use crate::record::{Feature, Rows, Schema};

/// Deviations that still count: squares of them add up to something finite over the widest row.
const FAR: f32 = 1e6;

/// Mean and scale of −ln p, given the label and the place.
pub(super) struct Texture {
    /// In nats, `[labels, d]`.
    mean: Array2<f32>,
    /// 1 / deviation, `[labels, d]`.
    scale: Array2<f32>,
}

/// Whether rows of this schema are one image: what the likelihood network is made for.
pub(super) fn suits(schema: &Schema) -> bool {
    let mut seen = schema.features.iter().filter(|feature| feature.width() > 0);
    matches!((seen.next(), seen.next()), (Some(Feature::Image { .. }), None))
}

impl Texture {
    /// How many deviations row `i`'s pixels are less likely than usual, into `z` `[d]`, unitless;
    /// 0 for those that are more likely. 0 everywhere if the column is not there.
    pub(super) fn unlikely(&self, rows: &Rows<'_>, i: usize, z: &mut [f32]) {
        let k = rows.label(i);
        let learned = self.mean.row(k).into_iter().zip(self.scale.row(k));
        for ((z, &nats), (mean, scale)) in z.iter_mut().zip(rows.surprisal.row(i)).zip(learned) {
            *z = ((nats - mean) * scale).clamp(0.0, FAR);
        }
    }

    /// [`Texture::unlikely`] of all rows with a gradient, `[n, d]`.
    #[cfg(feature = "fit")]
    pub(super) fn soft(&self, soft: &super::Soft) -> candle_core::Result<candle_core::Tensor> {
        let above = soft.surprisal.sub(&soft.of_label(&self.mean)?)?;
        above.mul(&soft.of_label(&self.scale)?)?.relu()
    }

    pub(super) fn width(&self) -> usize {
        self.mean.ncols()
    }

    pub(super) fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let (labels, d) = (setting.labels, setting.schema.width());
        let mean = tensors.matrix("texture.mean", labels, d)?;
        let scale = tensors.deviations("texture.scale", labels, d)?;
        Ok(Self { mean, scale })
    }

    pub(super) fn save(&self, tensors: &mut Tensors) {
        let shape = self.mean.shape().to_vec();
        tensors.put("texture.mean", &shape, self.mean.iter().copied().collect());
        tensors.put("texture.scale", &shape, self.scale.iter().copied().collect());
    }
}

#[cfg(feature = "fit")]
mod learn {
    use super::*;
    use crate::math::Moments;

    /// Rows a label needs before it gets moments of its own; with fewer, it takes everyone's.
    const LABEL_ROWS_MIN: u64 = 50;

    /// Added to every deviation, in nats: a background pixel that is always certain would turn one
    /// count of noise into an alarm.
    const FLOOR: f32 = 0.2;

    impl Texture {
        pub(in crate::detect) fn learn(rows: &Rows<'_>, setting: Setting<'_>) -> Self {
            let d = rows.surprisal.ncols();
            let mut everyone = Moments::new(d);
            let mut labelled = vec![Moments::new(d); setting.labels];
            for (i, nats) in rows.surprisal.rows().into_iter().enumerate() {
                everyone.add(nats);
                labelled[rows.label(i)].add(nats);
            }
            let mut mean = Array2::zeros((setting.labels, d));
            let mut scale = Array2::zeros((setting.labels, d));
            for (k, own) in labelled.iter().enumerate() {
                let moments = if own.rows() < LABEL_ROWS_MIN { &everyone } else { own };
                mean.row_mut(k).assign(&moments.mean());
                scale.row_mut(k).assign(&moments.deviation().mapv(|s| (s + FLOOR).recip()));
            }
            Self { mean, scale }
        }
    }
}
