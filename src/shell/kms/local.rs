//! Confluent's `local-kms`: a key derived from a secret that every process has. For tests.
//!
//! HKDF (RFC 5869) with SHA-256, without salt and info, 16 bytes; then AES-128-GCM, `nonce 12 | ciphertext | tag 16`.

use zeroize::Zeroizing;

use super::hmac;
use crate::config::Hidden;
use crate::open::DataKey;
use crate::record::DataKeyAlgorithm;

/// The key of a secret.
pub struct LocalService(Option<DataKey>);

impl LocalService {
    pub fn new(secret: &Hidden<String>) -> Self {
        let key = hmac(&[0; 32], secret.expose().as_bytes()).and_then(|prk| hmac(&*prk, &[1]));
        let key =
            key.ok().and_then(|key| DataKey::new(DataKeyAlgorithm::Aes128Gcm, &key[..16]).ok());
        Self(key)
    }

    /// # Errors
    /// If it was wrapped with another secret.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        let key = self.0.as_ref().ok_or("OpenSSL cannot use the secret")?;
        let mut sealed = Zeroizing::new(wrapped.to_vec());
        let text = key.open(&mut sealed);
        let text =
            text.map_err(|_| "the data key was wrapped with another `secret`, or changed")?;
        Ok(Zeroizing::new(text.to_vec()))
    }
}
