//! The largest or the mean number of each window of an image, and the gradient.
//!
//! candle's own gradient of a maximum scales with the number of equal largest numbers in a window;
//! here the first of them has all of it.

use std::ops::Range;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

use super::convolution::numbers;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pooling {
    /// The largest number of a window; else the mean.
    pub largest: bool,
    /// Down, across.
    pub kernel: (usize, usize),
    pub strides: (usize, usize),
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    /// Whether padding counts as zeros in a mean.
    pub padding_counts: bool,
}

impl Pooling {
    fn out(&self, h: usize, w: usize) -> (usize, usize) {
        let [t, l, b, r] = self.pads;
        let out = |size, kernel, stride| (size - kernel) / stride + 1;
        (
            out(h + t + b, self.kernel.0, self.strides.0),
            out(w + l + r, self.kernel.1, self.strides.1),
        )
    }

    /// Calls `visit` for each window of a plane of `h` rows and `w` columns: the place of its
    /// output, its rows, its columns, what a sum of it is divided by.
    fn windows(
        &self,
        (h, w): (usize, usize),
        mut visit: impl FnMut(usize, Range<usize>, Range<usize>, f32),
    ) {
        let cut = |at: usize, stride: usize, kernel: usize, pad: usize, size: usize| {
            let from = at * stride;
            from.saturating_sub(pad).min(size)..(from + kernel).saturating_sub(pad).min(size)
        };
        let [top, left, ..] = self.pads;
        let (oh, ow) = self.out(h, w);
        for y in 0..oh {
            let rows = cut(y, self.strides.0, self.kernel.0, top, h);
            for x in 0..ow {
                let columns = cut(x, self.strides.1, self.kernel.1, left, w);
                let all = match self.padding_counts {
                    true => self.kernel.0 * self.kernel.1,
                    false => (rows.len() * columns.len()).max(1),
                };
                visit(y * ow + x, rows.clone(), columns, all as f32);
            }
        }
    }
}

/// The first place of the largest number of a window; none of an empty one.
fn largest(plane: &[f32], w: usize, rows: Range<usize>, columns: Range<usize>) -> Option<usize> {
    let mut best = None;
    let mut most = f32::NEG_INFINITY;
    for row in rows {
        for place in row * w + columns.start..row * w + columns.end {
            if plane[place] > most || best.is_none() {
                (best, most) = (Some(place), plane[place]);
            }
        }
    }
    best
}

impl CustomOp1 for Pooling {
    fn name(&self) -> &'static str {
        "pooling"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = numbers(storage, layout)?;
        let (n, c, h, w) = layout.shape().dims4()?;
        let (oh, ow) = self.out(h, w);
        let mut out = vec![0.0; n * c * oh * ow];
        x.par_chunks(h * w).zip(out.par_chunks_mut(oh * ow)).for_each(|(plane, out)| {
            self.windows((h, w), |at, rows, columns, divisor| {
                out[at] = match self.largest {
                    true => largest(plane, w, rows, columns).map_or(0.0, |place| plane[place]),
                    false => {
                        let cut = |row: usize| &plane[row * w..][columns.clone()];
                        rows.map(|row| cut(row).iter().sum::<f32>()).sum::<f32>() / divisor
                    }
                };
            });
        });
        Ok((CpuStorage::F32(out), (n, c, oh, ow).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (_, _, h, w) = x.dims4()?;
        let (oh, ow) = self.out(h, w);
        let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
        let grad: Vec<f32> = grad.flatten_all()?.to_vec1()?;
        let mut out = vec![0.0; values.len()];
        let planes = values.par_chunks(h * w).zip(grad.par_chunks(oh * ow));
        planes.zip(out.par_chunks_mut(h * w)).for_each(|((plane, grad), out)| {
            self.windows((h, w), |at, rows, columns, divisor| match self.largest {
                true => {
                    if let Some(place) = largest(plane, w, rows, columns) {
                        out[place] += grad[at];
                    }
                }
                false => {
                    for row in rows {
                        let cut = &mut out[row * w..][columns.clone()];
                        cut.iter_mut().for_each(|v| *v += grad[at] / divisor);
                    }
                }
            });
        });
        Ok(Some(Tensor::from_vec(out, x.shape(), x.device())?))
    }
}
