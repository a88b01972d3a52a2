//! A key in JSON: JWK, RFC 7517 and 7518 §6, RFC 8037 for X25519.
//!
//! Whoever reads a key says what it may be: a public key where a private one would open what only others shall read.
//! It cannot keep a secret out of a core dump, nor out of the text that the key was read from.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::rsa::{Rsa, RsaPrivateKeyBuilder};
use serde::Deserialize;
use zeroize::Zeroizing;

/// A key, and what its file calls it.
#[derive(Clone, Debug, PartialEq)]
pub struct Jwk {
    /// `kid`
    pub id: Option<String>,
    pub material: KeyMaterial,
}

/// What a key can do.
#[derive(Clone, Debug, PartialEq)]
pub enum KeyMaterial {
    /// `oct`: bytes that both sides have.
    Secret(SecretKey),
    /// Seals.
    Public(PublicKey),
    /// Opens.
    Private(PrivateKey),
}

/// Bytes that nobody prints; zeroed when the last copy goes.
#[derive(Clone)]
pub struct SecretKey(Arc<Zeroizing<Vec<u8>>>);

/// The public half of a key pair.
#[derive(Clone)]
pub struct PublicKey {
    pub(super) key: PKey<Public>,
    pub(super) family: KeyFamily,
}

/// The private half.
#[derive(Clone)]
pub struct PrivateKey {
    pub(super) key: PKey<Private>,
    pub(super) family: KeyFamily,
}

/// Which mathematics a key pair is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFamily {
    P256,
    P384,
    P521,
    X25519,
    Rsa,
}

/// Why a text is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadJwk {
    #[error("this is not a JWK: a JSON object with `kty`")]
    NotJson,
    #[error("the JWK's kty {0:?} is none of oct, EC, OKP, RSA")]
    Kty(String),
    #[error("the JWK's crv {0:?} is none of P-256, P-384, P-521, X25519")]
    Crv(String),
    #[error("the JWK's {0} is missing, or no base64url")]
    Number(&'static str),
    #[error("the JWK's numbers are no key of its kind")]
    NoKey,
    #[error("an RSA key of {0} bits is too short: 2048 are the least")]
    Short(u32),
}

/// Least bits of an RSA key.
const RSA_BITS_MIN: u32 = 2048;

/// The members of a JWK that are read.
#[derive(Deserialize)]
struct Members {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    k: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<String>,
    n: Option<String>,
    e: Option<String>,
    p: Option<String>,
    q: Option<String>,
    dp: Option<String>,
    dq: Option<String>,
    qi: Option<String>,
}

impl Jwk {
    /// # Errors
    /// If `text` is no key that can be used here. The message repeats no part of a secret.
    pub fn read(text: &str) -> Result<Self, BadJwk> {
        Self::of(serde_json::from_str(text).map_err(|_| BadJwk::NotJson)?)
    }

    /// A key, or all keys of a set (RFC 7517 §5): at least one.
    ///
    /// # Errors
    /// As [`Jwk::read`], of the first that is no key.
    pub fn read_all(text: &str) -> Result<Vec<Self>, BadJwk> {
        #[derive(Deserialize)]
        struct JwkSet {
            keys: Vec<Members>,
        }
        match serde_json::from_str::<JwkSet>(text) {
            Ok(set) if set.keys.is_empty() => Err(BadJwk::NotJson),
            Ok(set) => set.keys.into_iter().map(Self::of).collect(),
            Err(_) => Ok(vec![Self::read(text)?]),
        }
    }

    fn of(members: Members) -> Result<Self, BadJwk> {
        let material = match &*members.kty {
            "oct" => KeyMaterial::Secret(SecretKey::new(bytes("k", &members.k)?.to_vec())),
            "EC" => elliptic(&members)?,
            "OKP" => okp(&members)?,
            "RSA" => rsa(&members)?,
            other => return Err(BadJwk::Kty(other.chars().take(20).collect())),
        };
        Ok(Self { id: members.kid, material })
    }
}

impl KeyFamily {
    /// What `crv` says; RSA has none.
    pub(super) fn curve(self) -> Option<&'static str> {
        match self {
            Self::P256 => Some("P-256"),
            Self::P384 => Some("P-384"),
            Self::P521 => Some("P-521"),
            Self::X25519 => Some("X25519"),
            Self::Rsa => None,
        }
    }

    pub(super) fn of_curve(name: &str) -> Option<Self> {
        let all = [Self::P256, Self::P384, Self::P521, Self::X25519];
        all.into_iter().find(|family| family.curve() == Some(name))
    }

    /// The group of an elliptic curve whose points have two coordinates, and bytes of each of them.
    pub(super) fn group(self) -> Option<(Nid, usize)> {
        match self {
            Self::P256 => Some((Nid::X9_62_PRIME256V1, 32)),
            Self::P384 => Some((Nid::SECP384R1, 48)),
            Self::P521 => Some((Nid::SECP521R1, 66)),
            Self::X25519 | Self::Rsa => None,
        }
    }
}

