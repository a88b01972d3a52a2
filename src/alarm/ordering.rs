//! In which order the rows of a window play: by pseudo-random numbers that a sender cannot predict and a
//! replay repeats.

use std::hash::Hasher;

use sha2::{Digest as _, Sha256};
use siphasher::sip::SipHasher24;

use crate::record::{Partition, Timestamp};

/// Start of a window, by the time of the record's partition: docs/evidence.md says which window a record finds.
pub type WindowStart = Timestamp;

/// A purpose that no draw of rows has.
const OF_PARTITION: u8 = 255;

/// A key for the draws of one watch.
///
/// Made from the baseline and the stream's name: fixed for a replay, unknown to a sender who holds
/// neither. An insider who holds the bundle can predict it.
#[derive(Clone, Copy, Debug)]
pub struct Key([u8; 16]);

impl Key {
    /// The key of `watch`.
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

/// The rows of a window one after the other in keyed order: for exchangeable rows as good as the true
/// one, and a function of the counts alone.
#[derive(Debug)]
pub struct Draws {
    left: Vec<u32>,
    rows: u64,
    drawn: u64,
    most: u64,
    order: Order,
}

/// Where draws come from.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    pub key: Key,
    pub window: WindowStart,
}

/// Purposes of keyed draws: which row comes next, and where it stands among its equals.
const NEXT: u8 = 0;
const TIE_BREAK: u8 = 1;

impl Draws {
    /// At most `most` rows are drawn.
    pub fn new(counts: Vec<u32>, most: u64, order: Order) -> Self {
        let rows = counts.iter().map(|&count| u64::from(count)).sum();
        Self { left: counts, rows, drawn: 0, most, order }
    }

    /// How many rows will be drawn in all.
    pub fn total(&self) -> u64 {
        (self.rows + self.drawn).min(self.most)
    }

    /// What is not drawn yet, by bin.
    pub fn left(&self) -> &[u32] {
        &self.left
    }
}

impl Iterator for Draws {
    /// A row's bin, and a number for its tie-break.
    type Item = (usize, u32);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rows == 0 || self.drawn >= self.most {
            return None;
        }
        let (Order { key, window }, i) = (self.order, self.drawn);
        // A 64-bit draw modulo a count below 2⁴⁰ is biased by less than 2⁻²⁴.
        let mut at = key.draw(window, NEXT, i) % self.rows;
        let bin = self.left.iter().position(|&count| match at.checked_sub(count.into()) {
            Some(rest) => {
                at = rest;
                false
            }
            None => true,
        });
        let bin = bin.expect("below the sum of all counts");
        self.left[bin] -= 1;
        self.rows -= 1;
        self.drawn += 1;
        Some((bin, key.draw(window, TIE_BREAK, i) as u32))
    }
}
