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

    /// Whether windows are 2×2, side by side: the usual case, and worth a loop of its own.
    fn is_halving(&self) -> bool {
        (self.kernel, self.strides, self.pads) == ((2, 2), (2, 2), [0; 4])
    }

    /// Calls `visit` with each output and the place of the largest number of its window.
    fn largest(&self, plane: &[f32], (h, w): (usize, usize), mut visit: impl FnMut(usize, usize)) {
        if !self.is_halving() {
            self.windows((h, w), |at, rows, columns, _| {
                largest(plane, w, rows, columns).into_iter().for_each(|place| visit(at, place));
            });
            return;
        }
        let (oh, ow) = (h / 2, w / 2);
        for y in 0..oh {
            let (top, below) = plane[2 * y * w..][..2 * w].split_at(w);
            let pairs = top.chunks_exact(2).zip(below.chunks_exact(2));
            for (x, (a, b)) in pairs.enumerate() {
                let first = usize::from(a[1] > a[0]);
                let second = usize::from(b[1] > b[0]);
                let lower = b[second] > a[first];
                let place = if lower { w + second } else { first };
                visit(y * ow + x, 2 * y * w + 2 * x + place);
            }
        }
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

/// The first place of the largest number of a window; none of one that is empty or all −∞.
fn largest(plane: &[f32], w: usize, rows: Range<usize>, columns: Range<usize>) -> Option<usize> {
    let mut best = None;
    let mut most = f32::NEG_INFINITY;
    for row in rows {
        let from = row * w + columns.start;
        for (i, &value) in plane[from..row * w + columns.end].iter().enumerate() {
            if value > most {
                (best, most) = (Some(from + i), value);
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
            if self.largest {
                self.largest(plane, (h, w), |at, place| out[at] = plane[place]);
                return;
            }
            self.windows((h, w), |at, rows, columns, divisor| {
                let cut = |row: usize| &plane[row * w..][columns.clone()];
                out[at] = rows.map(|row| cut(row).iter().sum::<f32>()).sum::<f32>() / divisor;
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
            if self.largest {
                self.largest(plane, (h, w), |at, place| out[place] += grad[at]);
                return;
            }
            self.windows((h, w), |at, rows, columns, divisor| {
                for row in rows {
                    let cut = &mut out[row * w..][columns.clone()];
                    cut.iter_mut().for_each(|v| *v += grad[at] / divisor);
                }
            });
        });
        Ok(Some(Tensor::from_vec(out, x.shape(), x.device())?))
    }
}
