//! `[audit]`: where what people and processes do is written down.

use std::path::PathBuf;

use super::claims::{NAME, check_name};
use super::endpoint::secret;
use super::kafka::Hidden;
use super::reader::Section;
use super::stream::{Stream, Topics};
use crate::audit_log::AuditSigner;

/// `[audit]`
#[derive(Clone, Debug, PartialEq)]
pub struct AuditTopic {
    /// `topic`: where entries go, `"tripline.audit"`, one partition for all processes of a group; nothing is written down
    /// unless it is given.
    pub topic: String,
    /// `sign_key`: a private Ed25519 key in PEM (`openssl genpkey -algorithm ed25519`). It signs a checkpoint after every
    /// 1,000 entries; there is none unless it is given. Only as `{ env = "NAME" }` or `{ file = "path" }`.
    pub sign_key: Option<Hidden<String>>,
    /// `public_key`: the public half in PEM, with which `tripline audit verify` checks them.
    pub public_key: Option<PathBuf>,
}

/// Reads `[audit]`; nothing unless it has `topic`.
pub(super) fn read(mut section: Section<'_>, streams: &[Stream]) -> Option<AuditTopic> {
    let others = ["sign_key", "public_key"].map(|key| section.origin_of(key).is_some());
    if others.contains(&true) && section.origin_of("topic").is_none() {
        let (path, help) = (section.path_of("topic"), "write `topic = \"tripline.audit\"`");
        section.reader.note(path, section.origin.as_ref(), "is missing", help);
    }
    let stands = section.origin_of("topic");
    let topic = section.read("topic", NAME, check_name);
    let is_of = |stream: &Stream| topic.as_ref().is_some_and(|topic| uses(stream, topic));
    if let Some(stream) = streams.iter().find(|stream| is_of(stream)) {
        let message = format!("is a topic of stream {:?} already", stream.name);
        let help = "write the name of a topic that nothing else is written to";
        section.reader.note(section.path_of("topic"), stands.as_ref(), message, help);
    }
    let sign_key = secret(&mut section, "sign_key").and_then(|text| {
        let help = "make one with `openssl genpkey -algorithm ed25519`";
        section.understood("sign_key", &text, help, |written| {
            match AuditSigner::from_pem(written.as_bytes()) {
                Ok(_) => Ok(Hidden::new(written.to_owned())),
                Err(_) => Err("is no private Ed25519 key in PEM"),
            }
        })
    });
    let public_key = section.file("public_key");
    section.end();
    Some(AuditTopic { topic: topic?, sign_key, public_key })
}

/// Whether `stream` reads or writes `topic`.
fn uses(stream: &Stream, topic: &str) -> bool {
    let Topics { sanitized, quarantine, dead_letter, evidence, state, visits, clients } =
        &stream.topics;
    let own = [&stream.input, sanitized, quarantine, dead_letter, evidence, state, visits, clients];
    let answers = stream.answers.iter().flat_map(|answers| [&answers.topic, &answers.join_topic]);
    let lineage = stream.lineage.iter().map(|lineage| &lineage.topic);
    let mut all = own.into_iter().chain([&stream.alerts.topic]).chain(answers).chain(lineage);
    all.any(|used| used == topic)
}
