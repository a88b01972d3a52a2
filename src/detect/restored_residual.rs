//! Where the restorer changed a row most, against what it usually changes there.
//!
//! A patch stands out in one small window of |x − R(x)| although the whole row hardly differs. Blind to
//! what is spread over the image (AUROC .53 on PGD of 2/255), and to a patch that the restorer leaves.

use ndarray::{Array1, ArrayViewMut1};

use super::{Detector, Kind, Setting, colour};
use crate::bundle::{Role, TensorError, Tensors};
use crate::math::max_window_mean;
use crate::record::{Columns, Feature, Rows, Schema};

pub(super) const KIND: Kind = Kind {
    name: "restored-residual",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Trigger,
    suits: colour::suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| Box::new(RestoredResidual::learn(rows, setting)),
    load: |tensors, setting| Ok(Box::new(RestoredResidual::load(tensors, setting)?)),
};

const COLUMNS: Columns = Columns::X.and(Columns::RESTORED);

/// Side of a window, in pixels: between the smallest patch that moves an answer and the largest that
/// nobody notices.
const WINDOW: usize = 4;

/// Deviations that still count: means of a few stay finite.
const FAR: f32 = 1e15;

/// Largest window mean of (mean |x − R(x)| over channels − usual) / deviation; 0 if none is above the
/// usual. Unitless.
struct RestoredResidual {
    /// Per place, `[h · w]`.
    mean: Array1<f32>,
    /// 1 / floored deviation, `[h · w]`.
    scale: Array1<f32>,
    plane: Plane,
}

/// Where the image lies in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Plane {
    start: usize,
    channels: usize,
    height: usize,
    width: usize,
}

impl Plane {
    /// The first image of the schema; empty without one.
    fn of(schema: &Schema) -> Self {
        let image = |(feature, columns): (&Feature, std::ops::Range<usize>)| match *feature {
            Feature::Image { channels, height, width, .. } => Some(Self {
                start: columns.start,
                channels: channels as usize,
                height: height as usize,
                width: width as usize,
            }),
            _ => None,
        };
        schema.columns().find_map(image).unwrap_or_default()
    }

    fn places(self) -> usize {
        self.height * self.width
    }

    /// Mean |x − R(x)| over channels of row `i`, into `out` `[h · w]`.
    fn residual(self, rows: &Rows<'_>, i: usize, out: &mut [f32]) {
        out.fill(0.0);
        let (x, restored) = (rows.x.row(i), rows.restored.row(i));
        for c in 0..self.channels {
            let from = self.start + c * self.places();
            for (p, out) in out.iter_mut().enumerate() {
                let difference = (x[from + p] - restored[from + p]).abs().min(FAR);
                *out += difference / self.channels as f32;
            }
        }
    }
}

impl RestoredResidual {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let plane = Plane::of(setting.schema);
        let mean = tensors.vector("restored-residual.mean", Some(plane.places()))?;
        let scale = "restored-residual.scale";
        let scale = tensors.within(scale, plane.places(), (1e-6, 1e6), "1e-6 to 1e6")?;
        Ok(Self { mean, scale, plane })
    }

    /// Standardized residual of row `i`, into `z` `[h · w]`.
    fn standardize(&self, rows: &Rows<'_>, i: usize, z: &mut [f32]) {
        self.plane.residual(rows, i, z);
        let learned = self.mean.iter().zip(&self.scale);
        z.iter_mut().zip(learned).for_each(|(z, (mean, scale))| {
            *z = ((*z - mean) * scale).clamp(-FAR, FAR);
        });
    }

    /// Mean of the strangest window, and where it is.
    fn search(&self, z: &[f32], columns: &mut [f32]) -> (f32, usize, usize) {
        let Plane { height, width, .. } = self.plane;
        max_window_mean(z, height, width, WINDOW, columns)
    }
}

impl Detector for RestoredResidual {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let (mut z, mut columns) = (vec![0.0; self.mean.len()], vec![0.0; self.plane.width]);
        for (i, score) in scores.iter_mut().enumerate() {
            self.standardize(rows, i, &mut z);
            *score = self.search(&z, &mut columns).0.max(0.0);
        }
    }

    /// The residual everywhere, not only where it is strangest.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let mut z = vec![0.0; self.mean.len()];
        self.standardize(rows, i, &mut z);
        let mut parts = vec![0.0; rows.x.ncols()];
        let image = &mut parts[self.plane.start..][..self.plane.channels * z.len()];
        for plane in image.chunks_mut(z.len().max(1)) {
            plane.iter_mut().zip(&z).for_each(|(part, z)| *part = z.max(0.0));
        }
        parts
    }

    fn strangest(
        &self,
        rows: &Rows<'_>,
        i: usize,
        side: usize,
        scratch: &mut Vec<f32>,
    ) -> Option<usize> {
        let Plane { height, width, .. } = self.plane;
        scratch.resize(self.mean.len() + width, 0.0);
        let (z, columns) = scratch.split_at_mut(self.mean.len());
        self.standardize(rows, i, z);
        let (_, top, left) = self.search(z, columns);
        let windows = |length: usize| (length + 1).saturating_sub(WINDOW).max(1);
        Some((top * side / windows(height)) * side + left * side / windows(width))
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        use candle_core::{D, Tensor};
        let Plane { start, channels, height, width } = self.plane;
        let device = soft.x.device();
        let far = soft.x.sub(&soft.restored)?.abs()?;
        let image = far.narrow(1, start, channels * height * width)?;
        let residual = image.reshape(((), channels, height * width))?.mean(1)?;
        let of = |v: &Array1<f32>| Tensor::from_slice(&v.to_vec(), (1, v.len()), device);
        let z = residual.broadcast_sub(&of(&self.mean)?)?.broadcast_mul(&of(&self.scale)?)?;
        let (kh, kw) = (WINDOW.min(height), WINDOW.min(width));
        let (down, across) = (height + 1 - kh, width + 1 - kw);
        let z = z.reshape(((), height, width))?;
        let mut sum = z.narrow(1, 0, down)?.narrow(2, 0, across)?.contiguous()?;
        for at in 1..kh * kw {
            sum = (sum + z.narrow(1, at / kw, down)?.narrow(2, at % kw, across)?)?;
        }
        let largest = sum.flatten_from(1)?.max(D::Minus1)?;
        (largest / (kh * kw) as f64)?.relu().map(Some)
    }

    fn save(&self, tensors: &mut Tensors) {
        let shape = [self.mean.len()];
        tensors.put("restored-residual.mean", &shape, self.mean.to_vec());
        tensors.put("restored-residual.scale", &shape, self.scale.to_vec());
    }
}

#[cfg(feature = "fit")]
mod learn {
    use super::*;
    use crate::math::Moments;

    /// Added to every deviation: one count of a pixel is no alarm where nothing ever changes.
    const FLOOR: f32 = 0.004;

    impl RestoredResidual {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>) -> Self {
            let plane = Plane::of(setting.schema);
            let (mut moments, mut residual) =
                (Moments::new(plane.places()), vec![0.0; plane.places()]);
            for i in 0..rows.len() {
                plane.residual(rows, i, &mut residual);
                moments.add(ndarray::aview1(&residual));
            }
            let scale = moments.deviation().mapv(|s| (s + FLOOR).recip().clamp(1e-6, 1e6));
            Self { mean: moments.mean(), scale, plane }
        }
    }
}
