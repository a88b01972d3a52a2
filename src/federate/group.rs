//! Points and scalars of Ristretto255 as bytes, and hashes to scalars.
//!
//! Bytes that are not canonical are no point and no scalar (RFC 9496 §4.3.1), so everything has one encoding.

use curve25519_dalek::constants::RISTRETTO_BASEPOINT_TABLE;
use curve25519_dalek::ristretto::{CompressedRistretto, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use rand::CryptoRng;
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use super::Rejection;

/// Keeps the signatures and hashes of federations apart from all others.
pub const DOMAIN: &[u8] = b"tripline-federation-v1";

/// Bytes of a SHA-256.
pub const DIGEST: usize = 32;
pub const POINT: usize = 32;
pub const SCALAR: usize = 32;

/// The point that 32 bytes stand for.
pub fn point(bytes: &[u8]) -> Option<RistrettoPoint> {
    CompressedRistretto::from_slice(bytes).ok()?.decompress()
}

/// The points that `bytes` stand for, 32 each.
///
/// # Errors
/// The first that is none.
pub fn points(bytes: &[u8]) -> Result<Vec<RistrettoPoint>, Rejection> {
    let each = bytes.chunks_exact(POINT).enumerate();
    each.map(|(index, bytes)| point(bytes).ok_or(Rejection::Point { index })).collect()
}

/// The scalar that 32 bytes stand for.
pub fn scalar(bytes: &[u8]) -> Option<Scalar> {
    Scalar::from_canonical_bytes(bytes.try_into().ok()?).into()
}

/// A scalar that nobody can guess, as even as `chance`.
pub fn random(chance: &mut impl CryptoRng) -> Scalar {
    let mut wide = Zeroizing::new([0; 64]);
    chance.fill_bytes(&mut wide[..]);
    Scalar::from_bytes_mod_order_wide(&wide)
}

/// `x` times the base point.
pub fn base(x: &Scalar) -> RistrettoPoint {
    x * RISTRETTO_BASEPOINT_TABLE
}

/// SHA-512 over a purpose and parts: each is preceded by its length, so no two lists of parts look alike.
pub fn hash(purpose: &str, parts: &[&[u8]]) -> [u8; 64] {
    let mut hash = Sha512::new();
    let mut push = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    push(DOMAIN);
    push(purpose.as_bytes());
    parts.iter().for_each(|part| push(part));
    hash.finalize().into()
}

/// A challenge.
pub fn hash_to_scalar(purpose: &str, parts: &[&[u8]]) -> Scalar {
    Scalar::from_bytes_mod_order_wide(&hash(purpose, parts))
}

/// `n` weights of 128 bits that nobody can know before `seed` is fixed. A false vector passes for a true one under them with
/// probability 2⁻¹²⁸ (Bellare, Garay, Rabin, "Fast batch verification", 1998).
pub fn weights(seed: &[u8; 64], n: usize) -> Vec<Scalar> {
    let mut weights = Vec::with_capacity(n + 3);
    for block in 0..n.div_ceil(4) {
        let four = hash("weights", &[seed, &(block as u64).to_le_bytes()]);
        for bytes in four.chunks_exact(16) {
            weights.push(Scalar::from(u128::from_le_bytes(bytes.try_into().expect("16 bytes"))));
        }
    }
    weights.truncate(n);
    weights
}
