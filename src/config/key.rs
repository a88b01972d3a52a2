//! `[[key]]`: keys that streams and outputs name.
//!
//! A private key is only taken where a stream's values come sealed with it: what outputs seal, others open. It cannot see whether a secret is used elsewhere too.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use super::claims::{NAME, check_name};
use super::endpoint::{check_url, secret};
use super::kafka::Hidden;
use super::reader::{Form, Kind, Reader, Section, Text};
use super::time;
use super::value::Origin;
use crate::open::{Jwk, KeyMaterial, SecretKey};

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
    /// `jwk`: the wrapped JWK, or set of them, as the vault wrote it: `vault:v1:…`.
    pub wrapped: String,
}

/// Who we are to a vault.
#[derive(Clone, Debug, PartialEq)]
pub enum VaultLogin {
    /// `token`
    Token(Hidden<String>),
    /// `role_id` and `secret_id`
    AppRole { role_id: String, secret_id: Hidden<String> },
}

/// Every `[[key]]` of a file. One that could not be read has a name all the same, so that nobody is told twice.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: String,
    /// One, or all of a set; none if it could not be read.
    all: Vec<Jwk>,
    /// Or what a vault unwraps.
    vault: Option<VaultKey>,
    /// Where the key itself stands, and whether its text is in the file.
    path: String,
    stands: Option<Origin>,
    inline: bool,
    /// Whether a stream opens values with it.
    opens: Cell<bool>,
}

/// Reads every `[[key]]`.
pub(super) fn read(root: &mut Section<'_>) -> Keys {
    let mut keys = Keys::default();
    for section in root.sections("key", "write `name` and `jwk`, or leave it out") {
        let read = entry(section, &keys);
        keys.0.extend(read);
    }
    keys
}

/// A table without keys asks nothing.
fn entry(mut section: Section<'_>, earlier: &Keys) -> Option<Entry> {
    let there = section.origin_of("name").is_some() || section.origin_of("jwk").is_some();
    for key in ["name", "jwk"] {
        if there && section.origin_of(key).is_none() {
            let origin = section.origin.as_ref();
            let help = "write `name` and `jwk = { file = \"path\" }`";
            section.reader.note(section.path_of(key), origin, "is missing", help);
        }
    }
    let name = section.read("name", NAME, |written| {
        let name = check_name(written)?;
        match earlier.0.iter().any(|entry| entry.name == name) {
            true => Err("an earlier key has this name too".to_owned()),
            false => Ok(name),
        }
    });
    let is_vault = section.choice("kind", &[("jwk", false), ("vault", true)], false);
    let (path, stands) = (section.path_of("jwk"), section.key_origin_of("jwk"));
    let jwk = section.text("jwk", Kind::Text(None));
    let inline =
        jwk.as_ref().is_some_and(|text| !text.secret && matches!(text.origin, Origin::File(_)));
    let (all, vault) = match (jwk, is_vault) {
        (Some(text), false) => (material(&section, text, stands.as_ref(), inline), None),
        (text, true) => (vec![], vault(&mut section, name.as_deref(), text)),
        (None, false) => (vec![], None),
    };
    if !is_vault {
        no_vault(&mut section);
    }
    section.end();
    name.map(|name| Entry { name, all, vault, path, stands, inline, opens: Cell::new(false) })
}

/// Keys of a vault, where there is none.
fn no_vault(section: &mut Section<'_>) {
    const OF_A_VAULT: [&str; 8] =
        ["url", "mount", "key", "token", "role_id", "secret_id", "ca_file", "cache"];
    for key in OF_A_VAULT {
        let stands = section.key_origin_of(key);
        if section.take(key, Kind::Text(None)).is_some() {
            let help = "write `kind = \"vault\"`, or leave it out";
            section.reader.note(section.path_of(key), stands.as_ref(), "needs a vault", help);
        }
    }
}

fn vault(section: &mut Section<'_>, name: Option<&str>, jwk: Option<Text>) -> Option<VaultKey> {
    const HOUR: Duration = Duration::from_secs(3600);
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
    let cache = section.read("cache", time::DURATION, time::duration).unwrap_or(HOUR);
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
    Some(VaultKey {
        name,
        url: url?,
        mount,
        key: key?,
        login: login?,
        ca_file,
        cache,
        wrapped: wrapped?,
    })
}

const IN_THE_FILE: (&str, &str) =
    ("a secret must not stand in this file", "write { env = \"NAME\" } or { file = \"path\" }");

/// No message and no excerpt shows a key, not even one that should not stand where it does.
fn material(section: &Section<'_>, text: Text, stands: Option<&Origin>, inline: bool) -> Vec<Jwk> {
    let note = |message: String, help: &str| {
        section.reader.note(section.path_of("jwk"), stands, message, help);
        vec![]
    };
    let all = match Jwk::read_all(&text.value) {
        Ok(all) => all,
        Err(why) => return note(why.to_string(), "write a JWK (RFC 7517), or { file = \"path\" }"),
    };
    if all.len() > 1 && all.iter().any(|jwk| jwk.id.is_none()) {
        let message =
            "a key of this set has no `kid`: nobody could say which one a value is sealed with";
        return note(message.into(), "give each key of the set a `kid`");
    }
    let is_secret = |jwk: &Jwk| matches!(jwk.material, KeyMaterial::Secret(_));
    match inline && all.iter().any(is_secret) {
        true => note(IN_THE_FILE.0.into(), IN_THE_FILE.1),
        false => all,
    }
}

