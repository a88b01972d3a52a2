//! Secret keys of sites and trustees, and how they are written.
//!
//! A site signs (Ed25519), a trustee opens (a scalar of Ristretto255). Secrets are overwritten when they are dropped, and no
//! `Debug` shows them.

use std::fmt;

use curve25519_dalek::scalar::Scalar;
use openssl::pkey::{Id, PKey, Private};
use rand::CryptoRng;
use zeroize::Zeroizing;

use super::group::{self, POINT, SCALAR};
use super::proof::Proof;
use super::{Federation, Rejection};

/// Bytes of an Ed25519 key, public or secret.
pub const ED25519: usize = 32;
/// What the proof of a trustee's key is for.
pub const KEY_PURPOSE: &str = "trustee's key";

const FORMAT: &str = "tripline-federation-key-v1";

/// Signs the records of a site.
pub struct SiteSecret {
    name: String,
    pub(super) key: PKey<Private>,
    public: [u8; ED25519],
}

/// Opens sums, with all other trustees.
pub struct TrusteeSecret {
    name: String,
    pub(super) x: Zeroizing<Scalar>,
    public: [u8; POINT],
}

/// What a key file holds.
pub enum MemberSecret {
    Site(SiteSecret),
    Trustee(TrusteeSecret),
}

impl SiteSecret {
    /// # Errors
    /// If `name` is none.
    pub fn generate(name: &str, chance: &mut impl CryptoRng) -> Result<Self, Rejection> {
        let mut seed = Zeroizing::new([0; ED25519]);
        chance.fill_bytes(&mut seed[..]);
        Self::new(name, &seed)
    }

    fn new(name: &str, seed: &[u8; ED25519]) -> Result<Self, Rejection> {
        check_name(name)?;
        let none = |_| Rejection::Key { expected: "site", why: "OpenSSL does not take it" };
        let key = PKey::private_key_from_raw_bytes(seed, Id::ED25519).map_err(none)?;
        let public = key.raw_public_key().map_err(none)?;
        let public = public.try_into().expect("Ed25519 keys have one length");
        Ok(Self { name: name.to_owned(), key, public })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of the federation says this of it.
    pub fn public_lines(&self) -> String {
        format!("\n[[site]]\nname = \"{}\"\nkey = \"{}\"\n", self.name, hex(&self.public))
    }

    /// The file that holds it. Keep it from everybody else.
    pub fn to_text(&self) -> Zeroizing<String> {
        let seed = Zeroizing::new(self.key.raw_private_key().expect("it is an Ed25519 key"));
        text("site", &self.name, &seed)
    }

    /// Which site of `federation` it is.
    ///
    /// # Errors
    /// If it is none.
    pub fn number(&self, federation: &Federation) -> Result<u16, Rejection> {
        let same = |site: &super::SiteKey| site.name == self.name && site.public == self.public;
        number(federation.sites().iter().position(same), &self.name)
    }
}

impl TrusteeSecret {
    /// # Errors
    /// If `name` is none.
    pub fn generate(name: &str, chance: &mut impl CryptoRng) -> Result<Self, Rejection> {
        Self::new(name, Zeroizing::new(group::random(chance)))
    }

    fn new(name: &str, x: Zeroizing<Scalar>) -> Result<Self, Rejection> {
        check_name(name)?;
        if *x == Scalar::ZERO {
            return Err(Rejection::Key { expected: "trustee", why: "it is zero" });
        }
        let public = group::base(&x).compress().0;
        Ok(Self { name: name.to_owned(), x, public })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of the federation says this of it: the public key, and a proof that this trustee knows the secret.
    pub fn public_lines(&self, chance: &mut impl CryptoRng) -> String {
        let context = context(&self.name, &self.public);
        let proof = Proof::of_logarithm(KEY_PURPOSE, &context, &self.x, chance).to_bytes();
        format!(
            "\n[[trustee]]\nname = \"{}\"\nkey = \"{}\"\nproof = \"{}\"\n",
            self.name,
            hex(&self.public),
            hex(&proof)
        )
    }

    /// The file that holds it. Keep it from everybody else.
    pub fn to_text(&self) -> Zeroizing<String> {
        text("trustee", &self.name, self.x.as_bytes())
    }

    /// Which trustee of `federation` it is.
    ///
    /// # Errors
    /// If it is none.
    pub fn number(&self, federation: &Federation) -> Result<u16, Rejection> {
        let same =
            |known: &super::TrusteeKey| known.name == self.name && known.public == self.public;
        number(federation.trustees().iter().position(same), &self.name)
    }
}

impl MemberSecret {
    /// Reads a key file.
    ///
    /// # Errors
    /// If it is none. The message holds nothing of the file.
    pub fn from_text(text: &str) -> Result<Self, Rejection> {
        let none = |why| Rejection::Key { expected: "site or trustee", why };
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or_else(|| none("it ends early"));
        if word()? != FORMAT {
            return Err(none("it begins in another way"));
        }
        let (role, name, digits) = (word()?, word()?, word()?);
        if words.next().is_some() {
            return Err(none("something follows"));
        }
        let bytes: Option<[u8; SCALAR]> = unhex(digits);
        let bytes = bytes.map(Zeroizing::new).ok_or_else(|| none("it is not 64 digits"))?;
        match role {
            "site" => SiteSecret::new(name, &bytes).map(Self::Site),
            "trustee" => {
                let x = group::scalar(&bytes[..]).map(Zeroizing::new);
                let x = x.ok_or_else(|| none("its number is not canonical"))?;
                TrusteeSecret::new(name, x).map(Self::Trustee)
            }
            _ => Err(none("it is neither a site's nor a trustee's")),
        }
    }
}

impl fmt::Debug for SiteSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for TrusteeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrusteeSecret").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for MemberSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Site(secret) => secret.fmt(f),
            Self::Trustee(secret) => secret.fmt(f),
        }
    }
}

/// What the proof of a trustee's key is about.
pub fn context(name: &str, public: &[u8; POINT]) -> Vec<u8> {
    [public, name.as_bytes()].concat()
}

/// Names stand in files' names and in a person's terminal.
///
/// # Errors
/// If `name` has other signs than `a-z`, `0-9` and `-`, or more than 32.
pub fn check_name(name: &str) -> Result<(), Rejection> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match (1..=32).contains(&name.len()) && name.chars().all(plain) {
        true => Ok(()),
        false => Err(Rejection::Federation(
            "a name has 1 to 32 letters, each one of a-z, 0-9 and -".to_owned(),
        )),
    }
}

fn number(place: Option<usize>, name: &str) -> Result<u16, Rejection> {
    let place = place.ok_or_else(|| Rejection::NotAMember { name: name.to_owned() })?;
    Ok(u16::try_from(place).expect("there are few"))
}

fn text(role: &str, name: &str, secret: &[u8]) -> Zeroizing<String> {
    let digits = Zeroizing::new(hex(secret));
    Zeroizing::new(format!("{FORMAT} {role} {name} {}\n", *digits))
}

pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // At its full length from the start, so that no shorter copy of a secret is left behind.
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Exactly `N` bytes, from lower-case digits.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}
