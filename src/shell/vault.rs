//! HashiCorp Vault or OpenBao, asked to unwrap the keys that streams open values with.
//!
//! `POST /v1/{mount}/decrypt/{key}` of the transit engine, with a token, or with one that AppRole gives us. A key is wanted
//! as a schema is: before a turn, by one worker at a time, for all of them. Whatever is no key is the world's doing
//! ([`KeyAway`]), never a record's: a vault that is sealed, away, forbids, or does not know the mount. Records wait then, or
//! pass unscored, as `on_guard_failure` says. After it nobody asks for a while.
//!
//! A key lives for `cache`, then it is overwritten. In the last quarter of its life it is asked for again, so that a vault
//! that is away for a while is not noticed. It cannot see that a key was withdrawn before that.

use std::io::Read as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tracing::{info, warn};
use ureq::Agent;
use ureq::http::StatusCode;
use zeroize::Zeroizing;

use super::http::{self, CaFileError};
use crate::config::{Hidden, VaultKey, VaultLogin};
use crate::deliver::Backoff;
use crate::open::Jwk;
use crate::score::Guard;

/// The keys of one stream that a vault unwraps, shared by its workers.
pub struct Vaults {
    all: Vec<Vault>,
    memory: Mutex<Vec<Attempts>>,
}

/// One key of a vault's transit engine.
pub(super) struct Vault {
    agent: Agent,
    key: VaultKey,
}

/// What is known of one key.
#[derive(Clone, Debug)]
struct Attempts {
    /// When it was unwrapped.
    learned: Option<Instant>,
    /// Attempts in a row without an answer, and when the next may be made.
    failures: u32,
    retry_at: Instant,
    /// What AppRole gave us.
    token: Option<Hidden<String>>,
}

/// A key could not be unwrapped; nobody asks again before `retry_at`.
#[derive(Clone, Debug, thiserror::Error)]
#[error("key {name}: {reason}")]
pub struct KeyAway {
    pub name: String,
    pub reason: String,
    pub retry_at: Instant,
}

/// Why a vault cannot be asked at all.
#[derive(Debug, thiserror::Error)]
#[error("key {name}: {error}")]
pub struct VaultError {
    name: String,
    error: CaFileError,
}

/// Largest answer that we read: a set of keys has some kilobytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// How long one answer may take. The worker that needs it waits.
const TIMEOUT: Duration = Duration::from_secs(3);
/// After an attempt without an answer.
const WAIT: Backoff =
    Backoff { first: Duration::from_millis(250), longest: Duration::from_secs(10) };

impl Vaults {
    /// # Errors
    /// If certificates cannot be read.
    pub fn new(keys: &[VaultKey]) -> Result<Self, VaultError> {
        let vault = |key: &VaultKey| {
            Vault::new(key).map_err(|error| VaultError { name: key.name.clone(), error })
        };
        let nothing =
            Attempts { learned: None, failures: 0, retry_at: Instant::now(), token: None };
        Ok(Self {
            all: keys.iter().map(vault).collect::<Result<_, _>>()?,
            memory: Mutex::new(vec![nothing; keys.len()]),
        })
    }

    /// Gives `guard` every key that it lacks or that is soon too old, and takes away those that are.
    ///
    /// # Errors
    /// At the first that `guard` lacks then.
    pub fn fetch(&self, guard: &Guard) -> Result<(), KeyAway> {
        let mut away = Ok(());
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        for (slot, (vault, known)) in self.all.iter().zip(memory.iter_mut()).enumerate() {
            let now = Instant::now();
            let age = known.learned.map(|at| now.saturating_duration_since(at));
            if age.is_some_and(|age| age >= vault.key.cache) {
                guard.forget_key(slot);
                known.learned = None;
            }
            let young = age.is_some_and(|age| age < vault.key.cache / 4 * 3);
            if known.learned.is_some() && young && !guard.lacks_key(slot) {
                continue;
            }
            let failed = match now < known.retry_at {
                true => Some("the vault did not answer a moment ago".to_owned()),
                false => match vault.unwrap(&mut known.token) {
                    Ok(keys) => {
                        info!(key = vault.key.name, ids = keys.len(), "key unwrapped");
                        guard.learn_key(slot, keys);
                        (known.learned, known.failures) = (Some(Instant::now()), 0);
                        None
                    }
                    Err(reason) => {
                        known.failures = known.failures.saturating_add(1);
                        known.retry_at = Instant::now() + WAIT.after(known.failures);
                        let failures = known.failures;
                        warn!(key = vault.key.name, reason, failures, "a key cannot be unwrapped");
                        Some(reason)
                    }
                },
            };
            if let Some(reason) = failed
                && guard.lacks_key(slot)
                && away.is_ok()
            {
                let (name, retry_at) = (vault.key.name.clone(), known.retry_at);
                away = Err(KeyAway { name, reason, retry_at });
            }
        }
        away
    }
}

impl Vault {
    /// # Errors
    /// If certificates cannot be read.
    pub fn new(key: &VaultKey) -> Result<Self, CaFileError> {
        Ok(Self { agent: http::agent(key.ca_file.as_deref())?, key: key.clone() })
    }

