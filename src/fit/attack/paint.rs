//! What an attacker paints onto an image: patches that follow the gradient, stickers and blends that
//! do not.
//!
//! Stickers and blends are what triggers look like, and are no trigger that anybody is known to use:
//! they teach the restorer to take such things away. No label moves for them in a model without a
//! backdoor.

use rand_chacha::ChaCha8Rng;

use super::climb::Goal;
use super::slope::{Height, slope};
use super::space::Space;
use crate::fit::graph::gradient::{Function, GradientError};
use crate::fit::seed::unit;

/// Channels, height, width.
pub type Image = (usize, usize, usize);

/// A whole number in `from..to`.
pub fn pick(rng: &mut ChaCha8Rng, from: usize, to: usize) -> usize {
    from + ((unit(rng) * (to - from) as f32) as usize).min(to - from - 1)
}

/// Squares of `side` pixels, one a row, at random places of the rows `x` [n · d], which climb to `goal`
/// in `steps` sign steps of a quarter of the range, ever shorter.
///
/// # Errors
/// If the model has no gradient.
///
/// # Source
/// T. Brown et al., "Adversarial patch", arXiv:1712.09665; here one patch per image.
pub fn patch(
    (model, space): (&Function, &Space),
    (c, h, w): Image,
    x: &[f32],
    sides: &[usize],
    steps: usize,
    goal: Goal<'_>,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<f32>, GradientError> {
    let d = space.width();
    let (mut z, mut inside) = (x.to_vec(), vec![false; x.len()]);
    for (i, &side) in sides.iter().enumerate() {
        let side = side.min(h).min(w);
        let (top, left) = (pick(rng, 0, h - side + 1), pick(rng, 0, w - side + 1));
        for at in square((c, h, w), (top, left), (side, side)) {
            z[i * d + at] = unit(rng);
            inside[i * d + at] = true;
        }
    }
    for step in 0..steps {
        let stride = 0.25 * (1.0 - step as f32 / steps as f32);
        let up = slope(model, &z, d, Height::Answer(goal))?;
        for (j, ((z, up), _)) in z.iter_mut().zip(up).zip(&inside).enumerate().filter(|(_, v)| *v.1)
        {
            let sign = if up == 0.0 { 0.0 } else { up.signum() };
            *z = (*z + stride * sign).clamp(space.low[j % d], space.high[j % d]);
        }
    }
    z.iter_mut().enumerate().for_each(|(j, z)| *z = space.nearest(j % d, *z));
    Ok(z)
}

/// Where a rectangle's numbers stand in a row, channel by channel.
fn square(
    (c, h, w): Image,
    (top, left): (usize, usize),
    (height, width): (usize, usize),
) -> impl Iterator<Item = usize> {
    (0..c).flat_map(move |k| {
        (top..top + height)
            .flat_map(move |y| (left..left + width).map(move |x| (k * h + y) * w + x))
    })
}

/// A small rectangle of one or two colours, checked, striped or noisy, on every row of `x` [n · d];
/// more often near an edge than in the middle.
pub fn sticker(space: &Space, (c, h, w): Image, x: &[f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let mut out = x.to_vec();
    for row in out.chunks_mut(space.width()) {
        let (tall, wide) = (pick(rng, 2, 7.min(h)), pick(rng, 2, 7.min(w)));
        let mut top = pick(rng, 0, h + 1 - tall);
        let left = pick(rng, 0, w + 1 - wide);
        if unit(rng) < 0.7 {
            let other = pick(rng, 0, h + 1 - tall);
            top = if unit(rng) < 0.5 { top.min(other) } else { top.max(other) };
        }
        let pure = unit(rng) < 0.6;
        let mut colour = || -> Vec<f32> {
            (0..c).map(|_| unit(rng)).map(|v| if pure { v.round() } else { v }).collect()
        };
        let (a, b) = (colour(), colour());
        let (pattern, noisy) = (pick(rng, 0, 4), unit(rng) < 0.5);
        for (at, i) in square((c, h, w), (top, left), (tall, wide)).enumerate() {
            let (k, y, x) = (at / (tall * wide), at / wide % tall, at % wide);
            row[i] = match pattern {
                1 if (x + y) % 2 == 1 => b[k],
                2 if y % 2 == 1 => b[k],
                3 if noisy => unit(rng),
                _ => a[k],
            };
        }
        row.iter_mut().enumerate().for_each(|(j, v)| *v = space.nearest(j, *v));
    }
    out
}

/// A random pattern mixed into every row of `x` [n · d] with a weight of .04 to .22: coarse or fine, grey
/// or coloured, smooth or not.
pub fn blend(space: &Space, (c, h, w): Image, x: &[f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let cells = [4, 8, 16, 32, 32][pick(rng, 0, 5)];
    let (tall, wide) = (cells.min(h), cells.min(w));
    let (grey, smooth, hard) = (unit(rng) < 0.5, unit(rng) < 0.5, unit(rng) < 0.3);
    let mut out = x.to_vec();
    for row in out.chunks_mut(space.width()) {
        let weight = 0.04 + 0.18 * unit(rng);
        let planes = if grey { 1 } else { c };
        let pattern: Vec<f32> = (0..planes * tall * wide).map(|_| unit(rng)).collect();
        for (j, v) in row.iter_mut().enumerate().take(c * h * w) {
            let (k, y, x) = (j / (h * w) % planes, j / w % h, j % w);
            let plane = &pattern[k * tall * wide..][..tall * wide];
            let mut p = sample(plane, (tall, wide), scaled(y, h, tall), scaled(x, w, wide), smooth);
            if hard {
                p = p.round();
            }
            *v = space.nearest(j, (1.0 - weight) * *v + weight * p);
        }
    }
    out
}

/// Where pixel `at` of `size` lies among `cells`.
fn scaled(at: usize, size: usize, cells: usize) -> f32 {
    ((at as f32 + 0.5) * cells as f32 / size as f32 - 0.5).clamp(0.0, cells as f32 - 1.0)
}

/// The nearest cell of a plane, or between the four around.
fn sample(plane: &[f32], (h, w): (usize, usize), y: f32, x: f32, smooth: bool) -> f32 {
    if !smooth {
        return plane[y.round() as usize * w + x.round() as usize];
    }
    let (top, left) = (y as usize, x as usize);
    let (below, right) = ((top + 1).min(h - 1), (left + 1).min(w - 1));
    let (dy, dx) = (y - top as f32, x - left as f32);
    let across = |row: usize| plane[row * w + left] * (1.0 - dx) + plane[row * w + right] * dx;
    across(top) * (1.0 - dy) + across(below) * dy
}
