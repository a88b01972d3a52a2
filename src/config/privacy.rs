//! `[stream.privacy]`: sets of features that point to people together.

use std::collections::BTreeSet;
use std::time::Duration;

use super::key::Keys;
use super::reader::{Form, Section};
use super::share::share;
use super::time;
use crate::privacy::{QuasiSpec, RowSubject, SUBJECTS_K_MAX};
use crate::record::Probability;

/// Sets of a stream, and of one whose rows have subjects: the monitor's state must stay below the megabyte that a topic
/// takes by default. A set of four features is 160 KB a day with subjects and 40 KB without, and two days may be open.
const SETS_MAX: usize = 8;
const SETS_WITH_SUBJECTS_MAX: usize = 2;
/// Features of a set.
const FEATURES_MAX: usize = 4;
/// Bytes of the key: fewer than a hash has could be tried.
const KEY_BYTES_MIN: usize = 32;

/// Reads the table; nothing unless it has `sets`.
pub(super) fn read(mut section: Section<'_>, keys: &Keys) -> Option<QuasiSpec> {
    let stands = section.origin_of("sets");
    let sets = section.lists("sets");
    let subject = subject(&mut section);
    let named = section.origin_of("key");
    let key = keys.secret(&mut section, "key");
    let k = section.integer("k", 2..=SUBJECTS_K_MAX, 5);
    let limit = share(&mut section, "limit", "is no limit");
    let at = section.integer("rows", 100..=100_000_000, 100_000);
    let day = Duration::from_secs(24 * 3600);
    let every = section.read("every", time::DURATION, time::duration).unwrap_or(day);
    let note = |section: &Section<'_>, key: &str, message: String, help: &str| {
        let origin = section.origin_of(key).or_else(|| section.origin.clone());
        section.reader.note(section.path_of(key), origin.as_ref(), message, help);
    };
    if let Some(sets) = &sets {
        let most = if subject == RowSubject::Row { SETS_MAX } else { SETS_WITH_SUBJECTS_MAX };
        let wrong = |set: &&Vec<String>| {
            let different: BTreeSet<&String> = set.iter().collect();
            different.len() != set.len() || !(1..=FEATURES_MAX).contains(&set.len())
        };
        let message = match sets.iter().find(wrong) {
            _ if sets.is_empty() || sets.len() > most => {
                Some(format!("{} sets, and 1 to {most} are wanted", sets.len()))
            }
            Some(set) => Some(format!("{set:?} is no set of 1 to {FEATURES_MAX} features")),
            None => None,
        };
        if let Some(message) = message {
            let help = "write sets of features: [[\"age\", \"zip\"], [\"age\", \"sex\"]]";
            section.reader.note(section.path_of("sets"), stands.as_ref(), message, help);
        }
        let help = "write `key`, the name of a [[key]] with a secret of 32 bytes or more";
        match &key {
            None if named.is_none() => {
                note(&section, "key", "is missing: values are hashed with it".into(), help)
            }
            Some((id, key)) if key.expose().len() < KEY_BYTES_MIN => {
                let message = format!("the key {id:?} has {} bytes", key.expose().len());
                section.reader.note(section.path_of("key"), named.as_ref(), message, help);
            }
            _ => {}
        }
    }
    section.end();
    let limit = limit.unwrap_or_else(|| Probability::new(0.01).expect("a share"));
    let every_ms = every.as_millis() as u64;
    Some(QuasiSpec { sets: sets?, subject, key: key?, k, limit, at, every_ms })
}

/// `"key"` or `"header:NAME"`; each row unless given.
fn subject(section: &mut Section<'_>) -> RowSubject {
    let form =
        Form { help: "write \"key\" or \"header:NAME\"", pattern: Some("^(key|header:.+)$") };
    let read = |written: &str| match written.strip_prefix("header:") {
        Some(name) if !name.is_empty() => Ok(RowSubject::Header(name.to_owned())),
        None if written == "key" => Ok(RowSubject::Key),
        _ => Err(format!("{written:?} does not say whose row it is")),
    };
    section.read("subject", form, read).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// What is said of `[stream.privacy]` with these lines.
    fn read(lines: &str) -> Result<Option<QuasiSpec>, String> {
        let text = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"b:1\"\n[[key]]\nname = \"p\"\njwk = {{ env = \"P\" }}\n\
             [[stream]]\nname = \"s\"\ninput = \"i\"\nbundle = \"x\"\n[stream.privacy]\n{lines}"
        );
        let jwk = format!("{{\"kty\":\"oct\",\"k\":\"{}\"}}", "A".repeat(43));
        let config = Config::read(Path::new("t.toml"), &text, [], &|_| Ok(jwk.clone()));
        config.map(|mut config| config.streams.remove(0).privacy).map_err(|e| e.to_string())
    }

    #[test]
    fn sets_have_defaults_and_without_sets_nothing_is_counted() {
        assert_eq!(read(""), Ok(None));
        let spec = read("sets = [[\"age\", \"zip\"], [\"sex\"]]\nkey = \"p\"").unwrap().unwrap();
        assert_eq!(spec.sets, [vec!["age".to_owned(), "zip".to_owned()], vec!["sex".to_owned()]]);
        assert_eq!(
            (spec.k, spec.limit.get(), spec.at, spec.every_ms),
            (5, 0.01, 100_000, 86_400_000)
        );
        assert_eq!(spec.subject, RowSubject::Row);
        let header = read(
            "sets = [[\"a\"]]\nkey = \"p\"\nsubject = \"header:x-user\"\nk = 8\nlimit = \"5%\"",
        );
        let header = header.unwrap().unwrap();
        assert_eq!(header.subject, RowSubject::Header("x-user".into()));
        assert_eq!((header.k, header.limit.get()), (8, 0.05));
    }

    #[test]
    fn what_cannot_be_counted_is_said_with_its_place() {
        for (lines, words) in [
            ("sets = [[\"a\"]]", "stream[0].privacy.key: is missing"),
            ("sets = []\nkey = \"p\"", "0 sets, and 1 to 8"),
            ("sets = [[\"a\", \"a\"]]\nkey = \"p\"", "is no set of 1 to 4 features"),
            ("sets = [\"a\"]\nkey = \"p\"", "an array of arrays of strings is wanted"),
            (
                "sets = [[\"a\"], [\"b\"], [\"c\"]]\nkey = \"p\"\nsubject = \"key\"",
                "1 to 2 are wanted",
            ),
            ("sets = [[\"a\"]]\nkey = \"p\"\nsubject = \"me\"", "does not say whose row it is"),
            ("sets = [[\"a\"]]\nkey = \"p\"\nk = 9", "9 is outside 2..=8"),
        ] {
            let said = read(lines).expect_err(lines);
            assert!(said.contains(words), "{lines}: {said}");
        }
    }
}
