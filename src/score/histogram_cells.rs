//! Where a scored row falls in the stream's histograms.

use std::ops::Range;

use super::Guard;
use crate::detect::Detector;
use crate::record::Rows;
use crate::watch::{Of, PLACES, Patch, Signals, Stat};

/// A scored row of a batch.
#[derive(Clone, Copy)]
pub struct Counted<'r, 's> {
    pub rows: Rows<'r>,
    pub row: usize,
    /// Of every detector, `[k]`.
    pub scores: &'s [f32],
    pub merged: f32,
}

/// Cells of rows in the stream's histograms; buffers are reused.
#[derive(Debug, Default)]
pub struct Cells {
    cells: Vec<u16>,
    values: Vec<f32>,
    scratch: Vec<f32>,
}

impl Cells {
    pub fn clear(&mut self) {
        self.cells.clear();
    }

    pub fn all(&self) -> &[u16] {
        &self.cells
    }

    /// Appends a cell for every signal of every one of `rows`; says where they are.
    pub fn count<'r>(
        &mut self,
        guard: &Guard,
        row: impl Fn(usize) -> Counted<'r, 'r>,
        rows: Range<usize>,
    ) -> Range<usize> {
        let start = self.cells.len();
        for counted in rows.map(row) {
            let detectors = guard.detectors.iter().map(|detector| &**detector);
            values(&guard.signals, counted, detectors, &mut self.scratch, &mut self.values);
            let values = self.values.iter().enumerate();
            self.cells.extend(values.map(|(i, &value)| guard.signals.cell(i, value) as u16));
        }
        start..self.cells.len()
    }
}

/// The value of every signal, `[signals]`: of a histogram whose bins are numbered, the bin.
/// O(what the signals read).
///
/// Of `detectors`, the first that looks for places says where the row is strangest.
pub fn values<'d>(
    signals: &Signals,
    counted: Counted<'_, '_>,
    detectors: impl Iterator<Item = &'d dyn Detector> + Clone,
    scratch: &mut Vec<f32>,
    out: &mut Vec<f32>,
) {
    out.clear();
    let Counted { rows, row, scores, merged } = counted;
    let x = rows.x.row(row);
    let x = x.as_slice().expect("rows side by side");
    for signal in signals.list() {
        out.push(match &signal.of {
            &Of::Number(at) => x[at],
            Of::Category(columns) => {
                let set = x[columns.clone()].iter().position(|&v| v == 1.0);
                let last = signal.bins.count() - 1;
                // Values beyond those that have a bin share the last of theirs.
                set.map_or(last, |value| value.min(last - 1)) as f32
            }
            Of::Pool(patch) => mean(x, patch),
            Of::Whole(columns, stat) => whole(&x[columns.clone()], *stat),
            &Of::Score(i) => scores[i],
            Of::Merged => merged,
            Of::Confidence => {
                let largest =
                    rows.answer.row(row).iter().copied().fold(f32::NEG_INFINITY, f32::max);
                largest.exp()
            }
            Of::Label => rows.label(row) as f32,
            Of::Place => {
                let mut detectors = detectors.clone();
                let place = detectors.find_map(|d| d.strangest(&rows, row, PLACES, scratch));
                let place = place.unwrap_or(0);
                (rows.label(row) * PLACES * PLACES + place) as f32
            }
        });
    }
}

fn whole(pixels: &[f32], stat: Stat) -> f32 {
    let n = pixels.len() as f32;
    let mean = || pixels.iter().sum::<f32>() / n;
    let share = |of: f32| pixels.iter().filter(|&&x| x == of).count() as f32 / n;
    match stat {
        Stat::Mean => mean(),
        Stat::Contrast => {
            let mean = mean();
            (pixels.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n).sqrt()
        }
        Stat::Brightest => pixels.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        Stat::Darkest => pixels.iter().copied().fold(f32::INFINITY, f32::min),
        Stat::Black => share(0.0),
        Stat::White => share(1.0),
    }
}

fn mean(x: &[f32], &Patch { start, height, width, stride }: &Patch) -> f32 {
    let sum: f32 = (0..height).map(|y| x[start + y * stride..][..width].iter().sum::<f32>()).sum();
    sum / (height * width) as f32
}
