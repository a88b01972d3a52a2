//! Pseudo-random numbers that a sender cannot predict and a replay repeats.

use std::hash::Hasher;

use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher24;

use super::WindowStart;
use crate::record::{Partition, Timestamp};

/// A purpose that no draw of rows has.
const OF_PARTITION: u8 = 255;

/// A key for the draws of one watch.
///
/// Made from the baseline and the stream's name: fixed for a replay, unknown to a sender who holds
/// neither. An insider who holds the bundle can predict it.
#[derive(Clone, Copy, Debug)]
pub struct Key([u8; 16]);

impl Key {
    pub fn new(baseline: &str, stream: &str, watch: &str) -> Self {
        let digest = Sha256::digest([baseline, stream, watch].join("\0"));
        Self(digest[..16].try_into().expect("a SHA-256 has 32 bytes"))
    }

    /// The key for the same draws of one partition, where each is judged by itself.
    pub fn of_partition(&self, partition: Partition) -> Self {
        let half = |i| self.draw(Timestamp(partition.0.into()), OF_PARTITION, i).to_le_bytes();
        Self([half(0), half(1)].concat().try_into().expect("two halves"))
    }

    /// The `i`th number for `purpose` in `window`, uniform over `u64`.
    pub fn draw(&self, window: WindowStart, purpose: u8, i: u64) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write_i64(window.0);
        hasher.write_u8(purpose);
        hasher.write_u64(i);
        hasher.finish()
    }
}
