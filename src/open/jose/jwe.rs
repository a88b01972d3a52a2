//! To seal a value: JWE in compact form, RFC 7516. `opening.rs` is the way back.
//!
//! `B64U(protected).B64U(encrypted_key).B64U(iv).B64U(ciphertext).B64U(tag)`; the first part's ASCII is authenticated
//! with the value. It hides neither lengths nor times, and what stands in the protected header is readable by all.

use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use openssl::aes::{AesKey, wrap_key};
use openssl::error::ErrorStack;
use openssl::md::Md;
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use zeroize::Zeroizing;

use super::agree::{Context, SharedKey, agree, ephemeral, write_epk};
use super::jwk::{KeyFamily, KeyMaterial, PublicKey, SecretKey};
use crate::open::KeyUse;
use crate::open::gcm::{IV_BYTES, encrypt};

/// What content types we repeat: those that a person would write.
const CONTENT_TYPE_MAX: usize = 100;

/// Seals values for the owner of one key.
#[derive(Clone, Debug)]
pub struct Sealer {
    key: SealingKey,
    /// The header up to where `cty` may follow.
    head: String,
    uses: Arc<KeyUse>,
}

#[derive(Clone, Debug)]
enum SealingKey {
    Secret(SecretKey),
    Public(PublicKey),
}

/// `alg` and `enc` of a key that seals.
fn algorithms(key: &SealingKey) -> Option<(&'static str, &'static str)> {
    match key {
        // A key of its own for every value: with `dir` one key must not seal more than 2³² of them (SP 800-38D).
        SealingKey::Secret(key) if key.expose().len() == 32 => Some(("A256KW", "A256GCM")),
        SealingKey::Secret(_) => None,
        SealingKey::Public(key) => match key.family {
            KeyFamily::Rsa => Some(("RSA-OAEP-256", "A256GCM")),
            _ => Some(("ECDH-ES", "A256GCM")),
        },
    }
}

impl Sealer {
    /// Seals with `key`, which readers know as `id`. `None` if the key is a private one, or a secret of other than 32
    /// bytes.
    pub fn new(id: &str, key: &KeyMaterial) -> Option<Self> {
        let key = match key {
            KeyMaterial::Secret(key) => SealingKey::Secret(key.clone()),
            KeyMaterial::Public(key) => SealingKey::Public(key.clone()),
            KeyMaterial::Private(_) => return None,
        };
        let (alg, enc) = algorithms(&key)?;
        let uses = Arc::new(KeyUse::new(id));
        let id = serde_json::Value::from(id);
        let head = format!(r#"{{"alg":"{alg}","enc":"{enc}","kid":{id}"#);
        Some(Self { key, head, uses })
    }

    /// How many values it sealed.
    pub fn uses(&self) -> &Arc<KeyUse> {
        &self.uses
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
        let key: SharedKey = match &self.key {
            SealingKey::Secret(with) => {
                let key = fresh()?;
                wrapped = wrap(with.expose(), &key);
                key
            }
            SealingKey::Public(to) if to.family == KeyFamily::Rsa => {
                let key = fresh()?;
                oaep(to, &key, &mut wrapped)?;
                key
            }
            SealingKey::Public(to) => {
                let own = ephemeral(to.family)?;
                header.push_str(r#","epk":"#);
                write_epk(&own, to.family, &mut header)?;
                let context = Context { algorithm: "A256GCM", parties: (&[], &[]), bytes: 32 };
                agree(&own, &to.key, context)?
            }
        };
        header.push('}');
        let start = out.len();
        encode(header.as_bytes(), out);
        let end = out.len();
        out.push(b'.');
        encode(&wrapped, out);
        finish(&key, start..end, value, scratch, out)?;
        self.uses.sealed();
        Ok(())
    }
}

/// Appends what follows the header and the wrapped key, which `out` ends in: IV, ciphertext and tag. The header stands
/// at `head`.
pub(super) fn finish(
    key: &[u8],
    head: Range<usize>,
    value: &[u8],
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), ErrorStack> {
    let mut iv = [0; IV_BYTES];
    openssl::rand::rand_bytes(&mut iv)?;
    let tag = encrypt(key, &iv, &out[head], value, scratch)?;
    for part in [&iv[..], scratch, &tag] {
        out.push(b'.');
        encode(part, out);
    }
    Ok(())
}

/// A key of 256 bits that nothing else was sealed with.
fn fresh() -> Result<SharedKey, ErrorStack> {
    let mut key = Zeroizing::new(vec![0; 32]);
    openssl::rand::rand_bytes(&mut key)?;
    Ok(key)
}

/// RFC 3394.
fn wrap(with: &[u8], key: &[u8]) -> Vec<u8> {
    let with = AesKey::new_encrypt(with).expect("a key of 32 bytes");
    let mut wrapped = vec![0; key.len() + 8];
    wrap_key(&with, None, &mut wrapped, key).expect("a key of whole blocks");
    wrapped
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
