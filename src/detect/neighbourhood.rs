//! Small neighbourhoods of a row: k×k windows of an image, a few numbers of a table.
//!
//! Where a patch trigger is looked for: it is small, and a mean over the whole row does not see it.
//! What is spread thin over the whole row stands out in none of them.

use crate::math::max_window_mean;
use crate::record::{Feature, FeatureId, Reasons, Rectangle, Schema};

/// Side of a window, in pixels: the smallest patch that a classifier learns reliably.
const WINDOW: usize = 3;

/// How many numbers of a table make a neighbourhood.
const NUMBERS: usize = 3;

/// Where the neighbourhoods of rows of one schema lie.
pub(super) struct Neighbourhoods {
    planes: Vec<Plane>,
    numbers: Vec<usize>,
}

/// One channel of an image: where it lies in a row.
struct Plane {
    start: usize,
    height: usize,
    width: usize,
}

/// Where the strangest neighbourhood of a row is.
enum Place<'a> {
    Window { plane: &'a Plane, top: usize, left: usize },
    Numbers,
}

impl Neighbourhoods {
    pub(super) fn of(schema: &Schema) -> Self {
        let (mut planes, mut numbers) = (vec![], vec![]);
        for (feature, columns) in schema.columns() {
            match *feature {
                Feature::Number { .. } | Feature::Category { .. } => numbers.extend(columns),
                Feature::Id { .. } => {}
                Feature::Image { channels, height, width, .. } => {
                    let (height, width) = (height as usize, width as usize);
                    planes.extend((0..channels as usize).map(|c| Plane {
                        start: columns.start + c * height * width,
                        height,
                        width,
                    }));
                }
            }
        }
        Self { planes, numbers }
    }

    /// The largest mean of `z` `[d]`, ≥ 0 each, over a neighbourhood. O(d) per row of a window.
    pub(super) fn strangest(&self, z: &[f32], scratch: &mut [f32]) -> f32 {
        self.search(z, scratch).0
    }

    /// Where the strangest window is, on a grid of `side` × `side`; `None` if it is none of an image.
    pub(super) fn place(&self, z: &[f32], scratch: &mut [f32], side: usize) -> Option<usize> {
        match self.search(z, scratch).1 {
            Place::Numbers => None,
            Place::Window { plane, top, left } => {
                let windows = |length: usize| (length + 1).saturating_sub(WINDOW).max(1);
                let (y, x) =
                    (top * side / windows(plane.height), left * side / windows(plane.width));
                Some(y * side + x)
            }
        }
    }

    /// The numbers of the strangest neighbourhood, as shares of their sum, and where it is.
    pub(super) fn explain(&self, z: &[f32]) -> Reasons {
        let mut inside = vec![0.0; z.len()];
        match self.search(z, &mut self.scratch()).1 {
            Place::Numbers => {
                self.numbers.iter().for_each(|&at| inside[at] = z[at]);
                Reasons::of_parts(inside.into_iter())
            }
            Place::Window { plane, top, left } => {
                let (bottom, right) =
                    ((top + WINDOW).min(plane.height), (left + WINDOW).min(plane.width));
                let at = |y: usize, x: usize| plane.start + y * plane.width + x;
                for y in top..bottom {
                    inside[at(y, left)..at(y, right)]
                        .copy_from_slice(&z[at(y, left)..at(y, right)]);
                }
                let sum = |parts: &[f32]| parts.iter().map(|&part| f64::from(part)).sum::<f64>();
                let window = Rectangle {
                    corner: FeatureId(at(top, left) as u32),
                    height: (bottom - top) as u8,
                    width: (right - left) as u8,
                    share: (sum(&inside) / sum(z).max(f64::MIN_POSITIVE)) as f32,
                };
                Reasons::of_parts(inside.into_iter()).within(window)
            }
        }
    }

    /// [`Neighbourhoods::strangest`] with a gradient, `[n]`; `None` where numbers are among them.
    #[cfg(feature = "fit")]
    pub(super) fn soft(
        &self,
        z: &candle_core::Tensor,
    ) -> candle_core::Result<Option<candle_core::Tensor>> {
        if !self.numbers.is_empty() {
            return Ok(None);
        }
        let mut best: Option<candle_core::Tensor> = None;
        for &Plane { start, height, width } in &self.planes {
            let plane = z.narrow(1, start, height * width)?.reshape(((), height, width))?;
            let (kh, kw) = (WINDOW.min(height), WINDOW.min(width));
            let (rows, columns) = (height + 1 - kh, width + 1 - kw);
            let mut sum = plane.narrow(1, 0, rows)?.narrow(2, 0, columns)?.contiguous()?;
            for at in 1..kh * kw {
                let shifted = plane.narrow(1, at / kw, rows)?.narrow(2, at % kw, columns)?;
                sum = (sum + shifted)?;
            }
            let largest = (sum.flatten_from(1)?.max(1)? / (kh * kw) as f64)?;
            best = Some(match best {
                Some(best) => best.maximum(&largest)?,
                None => largest,
            });
        }
        Ok(best)
    }

    /// Scratch for [`Neighbourhoods::strangest`].
    pub(super) fn scratch(&self) -> Vec<f32> {
        vec![0.0; self.scratch_len()]
    }

    pub(super) fn scratch_len(&self) -> usize {
        self.planes.iter().map(|plane| plane.width).max().unwrap_or(0)
    }

    fn search(&self, z: &[f32], columns: &mut [f32]) -> (f32, Place<'_>) {
        let mut best = (self.numbers_mean(z), Place::Numbers);
        for plane in &self.planes {
            let pixels = &z[plane.start..][..plane.height * plane.width];
            let (mean, top, left) =
                max_window_mean(pixels, plane.height, plane.width, WINDOW, columns);
            if mean > best.0 {
                best = (mean, Place::Window { plane, top, left });
            }
        }
        best
    }

    /// Mean of the largest [`NUMBERS`] among the numbers; 0 if there are none.
    fn numbers_mean(&self, z: &[f32]) -> f32 {
        let mut top = [0.0_f32; NUMBERS];
        for &at in &self.numbers {
            if let Some(slot) = top.iter().position(|&t| z[at] > t) {
                top[slot..].rotate_right(1);
                top[slot] = z[at];
            }
        }
        let count = self.numbers.len().clamp(1, NUMBERS);
        top.iter().sum::<f32>() / count as f32
    }
}
