use ndarray::{Array2, Axis};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng as _};

use super::*;

fn schema() -> Schema {
    let name = "image".into();
    Schema {
        features: vec![Feature::Image { name, channels: 1, height: 28, width: 28, scale: 255.0 }],
    }
}

/// Rows that differ in large patches, as images do.
fn rows(n: usize, seed: u64) -> Array2<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut unit = || (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
    let grid = Array2::from_shape_simple_fn((n, 49), &mut unit);
    let pixel = |(i, j): (usize, usize)| {
        let at = grid[[i, j / 28 / 4 * 7 + j % 28 / 4]];
        (at * 0.8 + 0.01 * ((j * 7919 + i * 31) % 17) as f32).clamp(0.0, 1.0)
    };
    Array2::from_shape_fn((n, 784), pixel)
}

fn learned() -> Prints {
    let (train, held) = (rows(2000, 1), rows(1000, 2));
    let rng = &mut ChaCha8Rng::seed_from_u64(3);
    Prints::learn(&schema(), train.view(), held.view(), rng).unwrap()
}

#[test]
fn what_is_saved_is_loaded_and_another_key_gives_other_values() {
    let prints = learned();
    assert_eq!(prints.measured.threshold, 3, "{:?}", prints.measured);
    let mut tensors = Tensors::default();
    prints.save(&mut tensors);
    let loaded = Prints::load(&tensors, &schema()).unwrap().unwrap();
    assert_eq!(loaded.measured, prints.measured);
    let (row, mut scratch) = (rows(1, 9), PrintScratch::default());
    let row = row.as_slice().unwrap();
    assert_eq!(loaded.of(row, &mut scratch), prints.of(row, &mut scratch));
    let keyed = loaded.clone().keyed(&[1; 32], "b1");
    let (a, b) = (loaded.of(row, &mut scratch).0, keyed.of(row, &mut scratch).0);
    assert!(a.0.iter().zip(b.0.iter()).all(|(a, b)| a != b || *a == 0));
    assert!(Prints::load(&Tensors::default(), &schema()).unwrap().is_none());
}

#[test]
fn noise_over_all_pixels_leaves_smooth_values_and_a_few_pixels_leave_local_ones() {
    let prints = learned();
    let mut scratch = PrintScratch::default();
    let mut shared = |a: &[f32], b: &[f32]| {
        let (a, b) = (prints.of(a, &mut scratch).0, prints.of(b, &mut scratch).0);
        let same = |slots: std::ops::Range<usize>| {
            slots.filter(|&s| a.0[s] != 0 && a.0[s] == b.0[s]).count()
        };
        (same(0..SMOOTH), same(SMOOTH..PRINTS))
    };
    let (all, mut noisy) = (rows(40, 5), 0);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for row in all.axis_iter(Axis(0)) {
        let row = row.to_vec();
        let noise: Vec<f32> =
            row.iter().map(|x| x + 0.01 * (rng.next_u32() % 3) as f32 - 0.01).collect();
        noisy += usize::from(shared(&row, &noise).0 >= 3);
        let mut square = row.clone();
        (0..3).for_each(|y| square[y * 28..y * 28 + 3].fill(1.0));
        assert!(shared(&row, &square).1 >= 8);
    }
    assert!(noisy >= 30, "{noisy} of 40");
    let (first, second) = (all.row(0).to_vec(), all.row(1).to_vec());
    assert_eq!(shared(&first, &second), (0, 0));
    assert_ne!(prints.hash(&first), prints.hash(&second));
}
