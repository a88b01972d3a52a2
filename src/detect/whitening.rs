//! What a residual is divided by.

use ndarray::Array1;

use crate::math::Moments;
use crate::record::Rows;

/// Share of a feature's spread that is added to the deviation of its residual.
const SHARE: f32 = 0.02;

/// The least deviation a residual is standardized by, `[d]`: without it a pixel that never
/// changes turns one count of noise into an alarm.
pub(super) struct Floor(Array1<f32>);

impl Floor {
    /// From the rows a detector learns on. Where all features live in [0, 1] their common spread
    /// is 1, so that an image's constant background gets the floor of its foreground; elsewhere
    /// each feature's spread is its own deviation.
    pub(super) fn of(rows: &Rows<'_>) -> Self {
        let d = rows.x.ncols();
        if rows.x.iter().all(|v| (0.0..=1.0).contains(v)) {
            return Self(Array1::from_elem(d, SHARE));
        }
        let mut moments = Moments::new(d);
        rows.x.rows().into_iter().for_each(|row| moments.add(row));
        Self(moments.deviation().mapv(|deviation| (SHARE * deviation).max(f32::MIN_POSITIVE)))
    }

    /// 1 / (deviation + floor), `[d]`, finite.
    pub(super) fn scale(&self, residual: &Moments) -> Array1<f32> {
        (residual.deviation() + &self.0).mapv(|deviation| deviation.recip().min(1e12))
    }
}