impl SecretKey {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Zeroizing::new(bytes)))
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl PublicKey {
    /// The point with these coordinates, in base64url, on the curve called `crv`; `y` only if it has one.
    ///
    /// # Errors
    /// If the curve is unknown, or the point does not lie on it.
    pub(super) fn of_point(
        crv: &str,
        x: &Option<String>,
        y: &Option<String>,
    ) -> Result<Self, BadJwk> {
        let family =
            KeyFamily::of_curve(crv).ok_or_else(|| BadJwk::Crv(crv.chars().take(20).collect()))?;
        let key = match family.group() {
            Some((group, _)) => {
                let (x, y) = (bytes("x", x)?, bytes("y", y)?);
                point(group, &x, &y).and_then(PKey::from_ec_key)
            }
            None => PKey::public_key_from_raw_bytes(&bytes("x", x)?, Id::X25519),
        };
        Ok(Self { key: key.map_err(|_| BadJwk::NoKey)?, family })
    }
}

fn elliptic(members: &Members) -> Result<KeyMaterial, BadJwk> {
    let crv = members.crv.as_deref().unwrap_or_default();
    let public = PublicKey::of_point(crv, &members.x, &members.y)?;
    let Some((group, _)) = public.family.group() else { return Err(BadJwk::Crv(crv.into())) };
    if members.d.is_none() {
        return Ok(KeyMaterial::Public(public));
    }
    let d = bytes("d", &members.d)?;
    let key = || {
        let group = EcGroup::from_curve_name(group)?;
        let point = public.key.ec_key()?;
        let key = EcKey::from_private_components(
            &group,
            BigNum::from_slice(&d)?.as_ref(),
            point.public_key(),
        )?;
        key.check_key()?;
        PKey::from_ec_key(key)
    };
    let key = key().map_err(|_| BadJwk::NoKey)?;
    Ok(KeyMaterial::Private(PrivateKey { key, family: public.family }))
}

fn okp(members: &Members) -> Result<KeyMaterial, BadJwk> {
    let crv = members.crv.as_deref().unwrap_or_default();
    let public = PublicKey::of_point(crv, &members.x, &None)?;
    if public.family != KeyFamily::X25519 {
        return Err(BadJwk::Crv(crv.into()));
    }
    if members.d.is_none() {
        return Ok(KeyMaterial::Public(public));
    }
    let d = bytes("d", &members.d)?;
    let key = PKey::private_key_from_raw_bytes(&d, Id::X25519).map_err(|_| BadJwk::NoKey)?;
    Ok(KeyMaterial::Private(PrivateKey { key, family: public.family }))
}

fn rsa(members: &Members) -> Result<KeyMaterial, BadJwk> {
    let number = |name, member| {
        let bytes = bytes(name, member)?;
        BigNum::from_slice(&bytes).map_err(|_| BadJwk::NoKey)
    };
    let (n, e) = (number("n", &members.n)?, number("e", &members.e)?);
    let bits = n.num_bits().unsigned_abs();
    if bits < RSA_BITS_MIN {
        return Err(BadJwk::Short(bits));
    }
    let family = KeyFamily::Rsa;
    if members.d.is_none() {
        let key = Rsa::from_public_components(n, e).and_then(PKey::from_rsa);
        return Ok(KeyMaterial::Public(PublicKey { key: key.map_err(|_| BadJwk::NoKey)?, family }));
    }
    let d = number("d", &members.d)?;
    let (p, q) = (number("p", &members.p)?, number("q", &members.q)?);
    let (dp, dq) = (number("dp", &members.dp)?, number("dq", &members.dq)?);
    let qi = number("qi", &members.qi)?;
    let key = RsaPrivateKeyBuilder::new(n, e, d)
        .and_then(|key| key.set_factors(p, q))
        .and_then(|key| key.set_crt_params(dp, dq, qi))
        .map(RsaPrivateKeyBuilder::build);
    let key = key.map_err(|_| BadJwk::NoKey)?;
    if !key.check_key().unwrap_or(false) {
        return Err(BadJwk::NoKey);
    }
    let key = PKey::from_rsa(key).map_err(|_| BadJwk::NoKey)?;
    Ok(KeyMaterial::Private(PrivateKey { key, family }))
}

fn point(group: Nid, x: &[u8], y: &[u8]) -> Result<EcKey<Public>, ErrorStack> {
    let group = EcGroup::from_curve_name(group)?;
    let (x, y) = (BigNum::from_slice(x)?, BigNum::from_slice(y)?);
    // It checks that the point lies on the curve, and is no part of a smaller one.
    EcKey::from_public_key_affine_coordinates(&group, &x, &y)
}

fn bytes(name: &'static str, member: &Option<String>) -> Result<Zeroizing<Vec<u8>>, BadJwk> {
    let text = member.as_deref().ok_or(BadJwk::Number(name))?;
    let bytes = B64U.decode(text).map_err(|_| BadJwk::Number(name))?;
    if bytes.is_empty() { Err(BadJwk::Number(name)) } else { Ok(Zeroizing::new(bytes)) }
}

impl PartialEq for SecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && openssl::memcmp::eq(&self.0, &other.0)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.family == other.family && self.key.public_eq(&other.key)
    }
}

impl PartialEq for PrivateKey {
    fn eq(&self, other: &Self) -> bool {
        self.family == other.family && self.key.public_eq(&other.key)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a secret of {} bytes", self.0.len())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a public key ({:?})", self.family)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a private key ({:?})", self.family)
    }
}
