//! One seed, many streams: every random number of a fit.
//!
//! ChaCha8 gives the same numbers on every machine. Who draws more numbers changes nobody else's.

use rand::RngCore;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a seed is used for; each use has a ChaCha stream of its own, so no two share a number.
#[derive(Clone, Copy, Debug)]
pub enum Use {
    Split = 1,
    Weights = 2,
    Shuffle = 3,
    Detectors = 4,
    Sample = 5,
    Attacks = 6,
    Pool = 7,
    Harmless = 8,
    Restorer = 9,
    Likelihood = 10,
    Families = 11,
    Usual = 12,
    Wide = 13,
    WideValidation = 14,
    Views = 15,
    PixelLogit = 16,
    LayerLogit = 17,
    Prints = 18,
    Queries = 19,
    Audit = 20,
    Copies = 21,
}

/// The seed's stream of random numbers for one use.
pub fn stream(seed: u64, purpose: Use) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose as u64);
    rng
}

/// A stream of random numbers for one block of rows: which thread computes the block changes nothing.
pub fn block_stream(seed: u64, purpose: Use, block: usize) -> ChaCha8Rng {
    let mut rng = stream(seed, purpose);
    rng.set_stream(purpose as u64 | (1 + block as u64) << 8);
    rng
}

/// Uniform in [0, 1), 24 bits.
pub fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}

/// A random order of `0..n` (Fisher–Yates). Our own, so that a new version of `rand` cannot move
/// a row from one part into another; a bound is off uniform by less than n / 2⁶⁴.
pub fn permutation(n: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        let drawn = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, drawn as usize);
    }
    order
}
