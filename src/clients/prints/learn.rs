//! How `fit` learns fingerprints: directions, places, stop list, and how often clean rows match.

use std::collections::HashMap;

use ndarray::{Array2, ArrayView2, Axis, s};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::{
    COLUMNS, DIRECTIONS, DIRECTIONS_NAME, LOCAL, MEASURED_NAME, OFFSETS_NAME, PLACES_NAME, PRINTS,
    Place, PrintMeasures, PrintScratch, Prints, SMOOTH, STOP_NAME,
};
use crate::alarm::WindowStart;
use crate::bundle::Tensors;
use crate::clients::{MatchRow, MatchSet};
use crate::record::Schema;

/// A step of a smooth fingerprint, in deviations of clean rows; and of a cell.
const STEP: f32 = 0.5;
const CELL_STEP: f32 = 1.5;
/// Rows of which two must share a value to stop it.
const STOP_ROWS: usize = 20_000;
/// The least and the most fingerprints that are tried as the threshold.
const THRESHOLDS: std::ops::RangeInclusive<usize> = 3..=8;
/// More clean matches than that, and the mark would say nothing.
pub const MATCHED_MAX: f64 = 1e-3;

/// Rows that directions are learned from.
const DIRECTION_ROWS: usize = 5000;
/// Directions of the widest spread of clean rows; noise in the others would only add to theirs.
const AXES: usize = 24;
/// Rounds of the iteration that finds them.
const ROUNDS: usize = 30;

/// Means of rows on the grid, `[n, means]`; none of rows without an image.
fn pooled(x: ArrayView2<'_, f32>, schema: &Schema) -> Option<Array2<f32>> {
    let image = Place::of(schema)?;
    let (mut all, mut means) = (vec![], vec![]);
    for row in x.rows() {
        image.pool(row.as_standard_layout().as_slice().expect("a row"), &mut means);
        all.extend_from_slice(&means);
    }
    Some(Array2::from_shape_vec((x.nrows(), image.means()), all).expect("means of every row"))
}

impl Prints {
    /// Of clean rows `train`, `[n, d]`. What matches is measured on `held`, rows of which nothing was learned. None of
    /// rows without an image that is large enough.
    pub fn learn(
        schema: &Schema,
        train: ArrayView2<'_, f32>,
        held: ArrayView2<'_, f32>,
        rng: &mut ChaCha8Rng,
    ) -> Option<Self> {
        let image = Place::of(schema)?;
        let means = pooled(train.slice(s![..train.nrows().min(DIRECTION_ROWS), ..]), schema)?;
        let axes = axes(&means, rng);
        let (directions, offsets) = directions(&means, &axes, rng);
        let side = image.side();
        let mut corner = |of: usize| (unit(rng) * (of - side + 1) as f64) as usize;
        let places = (0..LOCAL).map(|_| (corner(image.height), corner(image.width))).collect();
        let measured = PrintMeasures { threshold: 0, rows: 0, matched: 0, horizon: 0 };
        let stop = vec![vec![]; PRINTS];
        let fresh = Self { image, directions, offsets, places, stop, measured, keys: vec![] };
        let mut prints = fresh.keyed(b"", "");
        prints.learn_stop_list(train);
        prints.measure(held);
        Some(prints)
    }

    fn learn_stop_list(&mut self, train: ArrayView2<'_, f32>) {
        let (mut scratch, mut seen) =
            (PrintScratch::default(), vec![HashMap::<u64, u32>::new(); PRINTS]);
        for row in train.rows().into_iter().take(STOP_ROWS) {
            self.raw(row.as_standard_layout().as_slice().expect("a row"), &mut scratch);
            for (seen, &raw) in seen.iter_mut().zip(&scratch.raw) {
                *seen.entry(raw).or_default() += 1;
            }
        }
        for (stop, seen) in self.stop.iter_mut().zip(seen) {
            stop.extend(seen.into_iter().filter(|&(_, rows)| rows > 1).map(|(raw, _)| raw));
            stop.sort_unstable();
        }
    }

