//! What each party proves: that it knows its secret, without telling it.
//!
//! All three are Schnorr's protocol, made non-interactive by a hash over the whole statement (Fiat and Shamir, the strong form:
//! statement and context are in the challenge). A proof for one purpose, record or name is none for another.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::group::{SCALAR, base, hash_to_scalar, random, scalar};
use super::{Rejection, group};

/// Challenge and response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof {
    c: Scalar,
    z: Scalar,
}

pub const PROOF: usize = 2 * SCALAR;

impl Proof {
    pub fn to_bytes(self) -> [u8; PROOF] {
        let mut bytes = [0; PROOF];
        bytes[..SCALAR].copy_from_slice(self.c.as_bytes());
        bytes[SCALAR..].copy_from_slice(self.z.as_bytes());
        bytes
    }

    /// # Errors
    /// If `bytes` are not two canonical scalars.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Rejection> {
        let (c, z) = bytes.split_at_checked(SCALAR).ok_or(Rejection::Scalar)?;
        let read = |bytes| scalar(bytes).ok_or(Rejection::Scalar);
        Ok(Self { c: read(c)?, z: read(z)? })
    }

    /// Of `x`, the logarithm of a point to the base point. `context` is all that the proof is about, the point included.
    pub fn of_logarithm(
        purpose: &str,
        context: &[u8],
        x: &Scalar,
        chance: &mut impl CryptoRng,
    ) -> Self {
        let k = Zeroizing::new(random(chance));
        let t = base(&k).compress();
        let c = hash_to_scalar(purpose, &[context, &t.0]);
        Self { c, z: *k + c * x }
    }

    /// Whether it shows that somebody knows the logarithm of `point`.
    pub fn is_of_logarithm(&self, purpose: &str, context: &[u8], point: &RistrettoPoint) -> bool {
        let t = RistrettoPoint::vartime_double_scalar_mul_basepoint(&-self.c, point, &self.z);
        hash_to_scalar(purpose, &[context, &t.compress().0]) == self.c
    }

    /// That `x` is the logarithm of one point to the base point, and of another to `to`.
    ///
    /// # Source
    /// D. Chaum, T. P. Pedersen, "Wallet databases with observers", 1992.
    pub fn of_equality(
        purpose: &str,
        context: &[u8],
        x: &Scalar,
        to: &RistrettoPoint,
        chance: &mut impl CryptoRng,
    ) -> Self {
        let k = Zeroizing::new(random(chance));
        let nonce: &Scalar = &k;
        let (t1, t2) = (base(nonce).compress(), (to * nonce).compress());
        let c = hash_to_scalar(purpose, &[context, &t1.0, &t2.0]);
        Self { c, z: *k + c * x }
    }

    /// Whether it shows that `key` to the base point is as `of` to `to`.
    pub fn is_of_equality(
        &self,
        purpose: &str,
        context: &[u8],
        key: &RistrettoPoint,
        (to, of): (&RistrettoPoint, &RistrettoPoint),
    ) -> bool {
        let t1 = RistrettoPoint::vartime_double_scalar_mul_basepoint(&-self.c, key, &self.z);
        let t2 = RistrettoPoint::vartime_multiscalar_mul([self.z, -self.c], [*to, *of]);
        let c = hash_to_scalar(purpose, &[context, &t1.compress().0, &t2.compress().0]);
        c == self.c
    }
}

/// A vector of points as one: their sum under weights that hang on `seed`.
pub fn combined(seed: &[u8; 64], points: &[RistrettoPoint]) -> RistrettoPoint {
    RistrettoPoint::vartime_multiscalar_mul(group::weights(seed, points.len()), points)
}
