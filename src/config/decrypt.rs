//! `[stream.decrypt]`: values that come sealed, and what opens them.

use super::claims::NAME;
use super::kek::WrappingKey;
use super::key::Keys;
use super::near::nearest;
use super::reader::{Kind, Section};
use super::vault::VaultKey;
use crate::open::{
    CsfleSpec, JWE_ALGORITHMS, JweAlgorithm, JweSpec, KeyMaterial, OpenerSpec, fits,
};

const HELP: &str = "write `kind = \"jwe\"`, `keys` and `algorithms`, or leave the table out";

/// What `[stream.decrypt]` says, and its keys that are kept elsewhere.
#[derive(Debug, Default)]
pub(super) struct Decrypt {
    pub spec: Option<OpenerSpec>,
    /// Of a JWE, those that a vault unwraps.
    pub vault_keys: Vec<VaultKey>,
    /// Those that wrap data keys.
    pub wrapping_keys: Vec<WrappingKey>,
}

/// Reads `[stream.decrypt]` of a stream with this input. A table without keys asks nothing.
pub(super) fn read(section: &mut Section<'_>, keys: &Keys, input: &str) -> Decrypt {
    let mut table = section.section("decrypt");
    const ALL: [&str; 5] = ["kind", "keys", "algorithms", "required", "reseal"];
    let asks = ALL.iter().any(|key| table.origin_of(key).is_some());
    let kind_origin = table.origin_of("kind");
    let is_csfle = table.choice("kind", &[("jwe", false), ("csfle", true)], false);
    let needed: &[&str] = if is_csfle { &["keys"] } else { &["kind", "keys", "algorithms"] };
    for &key in needed {
        let there =
            if key == "kind" { kind_origin.is_some() } else { table.origin_of(key).is_some() };
        if asks && !there {
            table.reader.note(table.path_of(key), table.origin.as_ref(), "is missing", HELP);
        }
    }
    if is_csfle {
        return csfle(table, keys, input);
    }
    jwe(table, keys).filter(|_| asks).map_or_else(Decrypt::default, |(spec, vault_keys)| Decrypt {
        spec: Some(OpenerSpec::Jwe(spec)),
        vault_keys,
        wrapping_keys: vec![],
    })
}

/// Encrypted fields and payloads of a registry's schemas: the schema's rules say the rest.
fn csfle(mut table: Section<'_>, keys: &Keys, input: &str) -> Decrypt {
    let (names, wrapping_keys) = keys.wrapping(&mut table, "keys");
    let required = table.flag("required", true);
    for (key, help) in [
        ("algorithms", "leave it out: the rules of each schema say it"),
        ("reseal", "leave it out: values are sealed as they came"),
    ] {
        let stands = table.key_origin_of(key);
        if table.take(key, Kind::Text(None)).is_some() {
            table.reader.note(table.path_of(key), stands.as_ref(), "is not for csfle", help);
        }
    }
    table.end();
    // Confluent's clients name it so unless told otherwise (TopicNameStrategy).
    let subject = format!("{input}-value");
    let spec = Some(OpenerSpec::Csfle(CsfleSpec { keys: names, subject, required }));
    Decrypt { spec, vault_keys: vec![], wrapping_keys }
}

fn jwe(mut table: Section<'_>, keys: &Keys) -> Option<(JweSpec, Vec<VaultKey>)> {
    let keys_origin = table.origin_of("keys").or_else(|| table.origin.clone());
    let (opening, vault) = keys.opening(&mut table, "keys");
    let algorithms_origin = table.origin_of("algorithms").or_else(|| table.origin.clone());
    let algorithms = algorithms(&mut table);
    let required = table.flag("required", true);
    let reseal = reseal(&mut table, keys);
    let note = |key: &str, origin, message: String, help: &str| {
        table.reader.note(table.path_of(key), origin, message, help);
    };
    for (id, key) in &opening {
        if !algorithms.is_empty() && !algorithms.iter().any(|&algorithm| fits(key, algorithm)) {
            let message = format!("the key {id:?} opens nothing of these algorithms");
            note(
                "keys",
                keys_origin.as_ref(),
                message,
                "name the algorithms that values are sealed with",
            );
        }
    }
    for &(alg, enc) in &algorithms {
        if vault.is_empty()
            && !opening.is_empty()
            && !opening.iter().any(|(_, key)| fits(key, (alg, enc)))
        {
            let message = format!("no key here opens \"{alg}+{enc}\"");
            note("algorithms", algorithms_origin.as_ref(), message, "leave out what nobody needs");
        }
    }
    table.end();
    let elsewhere = vault.iter().map(|key| key.name.clone()).collect();
    Some((JweSpec { keys: opening, elsewhere, algorithms, required, reseal }, vault))
}

fn algorithms(table: &mut Section<'_>) -> Vec<JweAlgorithm> {
    const PATTERN: &str = "^(dir|A256KW|ECDH-ES|ECDH-ES[+]A256KW|RSA-OAEP-256)[+]A(128|256)GCM$";
    let Some((written, whole)) = table.texts("algorithms", Some(PATTERN)) else { return vec![] };
    let name = |(alg, enc): &JweAlgorithm| format!("{alg}+{enc}");
    let known: Vec<String> = JWE_ALGORITHMS.iter().map(name).collect();
    let help = format!("write some of {}", known.join(", "));
    let mut algorithms = vec![];
    for written in &written {
        let found = known.iter().position(|name| name == written);
        let near = nearest(written, known.iter().map(String::as_str));
        let near = near.map_or(String::new(), |name| format!("; did you mean {name:?}?"));
        let found = found.ok_or_else(|| format!("{written:?} is no algorithm here{near}"));
        let found = table.understood("algorithms", &whole, &help, |_| found);
        algorithms.extend(found.map(|at| JWE_ALGORITHMS[at]));
    }
    if written.is_empty() {
        table.reader.note(table.path_of("algorithms"), Some(&whole.origin), "is empty", help);
    }
    algorithms
}

/// The key that everything is sealed with that goes to the model, if that is another one.
fn reseal(table: &mut Section<'_>, keys: &Keys) -> Option<(String, KeyMaterial)> {
    let text =
        table.text("reseal", Kind::Text(NAME.pattern)).filter(|text| text.value != "same")?;
    keys.sealing(table, "reseal", text)
}

#[cfg(test)]
mod tests;
