//! Convolution of images, and its gradient, as matrix products over patches.
//!
//! candle's own gradient of a convolution is another convolution with a kernel as large as the
//! image, and it is taken for weights that nobody trains; this one is a product again, and only of
//! what is asked for. Images are worked on side by side; sums over images are made in a fixed
//! order, so threads do not show in the result.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

/// Images whose weight gradients are summed by one thread.
const TOGETHER: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    /// Down, across.
    pub strides: (usize, usize),
    pub dilations: (usize, usize),
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    pub group: usize,
}

/// Sizes of one application.
#[derive(Clone, Copy)]
struct Sizes {
    n: usize,
    channels: usize,
    h: usize,
    w: usize,
    out: usize,
    kh: usize,
    kw: usize,
    oh: usize,
    ow: usize,
}

impl Convolution {
    fn sizes(&self, x: &Shape, w: &Shape) -> Result<Sizes> {
        let (n, channels, h, width) = x.dims4()?;
        let (out, _, kh, kw) = w.dims4()?;
        let [t, l, b, r] = self.pads;
        let oh = (h + t + b - self.dilations.0 * (kh - 1) - 1) / self.strides.0 + 1;
        let ow = (width + l + r - self.dilations.1 * (kw - 1) - 1) / self.strides.1 + 1;
        Ok(Sizes { n, channels, h, w: width, out, kh, kw, oh, ow })
    }

    /// Visits every pair of a number in the patches `[channels · kh · kw, oh · ow]` of an image
    /// and the number of the image `[channels, h, w]` it comes from, by runs along a row.
    fn runs(&self, s: &Sizes, channels: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let ((sy, sx), (dy, dx)) = (self.strides, self.dilations);
        let [top, left, ..] = self.pads;
        for c in 0..channels {
            for ky in 0..s.kh {
                for kx in 0..s.kw {
                    let row = ((c * s.kh + ky) * s.kw + kx) * s.oh * s.ow;
                    let shift = kx * dx;
                    // Columns of the output whose source lies inside the image.
                    let from = left.saturating_sub(shift).div_ceil(sx);
                    let to = (s.w + left).saturating_sub(shift).div_ceil(sx).min(s.ow);
                    for oy in 0..s.oh {
                        let y = oy * sy + ky * dy;
                        if y < top || y - top >= s.h || from >= to {
                            continue;
                        }
                        let source = (c * s.h + y - top) * s.w + from * sx + shift - left;
                        visit(row + oy * s.ow + from, source, to - from);
                    }
                }
            }
        }
    }

    /// Whether the patches of an image are the image.
    fn is_plain(&self, s: &Sizes) -> bool {
        (s.kh, s.kw, self.strides, self.pads) == (1, 1, (1, 1), [0; 4])
    }

