//! Data keys as a registry has them: `/dek-registry/v1`, the API of Confluent's registry.

use std::time::Instant;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::http::StatusCode;
use zeroize::{Zeroize as _, Zeroizing};

use super::Registry;
use super::lookup::{Lookup, escaped};
use crate::record::DataKeyAlgorithm;

/// What wraps data keys (KEK), as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct KekAnswer {
    #[serde(rename = "kmsType")]
    pub kms: String,
    /// The registry unwraps data keys itself, and gives them to those who may read them.
    #[serde(default)]
    pub shared: bool,
}

/// A data key (DEK).
#[derive(Deserialize)]
pub(super) struct DekAnswer {
    pub version: u32,
    #[serde(default, rename = "encryptedKeyMaterial")]
    pub wrapped: Option<String>,
    #[serde(default, rename = "keyMaterial")]
    pub clear: Option<String>,
}

impl Drop for DekAnswer {
    fn drop(&mut self) {
        self.clear.zeroize();
    }
}

/// Where a data key is in the registry.
#[derive(Clone, Copy, Debug)]
pub(super) struct DekPlace<'a> {
    pub kek: &'a str,
    pub subject: &'a str,
    pub algorithm: DataKeyAlgorithm,
}

impl Registry {
    /// # Errors
    /// If the registry gave no answer that could be one.
    pub(super) fn kek(&self, name: &str) -> Result<Option<KekAnswer>, String> {
        self.ask(&format!("/dek-registry/v1/keks/{}?deleted=true", escaped(name)), None)
    }

    /// Another KEK that wraps data keys of `subject`, if the registry tells. At most 100 are asked about.
    pub(super) fn other_kek(&self, subject: &str, known: &[&str]) -> Option<String> {
        let all: Vec<String> = self.ask("/dek-registry/v1/keks", None).ok()??;
        let others = all.into_iter().filter(|name| !known.contains(&name.as_str())).take(100);
        let mut others = others.filter(|name| {
            let path = format!("/dek-registry/v1/keks/{}/deks", escaped(name));
            let subjects: Result<Option<Vec<String>>, String> = self.ask(&path, None);
            subjects.is_ok_and(|all| all.is_some_and(|all| all.iter().any(|of| of == subject)))
        });
        others.next()
    }

    /// The data key with this version; the newest, if it is `None`.
    ///
    /// # Errors
    /// If the registry gave no answer that could be one.
    pub(super) fn dek(
        &self,
        DekPlace { kek, subject, algorithm }: DekPlace<'_>,
        version: Option<u32>,
    ) -> Result<Option<DekAnswer>, String> {
        let version = version.map_or("-1".to_owned(), |version| version.to_string());
        let (kek, subject, algorithm) = (escaped(kek), escaped(subject), algorithm.name());
        self.ask(
            &format!(
                "/dek-registry/v1/keks/{kek}/deks/{subject}/versions/{version}?algorithm={algorithm}&deleted=true"
            ),
            None,
        )
    }

    /// Files a wrapped data key under a subject.
    ///
    /// # Errors
    /// If the registry did not take it.
    pub(super) fn file_dek(
        &self,
        DekPlace { kek, subject, algorithm }: DekPlace<'_>,
        version: u32,
        wrapped: &str,
    ) -> Result<(), String> {
        let body = serde_json::json!({
            "subject": subject, "version": version, "algorithm": algorithm.name(), "encryptedKeyMaterial": wrapped,
        });
        let path = format!("/dek-registry/v1/keks/{}/deks", escaped(kek));
        let filed: Option<DekAnswer> = self.ask(&path, Some(body.to_string().as_bytes()))?;
        filed.map(|_| ()).ok_or_else(|| format!("{}{path}: there is no such key", self.url))
    }

    fn ask<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Option<T>, String> {
        let lookup = Lookup { registry: self, deadline: Instant::now() + self.timeout };
        let (status, answer) = lookup.send(path, body)?;
        let answer = Zeroizing::new(answer);
        let wrong = |what: &str| Err(format!("{}{path}: {what}", self.url));
        match status {
            StatusCode::OK => match serde_json::from_slice(&answer) {
                Ok(answer) => Ok(Some(answer)),
                // Without the error's words: they may repeat a key.
                Err(_) => wrong("answered what is no key"),
            },
            StatusCode::NOT_FOUND => {
                #[derive(Deserialize)]
                struct Refusal {
                    error_code: i64,
                }
                let refusal = serde_json::from_slice::<Refusal>(&answer);
                // That a key does not exist is believed of a registry of keys alone, which says so with these codes.
                match refusal.is_ok_and(|said| (40_470..40_480).contains(&said.error_code)) {
                    true => Ok(None),
                    false => wrong("answered 404: does this registry keep data keys?"),
                }
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                wrong(&format!("answered {status}: look at `user`, `password` and `token`"))
            }
            status => wrong(&format!("answered {status}")),
        }
    }
}
