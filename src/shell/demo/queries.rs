//! What somebody asks who wants an image that the model gets wrong, and can only ask: the first queries of NES.
//!
//! Each account takes one image. It asks about it with noise added, and with the same noise taken away. From the answers it would
//! guess where to go (Ilyas et al., "Black-box Adversarial Attacks with Limited Queries and Information", arXiv:1804.08598).
//! Only the first round is played: its queries depend on no answer, so a seed always gives the same ones.
//!
//! Louder noise than most attackers need: the committed bundle has no fingerprints, and what is quieter is only seen by those.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::image::PIXELS;

/// Queries of each account. A round of NES asks fifty; an account is named after seven or eight.
pub const QUERIES_EACH: usize = 10;

/// Standard deviation of the noise, of the range of a pixel.
const SIGMA: f32 = 0.4;

/// The queries of `accounts`, one after the other, each about one of the `clean` images: `[accounts · QUERIES_EACH · 784]`.
pub fn queries(accounts: usize, seed: u64, clean: &[u8]) -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Another stream of numbers than the plan's.
    random.set_stream(1);
    let images = clean.len() / PIXELS;
    let mut all = Vec::with_capacity(accounts * QUERIES_EACH * PIXELS);
    for _ in 0..accounts {
        let image = &clean[random.random_range(0..images) * PIXELS..][..PIXELS];
        let mut noise = vec![0.0; PIXELS];
        for query in 0..QUERIES_EACH {
            match query % 2 {
                0 => noise.iter_mut().for_each(|noise| *noise = normal(&mut random)),
                _ => noise.iter_mut().for_each(|noise| *noise = -*noise),
            }
            // A cast saturates: what is outside of the range is at its edge.
            let at = |(&pixel, &noise): (&u8, &f32)| {
                (f32::from(pixel) + 255.0 * SIGMA * noise).round() as u8
            };
            all.extend(image.iter().zip(&noise).map(at));
        }
    }
    all
}

/// Nearly a standard normal number: twelve uniform ones less six.
fn normal(random: &mut ChaCha8Rng) -> f32 {
    (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_asks_in_pairs_around_one_image() {
        let clean: Vec<u8> = (0..3 * PIXELS).map(|i| 126 + (i / PIXELS) as u8).collect();
        let all = queries(2, 7, &clean);
        assert_eq!(all.len(), 2 * QUERIES_EACH * PIXELS);
        assert_eq!(all, queries(2, 7, &clean), "the seed decides");
        assert_ne!(all, queries(2, 8, &clean));
        for pair in all.chunks(2 * PIXELS) {
            let (plus, minus) = pair.split_at(PIXELS);
            assert_ne!(plus, minus);
            let inside = |x: &u8| (1..255).contains(x);
            let both = plus.iter().zip(minus).filter(|(a, b)| inside(a) && inside(b));
            for (a, b) in both {
                let sum = i32::from(*a) + i32::from(*b);
                assert!((251..=257).contains(&sum), "{a} and {b}: noise, and the same taken away");
            }
        }
    }
}
