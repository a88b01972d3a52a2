//! Key agreement: a key pair made for one value, and the key that both sides compute from it.
//!
//! ECDH-ES, RFC 7518 §4.6: Concat KDF (NIST SP 800-56A) with SHA-256. Keys of up to 256 bits need one round.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::pkey::{HasPublic, PKey, PKeyRef, Private};
use openssl::sha::Sha256;
use zeroize::Zeroizing;

use super::jwk::KeyFamily;

/// A key of at most 256 bits.
pub type SharedKey = Zeroizing<Vec<u8>>;

/// What both sides know beside the secret.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// `enc` where the key encrypts the value, `alg` where it wraps another key.
    pub algorithm: &'a str,
    /// `apu` and `apv`, decoded.
    pub parties: (&'a [u8], &'a [u8]),
    /// Bytes of the key, at most 32.
    pub bytes: usize,
}

/// A new key pair of this family.
pub fn ephemeral(family: KeyFamily) -> Result<PKey<Private>, ErrorStack> {
    match family.group() {
        Some((group, _)) => {
            let group = EcGroup::from_curve_name(group)?;
            PKey::from_ec_key(EcKey::generate(&group)?)
        }
        None => PKey::generate_x25519(),
    }
}

/// Appends the `epk` of a header: the public half of `key`, as a JWK.
pub fn write_epk(
    key: &PKey<Private>,
    family: KeyFamily,
    out: &mut String,
) -> Result<(), ErrorStack> {
    let crv = family.curve().unwrap_or_default();
    match family.group() {
        Some((group, bytes)) => {
            let group = EcGroup::from_curve_name(group)?;
            let (mut x, mut y) = (BigNum::new()?, BigNum::new()?);
            let mut context = BigNumContext::new()?;
            let key = key.ec_key()?;
            key.public_key().affine_coordinates(&group, &mut x, &mut y, &mut context)?;
            let padded = |number: &BigNum| number.to_vec_padded(bytes as i32);
            let (x, y) = (padded(&x)?, padded(&y)?);
            out.push_str(&format!(r#"{{"kty":"EC","crv":"{crv}","x":""#));
            B64U.encode_string(x, out);
            out.push_str(r#"","y":""#);
            B64U.encode_string(y, out);
        }
        None => {
            out.push_str(&format!(r#"{{"kty":"OKP","crv":"{crv}","x":""#));
            B64U.encode_string(key.raw_public_key()?, out);
        }
    }
    out.push_str("\"}");
    Ok(())
}

/// The key that who has `own` and who has the private half of `theirs` compute.
pub fn agree<T: HasPublic>(
    own: &PKeyRef<Private>,
    theirs: &PKeyRef<T>,
    context: Context<'_>,
) -> Result<SharedKey, ErrorStack> {
    let mut deriver = Deriver::new(own)?;
    deriver.set_peer(theirs)?;
    let secret = Zeroizing::new(deriver.derive_to_vec()?);
    Ok(concat_kdf(&secret, context))
}

/// RFC 7518 §4.6.2, one round.
///
/// # Panics
/// If more than 32 bytes are wanted: that is our bug.
pub fn concat_kdf(secret: &[u8], context: Context<'_>) -> SharedKey {
    assert!(context.bytes <= 32, "one round of SHA-256 makes no more");
    let mut hash = Sha256::new();
    hash.update(&1_u32.to_be_bytes());
    hash.update(secret);
    let (apu, apv) = context.parties;
    for part in [context.algorithm.as_bytes(), apu, apv] {
        hash.update(&(part.len() as u32).to_be_bytes());
        hash.update(part);
    }
    hash.update(&(context.bytes as u32 * 8).to_be_bytes());
    let digest = Zeroizing::new(hash.finish());
    Zeroizing::new(digest[..context.bytes].to_vec())
}
