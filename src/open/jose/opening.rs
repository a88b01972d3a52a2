//! To open a value that was sealed: JWE in compact form, RFC 7516. `jwe.rs` is the other way.
//!
//! Everything that a sender could use against us is a refusal: compression, extensions, keys or their addresses in the
//! header, and any algorithm that nobody configured. It cannot see who sealed a value: whoever has the key, or of a pair
//! the public half, can.

use std::borrow::Cow;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use openssl::aes::{AesKey, unwrap_key};
use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny};
use zeroize::Zeroizing;

use super::agree::{Context, SharedKey, agree};
use super::jwe::finish;
use super::jwk::{KeyFamily, KeyMaterial, PrivateKey, PublicKey};
use crate::open::gcm::{IV_BYTES, TAG_BYTES, decrypt};
use crate::record::SealFault;

/// `alg` and `enc` of a JWE.
pub type JweAlgorithm = (&'static str, &'static str);

/// Every pair that can be opened.
pub const JWE_ALGORITHMS: [JweAlgorithm; 10] = [
    ("dir", "A128GCM"),
    ("dir", "A256GCM"),
    ("A256KW", "A128GCM"),
    ("A256KW", "A256GCM"),
    ("ECDH-ES", "A128GCM"),
    ("ECDH-ES", "A256GCM"),
    ("ECDH-ES+A256KW", "A128GCM"),
    ("ECDH-ES+A256KW", "A256GCM"),
    ("RSA-OAEP-256", "A128GCM"),
    ("RSA-OAEP-256", "A256GCM"),
];

/// Bytes of a protected header, encoded. Ours has at most 500.
const HEADER_MAX: usize = 4096;
/// Bytes of a wrapped key, encoded. RSA of 16,384 bits has 2,731.
const WRAPPED_MAX: usize = 4096;
/// Bytes of an IV or a tag, encoded, which have 16 and 22.
const SHORT_MAX: usize = 64;

/// What a value held.
#[derive(Debug, PartialEq)]
pub struct OpenedJwe {
    pub plaintext: Zeroizing<Vec<u8>>,
    /// `cty`
    pub content_type: Option<String>,
}

/// The five parts of a compact JWE, as they stand there.
#[derive(Clone, Copy, Debug)]
pub struct Compact<'v> {
    pub head: &'v [u8],
    pub wrapped: &'v [u8],
    iv: &'v [u8],
    ciphertext: &'v [u8],
    tag: &'v [u8],
}

/// The protected header, as far as it is read.
#[derive(Deserialize)]
pub struct ProtectedHeader<'h> {
    #[serde(borrow)]
    alg: Cow<'h, str>,
    #[serde(borrow)]
    enc: Cow<'h, str>,
    #[serde(borrow)]
    pub kid: Option<HeaderText<'h>>,
    #[serde(borrow)]
    pub cty: Option<HeaderText<'h>>,
    epk: Option<Epk>,
    apu: Option<String>,
    apv: Option<String>,
    #[serde(default)]
    zip: RefusedMember,
    #[serde(default)]
    crit: RefusedMember,
    #[serde(default)]
    jku: RefusedMember,
    #[serde(default)]
    x5u: RefusedMember,
    #[serde(default)]
    jwk: RefusedMember,
}

#[derive(Deserialize)]
pub struct HeaderText<'h>(#[serde(borrow)] pub Cow<'h, str>);

/// Whether a member is there, whatever it says: null too.
#[derive(Default)]
struct RefusedMember(bool);

impl<'de> Deserialize<'de> for RefusedMember {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(from).map(|_| Self(true))
    }
}

#[derive(Deserialize)]
struct Epk {
    crv: String,
    x: Option<String>,
    y: Option<String>,
}

/// The key that encrypts a value itself.
enum ContentKey<'k> {
    Own(&'k [u8]),
    Made(SharedKey),
}

impl ContentKey<'_> {
    fn expose(&self) -> &[u8] {
        match self {
            Self::Own(key) => key,
            Self::Made(key) => key,
        }
    }
}

