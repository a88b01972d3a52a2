//! Key management services: each unwraps data keys with a key that never leaves it. One file per service.
//!
//! Whatever a service says but the key is the world's doing, never a record's: who wrote the record did not choose the
//! service. Its words tell a person what to do, and nothing is decided by them.

mod aws;
mod local;

use std::sync::{Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::sign::Signer;
use zeroize::Zeroizing;

use super::http::CaFileError;
use super::vault::Vault;
use crate::config::{Hidden, Kms};

/// One key of a service.
pub enum KeyService {
    /// With what AppRole gave us.
    Vault(Box<Vault>, Mutex<Option<Hidden<String>>>),
    Aws(Box<aws::AwsService>),
    Local(local::LocalService),
}

impl KeyService {
    /// # Errors
    /// If certificates cannot be read.
    pub fn new(kms: &Kms) -> Result<Self, CaFileError> {
        Ok(match kms {
            Kms::Vault(key) => Self::Vault(Box::new(Vault::new(key)?), Mutex::default()),
            Kms::Aws(key) => Self::Aws(Box::new(aws::AwsService::new(key)?)),
            Kms::Local(secret) => Self::Local(local::LocalService::new(secret)),
        })
    }

    /// What was wrapped as `wrapped`.
    ///
    /// # Errors
    /// Why the service gave nothing, without anything secret.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::Vault(vault, token) => {
                let text = std::str::from_utf8(wrapped).ok();
                let text = text.filter(|text| text.starts_with("vault:v"));
                let text = text.ok_or("the data key is nothing that a vault wrapped")?;
                vault.open(text, &mut token.lock().unwrap_or_else(PoisonError::into_inner))
            }
            Self::Aws(aws) => aws.unwrap(wrapped),
            Self::Local(local) => local.unwrap(wrapped),
        }
    }
}

/// HMAC with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> Result<Zeroizing<[u8; 32]>, ErrorStack> {
    let key = PKey::hmac(key)?;
    let mut tag = Zeroizing::new([0; 32]);
    Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot(&mut *tag, text)?;
    Ok(tag)
}

#[cfg(test)]
mod tests;
