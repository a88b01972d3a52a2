//! A trustee's share of a sum: what its key takes off the ciphertexts, with one proof for all of them.

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use rand::CryptoRng;

use super::group::{DIGEST, POINT, hash, points};
use super::opened::Permission;
use super::preamble::{Preamble, RecordKind, cut};
use super::proof::{PROOF, Proof, combined};
use super::{Federation, Rejection, SummedWindow, TrusteeSecret};

/// What the proof is for.
const PURPOSE: &str = "share of a trustee";

impl TrusteeSecret {
    /// The share of a sum that this trustee may open.
    ///
    /// # Errors
    /// If the trustee is not of this federation.
    pub fn share(
        &self,
        federation: &Federation,
        Permission(sum): Permission<'_>,
        chance: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Rejection> {
        let number = self.number(federation)?;
        let preamble = Preamble { kind: RecordKind::Share, window: sum.window, number };
        let mut record = preamble.to_bytes(federation).to_vec();
        record.extend(sum.digest);
        let first = &sum.ciphertexts.first;
        let x: &Scalar = &self.x;
        let shares: Vec<RistrettoPoint> = first.iter().map(|point| point * x).collect();
        shares.iter().for_each(|share| record.extend(share.compress().0));
        let seed = hash(PURPOSE, &[&record]);
        let to = combined(&seed, first);
        record.extend(Proof::of_equality(PURPOSE, &seed, &self.x, &to, chance).to_bytes());
        Ok(record)
    }
}

/// A share, checked.
#[derive(Clone, Debug)]
pub struct TrusteeShare {
    pub(super) trustee: usize,
    pub(super) sum: [u8; DIGEST],
    pub(super) points: Vec<RistrettoPoint>,
}

impl TrusteeShare {
    /// # Errors
    /// If `record` is no share of `sum`, or not proved.
    pub fn read(
        federation: &Federation,
        sum: &SummedWindow,
        record: &[u8],
    ) -> Result<Self, Rejection> {
        let (preamble, body) = Preamble::read(federation, RecordKind::Share, record)?;
        if preamble.window != sum.window {
            return Err(Rejection::OtherWindow);
        }
        let [digest, shares, proof] = cut(body, [DIGEST, federation.counters() * POINT, PROOF])?;
        if digest != sum.digest {
            return Err(Rejection::OtherSum);
        }
        let number = usize::from(preamble.number);
        let trustee = federation.trustees().get(number);
        let trustee = trustee.ok_or(Rejection::UnknownTrustee { number })?;
        let points = points(shares)?;
        let seed = hash(PURPOSE, &[&record[..record.len() - PROOF]]);
        let pair = (&combined(&seed, &sum.ciphertexts.first), &combined(&seed, &points));
        if !Proof::from_bytes(proof)?.is_of_equality(PURPOSE, &seed, &trustee.point, pair) {
            return Err(Rejection::WrongShare { trustee: trustee.name.clone() });
        }
        Ok(Self { trustee: number, sum: sum.digest, points })
    }

    /// The trustee's name.
    pub fn trustee<'f>(&self, federation: &'f Federation) -> &'f str {
        &federation.trustees()[self.trustee].name
    }
}