impl<'v> Compact<'v> {
    /// # Errors
    /// If there are not five parts, or one is longer than any that could be opened.
    pub fn cut(value: &'v [u8]) -> Result<Self, SealFault> {
        // Three parts from the front and one from the back, which are short: no walk over the ciphertext. If there is a dot
        // in what lies between, it is no base64.
        let mut rest = value;
        let mut part = |longest: usize| -> Result<&'v [u8], SealFault> {
            let dot = rest.iter().take(longest + 1).position(|&byte| byte == b'.');
            let (part, behind) = rest.split_at(dot.ok_or(SealFault::Parts)?);
            rest = &behind[1..];
            Ok(part)
        };
        let (head, wrapped, iv) = (part(HEADER_MAX)?, part(WRAPPED_MAX)?, part(SHORT_MAX)?);
        let behind = rest.iter().rev().take(SHORT_MAX + 1).position(|&byte| byte == b'.');
        let behind = behind.ok_or(SealFault::Parts)?;
        let dot = rest.len() - 1 - behind;
        Ok(Self { head, wrapped, iv, ciphertext: &rest[..dot], tag: &rest[dot + 1..] })
    }

    /// Writes the protected header into `decoded`, and reads it there.
    ///
    /// # Errors
    /// If it cannot be read, asks for what we do not do, or its algorithms are not among `allowed`.
    pub fn header<'h>(
        &self,
        decoded: &'h mut Vec<u8>,
        allowed: &[JweAlgorithm],
    ) -> Result<ProtectedHeader<'h>, SealFault> {
        decoded.clear();
        B64U.decode_vec(self.head, decoded).map_err(|_| SealFault::Parts)?;
        // serde reads a struct from an array too; the specification does not.
        if decoded.trim_ascii_start().first() != Some(&b'{') {
            return Err(SealFault::Header);
        }
        let protected: ProtectedHeader<'h> =
            serde_json::from_slice(decoded).map_err(|_| SealFault::Header)?;
        let ProtectedHeader { zip, crit, jku, x5u, jwk, .. } = &protected;
        if [zip, crit, jku, x5u, jwk].into_iter().any(|member| member.0) {
            return Err(SealFault::Forbidden);
        }
        if !allowed.contains(&(&protected.alg, &protected.enc)) {
            return Err(SealFault::Algorithm);
        }
        Ok(protected)
    }

    /// Appends what is sealed to `out`, and says where it is. After a fault `out` is as it was, and nothing of it is left
    /// behind.
    ///
    /// # Errors
    /// What is wrong with the value.
    pub fn open(
        &self,
        protected: &ProtectedHeader<'_>,
        key: &KeyMaterial,
        out: &mut Vec<u8>,
    ) -> Result<Range<usize>, SealFault> {
        let mut iv = [0; IV_BYTES];
        let mut tag = [0; TAG_BYTES + 2];
        let decode = |part: &[u8], into: &mut [u8]| B64U.decode_slice(part, into).ok();
        let lengths = (decode(self.iv, &mut iv), decode(self.tag, &mut tag));
        if lengths != (Some(IV_BYTES), Some(TAG_BYTES)) {
            return Err(SealFault::Parts);
        }
        let key = self.key(protected, key)?;
        let start = out.len();
        out.resize(start + base64::decoded_len_estimate(self.ciphertext.len()), 0);
        let opened = match B64U.decode_slice(self.ciphertext, &mut out[start..]) {
            Ok(length) => {
                out.truncate(start + length);
                let text = &mut out[start..];
                decrypt(key.expose(), &iv, self.head, text, &tag[..TAG_BYTES])
                    .map_err(|_| SealFault::Tag)
            }
            Err(_) => Err(SealFault::Parts),
        };
        if let Err(fault) = opened {
            // What was decrypted before the tag was found wrong is not for anybody.
            out[start..].fill(0);
            std::hint::black_box(&mut *out);
            out.truncate(start);
            return Err(fault);
        }
        Ok(start..out.len())
    }

    /// Appends `value` to `out` in the same envelope: header, wrapped key and so the key of its content are the same, the
    /// IV is new. `scratch` is overwritten.
    ///
    /// # Errors
    /// If OpenSSL cannot: it has no random numbers.
    ///
    /// # Panics
    /// If this is not a value that `key` opens: that is our bug.
    pub fn seal(
        &self,
        protected: &ProtectedHeader<'_>,
        key: &KeyMaterial,
        value: &[u8],
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorStack> {
        let key = self.key(protected, key).expect("it opened the value");
        let start = out.len();
        out.extend_from_slice(self.head);
        let head = start..out.len();
        out.push(b'.');
        out.extend_from_slice(self.wrapped);
        finish(key.expose(), head, value, scratch, out)
    }

    /// The key that encrypts the value itself.
    fn key<'k>(
        &self,
        protected: &ProtectedHeader<'_>,
        key: &'k KeyMaterial,
    ) -> Result<ContentKey<'k>, SealFault> {
        let enc = &*protected.enc;
        let bytes = match enc {
            "A128GCM" => 16,
            "A256GCM" => 32,
            _ => return Err(SealFault::Algorithm),
        };
        let alg = &*protected.alg;
        // An empty key under a wrapping algorithm, and a key where there is none to be, are no JWE.
        if self.wrapped.is_empty() != matches!(alg, "dir" | "ECDH-ES") {
            return Err(SealFault::Key);
        }
        let wrapped = || B64U.decode(self.wrapped).map_err(|_| SealFault::Parts);
        let key = match (alg, key) {
            ("dir", KeyMaterial::Secret(key)) => ContentKey::Own(key.expose()),
            ("A256KW", KeyMaterial::Secret(key)) => {
                ContentKey::Made(unwrap(key.expose(), &wrapped()?)?)
            }
            ("ECDH-ES", KeyMaterial::Private(key)) => {
                ContentKey::Made(shared(protected, key, (enc, bytes))?)
            }
            ("ECDH-ES+A256KW", KeyMaterial::Private(key)) => {
                ContentKey::Made(unwrap(&shared(protected, key, (alg, 32))?, &wrapped()?)?)
            }
            ("RSA-OAEP-256", KeyMaterial::Private(key)) if key.family == KeyFamily::Rsa => {
                // RFC 7516 §11.5: nobody learns whether it was the key that could not be opened. Another one goes on in its
                // place, and does not fit the tag.
                let opened = open_oaep(key, &wrapped()?).ok().filter(|key| key.len() == bytes);
                ContentKey::Made(opened.or_else(|| random(bytes).ok()).ok_or(SealFault::Key)?)
            }
            _ => return Err(SealFault::Algorithm),
        };
        if key.expose().len() == bytes { Ok(key) } else { Err(SealFault::Key) }
    }
}

