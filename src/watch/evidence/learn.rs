//! How `fit` learns the histograms: where bins end, and what clean rows have in them.

use super::signals::{CLEAN_NAME, EDGES, EDGES_NAME, PLACES_NAME};
use super::{Bins, Of, Signals};
use crate::bundle::Tensors;
use crate::math::poisson_upper;

impl Signals {
    /// Learns edges from `values`, one row of all signals' values per clean row.
    pub fn learn_edges(&mut self, values: &[Vec<f32>]) {
        for (i, signal) in self.signals.iter_mut().enumerate() {
            let levels = match signal.of {
                Of::Merged => tail_levels(),
                _ => levels(),
            };
            if let Bins::Edges(edges) = &mut signal.bins {
                let mut column: Vec<f32> = values.iter().map(|row| row[i]).collect();
                column.sort_unstable_by(f32::total_cmp);
                let at = |level: f64| column[(level * (column.len() - 1) as f64) as usize];
                *edges = levels.into_iter().map(at).collect();
            }
        }
    }

    /// Counts the reference, from rows other than those of the edges: among these later rows are
    /// ranked.
    pub fn count_clean(&mut self, values: &[Vec<f32>]) {
        for row in values {
            for (i, &value) in row.iter().enumerate() {
                let cell = self.cell(i, value);
                self.clean[cell] += 1;
            }
        }
    }

    /// Bounds the shares of the places, from all rows that no network has learned from: nothing
    /// is ranked among them.
    pub fn bound_places<'v>(&mut self, values: impl Iterator<Item = &'v Vec<f32>>) {
        let Some(place) = self.place() else { return };
        let mut counts = vec![0_u64; self.range(place).len()];
        values.for_each(|row| counts[self.cell(place, row[place]) - self.starts[place]] += 1);
        let rows: u64 = counts.iter().sum();
        let miss = 0.01 / counts.len() as f64;
        let bound = |count: u64| (poisson_upper(count, miss) / rows.max(1) as f64).min(0.95);
        self.places = counts.into_iter().map(|count| bound(count) as f32).collect();
    }

    pub fn save(&self, tensors: &mut Tensors) {
        let edges: Vec<f32> = self
            .signals
            .iter()
            .filter_map(|signal| match &signal.bins {
                Bins::Edges(edges) => Some(edges.as_slice()),
                Bins::Numbered(_) => None,
            })
            .flatten()
            .copied()
            .collect();
        tensors.put(EDGES_NAME, &[edges.len() / EDGES, EDGES], edges);
        let clean: Vec<f32> = self.clean.iter().map(|&count| count as f32).collect();
        tensors.put(CLEAN_NAME, &[clean.len()], clean);
        if !self.places.is_empty() {
            tensors.put(PLACES_NAME, &[self.places.len()], self.places.clone());
        }
    }
}

/// Shares of the rows below each edge: 47 of equal mass inside, 8 in each tail.
fn levels() -> Vec<f64> {
    let inner = (1..48).map(|i| f64::from(i) / 48.0);
    let tail = || (1..=8).map(|o| 2.0_f64.powf(-f64::from(o) / 2.0) / 48.0);
    let mut levels: Vec<f64> = inner.chain(tail()).chain(tail().map(|t| 1.0 - t)).collect();
    levels.sort_unstable_by(f64::total_cmp);
    levels
}

/// Shares of the rows below each edge for a score, where only large values matter: down to one row in ten thousand.
fn tail_levels() -> Vec<f64> {
    let octaves = 10_000.0_f64.log2();
    (1..=EDGES).map(|i| 1.0 - 2.0_f64.powf(-octaves * i as f64 / EDGES as f64)).collect()
}
