//! Other views of an image that mean no harm: turned, scaled and lit otherwise, noisy, blurred, moved,
//! compressed.
//!
//! `augment` makes rows to attack; `disturb` makes rows that a guard must not flag. Both leave what is
//! seen in its place as far as a person would say so.

use rand_chacha::ChaCha8Rng;

use super::harmless::{moved, normal};
use super::jpeg::jpeg;
use super::paint::{Image, pick};
use super::space::Space;
use crate::fit::seed::unit;

/// Uniform in `low..high`.
fn between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * unit(rng)
}

/// Log-uniform in `low..high`.
pub fn log_between(rng: &mut ChaCha8Rng, low: f32, high: f32) -> f32 {
    low * (high / low).powf(unit(rng))
}

/// The rows `x` [n · d], each turned by up to .14 rad, scaled by .88 to 1.12, moved by up to 6 % of the
/// image, with other contrast and light.
pub fn augment(space: &Space, (c, h, w): Image, x: &[f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks(space.width()) {
        let (turn, scale) = (between(rng, -0.14, 0.14), between(rng, 0.88, 1.12));
        let (down, across) = (between(rng, -0.12, 0.12), between(rng, -0.12, 0.12));
        let (sin, cos) = (scale * turn.sin(), scale * turn.cos());
        let from = out.len();
        for plane in row.chunks(h * w).take(c) {
            for at in 0..h * w {
                // Both axes run from −1 to 1.
                let y = (2.0 * (at / w) as f32 + 1.0) / h as f32 - 1.0;
                let x = (2.0 * (at % w) as f32 + 1.0) / w as f32 - 1.0;
                let (x, y) = (cos * x - sin * y + across, sin * x + cos * y + down);
                let place = |v: f32, size: usize| ((v + 1.0) * size as f32 - 1.0) / 2.0;
                out.push(bicubic(plane, (h, w), place(y, h), place(x, w)).clamp(0.0, 1.0));
            }
        }
        let view = &mut out[from..];
        let mean = view.iter().sum::<f32>() / view.len().max(1) as f32;
        let (contrast, light) = (between(rng, 0.75, 1.2), between(rng, 0.7, 1.25));
        for (j, v) in view.iter_mut().enumerate() {
            *v = space.nearest(j, ((*v - mean) * contrast + mean) * light);
        }
    }
    out
}

/// Between the sixteen pixels around; what lies outside is the nearest edge.
///
/// # Source
/// R. Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = −.75.
fn bicubic(plane: &[f32], (h, w): (usize, usize), y: f32, x: f32) -> f32 {
    const A: f32 = -0.75;
    let weights = |t: f32| {
        let near = |t: f32| ((A + 2.0) * t - (A + 3.0)) * t * t + 1.0;
        let far = |t: f32| ((A * t - 5.0 * A) * t + 8.0 * A) * t - 4.0 * A;
        [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]
    };
    let (top, left) = (y.floor(), x.floor());
    let (down, across) = (weights(y - top), weights(x - left));
    let inside = |at: f32, i: usize, size: usize| {
        (at as isize + i as isize - 1).clamp(0, size as isize - 1) as usize
    };
    let row = |i: usize| {
        let row = &plane[inside(top, i, h) * w..][..w];
        (0..4).map(|j| across[j] * row[inside(left, j, w)]).sum::<f32>()
    };
    (0..4).map(|i| down[i] * row(i)).sum()
}

/// Disturbed copies of the rows `x` [n · d]: of eight, two of normal and one of uniform noise, one
/// compressed, one blurred, one moved by up to two pixels, one of other light, one as it is.
pub fn disturb(space: &Space, (c, h, w): Image, x: &[f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut out = Vec::with_capacity(x.len());
    for row in x.chunks(space.width()) {
        let mut copy = row.to_vec();
        match pick(rng, 0, 8) {
            0 | 1 => {
                let deviation = log_between(rng, 0.004, 0.045);
                copy.iter_mut().for_each(|v| *v += deviation * normal(rng));
            }
            2 => {
                let reach = 1.7 * log_between(rng, 0.004, 0.03);
                copy.iter_mut().for_each(|v| *v += between(rng, -reach, reach));
            }
            3 => copy = jpeg(row, (c, h, w), between(rng, 60.0, 97.0)),
            4 => {
                let share = between(rng, 0.2, 1.0);
                for (to, from) in copy.chunks_mut(h * w).zip(row.chunks(h * w)).take(c) {
                    blur(to, from, (h, w), share);
                }
            }
            5 => {
                let by = [0, 1].map(|_| pick(rng, 0, 5) as isize - 2);
                for (to, from) in copy.chunks_mut(h * w).zip(row.chunks(h * w)).take(c) {
                    moved(to, from, (h, w), (by[0], by[1]));
                }
            }
            6 => {
                let light = between(rng, 0.75, 1.2);
                copy.iter_mut().for_each(|v| *v *= light);
            }
            _ => {}
        }
        out.extend(copy.into_iter().enumerate().map(|(j, v)| space.nearest(j, v)));
    }
    out
}

/// A row `[d]` mirrored in half of the cases and moved by up to two pixels in six of ten: the texture is
/// the same, in another place.
pub fn elsewhere((c, h, w): Image, row: &[f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut out = row.to_vec();
    if unit(rng) < 0.5 {
        out.chunks_mut(w).for_each(<[f32]>::reverse);
    }
    if unit(rng) < 0.6 {
        let by = [0, 1].map(|_| pick(rng, 0, 5) as isize - 2);
        let from = out.clone();
        for (to, from) in out.chunks_mut(h * w).zip(from.chunks(h * w)).take(c) {
            moved(to, from, (h, w), (by[0], by[1]));
        }
    }
    out
}

/// A `share` of the mean over 3×3 pixels, the rest of the pixel itself.
fn blur(to: &mut [f32], from: &[f32], (h, w): (usize, usize), share: f32) {
    for (at, to) in to.iter_mut().enumerate() {
        let (y, x, mut sum) = (at / w, at % w, 0.0);
        for i in 0..9 {
            let row = (y + i / 3).clamp(1, h) - 1;
            let column = (x + i % 3).clamp(1, w) - 1;
            sum += from[row * w + column];
        }
        *to = (1.0 - share) * from[at] + share * sum / 9.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_between_pixels_of_a_slope_is_on_the_slope() {
        let plane: Vec<f32> =
            (0..36).map(|i| (i % 6) as f32 / 6.0 + (i / 6) as f32 / 12.0).collect();
        assert!((bicubic(&plane, (6, 6), 2.0, 3.0) - plane[2 * 6 + 3]).abs() < 1e-6);
        let got = bicubic(&plane, (6, 6), 2.5, 2.5);
        assert!((got - (2.5 / 6.0 + 2.5 / 12.0)).abs() < 1e-5, "{got}");
    }

    #[test]
    fn a_blurred_flat_image_is_flat_and_a_blurred_dot_keeps_its_sum() {
        let mut to = vec![0.0; 25];
        blur(&mut to, &[0.5; 25], (5, 5), 1.0);
        assert!(to.iter().all(|v| (v - 0.5).abs() < 1e-6));
        let mut dot = vec![0.0; 25];
        dot[12] = 0.9;
        blur(&mut to, &dot, (5, 5), 1.0);
        assert!((to.iter().sum::<f32>() - 0.9).abs() < 1e-6 && (to[6] - 0.1).abs() < 1e-6);
    }
}
