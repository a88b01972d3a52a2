//! Counters under encryption, and their sum.
//!
//! Of a counter `m`: `C1 = r·G`, `C2 = m·G + r·Y`, with a fresh `r` each time. Zeros are encrypted too, because which counters are
//! zero says much. The sum of two ciphertexts is a ciphertext of the sum. Time and memory do not depend on the counters.
//!
//! # Source
//! T. ElGamal, 1985; additive ("exponential") form: R. Cramer, R. Gennaro, B. Schoenmakers, "A secure and optimally efficient
//! multi-authority election scheme", 1997; ISO/IEC 18033-6:2019.

use curve25519_dalek::ristretto::{RistrettoBasepointTable, RistrettoPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::Rejection;
use super::group::{POINT, base, points, random};

/// Bytes of one counter.
pub const CIPHERTEXT: usize = 2 * POINT;

/// The sum of the trustees' keys, ready to encrypt with.
#[derive(Clone)]
pub struct JointKey {
    table: Box<RistrettoBasepointTable>,
}

impl JointKey {
    pub fn new(key: &RistrettoPoint) -> Self {
        Self { table: Box::new(RistrettoBasepointTable::create(key)) }
    }

    /// `counters` under encryption as bytes, 64 each, and the `r` of each.
    pub fn encrypt(
        &self,
        counters: &[u32],
        chance: &mut impl CryptoRng,
    ) -> (Vec<u8>, Zeroizing<Vec<Scalar>>) {
        let mut secrets = Zeroizing::new(Vec::with_capacity(counters.len()));
        let mut halves = Zeroizing::new(Vec::with_capacity(2 * counters.len()));
        for &m in counters {
            // Points are compressed in one batch, which doubles them: so these are halves.
            let half = Zeroizing::new(random(chance));
            halves.push(base(&half));
            halves.push(&*self.table * &*half + base(&Scalar::from(m).div_by_2()));
            secrets.push(*half + *half);
        }
        let compressed = RistrettoPoint::double_and_compress_batch(halves.iter());
        (compressed.iter().flat_map(|point| point.0).collect(), secrets)
    }
}

/// Some counters under encryption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ciphertexts {
    /// C1 of each.
    pub first: Vec<RistrettoPoint>,
    /// C2 of each.
    pub second: Vec<RistrettoPoint>,
}

impl Ciphertexts {
    /// `n` zeros, which anybody can open.
    pub fn zero(n: usize) -> Self {
        let zeros = vec![RistrettoPoint::identity(); n];
        Self { first: zeros.clone(), second: zeros }
    }

    /// # Errors
    /// If something in `bytes` is no canonical point.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Rejection> {
        let points = points(bytes)?;
        let (first, second) = points.chunks_exact(2).map(|pair| (pair[0], pair[1])).unzip();
        Ok(Self { first, second })
    }

    /// 64 bytes each.
    pub fn to_bytes(&self) -> Vec<u8> {
        let pairs = self.first.iter().zip(&self.second);
        pairs
            .flat_map(|(first, second)| [first.compress().0, second.compress().0].concat())
            .collect()
    }

    /// Adds counter by counter.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn add(&mut self, other: &Self) {
        assert_eq!(self.first.len(), other.first.len(), "vectors of one federation");
        self.first.iter_mut().zip(&other.first).for_each(|(sum, more)| *sum += more);
        self.second.iter_mut().zip(&other.second).for_each(|(sum, more)| *sum += more);
    }
}
