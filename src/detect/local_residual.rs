//! The strangest small neighbourhood of a row's residual, given the label the model gives it.
//!
//! A patch trigger is a few features far from what *rows of that label* ever show there: on
//! images the largest mean over 3×3 windows of the standardized residual, among numbers the mean
//! of the three largest. Measured TPR at 1 % on BadNets 1.00 where STRIP has .18. Blind to weak
//! triggers spread over the whole image: no small neighbourhood stands out.

use ndarray::{Array2, ArrayViewMut1};

use super::neighbourhood::Neighbourhoods;
use super::{Detector, Kind, Setting, tabular};
use crate::bundle::{Role, TensorError, Tensors};
use crate::record::{Columns, Reasons, Rows, Schema};

pub(super) const KIND: Kind = Kind {
    name: "local-residual",
    needs: COLUMNS,
    needs_protected_model: false,
    role: Role::Trigger,
    suits: |_| true,
    contaminated_only: false,
    voice: tabular::minor,
    #[cfg(feature = "fit")]
    learn: |rows, setting, _| Box::new(LocalResidual::learn(rows, setting)),
    load: |tensors, setting| Ok(Box::new(LocalResidual::load(tensors, setting)?)),
};

const COLUMNS: Columns = Columns::X.and(Columns::TWIN).and(Columns::ANSWER);

/// Deviations that still count: sums of a few stay finite.
const FAR: f32 = 1e15;

/// Largest neighbourhood mean of |x − twin − mean| / deviation, unitless.
struct LocalResidual {
    /// Per label, `[labels, d]`.
    mean: Array2<f32>,
    /// 1 / floored deviation per label, `[labels, d]`.
    scale: Array2<f32>,
    neighbourhoods: Neighbourhoods,
}

impl LocalResidual {
    fn load(tensors: &Tensors, setting: Setting<'_>) -> Result<Self, TensorError> {
        let (labels, d) = (setting.labels, setting.schema.width());
        let mean = tensors.matrix("local-residual.mean", labels, d)?;
        let scale = tensors.deviations("local-residual.scale", labels, d)?;
        Ok(Self::new(mean, scale, setting.schema))
    }

    fn new(mean: Array2<f32>, scale: Array2<f32>, schema: &Schema) -> Self {
        Self { mean, scale, neighbourhoods: Neighbourhoods::of(schema) }
    }

    /// |standardized residual| of row `i` into `z`, `[d]`.
    fn standardize(&self, rows: &Rows<'_>, i: usize, z: &mut [f32]) {
        let k = rows.label(i);
        let learned = self.mean.row(k).into_iter().zip(self.scale.row(k));
        let pairs = rows.x.row(i).into_iter().zip(rows.twin.row(i));
        for ((z, (x, twin)), (mean, scale)) in z.iter_mut().zip(pairs).zip(learned) {
            *z = ((x - twin - mean) * scale).abs().min(FAR);
        }
    }
}

impl Detector for LocalResidual {
    fn needs(&self) -> Columns {
        COLUMNS
    }

    fn score(&self, rows: &Rows<'_>, mut scores: ArrayViewMut1<'_, f32>) {
        let (mut z, mut scratch) = (vec![0.0; self.mean.ncols()], self.neighbourhoods.scratch());
        for (i, score) in scores.iter_mut().enumerate() {
            self.standardize(rows, i, &mut z);
            *score = self.neighbourhoods.strangest(&z, &mut scratch);
        }
    }

    /// The residual everywhere, not only where it is strangest.
    fn parts(&self, rows: &Rows<'_>, i: usize) -> Vec<f32> {
        let mut z = vec![0.0; self.mean.ncols()];
        self.standardize(rows, i, &mut z);
        z
    }

    fn strangest(
        &self,
        rows: &Rows<'_>,
        i: usize,
        side: usize,
        scratch: &mut Vec<f32>,
    ) -> Option<usize> {
        let d = self.mean.ncols();
        scratch.resize(d + self.neighbourhoods.scratch_len(), 0.0);
        let (z, columns) = scratch.split_at_mut(d);
        self.standardize(rows, i, z);
        self.neighbourhoods.place(z, columns, side)
    }

    fn explain(&self, rows: &Rows<'_>, i: usize) -> Reasons {
        self.neighbourhoods.explain(&self.parts(rows, i))
    }

    #[cfg(feature = "fit")]
    fn soft(&self, soft: &super::Soft) -> candle_core::Result<Option<candle_core::Tensor>> {
        let residual = soft.x.sub(&soft.twin)?.sub(&soft.of_label(&self.mean)?)?;
        self.neighbourhoods.soft(&residual.mul(&soft.of_label(&self.scale)?)?.abs()?)
    }

    fn save(&self, tensors: &mut Tensors) {
        let shape = self.mean.shape().to_vec();
        tensors.put("local-residual.mean", &shape, self.mean.iter().copied().collect());
        tensors.put("local-residual.scale", &shape, self.scale.iter().copied().collect());
    }
}

#[cfg(feature = "fit")]
mod learn {
    use super::super::whitening::Floor;
    use super::*;
    use crate::math::Moments;

    /// Rows a label needs before it gets moments of its own; with fewer, it takes everyone's.
    const LABEL_ROWS_MIN: u64 = 50;

    impl LocalResidual {
        pub(super) fn learn(rows: &Rows<'_>, setting: Setting<'_>) -> Self {
            let d = rows.x.ncols();
            let mut everyone = Moments::new(d);
            let mut labelled = vec![Moments::new(d); setting.labels];
            for (i, (x, twin)) in rows.x.rows().into_iter().zip(rows.twin.rows()).enumerate() {
                let residual = &x - &twin;
                everyone.add(residual.view());
                labelled[rows.label(i)].add(residual.view());
            }
            let floor = Floor::of(rows);
            let mut mean = Array2::zeros((setting.labels, d));
            let mut scale = Array2::zeros((setting.labels, d));
            for (k, own) in labelled.iter().enumerate() {
                let moments = if own.rows() < LABEL_ROWS_MIN { &everyone } else { own };
                mean.row_mut(k).assign(&moments.mean());
                scale.row_mut(k).assign(&floor.scale(moments));
            }
            Self::new(mean, scale, setting.schema)
        }
    }
}
