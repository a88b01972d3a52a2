//! `[[key]]`: keys that outputs name.
//!
//! A key that opens what was sealed must not be here: Tripline seals, others open. It cannot see whether a secret is
//! used elsewhere too.

use super::claims::{NAME, check_name};
use super::reader::{Kind, Section, Text};
use super::value::Origin;
use crate::open::{Jwk, KeyMaterial, SecretKey};

/// Every `[[key]]` of a file. One that could not be read has a name all the same, so that nobody is told twice.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: String,
    /// `kid`, if the key says it.
    id: Option<String>,
    material: Option<KeyMaterial>,
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
    let stands = section.key_origin_of("jwk");
    let jwk = section.text("jwk", Kind::Text(None));
    let jwk = jwk.and_then(|text| material(&section, text, stands.as_ref()));
    section.end();
    let (id, material) = jwk.map_or((None, None), |jwk| (jwk.id, Some(jwk.material)));
    name.map(|name| Entry { name, id, material })
}

/// No message and no excerpt shows a key, not even one that should not stand where it does.
fn material(section: &Section<'_>, text: Text, stands: Option<&Origin>) -> Option<Jwk> {
    let note = |message: String, help: &str| {
        section.reader.note(section.path_of("jwk"), stands, message, help);
        None
    };
    let jwk = match Jwk::read(&text.value) {
        Ok(jwk) => jwk,
        Err(why) => return note(why.to_string(), "write a JWK (RFC 7517), or { file = \"path\" }"),
    };
    match jwk.material {
        KeyMaterial::Private(_) => note(
            "this key opens what was sealed: only those who may read it should have it".into(),
            "give Tripline the public half: the JWK without `d`",
        ),
        KeyMaterial::Secret(_) if !text.secret && matches!(text.origin, Origin::File(_)) => note(
            "a secret must not stand in this file".into(),
            "write { env = \"NAME\" } or { file = \"path\" }",
        ),
        _ => Some(jwk),
    }
}

impl Keys {
    /// The secret that `key` of `section` names; whatever is wrong with it is noted.
    pub fn secret(
        &self,
        section: &mut Section<'_>,
        key: &'static str,
    ) -> Option<(String, SecretKey)> {
        let (entry, text) = self.named(section, key)?;
        match entry.material.as_ref()? {
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
        match entry.material.as_ref()? {
            public @ KeyMaterial::Public(_) => {
                let id = entry.id.as_ref().unwrap_or(&entry.name);
                Some((id.clone(), public.clone()))
            }
            _ => {
                let message = format!(
                    "the key {:?} is a secret: whoever has this configuration could open what it seals",
                    entry.name
                );
                let help = "name a [[key]] whose JWK is the public half of a pair (EC, OKP or RSA)";
                section.reader.note(section.path_of(key), Some(&text.origin), message, help);
                None
            }
        }
    }

    fn named(&self, section: &mut Section<'_>, key: &'static str) -> Option<(&Entry, Text)> {
        let text = section.text(key, Kind::Text(NAME.pattern))?;
        let found = section.understood(key, &text, "write the `name` of a [[key]]", |name| {
            let found = self.0.iter().find(|entry| entry.name == name);
            found.ok_or_else(|| format!("no key is called {name:?}"))
        });
        found.map(|entry| (entry, text))
    }
}
