//! Where an attack begins: rows that the model gives other labels.

use rayon::prelude::*;

use super::Terrain;

/// Rows with the labels that the model gives them.
pub struct Starts {
    rows: Vec<f32>,
    labels: Vec<u32>,
}

impl Starts {
    /// `rows` [m · d] and their `labels` `[m]`.
    pub fn new(rows: Vec<f32>, labels: Vec<u32>) -> Self {
        Self { rows, labels }
    }

    /// For each row of `x` [n · d] the nearest row of another label than its `own`; the row itself where
    /// there is none. Distances are in units, a category of another value is one unit away. O(n · m · d).
    pub(super) fn nearest(&self, terrain: &Terrain<'_>, x: &[f32], own: &[u32]) -> Vec<f32> {
        let d = terrain.space.width();
        let scale: Vec<f32> = (0..d)
            .map(|j| match terrain.is_number(j) {
                true => terrain.space.unit[j].recip(),
                // Two of its columns differ.
                false => std::f32::consts::FRAC_1_SQRT_2,
            })
            .collect();
        let rows: Vec<_> = x.par_chunks(d).zip(own).collect();
        let found = rows.into_par_iter().map(|(row, own)| {
            let far = |other: &[f32]| -> f32 {
                let each = other.iter().zip(row).zip(&scale);
                each.map(|((a, b), scale)| ((a - b) * scale).powi(2)).sum()
            };
            let others = self.rows.chunks(d).zip(&self.labels).filter(|(_, label)| *label != own);
            let nearest = others.map(|(other, _)| (far(other), other));
            let nearest = nearest.min_by(|a, b| a.0.total_cmp(&b.0));
            nearest.map_or(row, |(_, other)| other).to_vec()
        });
        found.collect::<Vec<_>>().concat()
    }
}
