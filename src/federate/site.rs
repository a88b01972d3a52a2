//! A site's record of one window: its counts under encryption, a proof that it made them, and its signature.
//!
//! The proof is one of all `r` at once. Without it a site could send a multiple of another's ciphertext: of
//! 1,000·x + x + y, x and y can be read. Who does not know the `r` of a ciphertext cannot prove it, and a proof is of one site and window.

use openssl::sign::{Signer, Verifier};
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::cipher::{CIPHERTEXT, Ciphertexts};
use super::group::{DIGEST, DOMAIN, hash, weights};
use super::preamble::{PREAMBLE, Preamble, RecordKind, cut};
use super::proof::{PROOF, Proof, combined};
use super::{Federation, Rejection, SiteSecret, window};
use crate::watch::{Tally, WindowStart};

const SIGNATURE: usize = 64;
/// What the proof is for.
const PURPOSE: &str = "ciphertexts of a site";

impl SiteSecret {
    /// The record of `window`. Of one tally it is another each time.
    ///
    /// # Errors
    /// If the site is not of this federation, or the tally not of its layout.
    pub fn seal(
        &self,
        federation: &Federation,
        window: WindowStart,
        tally: &Tally,
        chance: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, Rejection> {
        let number = self.number(federation)?;
        let window = federation.window(window.0)?;
        let counters = Zeroizing::new(window::counters(tally, federation.cells())?);
        let preamble = Preamble { kind: RecordKind::Tally, window, number }.to_bytes(federation);
        let (ciphertexts, secrets) = federation.joint().encrypt(&counters, chance);
        let seed = hash(PURPOSE, &[&preamble, &ciphertexts]);
        let weighted = weights(&seed, counters.len());
        let sum = weighted.iter().zip(secrets.iter()).map(|(weight, r)| weight * r).sum();
        let sum = Zeroizing::new(sum);
        let proof = Proof::of_logarithm(PURPOSE, &seed, &sum, chance);
        let mut record = Vec::with_capacity(PREAMBLE + ciphertexts.len() + PROOF + SIGNATURE);
        record.extend(preamble);
        record.extend(ciphertexts);
        record.extend(proof.to_bytes());
        record.extend(self.sign(&record));
        Ok(record)
    }

    fn sign(&self, record: &[u8]) -> Vec<u8> {
        let message = [DOMAIN, record].concat();
        let mut signer = Signer::new_without_digest(&self.key).expect("OpenSSL has Ed25519");
        signer.sign_oneshot_to_vec(&message).expect("an Ed25519 key signs everything")
    }
}

/// What a site sent, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    pub window: WindowStart,
    pub(super) site: usize,
    /// SHA-256 of the record.
    pub(super) digest: [u8; DIGEST],
    pub(super) ciphertexts: Ciphertexts,
}

impl Contribution {
    /// # Errors
    /// If `record` is not of this federation, signed by one of its sites, and made by it.
    pub fn read(federation: &Federation, record: &[u8]) -> Result<Self, Rejection> {
        let (preamble, body) = Preamble::read(federation, RecordKind::Tally, record)?;
        let lengths = [federation.counters() * CIPHERTEXT, PROOF, SIGNATURE];
        let [ciphertexts, proof, signature] = cut(body, lengths)?;
        let site = usize::from(preamble.number);
        let key = federation.sites().get(site);
        let key = key.ok_or(Rejection::UnknownSite { number: site })?;
        let name = || key.name.clone();
        let signed = [DOMAIN, &record[..record.len() - SIGNATURE]].concat();
        let verified = Verifier::new_without_digest(&key.key)
            .and_then(|mut verifier| verifier.verify_oneshot(signature, &signed));
        if !verified.unwrap_or(false) {
            return Err(Rejection::Signature { site: name() });
        }
        let seed = hash(PURPOSE, &[&record[..PREAMBLE], ciphertexts]);
        let ciphertexts = Ciphertexts::from_bytes(ciphertexts)?;
        let sum = combined(&seed, &ciphertexts.first);
        if !Proof::from_bytes(proof)?.is_of_logarithm(PURPOSE, &seed, &sum) {
            return Err(Rejection::NotItsOwn { site: name() });
        }
        let digest = Sha256::digest(record).into();
        Ok(Self { window: preamble.window, site, digest, ciphertexts })
    }

    /// The site's name.
    pub fn site<'f>(&self, federation: &'f Federation) -> &'f str {
        &federation.sites()[self.site].name
    }
}
