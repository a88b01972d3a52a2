//! An encrypted value: JWE in compact form, RFC 7516.
//!
//! `B64U(protected).B64U(encrypted_key).B64U(iv).B64U(ciphertext).B64U(tag)`; the first part's ASCII is authenticated
//! with the value. It hides neither lengths nor times, and what stands in the protected header is readable by all.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use openssl::aes::{AesKey, unwrap_key};
use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use serde::Deserialize;
use serde::de::IgnoredAny;
use zeroize::Zeroizing;

use super::agree::{Context, SharedKey, agree, ephemeral, write_epk};
use super::jwk::{KeyFamily, KeyMaterial, PrivateKey, PublicKey, SecretKey};

/// Bytes of a protected header, encoded. Ours has at most 500.
const HEADER_MAX: usize = 4096;
/// SP 800-38D: 96 bits, and the longest tag.
const IV_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// What content types we repeat: those that a person would write.
const CONTENT_TYPE_MAX: usize = 100;

/// Why a value is not opened. All of it is its sender's doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JweFault {
    #[error("it has not the five parts of a compact JWE")]
    Parts,
    #[error("its protected header cannot be read")]
    Header,
    #[error(
        "its header asks for something that we do not do: compression, extensions, keys by address"
    )]
    Forbidden,
    #[error("its algorithms are not among those that are allowed")]
    Algorithm,
    #[error("its key cannot be unwrapped with ours")]
    Key,
    #[error("it is not what was sealed, or was sealed with another key")]
    Tag,
}

/// What a value held.
#[derive(Debug, PartialEq)]
pub struct OpenedJwe {
    pub plaintext: Zeroizing<Vec<u8>>,
    /// `cty`
    pub content_type: Option<String>,
}

