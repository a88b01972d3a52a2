//! What JPEG does to an image, without a file: blocks of 8×8 lose their fine waves.
//!
//! Close to what a real encoder does at the same quality, not the same bits: colour is halved by means,
//! and no number is rounded but the waves.

use super::paint::Image;

/// Waves of light and of colour are divided by these at quality 50, row by row from the coarsest.
///
/// # Source
/// ITU-T T.81 (1992), annex K, tables K.1 and K.2.
const LIGHT: [f32; 64] = [
    16., 11., 10., 16., 24., 40., 51., 61., 12., 12., 14., 19., 26., 58., 60., 55., 14., 13., 16.,
    24., 40., 57., 69., 56., 14., 17., 22., 29., 51., 87., 80., 62., 18., 22., 37., 56., 68., 109.,
    103., 77., 24., 35., 55., 64., 81., 104., 113., 92., 49., 64., 78., 87., 103., 121., 120.,
    101., 72., 92., 95., 98., 112., 100., 103., 99.,
];
const COLOUR: [f32; 64] = [
    17., 18., 24., 47., 99., 99., 99., 99., 18., 21., 26., 66., 99., 99., 99., 99., 24., 26., 56.,
    99., 99., 99., 99., 99., 47., 66., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99.,
    99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99., 99.,
    99., 99., 99., 99., 99., 99., 99.,
];

/// One image `[c · h · w]` in [0, 1] as it comes back from JPEG of this quality, 1 to 100. Three
/// channels are red, green and blue; any other number is so many grey images.
pub fn jpeg(image: &[f32], (c, h, w): Image, quality: f32) -> Vec<f32> {
    let mut out: Vec<f32> = image.iter().map(|v| v * 255.0).collect();
    let size = h * w;
    if c != 3 {
        out.chunks_mut(size).for_each(|plane| waves(plane, (h, w), &LIGHT, quality));
    } else {
        for i in 0..size {
            let [r, g, b] = [0, 1, 2].map(|k| out[k * size + i]);
            out[i] = 0.299 * r + 0.587 * g + 0.114 * b;
            out[size + i] = 128.0 - 0.168_736 * r - 0.331_264 * g + 0.5 * b;
            out[2 * size + i] = 128.0 + 0.5 * r - 0.418_688 * g - 0.081_312 * b;
        }
        let (light, colours) = out.split_at_mut(size);
        waves(light, (h, w), &LIGHT, quality);
        for colour in colours.chunks_mut(size) {
            let (tall, wide) = (h.div_ceil(2), w.div_ceil(2));
            let mut small = halved(colour, (h, w));
            waves(&mut small, (tall, wide), &COLOUR, quality);
            for (i, v) in colour.iter_mut().enumerate() {
                *v = small[i / w / 2 * wide + i % w / 2];
            }
        }
        for i in 0..size {
            let [y, b, r] = [0, 1, 2].map(|k| out[k * size + i]);
            out[i] = y + 1.402 * (r - 128.0);
            out[size + i] = y - 0.344_136 * (b - 128.0) - 0.714_136 * (r - 128.0);
            out[2 * size + i] = y + 1.772 * (b - 128.0);
        }
    }
    out.iter_mut().for_each(|v| *v = (*v / 255.0).clamp(0.0, 1.0));
    out
}

/// Means over 2×2 pixels.
fn halved(plane: &[f32], (h, w): (usize, usize)) -> Vec<f32> {
    let (tall, wide) = (h.div_ceil(2), w.div_ceil(2));
    let mean = |i: usize| {
        let at = |dy: usize, dx: usize| {
            let (y, x) = ((2 * (i / wide) + dy).min(h - 1), (2 * (i % wide) + dx).min(w - 1));
            plane[y * w + x]
        };
        (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4.0
    };
    (0..tall * wide).map(mean).collect()
}

/// Rounds the waves of every block of `plane`, in 0 to 255, to multiples of what `table` and quality say.
fn waves(plane: &mut [f32], (h, w): (usize, usize), table: &[f32; 64], quality: f32) {
    let scale = if quality < 50.0 { 5000.0 / quality.max(1.0) } else { 200.0 - 2.0 * quality };
    let basis: [[f32; 8]; 8] = std::array::from_fn(|k| {
        let size = if k == 0 { 0.125_f32.sqrt() } else { 0.5 };
        let angle = |x: usize| (2 * x + 1) as f32 * k as f32 * std::f32::consts::PI / 16.0;
        std::array::from_fn(|x| size * angle(x).cos())
    });
    for top in (0..h).step_by(8) {
        for left in (0..w).step_by(8) {
            let at = |y: usize, x: usize| (top + y).min(h - 1) * w + (left + x).min(w - 1);
            let block: [[f32; 8]; 8] =
                std::array::from_fn(|y| std::array::from_fn(|x| plane[at(y, x)] - 128.0));
            let mut wave = product(&product(&basis, &block), &turned(&basis));
            for (k, v) in wave.iter_mut().flatten().enumerate() {
                let step = ((table[k] * scale + 50.0) / 100.0).floor().clamp(1.0, 255.0);
                *v = (*v / step).round() * step;
            }
            let back = product(&product(&turned(&basis), &wave), &basis);
            for (y, row) in back.iter().enumerate().take(h - top) {
                for (x, v) in row.iter().enumerate().take(w - left) {
                    plane[at(y, x)] = v + 128.0;
                }
            }
        }
    }
}

fn turned(a: &[[f32; 8]; 8]) -> [[f32; 8]; 8] {
    std::array::from_fn(|i| std::array::from_fn(|j| a[j][i]))
}

fn product(a: &[[f32; 8]; 8], b: &[[f32; 8]; 8]) -> [[f32; 8]; 8] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..8).map(|k| a[i][k] * b[k][j]).sum()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn far(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn a_flat_image_comes_back_and_the_worse_the_quality_the_further_noise_is_from_itself() {
        let flat = vec![0.5; 3 * 10 * 12];
        assert!(far(&flat, &jpeg(&flat, (3, 10, 12), 90.0)) < 0.01);
        let noise: Vec<f32> = (0..3 * 10 * 12).map(|i| (i * 7919 % 101) as f32 / 101.0).collect();
        let mean = |quality| {
            let back = jpeg(&noise, (3, 10, 12), quality);
            noise.iter().zip(back).map(|(a, b)| (a - b).abs()).sum::<f32>()
        };
        assert!(mean(95.0) < mean(60.0) && mean(60.0) < mean(10.0));
    }

    #[test]
    fn a_grey_image_of_best_quality_is_within_a_count_or_two() {
        let slope: Vec<f32> = (0..16 * 16).map(|i| (i % 16) as f32 / 16.0).collect();
        assert!(far(&slope, &jpeg(&slope, (1, 16, 16), 100.0)) < 2.5 / 255.0);
    }
}
