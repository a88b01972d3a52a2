//! The sum of what sites sent for a window. Whoever makes it is trusted with nothing: everybody computes it again.

use curve25519_dalek::ristretto::RistrettoPoint;
use sha2::{Digest, Sha256};

use super::cipher::{CIPHERTEXT, Ciphertexts};
use super::group::DIGEST;
use super::preamble::{CONTRIBUTOR, Preamble, RecordKind, cut};
use super::share::TrusteeShare;
use super::{Contribution, Federation, Logarithms, Rejection, window};
use crate::watch::{Tally, WindowStart};

/// A sum, and whose records are in it.
#[derive(Clone, Debug)]
pub struct SummedWindow {
    pub window: WindowStart,
    /// By their numbers, ascending.
    sites: Vec<usize>,
    pub(super) ciphertexts: Ciphertexts,
    bytes: Vec<u8>,
    /// SHA-256 of the record.
    pub(super) digest: [u8; DIGEST],
}

impl SummedWindow {
    /// The sum of `contributions`, in any order.
    ///
    /// # Errors
    /// If they are of several windows, of one site twice, or of too few sites.
    pub fn of<'a>(
        federation: &Federation,
        contributions: impl IntoIterator<Item = &'a Contribution>,
    ) -> Result<Self, Rejection> {
        let mut each: Vec<&Contribution> = contributions.into_iter().collect();
        each.sort_by_key(|contribution| contribution.site);
        if let Some(pair) = each.windows(2).find(|pair| pair[0].site == pair[1].site) {
            return Err(Rejection::Repeated { site: pair[0].site(federation).to_owned() });
        }
        let (got, min) = (each.len(), federation.min_sites());
        if got < min {
            return Err(Rejection::TooFewSites { got, min });
        }
        let window = each[0].window;
        if each.iter().any(|contribution| contribution.window != window) {
            return Err(Rejection::OtherWindow);
        }
        let mut ciphertexts = Ciphertexts::zero(federation.counters());
        each.iter().for_each(|contribution| ciphertexts.add(&contribution.ciphertexts));
        let number = u16::try_from(got).expect("there are few");
        let preamble = Preamble { kind: RecordKind::Sum, window, number };
        let mut bytes = preamble.to_bytes(federation).to_vec();
        bytes.extend(ciphertexts.to_bytes());
        for contribution in &each {
            bytes.extend((contribution.site as u16).to_le_bytes());
            bytes.extend(contribution.digest);
        }
        let digest = Sha256::digest(&bytes).into();
        let sites = each.iter().map(|contribution| contribution.site).collect();
        Ok(Self { window, sites, ciphertexts, bytes, digest })
    }

    /// The sum that `record` is, computed again from those of `contributions` that it names.
    ///
    /// # Errors
    /// If it is another, or names records that are not there.
    pub fn read(
        federation: &Federation,
        record: &[u8],
        contributions: &[Contribution],
    ) -> Result<Self, Rejection> {
        let (preamble, body) = Preamble::read(federation, RecordKind::Sum, record)?;
        let lengths =
            [federation.counters() * CIPHERTEXT, usize::from(preamble.number) * CONTRIBUTOR];
        let [_, named] = cut(body, lengths)?;
        let mut each = vec![];
        for line in named.chunks_exact(CONTRIBUTOR) {
            let (number, digest) = line.split_at(2);
            let number = usize::from(u16::from_le_bytes(number.try_into().expect("2 bytes")));
            let site = federation.sites().get(number);
            let site = site.ok_or(Rejection::UnknownSite { number })?;
            let found = contributions.iter().find(|found| {
                found.window == preamble.window && found.site == number && found.digest == digest
            });
            let missing = || Rejection::OtherContribution { site: site.name.clone() };
            each.push(found.ok_or_else(missing)?);
        }
        let sum = Self::of(federation, each)?;
        match sum.bytes == record {
            true => Ok(sum),
            false => Err(Rejection::WrongSum),
        }
    }

    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Names of the sites in it.
    pub fn sites<'f>(&self, federation: &'f Federation) -> Vec<&'f str> {
        self.sites.iter().map(|&site| federation.sites()[site].name.as_str()).collect()
    }

    /// What the sites counted together. Takes the shares of all trustees.
    ///
    /// # Errors
    /// If a share is missing, there twice, or of another sum; if a counter cannot be opened.
    pub fn open(
        &self,
        federation: &Federation,
        shares: &[TrusteeShare],
        logarithms: &Logarithms,
    ) -> Result<Tally, Rejection> {
        self.check_shares(federation, shares)?;
        let points = self.ciphertexts.second.iter().enumerate().map(|(i, second)| {
            second - shares.iter().map(|share| share.points[i]).sum::<RistrettoPoint>()
        });
        let counters = logarithms.of(&points.collect::<Vec<_>>())?;
        Ok(window::tally(&counters))
    }

    /// Whether there is one share of this sum from each trustee.
    ///
    /// # Errors
    /// If not.
    pub fn check_shares(
        &self,
        federation: &Federation,
        shares: &[TrusteeShare],
    ) -> Result<(), Rejection> {
        if shares.iter().any(|share| share.sum != self.digest) {
            return Err(Rejection::OtherSum);
        }
        let shares_of = |number| shares.iter().filter(|share| share.trustee == number).count();
        let name = |number: usize| federation.trustees()[number].name.clone();
        let mut trustees = 0..federation.trustees().len();
        if let Some(twice) = trustees.clone().find(|&number| shares_of(number) > 1) {
            return Err(Rejection::RepeatedShare { trustee: name(twice) });
        }
        match trustees.find(|&number| shares_of(number) == 0) {
            Some(missing) => Err(Rejection::MissingShare { trustee: name(missing) }),
            None => Ok(()),
        }
    }
}