#[derive(Deserialize)]
struct ProtectedHeader {
    alg: String,
    enc: String,
    cty: Option<String>,
    epk: Option<Epk>,
    apu: Option<String>,
    apv: Option<String>,
    zip: Option<IgnoredAny>,
    crit: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    jwk: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Epk {
    crv: String,
    x: Option<String>,
    y: Option<String>,
}

/// Seals values for the owner of one key.
#[derive(Clone, Debug)]
pub struct Sealer {
    key: SealingKey,
    /// The header up to where `cty` may follow.
    head: String,
}

#[derive(Clone, Debug)]
enum SealingKey {
    Secret(SecretKey),
    Public(PublicKey),
}

/// `alg` and `enc` of a key that seals.
fn algorithms(key: &SealingKey) -> Option<(&'static str, &'static str)> {
    match key {
        SealingKey::Secret(key) => match key.expose().len() {
            16 => Some(("dir", "A128GCM")),
            32 => Some(("dir", "A256GCM")),
            _ => None,
        },
        SealingKey::Public(key) => match key.family {
            KeyFamily::Rsa => Some(("RSA-OAEP-256", "A256GCM")),
            _ => Some(("ECDH-ES", "A256GCM")),
        },
    }
}

impl Sealer {
    /// Seals with `key`, which readers know as `id`. `None` if the key opens values, or is a secret of neither 16 nor
    /// 32 bytes.
    pub fn new(id: &str, key: &KeyMaterial) -> Option<Self> {
        let key = match key {
            KeyMaterial::Secret(key) => SealingKey::Secret(key.clone()),
            KeyMaterial::Public(key) => SealingKey::Public(key.clone()),
            KeyMaterial::Private(_) => return None,
        };
        let (alg, enc) = algorithms(&key)?;
        let id = serde_json::Value::from(id);
        let head = format!(r#"{{"alg":"{alg}","enc":"{enc}","kid":{id}"#);
        Some(Self { key, head })
    }

    /// Appends `value`, sealed under a key and an IV that no other value has. `content_type` is what the value is; one
    /// that is no plain media type is left out. `scratch` is overwritten.
    ///
    /// # Errors
    /// If OpenSSL cannot: it has no random numbers. `out` may then end in pieces.
    pub fn seal(
        &self,
        value: &[u8],
        content_type: Option<&[u8]>,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorStack> {
        let mut header = self.head.clone();
        if let Some(content_type) = content_type.and_then(media_type) {
            header.push_str(r#","cty":""#);
            header.push_str(content_type);
            header.push('"');
        }
        let mut wrapped = vec![];
        let key = match &self.key {
            SealingKey::Secret(_) => None,
            SealingKey::Public(to) if to.family == KeyFamily::Rsa => {
                let mut key = Zeroizing::new(vec![0; 32]);
                openssl::rand::rand_bytes(&mut key)?;
                oaep(to, &key, &mut wrapped)?;
                Some(key)
            }
            SealingKey::Public(to) => {
                let own = ephemeral(to.family)?;
                header.push_str(r#","epk":"#);
                write_epk(&own, to.family, &mut header)?;
                let context = Context { algorithm: "A256GCM", parties: (&[], &[]), bytes: 32 };
                Some(agree(&own, &to.key, context)?)
            }
        };
        header.push('}');
        let key: &[u8] = match (&self.key, &key) {
            (SealingKey::Secret(key), _) => key.expose(),
            (_, Some(key)) => key,
            (_, None) => unreachable!("a public key makes a key for every value"),
        };
        let start = out.len();
        encode(header.as_bytes(), out);
        let mut iv = [0; IV_BYTES];
        openssl::rand::rand_bytes(&mut iv)?;
        let tag = encrypt(key, &iv, &out[start..], value, scratch)?;
        for part in [&wrapped[..], &iv, scratch, &tag] {
            out.push(b'.');
            encode(part, out);
        }
        Ok(())
    }
}

/// What `value` holds, if `key` opens it and its `alg` and `enc` are among `allowed`.
///
/// # Errors
/// What is wrong with it. Never panics, whatever the bytes.
pub fn open_jwe(
    value: &[u8],
    key: &KeyMaterial,
    allowed: &[(&str, &str)],
) -> Result<OpenedJwe, JweFault> {
    let mut parts = value.split(|&byte| byte == b'.');
    let mut part = || parts.next().ok_or(JweFault::Parts);
    let [head, wrapped, iv, ciphertext, tag] = [part()?, part()?, part()?, part()?, part()?];
    if parts.next().is_some() || head.len() > HEADER_MAX {
        return Err(JweFault::Parts);
    }
    let decode = |part: &[u8]| B64U.decode(part).map_err(|_| JweFault::Parts);
    let protected: ProtectedHeader =
        serde_json::from_slice(&decode(head)?).map_err(|_| JweFault::Header)?;
    let ProtectedHeader { zip, crit, jku, x5u, jwk, .. } = &protected;
    if [zip, crit, jku, x5u, jwk].into_iter().any(Option::is_some) {
        return Err(JweFault::Forbidden);
    }
    if !allowed.contains(&(&protected.alg, &protected.enc)) {
        return Err(JweFault::Algorithm);
    }
    let (iv, tag) = (decode(iv)?, decode(tag)?);
    if (iv.len(), tag.len()) != (IV_BYTES, TAG_BYTES) {
        return Err(JweFault::Parts);
    }
    let key = content_key(&protected, &decode(wrapped)?, key)?;
    let plaintext = decrypt(&key, &iv, head, &decode(ciphertext)?, &tag).ok_or(JweFault::Tag)?;
    Ok(OpenedJwe { plaintext, content_type: protected.cty })
}

/// The key that encrypts the value itself.
fn content_key(
    protected: &ProtectedHeader,
    wrapped: &[u8],
    key: &KeyMaterial,
) -> Result<SharedKey, JweFault> {
    let bytes = match &*protected.enc {
        "A128GCM" => 16,
        "A256GCM" => 32,
        _ => return Err(JweFault::Algorithm),
    };
    let alg = &*protected.alg;
    // An empty key under a wrapping algorithm, and a key where there is none to be, are no JWE.
    if wrapped.is_empty() != matches!(alg, "dir" | "ECDH-ES") {
        return Err(JweFault::Key);
    }
    let key = match (alg, key) {
        ("dir", KeyMaterial::Secret(key)) => Zeroizing::new(key.expose().to_vec()),
        ("A256KW", KeyMaterial::Secret(key)) => unwrap(key.expose(), wrapped)?,
        ("ECDH-ES", KeyMaterial::Private(key)) => shared(protected, key, (&protected.enc, bytes))?,
        ("ECDH-ES+A256KW", KeyMaterial::Private(key)) => {
            unwrap(&shared(protected, key, (alg, 32))?, wrapped)?
        }
        ("RSA-OAEP-256", KeyMaterial::Private(key)) if key.family == KeyFamily::Rsa => {
            open_oaep(key, wrapped).map_err(|_| JweFault::Key)?
        }
        _ => return Err(JweFault::Algorithm),
    };
    if key.len() == bytes { Ok(key) } else { Err(JweFault::Key) }
}

fn shared(
    protected: &ProtectedHeader,
    key: &PrivateKey,
    (algorithm, bytes): (&str, usize),
) -> Result<SharedKey, JweFault> {
    let Epk { crv, x, y } = protected.epk.as_ref().ok_or(JweFault::Key)?;
    let theirs = PublicKey::of_point(crv, x, y).map_err(|_| JweFault::Key)?;
    if theirs.family != key.family {
        return Err(JweFault::Key);
    }
    let party = |text: &Option<String>| {
        B64U.decode(text.as_deref().unwrap_or_default()).map_err(|_| JweFault::Header)
    };
    let (apu, apv) = (party(&protected.apu)?, party(&protected.apv)?);
    let context = Context { algorithm, parties: (&apu, &apv), bytes };
    agree(&key.key, &theirs.key, context).map_err(|_| JweFault::Key)
}

/// RFC 3394.
fn unwrap(key: &[u8], wrapped: &[u8]) -> Result<SharedKey, JweFault> {
    let whole = wrapped.len().is_multiple_of(8) && (24..=40).contains(&wrapped.len());
    if key.len() != 32 || !whole {
        return Err(JweFault::Key);
    }
    let key = AesKey::new_decrypt(key).map_err(|_| JweFault::Key)?;
    let mut plain = Zeroizing::new(vec![0; wrapped.len() - 8]);
    unwrap_key(&key, None, &mut plain, wrapped).map_err(|_| JweFault::Key)?;
    Ok(plain)
}

fn oaep(to: &PublicKey, key: &[u8], wrapped: &mut Vec<u8>) -> Result<(), ErrorStack> {
    let mut context = PkeyCtx::new(&to.key)?;
    context.encrypt_init()?;
    context.set_rsa_padding(Padding::PKCS1_OAEP)?;
    context.set_rsa_oaep_md(Md::sha256())?;
    context.set_rsa_mgf1_md(Md::sha256())?;
    context.encrypt_to_vec(key, wrapped)?;
    Ok(())
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

fn gcm(key: &[u8]) -> &'static CipherRef {
    if key.len() == 16 { Cipher::aes_128_gcm() } else { Cipher::aes_256_gcm() }
}

/// Writes the ciphertext of `value` into `out`, and gives its tag.
fn encrypt(
    key: &[u8],
    iv: &[u8],
    authenticated: &[u8],
    value: &[u8],
    out: &mut Vec<u8>,
) -> Result<[u8; TAG_BYTES], ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.encrypt_init(Some(gcm(key)), Some(key), Some(iv))?;
    context.cipher_update(authenticated, None)?;
    out.clear();
    context.cipher_update_vec(value, out)?;
    context.cipher_final_vec(out)?;
    let mut tag = [0; TAG_BYTES];
    context.tag(&mut tag)?;
    Ok(tag)
}

fn decrypt(
    key: &[u8],
    iv: &[u8],
    authenticated: &[u8],
    ciphertext: &[u8],
    tag: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let open = || {
        let mut context = CipherCtx::new()?;
        context.decrypt_init(Some(gcm(key)), Some(key), Some(iv))?;
        context.set_tag(tag)?;
        context.cipher_update(authenticated, None)?;
        let mut plain = Zeroizing::new(Vec::with_capacity(ciphertext.len() + TAG_BYTES));
        context.cipher_update_vec(ciphertext, &mut plain)?;
        context.cipher_final_vec(&mut plain)?;
        Ok::<_, ErrorStack>(plain)
    };
    open().ok()
}

fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), false).expect("a value is no exabyte");
    out.resize(start + length, 0);
    B64U.encode_slice(bytes, &mut out[start..]).expect("the room that it needs");
}

/// A content type without its parameters, if it is one that needs no escapes in JSON.
fn media_type(text: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(text).ok()?.split(';').next()?.trim();
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$&^_.+-".contains(c);
    let (kind, of) = text.split_once('/')?;
    let plain = [kind, of].iter().all(|part| !part.is_empty() && part.chars().all(is_token));
    (plain && text.len() <= CONTENT_TYPE_MAX).then_some(text)
}
