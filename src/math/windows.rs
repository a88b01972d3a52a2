//! The largest mean over square windows of a plane.

/// Largest mean of `plane` (row-major `[height, width]`) over all `k`×`k` windows lying inside,
/// and the row and column where that window starts. A plane smaller than `k` is one window.
///
/// O(k · height · width). Allocates nothing given `columns`, scratch of at least `width`.
///
/// # Panics
/// If the shapes disagree or `k` is 0.
pub fn max_window_mean(
    plane: &[f32],
    height: usize,
    width: usize,
    k: usize,
    columns: &mut [f32],
) -> (f32, usize, usize) {
    assert!(k > 0 && plane.len() == height * width && columns.len() >= width);
    let (kh, kw) = (k.min(height), k.min(width));
    let columns = &mut columns[..width];
    let mut best = (f32::NEG_INFINITY, 0, 0);
    for top in 0..=height - kh {
        // Sums of kh values down each column; a plain loop that the compiler vectorizes. Not a
        // running sum: that would carry one window's rounding into the next.
        columns.copy_from_slice(&plane[top * width..][..width]);
        for row in plane[(top + 1) * width..(top + kh) * width].chunks_exact(width) {
            for (sum, value) in columns.iter_mut().zip(row) {
                *sum += value;
            }
        }
        for left in 0..=width - kw {
            let sum: f32 = columns[left..left + kw].iter().sum();
            if sum > best.0 {
                best = (sum, top, left);
            }
        }
    }
    (best.0 / (kh * kw) as f32, best.1, best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_of_ones_is_found_where_it_lies() {
        let (height, width) = (6, 5);
        let mut plane = vec![0.0; height * width];
        for y in 2..5 {
            for x in 1..4 {
                plane[y * width + x] = 1.0;
            }
        }
        let found = max_window_mean(&plane, height, width, 3, &mut vec![0.0; width]);
        assert_eq!(found, (1.0, 2, 1));
    }

    #[test]
    fn a_plane_smaller_than_the_window_is_one_window() {
        let found = max_window_mean(&[1.0, 2.0, 3.0, 6.0], 2, 2, 3, &mut [0.0; 2]);
        assert_eq!(found, (3.0, 0, 0));
    }
}
