//! How far the inputs of the protected model's last layer are from those of clean rows of the label.
//!
//! A trigger carries a row to its label along a way that no clean row takes, and shows where the model
//! has decided but not yet answered. Blind to small attacks (AUROC .74 on PGD of 2/255), whose last
//! layer looks like that of any doubtful row of the label.
//!
//! Source: K. Lee, K. Lee, H. Lee, J. Shin, "A simple unified framework for detecting out-of-distribution
//! samples and adversarial attacks", arXiv:1807.03888; one covariance for all labels.

use ndarray::{Array2, ArrayViewMut1};

use super::{Detector, Kind, Setting, colour};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Rows};

pub(super) const KIND: Kind = Kind {
    name: "layer-mahalanobis",
    needs: COLUMNS,
    needs_protected_model: true,
    role: Role::Trigger,
    suits: colour::suits,
    contaminated_only: false,
    voice: |_| 1.0,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| Box::new(LayerMahalanobis::learn(rows, setting)),
    load: |tensors, setting| Ok(Box::new(LayerMahalanobis::load(tensors, setting)?)),
};

/// The restorer's version is for the explanation only.
const COLUMNS: Columns =
    Columns::X.and(Columns::RESTORED).and(Columns::ANSWER).and(Columns::LAYERS);

const MEAN: &str = "layer-mahalanobis.mean";
const WHITEN: &str = "layer-mahalanobis.whiten";

/// Distances that still count, and the largest entry of the map. With both, and 4096 inputs, a sum of
/// squares stays within 4096 · (4096 · 1e5 · 1e8)² = 7e36: finite.
const FAR: f32 = 1e5;
const ENTRY_MAX: f32 = 1e8;

/// |W (z − mean of the label)|² / w, unitless; about 1 for clean rows. z are the last w layers.
struct LayerMahalanobis {
    /// `[labels, w]`
    mean: Array2<f32>,
    /// W `[w, w]`
    whiten: Array2<f32>,
}

impl LayerMahalanobis {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let mean = tensors.rows(MEAN, setting.labels)?;
        let w = mean.ncols();
        let whiten = tensors.matrix(WHITEN, w, w)?;
        match whiten.iter().find(|entry| entry.abs() > ENTRY_MAX) {
            Some(&value) => {
                let expected = "numbers within ±1e8";
                Err(TensorError::Value { name: WHITEN.into(), value, expected })
            }
            None => Ok(Self { mean, whiten }),
        }
    }
}

impl Detector for LayerMahalanobis {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    /// 0 if the column is not there.
    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let w = self.mean.ncols();
        let Some(from) = rows.layers.ncols().checked_sub(w).filter(|_| w > 0) else {
            scores.fill(0.0);
            return;
        };
        let mut z = vec![0.0; w];
        for (i, score) in scores.iter_mut().enumerate() {
            let last = rows.layers.row(i);
            let pairs = last.iter().skip(from).zip(self.mean.row(rows.label(i)));
            z.iter_mut().zip(pairs).for_each(|(z, (v, mean))| *z = (v - mean).clamp(-FAR, FAR));
            let square = |row: ndarray::ArrayView1<'_, f32>| {
                let white: f32 = row.iter().zip(&z).map(|(w, z)| w * z).sum();
                white * white
            };
            *score = self.whiten.rows().into_iter().map(square).sum::<f32>() / w as f32;
        }
    }

    /// The features that the restorer changed: inner layers have no place in the row.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        colour::changed(rows, i)
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        let w = self.mean.ncols();
        let Some(from) = soft.layers.dim(1)?.checked_sub(w).filter(|_| w > 0) else {
            return Ok(None);
        };
        let mean = soft.of_label(&self.mean)?;
        let z = soft.layers.narrow(1, from, w)?.sub(&mean)?;
        let values: Vec<f32> = self.whiten.iter().copied().collect();
        let whiten = candle_core::Tensor::from_vec(values, (w, w), z.device())?;
        z.matmul(&whiten.t()?)?.sqr()?.mean(candle_core::D::Minus1).map(Some)
    }

    fn save(&self, tensors: &mut Tensors) {
        for (name, matrix) in [(MEAN, &self.mean), (WHITEN, &self.whiten)] {
            tensors.put(name, matrix.shape(), matrix.iter().copied().collect());
        }
    }
}

#[cfg(feature = "fit")]
mod learn {
    use ndarray::{Array1, Axis, s};

    use super::*;
    use crate::math::whitening;

    /// Added to every variance, as a share of the mean one.
    const RIDGE: f64 = 0.02;

    /// Rows of everyone that each label's mean is drawn towards.
    const SHRINK: f32 = 3.0;

    impl LayerMahalanobis {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>) -> Self {
            let w = setting.last_inputs.min(rows.layers.ncols());
            let z = rows.layers.slice(s![.., rows.layers.ncols() - w..]);
            let everyone = z.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(w));
            let mut mean = Array2::zeros((setting.labels, w));
            let mut counts = vec![SHRINK; setting.labels];
            mean.rows_mut().into_iter().for_each(|mut row| row.assign(&(&everyone * SHRINK)));
            for (i, row) in z.rows().into_iter().enumerate() {
                let label = rows.label(i);
                counts[label] += 1.0;
                let mut sum = mean.row_mut(label);
                sum += &row;
            }
            mean.rows_mut().into_iter().zip(counts).for_each(|(mut row, n)| row /= n);
            let mut inside = z.to_owned();
            for (i, mut row) in inside.rows_mut().into_iter().enumerate() {
                row -= &mean.row(rows.label(i));
            }
            let whiten = match inside.is_empty() {
                true => Array2::zeros((w, w)),
                false => whitening(inside.view(), RIDGE).1.mapv(|v| v.clamp(-ENTRY_MAX, ENTRY_MAX)),
            };
            Self { mean, whiten }
        }
    }
}
