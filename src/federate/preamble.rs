//! What every record of a federation begins with.
//!
//! ```text
//! version u8 = 1 ‖ kind u8 ‖ terms 32 ‖ key id 32 ‖ window i64 ‖ part u32 = 0 ‖ number u16 ‖ n u32      (84 bytes, little-endian)
//! kind 1, tally of a site:      … number = the site's            ‖ n × (C1 32 ‖ C2 32) ‖ proof 64 ‖ Ed25519 64
//! kind 2, sum:                  … number = how many sites, k     ‖ n × (C1 32 ‖ C2 32) ‖ k × (site u16 ‖ SHA-256 of its record 32)
//! kind 3, share of a trustee:   … number = the trustee's         ‖ SHA-256 of the sum 32 ‖ n × D 32 ‖ proof 64
//! ```
//!
//! `terms` is the digest of what the numbers mean, `key id` that of the trustees' keys. A signature covers [`DOMAIN`](super::group::DOMAIN) and all bytes
//! before it. A sum has none: who uses it computes it again from the records. The proof of a share is its signature.

use super::cipher::CIPHERTEXT;
use super::federation::SITES_MAX;
use super::group::DIGEST;
use super::{COUNTERS_MAX, Federation, Rejection};
use crate::watch::WindowStart;

pub const PREAMBLE: usize = 84;
const VERSION: u8 = 1;
/// Bytes of a sum's line about one site.
pub const CONTRIBUTOR: usize = 2 + DIGEST;

/// No record of any federation is longer.
pub const BYTES_MAX: usize = PREAMBLE + COUNTERS_MAX * CIPHERTEXT + SITES_MAX * CONTRIBUTOR + 128;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordKind {
    Tally = 1,
    Sum = 2,
    Share = 3,
}

/// The beginning of a record that belongs to a federation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preamble {
    pub kind: RecordKind,
    pub window: WindowStart,
    /// Of the site, of the trustee, or of sites in a sum.
    pub number: u16,
}

impl Preamble {
    pub fn to_bytes(self, federation: &Federation) -> [u8; PREAMBLE] {
        let n = u32::try_from(federation.counters()).expect("bounded");
        let mut bytes = Vec::with_capacity(PREAMBLE);
        bytes.extend([VERSION, self.kind as u8]);
        bytes.extend(federation.terms());
        bytes.extend(federation.key_id());
        bytes.extend(self.window.0.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(n.to_le_bytes());
        bytes.try_into().expect("the sum of its parts")
    }

    /// The beginning of `bytes`, and what follows.
    ///
    /// # Errors
    /// If it is not of this kind, version and federation.
    pub fn read<'a>(
        federation: &Federation,
        kind: RecordKind,
        bytes: &'a [u8],
    ) -> Result<(Self, &'a [u8]), Rejection> {
        let (head, body) = bytes
            .split_at_checked(PREAMBLE)
            .ok_or(Rejection::Length { got: bytes.len(), expected: PREAMBLE })?;
        let mut rest = head;
        let mut take = |n: usize| {
            let (part, after) = rest.split_at(n);
            rest = after;
            part
        };
        let (version, got) = (take(1)[0], take(1)[0]);
        if version != VERSION {
            return Err(Rejection::Version { got: version });
        }
        if got != kind as u8 {
            return Err(Rejection::Kind { got, expected: kind as u8 });
        }
        if take(DIGEST) != federation.terms() {
            return Err(Rejection::OtherTerms);
        }
        if take(DIGEST) != federation.key_id() {
            return Err(Rejection::OtherKeys);
        }
        let window = i64::from_le_bytes(take(8).try_into().expect("8 bytes"));
        let part = u32::from_le_bytes(take(4).try_into().expect("4 bytes"));
        let number = u16::from_le_bytes(take(2).try_into().expect("2 bytes"));
        let n = u32::from_le_bytes(take(4).try_into().expect("4 bytes")) as usize;
        if part != 0 {
            return Err(Rejection::Part { got: part });
        }
        let window = federation.window(window)?;
        let expected = federation.counters();
        if n != expected {
            return Err(Rejection::Counters { got: n, expected });
        }
        Ok((Self { kind, window, number }, body))
    }
}

/// Cuts `body` into pieces of these lengths.
///
/// # Errors
/// If it is not as long as all of them.
pub fn cut<const N: usize>(body: &[u8], lengths: [usize; N]) -> Result<[&[u8]; N], Rejection> {
    let expected: usize = lengths.iter().sum();
    if body.len() != expected {
        let (got, expected) = (PREAMBLE + body.len(), PREAMBLE + expected);
        return Err(Rejection::Length { got, expected });
    }
    let mut rest = body;
    Ok(lengths.map(|length| {
        let (piece, after) = rest.split_at(length);
        rest = after;
        piece
    }))
}