    /// Takes the least threshold with which few enough clean rows match.
    fn measure(&mut self, held: ArrayView2<'_, f32>) {
        let mut scratch = PrintScratch::default();
        let mut print = |row: ndarray::ArrayView1<'_, f32>| {
            let row = row.as_standard_layout();
            let row = row.as_slice().expect("a row");
            MatchRow { hash: self.hash(row), prints: self.of(row, &mut scratch).0 }
        };
        let rows: Vec<MatchRow> = held.rows().into_iter().map(&mut print).collect();
        let n = rows.len() as u64;
        for threshold in THRESHOLDS {
            let matched =
                MatchSet::default().take(WindowStart::default(), rows.clone(), (threshold, 0));
            let matched = matched.into_iter().filter(|&matched| matched).count() as u64;
            let few = n > 0 && matched as f64 <= MATCHED_MAX * n as f64;
            let threshold = if few { threshold } else { 0 };
            self.measured = PrintMeasures { threshold, rows: n, matched, horizon: n };
            if few {
                break;
            }
        }
    }

    pub fn save(&self, tensors: &mut Tensors) {
        let means = self.directions.len() / COLUMNS;
        tensors.put(DIRECTIONS_NAME, &[means, COLUMNS], self.directions.clone());
        tensors.put(OFFSETS_NAME, &[COLUMNS], self.offsets.clone());
        let corners = self.places.iter().flat_map(|&(y, x)| [y as f32, x as f32]).collect();
        tensors.put(PLACES_NAME, &[2 * LOCAL], corners);
        let entry =
            |(slot, raw): (usize, u64)| [slot as f32, (raw >> 20) as f32, (raw & 0xF_FFFF) as f32];
        let all = self
            .stop
            .iter()
            .enumerate()
            .flat_map(|(slot, list)| list.iter().map(move |&raw| (slot, raw)));
        // A vector has one entry at least; two of it are none.
        let mut stop: Vec<f32> = all.flat_map(entry).collect();
        if stop.is_empty() {
            stop.push(0.0);
        }
        tensors.put(STOP_NAME, &[stop.len()], stop);
        let PrintMeasures { threshold, rows, matched, horizon } = self.measured;
        let measured = [threshold as u64, rows, matched, horizon].map(|n| n as f32).to_vec();
        tensors.put(MEASURED_NAME, &[4], measured);
    }
}

/// The directions in which rows of `means` differ most, `[means, k]`, by subspace iteration: of length 1, perpendicular.
fn axes(means: &Array2<f32>, rng: &mut ChaCha8Rng) -> Array2<f32> {
    let centred = means - &means.mean_axis(Axis(0)).expect("rows");
    let covariance = centred.t().dot(&centred) / means.nrows() as f32;
    let k = AXES.min(means.ncols());
    let mut axes = Array2::from_shape_simple_fn((means.ncols(), k), || normal(rng) as f32);
    for _ in 0..ROUNDS {
        axes = covariance.dot(&axes);
        for j in 0..k {
            let (before, mut own) = axes.view_mut().split_at(Axis(1), j);
            let mut own = own.column_mut(0);
            let shares = before.t().dot(&own);
            own -= &before.dot(&shares);
            let length = own.dot(&own).sqrt();
            own.mapv_inplace(|x| if length > f32::MIN_POSITIVE { x / length } else { 0.0 });
        }
    }
    axes
}

/// Gaussian directions among `axes`, of unit deviation of clean rows, in steps; and where steps begin.
fn directions(
    means: &Array2<f32>,
    axes: &Array2<f32>,
    rng: &mut ChaCha8Rng,
) -> (Vec<f32>, Vec<f32>) {
    let drawn = Array2::from_shape_simple_fn((axes.ncols(), COLUMNS), || normal(rng) as f32);
    let mut directions = axes.dot(&drawn);
    let centre = means.mean_axis(Axis(0)).expect("rows");
    let mut offsets = vec![];
    for (at, mut column) in directions.columns_mut().into_iter().enumerate() {
        let along = means.dot(&column);
        let step = if at < SMOOTH * DIRECTIONS { STEP } else { CELL_STEP };
        column /= along.std(0.0).max(1e-6) * step;
        offsets.push(unit(rng) as f32 - centre.dot(&column));
    }
    (directions.as_standard_layout().to_owned().into_raw_vec_and_offset().0, offsets)
}

/// Uniform in [0, 1).
fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Standard normal, by Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let (u, v) = (1.0 - unit(rng), unit(rng));
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}