    /// The keys that are wrapped.
    ///
    /// # Errors
    /// Why the vault gave none, without anything secret.
    fn unwrap(&self, token: &mut Option<Hidden<String>>) -> Result<Vec<Jwk>, String> {
        let wrapped = self.key.wrapped.as_deref().ok_or("it has no `jwk`")?;
        let text = self.open(wrapped, token)?;
        let text = std::str::from_utf8(&text).map_err(|_| "what is wrapped is no JWK")?;
        let keys = Jwk::read_all(text).map_err(|why| format!("what is wrapped: {why}"))?;
        match keys.len() > 1 && keys.iter().any(|key| key.id.is_none()) {
            true => Err("what is wrapped: a key of the set has no `kid`".into()),
            false => Ok(keys),
        }
    }

    /// What the vault wrapped as `wrapped`: `vault:v1:…`. `token` is what AppRole gave us.
    ///
    /// # Errors
    /// Why the vault gave nothing, without anything secret.
    pub fn open(
        &self,
        wrapped: &str,
        token: &mut Option<Hidden<String>>,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        let known = token.clone();
        let decrypt = |token: &Hidden<String>| self.decrypt(wrapped, token);
        let (status, body) = match (&self.key.login, known) {
            (VaultLogin::Token(own), _) => decrypt(own)?,
            (VaultLogin::AppRole { .. }, Some(known)) => match decrypt(&known)? {
                // It may be over: one more is asked for.
                (StatusCode::FORBIDDEN, _) => decrypt(token.insert(self.log_in()?))?,
                answer => answer,
            },
            (VaultLogin::AppRole { .. }, None) => decrypt(token.insert(self.log_in()?))?,
        };
        #[derive(Deserialize)]
        struct Answer<'b> {
            #[serde(borrow)]
            data: Plaintext<'b>,
        }
        /// Borrowed: a copy would stay behind.
        #[derive(Deserialize)]
        struct Plaintext<'b> {
            plaintext: &'b str,
        }
        self.fine(status, &body)?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| "it answered what is no answer of a vault")?;
        let text = STANDARD.decode(answer.data.plaintext.as_bytes()).map(Zeroizing::new);
        Ok(text.map_err(|_| "it answered what is no base64")?)
    }

    fn decrypt(
        &self,
        wrapped: &str,
        token: &Hidden<String>,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), String> {
        let VaultKey { mount, key, .. } = &self.key;
        let body = serde_json::json!({ "ciphertext": wrapped.trim() });
        self.post(&format!("/v1/{mount}/decrypt/{key}"), &body, Some(token))
    }

    /// A token by AppRole.
    fn log_in(&self) -> Result<Hidden<String>, String> {
        #[derive(Deserialize)]
        struct Answer {
            auth: Auth,
        }
        #[derive(Deserialize)]
        struct Auth {
            client_token: String,
        }
        let VaultLogin::AppRole { role_id, secret_id } = &self.key.login else {
            unreachable!("a token needs no login")
        };
        let body = serde_json::json!({ "role_id": role_id, "secret_id": secret_id.expose() });
        let (status, body) = self.post("/v1/auth/approle/login", &body, None)?;
        self.fine(status, &body).map_err(|why| format!("login by AppRole: {why}"))?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| "login by AppRole: it answered what is no answer of a vault")?;
        Ok(Hidden::new(answer.auth.client_token))
    }

    fn post(
        &self,
        path: &str,
        body: &serde_json::Value,
        token: Option<&Hidden<String>>,
    ) -> Result<(StatusCode, Zeroizing<Vec<u8>>), String> {
        let url = format!("{}{path}", self.key.url);
        let request = self.agent.post(&url).config().timeout_global(Some(TIMEOUT)).build();
        let request = match token {
            Some(token) => request.header("X-Vault-Token", token.expose()),
            None => request,
        };
        let request = request.header("content-type", "application/json");
        let sent = request.send(body.to_string().as_bytes());
        let mut answer = sent.map_err(|error| format!("{url}: {error}"))?;
        let mut body = Zeroizing::new(vec![]);
        let read = answer.body_mut().as_reader().take(ANSWER_BYTES_MAX).read_to_end(&mut body);
        read.map_err(|error| format!("{url}: {error}"))?;
        Ok((answer.status(), body))
    }

    /// # Errors
    /// What another answer than 200 means, in the vault's own words where it has any.
    fn fine(&self, status: StatusCode, body: &[u8]) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Refusal {
            errors: Vec<String>,
        }
        let said = serde_json::from_slice::<Refusal>(body).map(|refusal| refusal.errors.join("; "));
        let said = said.unwrap_or_default().replace('\n', " ");
        let meaning = match status.as_u16() {
            200 => return Ok(()),
            503 => "it is sealed, or no node of it is active",
            403 => "it forbids that: look at the token and its policy",
            404 => "nothing is there: look at `mount` and `key`",
            400 => {
                "it cannot unwrap that: look at `key`, and with which one and which version it was wrapped"
            }
            429 | 472 | 473 => "it does not answer now",
            _ => "it gave no answer",
        };
        Err(format!("{}: {status}: {meaning} ({said})", self.key.url))
    }
}

#[cfg(test)]
mod tests;