impl Keys {
    /// Notes keys that open what was sealed and that no stream needs.
    pub fn check(&self, reader: &Reader<'_>) {
        let is_private = |jwk: &Jwk| matches!(jwk.material, KeyMaterial::Private(_));
        for entry in self.0.iter().filter(|entry| entry.all.iter().any(is_private)) {
            let (message, help) = match (entry.opens.get(), entry.inline) {
                (false, _) => (
                    "this key opens what was sealed: only those who may read it should have it",
                    "give Tripline the public half: the JWK without `d`",
                ),
                (true, true) => IN_THE_FILE,
                (true, false) => continue,
            };
            reader.note(entry.path.clone(), entry.stands.as_ref(), message, help);
        }
    }

    /// The keys that `key` of `section` names, each with its id, and those that a vault unwraps: they open values.
    pub fn opening(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> (Vec<(String, KeyMaterial)>, Vec<VaultKey>) {
        let Some((names, whole)) = section.texts(key, NAME.pattern) else {
            return Default::default();
        };
        let mut vault = vec![];
        let mut found: Vec<(String, KeyMaterial)> = vec![];
        let help = "write the `name` of a [[key]]";
        for name in &names {
            let entry = section.understood(key, &whole, help, |_| self.called(name));
            let Some(entry) = entry else { continue };
            entry.opens.set(true);
            vault.extend(entry.vault.clone());
            for jwk in &entry.all {
                let id = jwk.id.as_ref().unwrap_or(&entry.name).clone();
                let wrong = match &jwk.material {
                    KeyMaterial::Public(_) => {
                        Some(format!("the key {id:?} is a public one: it seals, and opens nothing"))
                    }
                    _ if found.iter().any(|(known, _)| *known == id) => {
                        Some(format!("two keys are called {id:?}"))
                    }
                    _ => None,
                };
                match wrong {
                    None => found.push((id, jwk.material.clone())),
                    Some(message) => {
                        let help = "name keys that open values, each with a `kid` of its own";
                        section.reader.note(
                            section.path_of(key),
                            Some(&whole.origin),
                            message,
                            help,
                        );
                    }
                }
            }
        }
        if names.is_empty() {
            section.reader.note(section.path_of(key), Some(&whole.origin), "is empty", help);
        }
        (found, vault)
    }

    /// The key that `text` names, which stands at `key` of `section`, and what readers know it as: it seals.
    pub fn sealing(
        &self,
        section: &Section<'_>,
        key: &str,
        text: Text,
    ) -> Option<(String, KeyMaterial)> {
        let help = "write \"same\", or the `name` of a [[key]]";
        let entry = section.understood(key, &text, help, |name| self.called(name))?;
        let jwk = self.only(section, key, (entry, &text))?;
        let seals = match &jwk.material {
            KeyMaterial::Public(_) => true,
            KeyMaterial::Secret(secret) => secret.expose().len() == 32,
            KeyMaterial::Private(_) => false,
        };
        if !seals {
            let message = format!("the key {:?} cannot seal", entry.name);
            let help = "name a public key, or a secret of 32 bytes";
            section.reader.note(section.path_of(key), Some(&text.origin), message, help);
            return None;
        }
        Some((jwk.id.as_ref().unwrap_or(&entry.name).clone(), jwk.material.clone()))
    }

    /// The secret that `key` of `section` names; whatever is wrong with it is noted.
    pub fn secret(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> Option<(String, SecretKey)> {
        let (entry, text) = self.named(section, key)?;
        match &self.only(section, key, (entry, &text))?.material {
            KeyMaterial::Secret(secret) => Some((entry.name.clone(), secret.clone())),
            _ => {
                let message = format!("the key {:?} is no secret", entry.name);
                let help = "name a [[key]] whose JWK has kty \"oct\"";
                section.reader.note(section.path_of(key), Some(&text.origin), message, help);
                None
            }
        }
    }

    /// The public key that `key` of `section` names, and what readers know it as.
    pub fn public(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> Option<(String, KeyMaterial)> {
        let (entry, text) = self.named(section, key)?;
        let jwk = self.only(section, key, (entry, &text))?;
        match &jwk.material {
            public @ KeyMaterial::Public(_) => {
                let id = jwk.id.as_ref().unwrap_or(&entry.name);
                Some((id.clone(), public.clone()))
            }
            _ => {
                let message = format!(
                    "with the key {:?} whoever has this configuration could open what it seals",
                    entry.name
                );
                let help = "name a [[key]] whose JWK is the public half of a pair (EC, OKP or RSA)";
                section.reader.note(section.path_of(key), Some(&text.origin), message, help);
                None
            }
        }
    }

    /// The one key of an entry.
    fn only<'k>(
        &self,
        section: &Section<'_>,
        key: &str,
        (entry, text): (&'k Entry, &Text),
    ) -> Option<&'k Jwk> {
        if entry.all.len() > 1 {
            let message = format!("{:?} is a set of {} keys", entry.name, entry.all.len());
            let help = "name a [[key]] that is one key";
            section.reader.note(section.path_of(key), Some(&text.origin), message, help);
            return None;
        }
        if entry.vault.is_some() {
            let message =
                format!("the key {:?} is unwrapped by a vault: it only opens values", entry.name);
            let help = "name a [[key]] of kind \"jwk\"";
            section.reader.note(section.path_of(key), Some(&text.origin), message, help);
        }
        entry.all.first()
    }

    fn called(&self, name: &str) -> Result<&Entry, String> {
        let found = self.0.iter().find(|entry| entry.name == name);
        found.ok_or_else(|| format!("no key is called {name:?}"))
    }

    fn named(&self, section: &mut Section<'_>, key: &'static str) -> Option<(&Entry, Text)> {
        let text = section.text(key, Kind::Text(NAME.pattern))?;
        let help = "write the `name` of a [[key]]";
        let found = section.understood(key, &text, help, |name| self.called(name));
        found.map(|entry| (entry, text))
    }
}
