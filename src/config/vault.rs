//! `[[key]] kind = "vault"`: a key of a transit engine, and who we are to it.

use std::path::PathBuf;
use std::time::Duration;

use super::claims::check_name;
use super::endpoint::{check_url, secret};
use super::kafka::Hidden;
use super::reader::{Form, Kind, Section, Text};
use super::time;

/// A key that a vault unwraps: `kind = "vault"`.
#[derive(Clone, Debug, PartialEq)]
pub struct VaultKey {
    /// What it is called, unless it has a `kid`.
    pub name: String,
    /// `url`: the vault's address, `"https://vault:8200"`.
    pub url: String,
    /// `mount = "transit"`: where its transit engine is.
    pub mount: String,
    /// `key`: the key of that engine which wraps.
    pub key: String,
    pub login: VaultLogin,
    /// `ca_file`: certificates, in PEM, of those who may vouch for the vault; the system's unless given.
    pub ca_file: Option<PathBuf>,
    /// `cache = "1h"`: how long an unwrapped key is kept.
    pub cache: Duration,
    /// `jwk`: the wrapped JWK, or set of them, as the vault wrote it: `vault:v1:…`. Without it the key wraps data keys.
    pub wrapped: Option<String>,
}

/// Who we are to a vault.
#[derive(Clone, Debug, PartialEq)]
pub enum VaultLogin {
    /// `token`
    Token(Hidden<String>),
    /// `role_id` and `secret_id`
    AppRole { role_id: String, secret_id: Hidden<String> },
}

pub(super) fn read(
    section: &mut Section<'_>,
    name: Option<&str>,
    jwk: Option<Text>,
) -> Option<VaultKey> {
    let missing = |section: &Section<'_>, key: &str, help: &str| {
        section.reader.note(section.path_of(key), section.origin.as_ref(), "is missing", help);
    };
    let there = |section: &Section<'_>, key: &str| section.origin_of(key).is_some();
    for (key, help) in
        [("url", "write `url = \"https://vault:8200\"`"), ("key", "write `key = \"tripline\"`")]
    {
        if !there(section, key) {
            missing(section, key, help);
        }
    }
    let both = (there(section, "token"), there(section, "role_id") && there(section, "secret_id"));
    if both == (false, false) || both == (true, true) {
        missing(section, "token", "write `token`, or else `role_id` and `secret_id`");
    }
    let form = Form {
        help: "write the vault's address: \"https://vault:8200\"",
        pattern: Some("^https?://[^/@?#\\s][^@?#\\s]*$"),
    };
    let url = section.read("url", form, |written| check_url(written, false, "a vault"));
    let path = |section: &mut Section<'_>, key| {
        let form = Form {
            help: "write a name of letters, digits, `.`, `_`, `-` and `/`",
            pattern: Some("^[A-Za-z0-9._/-]{1,249}$"),
        };
        section.read(key, form, |written| {
            let plain = written.split('/').all(|part| check_name(part).is_ok());
            if plain { Ok(written.to_owned()) } else { Err(format!("{written:?} is no name here")) }
        })
    };
    let (mount, key) = (path(section, "mount"), path(section, "key"));
    let token = secret(section, "token").map(|text| Hidden::new(text.value.trim().to_owned()));
    let role_id = section.text("role_id", Kind::Text(None)).map(|text| text.value);
    let secret_id =
        secret(section, "secret_id").map(|text| Hidden::new(text.value.trim().to_owned()));
    let ca_file = section.file("ca_file");
    let cache = cache(section);
    let login = match (token, role_id, secret_id) {
        (Some(token), ..) => Some(VaultLogin::Token(token)),
        (None, Some(role_id), Some(secret_id)) => Some(VaultLogin::AppRole { role_id, secret_id }),
        _ => None,
    };
    let wrapped = jwk.and_then(|text| {
        let help =
            "write what the vault's `transit/encrypt` gave: \"vault:v1:…\", or { file = \"path\" }";
        if text.value.trim().starts_with("vault:v") {
            return Some(text.value);
        }
        // It may be the key itself: nothing of it is shown.
        let stands = Some(&text.origin).filter(|_| text.secret);
        section.reader.note(
            section.path_of("jwk"),
            stands,
            "this is nothing that a vault wrapped",
            help,
        );
        None
    });
    let (name, mount) = (name?.to_owned(), mount.unwrap_or_else(|| "transit".to_owned()));
    Some(VaultKey { name, url: url?, mount, key: key?, login: login?, ca_file, cache, wrapped })
}

/// How long what was unwrapped is kept.
pub(super) fn cache(section: &mut Section<'_>) -> Duration {
    const HOUR: Duration = Duration::from_secs(3600);
    section.read("cache", time::DURATION, time::duration).unwrap_or(HOUR)
}