    /// The patches of the first `channels` planes of `image`, `[channels · kh · kw, oh · ow]`.
    fn patches<'a>(
        &self,
        s: &Sizes,
        channels: usize,
        image: &'a [f32],
        patches: &'a mut [f32],
    ) -> &'a [f32] {
        if self.is_plain(s) {
            return &image[..patches.len()];
        }
        patches.fill(0.0);
        let sx = self.strides.1;
        self.runs(s, channels, |to, from, len| {
            let to = &mut patches[to..to + len];
            match sx {
                1 => to.copy_from_slice(&image[from..from + len]),
                _ => to.iter_mut().zip(image[from..].iter().step_by(sx)).for_each(|(t, v)| *t = *v),
            }
        });
        patches
    }

    fn back(&self, s: &Sizes, channels: usize, patches: &[f32], image: &mut [f32]) {
        let sx = self.strides.1;
        self.runs(s, channels, |from, to, len| {
            let from = &patches[from..from + len];
            image[to..].iter_mut().step_by(sx).zip(from).for_each(|(t, v)| *t += v);
        });
    }

    fn forward(&self, s: &Sizes, x: &[f32], w: &[f32], b: &[f32]) -> Vec<f32> {
        let (per, out_per) = (s.channels / self.group, s.out / self.group);
        let (k, places) = (per * s.kh * s.kw, s.oh * s.ow);
        let mut out = vec![0.0; s.n * s.out * places];
        let images = x.par_chunks(s.channels * s.h * s.w);
        images.zip(out.par_chunks_mut(s.out * places)).for_each_init(
            || vec![0.0; k * places],
            |patches, (image, out)| {
                for (row, &b) in out.chunks_mut(places).zip(b) {
                    row.fill(b);
                }
                for g in 0..self.group {
                    let patches = self.patches(s, per, &image[g * per * s.h * s.w..], patches);
                    let w = matrix(&w[g * out_per * k..][..out_per * k], out_per, k);
                    let out = &mut out[g * out_per * places..][..out_per * places];
                    let mut out = matrix_mut(out, out_per, places);
                    general_mat_mul(1.0, &w, &matrix(patches, k, places), 1.0, &mut out);
                }
            },
        );
        out
    }

    /// The gradient of the image.
    fn of_image(&self, s: &Sizes, w: &[f32], grad: &[f32]) -> Vec<f32> {
        let (per, out_per) = (s.channels / self.group, s.out / self.group);
        let (k, places) = (per * s.kh * s.kw, s.oh * s.ow);
        let size = s.channels * s.h * s.w;
        let mut out = vec![0.0; s.n * size];
        let images = grad.par_chunks(s.out * places);
        images.zip(out.par_chunks_mut(size)).for_each_init(
            || vec![0.0; k * places],
            |patches, (grad, image)| {
                for g in 0..self.group {
                    let w = matrix(&w[g * out_per * k..][..out_per * k], out_per, k);
                    let grad =
                        matrix(&grad[g * out_per * places..][..out_per * places], out_per, places);
                    let mut into = matrix_mut(patches, k, places);
                    general_mat_mul(1.0, &w.t(), &grad, 0.0, &mut into);
                    self.back(s, per, patches, &mut image[g * per * s.h * s.w..]);
                }
            },
        );
        out
    }

    /// The gradient of the weights, `[out, channels / group, kh, kw]`.
    fn of_weights(&self, s: &Sizes, x: &[f32], grad: &[f32]) -> Vec<f32> {
        let (per, out_per) = (s.channels / self.group, s.out / self.group);
        let (k, places) = (per * s.kh * s.kw, s.oh * s.ow);
        let (size, out_size) = (s.channels * s.h * s.w, s.out * places);
        let parts: Vec<Vec<f32>> = x
            .par_chunks(TOGETHER * size)
            .zip(grad.par_chunks(TOGETHER * out_size))
            .map(|(images, grads)| {
                let (mut sum, mut patches) = (vec![0.0; s.out * k], vec![0.0; k * places]);
                for (image, grad) in images.chunks(size).zip(grads.chunks(out_size)) {
                    for g in 0..self.group {
                        let patches =
                            self.patches(s, per, &image[g * per * s.h * s.w..], &mut patches);
                        let grad = &grad[g * out_per * places..][..out_per * places];
                        let into = &mut sum[g * out_per * k..][..out_per * k];
                        general_mat_mul(
                            1.0,
                            &matrix(grad, out_per, places),
                            &matrix(patches, k, places).t(),
                            1.0,
                            &mut matrix_mut(into, out_per, k),
                        );
                    }
                }
                sum
            })
            .collect();
        let mut parts = parts.into_iter();
        let mut sum = parts.next().unwrap_or_else(|| vec![0.0; s.out * k]);
        parts.for_each(|part| sum.iter_mut().zip(part).for_each(|(s, v)| *s += v));
        sum
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes(xl.shape(), wl.shape())?;
        let out = self.forward(&sizes, numbers(x, xl)?, numbers(w, wl)?, numbers(b, bl)?);
        Ok((CpuStorage::F32(out), (sizes.n, sizes.out, sizes.oh, sizes.ow).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = self.sizes(x.shape(), w.shape())?;
        let flat = |t: &Tensor| t.flatten_all()?.to_vec1::<f32>();
        let all = flat(grad)?;
        let dx = if x.track_op() {
            let dx = self.of_image(&sizes, &flat(w)?, &all);
            Some(Tensor::from_vec(dx, x.shape(), x.device())?)
        } else {
            None
        };
        let dw = if w.track_op() {
            let dw = self.of_weights(&sizes, &flat(x)?, &all);
            Some(Tensor::from_vec(dw, w.shape(), w.device())?)
        } else {
            None
        };
        let db = if b.track_op() { Some(grad.sum((0, 2, 3))?) } else { None };
        Ok((dx, dw, db))
    }
}

/// The numbers of a contiguous tensor.
pub(super) fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let CpuStorage::F32(values) = storage else { bail!("only f32") };
    match layout.contiguous_offsets() {
        Some((from, to)) => Ok(&values[from..to]),
        None => bail!("only contiguous tensors"),
    }
}

fn matrix(values: &[f32], rows: usize, columns: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((rows, columns), values).expect("sizes of one convolution")
}

fn matrix_mut(values: &mut [f32], rows: usize, columns: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((rows, columns), values).expect("sizes of one convolution")
}
