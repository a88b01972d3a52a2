//! Requests that nobody thought of: mostly well formed, with something odd here and there.

mod protobuf;
mod text;
mod v2;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::record::Record;

/// The dialects that are generated.
pub const CODECS: [&str; 5] = ["json", "kserve-v1", "oip-json", "oip-protobuf", "cloudevents"];

/// Draws one request. Odd things happen `odd` times in a thousand chances.
pub struct Draw {
    rng: ChaCha8Rng,
    odd: u32,
}

impl Draw {
    /// The same seed and number make the same request.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // A third has hardly anything odd, so that there is something to compare.
        let odd = [0, 15, 60][rng.random_range(0..3)];
        Self { rng, odd }
    }

    pub fn record(mut self, codec: &str) -> Record {
        let mut record = match codec {
            "json" => self.json().into(),
            "kserve-v1" => self.v1().into(),
            "oip-json" => self.v2(),
            "oip-protobuf" => self.protobuf().into(),
            "cloudevents" => self.event().into(),
            other => panic!("nothing makes {other}"),
        };
        if self.odd > 0 && self.rng.random_ratio(1, 5) {
            self.mutate(&mut record.value);
        }
        record
    }

    fn odd(&mut self) -> bool {
        self.odd > 0 && self.rng.random_range(0..1000) < self.odd
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.random_range(0..n)
    }

    fn one<'t, T: ?Sized>(&mut self, of: &[&'t T]) -> &'t T {
        of[self.below(of.len())]
    }

    /// Changes a few bytes, whatever they mean.
    fn mutate(&mut self, value: &mut Vec<u8>) {
        const POOL: &[u8] =
            b"\"\\{}[],:0123456789-+.eExXiIdDsSnN \t\n\0\x08\x0a\x12\x1a\x2a\x3a\x7f\x80\xff";
        for _ in 0..1 + self.below(3) {
            if value.is_empty() {
                return;
            }
            let at = self.below(value.len());
            match self.below(6) {
                0 => value[at] ^= 1 << self.below(8),
                1 => value[at] = POOL[self.below(POOL.len())],
                2 => value.insert(at, POOL[self.below(POOL.len())]),
                3 => {
                    let end = (at + 1 + self.below(8)).min(value.len());
                    value.drain(at..end);
                }
                4 => {
                    let end = (at + 1 + self.below(40)).min(value.len());
                    let piece = value[at..end].to_vec();
                    let to = self.below(value.len());
                    value.splice(to..to, piece);
                }
                _ => {
                    let to = self.below(value.len());
                    value.swap(at, to);
                }
            }
        }
    }
}
