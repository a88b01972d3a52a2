//! `[[key]]`: keys that streams and outputs name.
//!
//! A private key is only taken where a stream's values come sealed with it: what outputs seal, others open. It cannot see whether a secret is used elsewhere too.

use std::cell::Cell;

use super::claims::{NAME, check_name};
use super::kek::{self, Kms, WrappingKey};
use super::reader::{Kind, Reader, Section, Text};
use super::value::Origin;
use super::vault::{self, VaultKey};
use crate::open::{Jwk, KeyMaterial, SecretKey};

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
    /// Or what wraps data keys, and whether it does: it may not be read whole.
    wrapping: Option<WrappingKey>,
    wraps: bool,
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

/// `kind`
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyKind {
    Jwk,
    Vault,
    Aws,
    Local,
}

/// A table without keys asks nothing.
fn entry(mut section: Section<'_>, earlier: &Keys) -> Option<Entry> {
    let name_there = section.origin_of("name").is_some();
    let jwk_there = section.origin_of("jwk").is_some();
    let name = section.read("name", NAME, |written| {
        let name = check_name(written)?;
        match earlier.0.iter().any(|entry| entry.name == name) {
            true => Err("an earlier key has this name too".to_owned()),
            false => Ok(name),
        }
    });
    let kinds = [
        ("jwk", KeyKind::Jwk),
        ("vault", KeyKind::Vault),
        ("aws-kms", KeyKind::Aws),
        ("local-kms", KeyKind::Local),
    ];
    let kind = section.choice("kind", &kinds, KeyKind::Jwk);
    let help = "write `name` and `jwk = { file = \"path\" }`";
    for (key, lacks) in [
        ("name", jwk_there && !name_there),
        ("jwk", name_there && !jwk_there && kind == KeyKind::Jwk),
    ] {
        if lacks {
            let origin = section.origin.as_ref();
            section.reader.note(section.path_of(key), origin, "is missing", help);
        }
    }
    let (path, stands) = (section.path_of("jwk"), section.key_origin_of("jwk"));
    let jwk = section.text("jwk", Kind::Text(None));
    let inline =
        jwk.as_ref().is_some_and(|text| !text.secret && matches!(text.origin, Origin::File(_)));
    let (mut all, mut found, mut kms) = (vec![], None, None);
    match (kind, jwk) {
        (KeyKind::Jwk, Some(text)) => all = material(&section, text, stands.as_ref(), inline),
        (KeyKind::Jwk, None) => {}
        (KeyKind::Vault, text) => {
            let key = vault::read(&mut section, name.as_deref(), text);
            match key {
                Some(key) if !jwk_there => kms = Some((key.cache, Kms::Vault(key))),
                key => found = key.filter(|key| key.wrapped.is_some()),
            }
        }
        (KeyKind::Aws | KeyKind::Local, jwk) => {
            if jwk.is_some() {
                let help = "leave it out: the service keeps the key";
                section.reader.note(path.clone(), stands.as_ref(), "is not for this kind", help);
            }
            let cache = vault::cache(&mut section);
            let service = match kind {
                KeyKind::Aws => kek::aws(&mut section),
                _ => kek::local(&mut section),
            };
            kms = service.map(|service| (cache, service));
        }
    }
    other_kinds(&mut section, kind);
    section.end();
    let wrapping = name.clone().zip(kms);
    let wrapping = wrapping.map(|(name, (cache, kms))| WrappingKey { name, cache, kms });
    let wraps =
        matches!(kind, KeyKind::Aws | KeyKind::Local) || kind == KeyKind::Vault && !jwk_there;
    let opens = Cell::new(false);
    name.map(|name| Entry { name, all, vault: found, wrapping, wraps, path, stands, inline, opens })
}

/// Keys of another kind.
fn other_kinds(section: &mut Section<'_>, kind: KeyKind) {
    const VAULT: &[KeyKind] = &[KeyKind::Vault];
    const AWS: &[KeyKind] = &[KeyKind::Aws];
    const OF: [(&str, &[KeyKind], &str); 14] = [
        ("url", VAULT, "a vault"),
        ("mount", VAULT, "a vault"),
        ("key", VAULT, "a vault"),
        ("token", VAULT, "a vault"),
        ("role_id", VAULT, "a vault"),
        ("secret_id", VAULT, "a vault"),
        ("ca_file", &[KeyKind::Vault, KeyKind::Aws], "a vault"),
        ("cache", &[KeyKind::Vault, KeyKind::Aws, KeyKind::Local], "a vault"),
        ("arn", AWS, "`kind = \"aws-kms\"`"),
        ("endpoint", AWS, "`kind = \"aws-kms\"`"),
        ("access_key_id", AWS, "`kind = \"aws-kms\"`"),
        ("secret_access_key", AWS, "`kind = \"aws-kms\"`"),
        ("session_token", AWS, "`kind = \"aws-kms\"`"),
        ("secret", &[KeyKind::Local], "`kind = \"local-kms\"`"),
    ];
    for (key, kinds, needs) in OF {
        let stands = section.key_origin_of(key);
        if !kinds.contains(&kind) && section.take(key, Kind::Text(None)).is_some() {
            let help = "write the `kind` that it belongs to, or leave it out";
            let message = format!("needs {needs}");
            section.reader.note(section.path_of(key), stands.as_ref(), message, help);
        }
    }
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
            if entry.wraps {
                let message = format!("the key {name:?} wraps data keys: it opens no JWE");
                let help = "name a [[key]] with `jwk`, or write `kind = \"csfle\"`";
                section.reader.note(section.path_of(key), Some(&whole.origin), message, help);
            }
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

    /// The keys that `key` of `section` names, which wrap data keys: their names, and those that are read whole.
    pub fn wrapping(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> (Vec<String>, Vec<WrappingKey>) {
        let Some((names, whole)) = section.texts(key, NAME.pattern) else {
            return Default::default();
        };
        let help = "write the `name` of a [[key]] of kind \"vault\" without `jwk`, \"aws-kms\" or \"local-kms\"";
        let (mut known, mut found): (Vec<String>, Vec<WrappingKey>) = (vec![], vec![]);
        for name in names.clone() {
            let entry = section.understood(key, &whole, help, |_| self.called(&name));
            let Some(entry) = entry else { continue };
            let message = match (entry.wraps, known.contains(&name)) {
                (true, false) => {
                    found.extend(entry.wrapping.clone());
                    known.push(name);
                    continue;
                }
                (true, true) => format!("{name:?} is there twice"),
                (false, _) => format!("the key {name:?} wraps no data keys"),
            };
            section.reader.note(section.path_of(key), Some(&whole.origin), message, help);
        }
        if names.is_empty() {
            section.reader.note(section.path_of(key), Some(&whole.origin), "is empty", help);
        }
        (known, found)
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
        if entry.vault.is_some() || entry.wraps {
            let message = format!(
                "the key {:?} is kept by a vault or a service: it only opens values",
                entry.name
            );
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
