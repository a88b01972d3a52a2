//! AES-GCM, by OpenSSL: what both ways of sealing a value are made of.
//!
//! One key must not seal more than 2³² values under random nonces (SP 800-38D): whoever makes the keys minds that.

use openssl::cipher::{Cipher, CipherRef};
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;

/// SP 800-38D: 96 bits, and the longest tag.
pub const IV_BYTES: usize = 12;
pub const TAG_BYTES: usize = 16;

fn gcm(key: &[u8]) -> &'static CipherRef {
    if key.len() == 16 { Cipher::aes_128_gcm() } else { Cipher::aes_256_gcm() }
}

/// Writes the ciphertext of `value` into `out`, and gives its tag.
///
/// # Errors
/// If OpenSSL cannot.
pub fn encrypt(
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

/// Turns the ciphertext in `text` into what it was made from. After an error `text` holds what is for nobody.
///
/// # Errors
/// If the tag is another.
pub fn decrypt(
    key: &[u8],
    iv: &[u8],
    authenticated: &[u8],
    text: &mut [u8],
    tag: &[u8],
) -> Result<(), ErrorStack> {
    let mut context = CipherCtx::new()?;
    context.decrypt_init(Some(gcm(key)), Some(key), Some(iv))?;
    context.set_tag(tag)?;
    context.cipher_update(authenticated, None)?;
    if !text.is_empty() {
        context.cipher_update_inplace(text, text.len())?;
    }
    // GCM has nothing left to write here.
    context.cipher_final(&mut [0; 16])?;
    Ok(())
}
