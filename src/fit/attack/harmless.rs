//! Disturbances that mean no harm: a sensor's noise, a picture moved by a pixel, other light.
//!
//! A guard that cries at these is soon turned off. Rows disturbed like this count as clean wherever
//! something is learned.

use rand_chacha::ChaCha8Rng;

use super::space::Space;
use crate::fit::seed::unit;
use crate::record::{Feature, Schema};

/// Disturbed copies of the rows `x` [n · d]: in turn two of noise, one moved, one of other light;
/// rows that are no image only get noise. Deviation of the noise: .002 to .04 units, log-uniform.
pub fn harmless(schema: &Schema, space: &Space, x: &[f32], rng: &mut ChaCha8Rng) -> Vec<f32> {
    let d = space.width();
    let images: Vec<_> = schema
        .columns()
        .filter_map(|(feature, columns)| match *feature {
            Feature::Image { height, width, .. } => {
                Some((columns, height as usize, width as usize))
            }
            _ => None,
        })
        .collect();
    let mut out = Vec::with_capacity(x.len());
    for (i, row) in x.chunks(d).enumerate() {
        let mut copy = row.to_vec();
        match i % 4 {
            2 if !images.is_empty() => {
                let step = |rng: &mut ChaCha8Rng| (3.0 * unit(rng)) as isize - 1;
                let (down, across) = (step(rng), step(rng));
                for (columns, h, w) in &images {
                    let planes = row[columns.clone()].chunks(h * w);
                    for (to, from) in copy[columns.clone()].chunks_mut(h * w).zip(planes) {
                        moved(to, from, (*h, *w), (down, across));
                    }
                }
            }
            3 if !images.is_empty() => {
                let light = 0.8 + 0.3 * unit(rng);
                for (columns, ..) in &images {
                    copy[columns.clone()].iter_mut().for_each(|v| *v *= light);
                }
            }
            _ => {
                let deviation = 0.002 * 20.0_f32.powf(unit(rng));
                for (v, unit) in copy.iter_mut().zip(&space.unit) {
                    *v += deviation * unit * normal(rng);
                }
            }
        }
        out.extend(copy.into_iter().enumerate().map(|(j, v)| space.nearest(j, v)));
    }
    out
}

/// `from` moved by some pixels; what comes in is the nearest edge.
pub(super) fn moved(
    to: &mut [f32],
    from: &[f32],
    (h, w): (usize, usize),
    (down, across): (isize, isize),
) {
    let at = |place: usize, by: isize, size: usize| {
        (place as isize - by).clamp(0, size as isize - 1) as usize
    };
    for y in 0..h {
        for x in 0..w {
            to[y * w + x] = from[at(y, down, h) * w + at(x, across, w)];
        }
    }
}

/// One number of a standard normal, by Box and Muller.
pub fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (a, b) = (1.0 - unit(rng), unit(rng));
    (-2.0 * a.ln()).sqrt() * (std::f32::consts::TAU * b).cos()
}