/// What `value` holds, if `key` opens it and its `alg` and `enc` are among `allowed`.
///
/// # Errors
/// What is wrong with it. Never panics, whatever the bytes.
pub fn open_jwe(
    value: &[u8],
    key: &KeyMaterial,
    allowed: &[JweAlgorithm],
) -> Result<OpenedJwe, SealFault> {
    let (jwe, mut decoded) = (Compact::cut(value)?, vec![]);
    let protected = jwe.header(&mut decoded, allowed)?;
    // Without room from the start a copy would stay behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(value.len()));
    jwe.open(&protected, key, &mut plaintext)?;
    let content_type = protected.cty.map(|cty| cty.0.into_owned());
    Ok(OpenedJwe { plaintext, content_type })
}

/// Whether a key of this kind opens values of this `alg` and `enc`.
pub fn fits(key: &KeyMaterial, (alg, enc): JweAlgorithm) -> bool {
    match (alg, key) {
        ("dir", KeyMaterial::Secret(key)) => {
            key.expose().len() == if enc == "A128GCM" { 16 } else { 32 }
        }
        ("A256KW", KeyMaterial::Secret(key)) => key.expose().len() == 32,
        ("ECDH-ES" | "ECDH-ES+A256KW", KeyMaterial::Private(key)) => key.family != KeyFamily::Rsa,
        ("RSA-OAEP-256", KeyMaterial::Private(key)) => key.family == KeyFamily::Rsa,
        _ => false,
    }
}

fn shared(
    protected: &ProtectedHeader<'_>,
    key: &PrivateKey,
    (algorithm, bytes): (&str, usize),
) -> Result<SharedKey, SealFault> {
    let Epk { crv, x, y } = protected.epk.as_ref().ok_or(SealFault::Key)?;
    let theirs = PublicKey::of_point(crv, x, y).map_err(|_| SealFault::Key)?;
    if theirs.family != key.family {
        return Err(SealFault::Key);
    }
    let party = |text: &Option<String>| {
        B64U.decode(text.as_deref().unwrap_or_default()).map_err(|_| SealFault::Header)
    };
    let (apu, apv) = (party(&protected.apu)?, party(&protected.apv)?);
    let context = Context { algorithm, parties: (&apu, &apv), bytes };
    agree(&key.key, &theirs.key, context).map_err(|_| SealFault::Key)
}

/// RFC 3394.
fn unwrap(key: &[u8], wrapped: &[u8]) -> Result<SharedKey, SealFault> {
    let whole = wrapped.len().is_multiple_of(8) && (24..=40).contains(&wrapped.len());
    if key.len() != 32 || !whole {
        return Err(SealFault::Key);
    }
    let key = AesKey::new_decrypt(key).map_err(|_| SealFault::Key)?;
    let mut plain = Zeroizing::new(vec![0; wrapped.len() - 8]);
    unwrap_key(&key, None, &mut plain, wrapped).map_err(|_| SealFault::Key)?;
    Ok(plain)
}

fn random(bytes: usize) -> Result<SharedKey, ErrorStack> {
    let mut key = Zeroizing::new(vec![0; bytes]);
    openssl::rand::rand_bytes(&mut key)?;
    Ok(key)
}

fn open_oaep(own: &PrivateKey, wrapped: &[u8]) -> Result<SharedKey, ErrorStack> {
    let mut context = PkeyCtx::new(&own.key)?;
    context.decrypt_init()?;
    context.set_rsa_padding(Padding::PKCS1_OAEP)?;
    context.set_rsa_oaep_md(Md::sha256())?;
    context.set_rsa_mgf1_md(Md::sha256())?;
    let mut key = Zeroizing::new(vec![]);
    context.decrypt_to_vec(wrapped, &mut key)?;
    Ok(key)
}
