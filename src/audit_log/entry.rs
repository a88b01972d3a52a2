//! One entry: who did what, to what, and what came of it; a CloudEvent in JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::EntryDigest;
use crate::record::Timestamp;

/// No entry has more bytes, and none is read that has.
pub const ENTRY_BYTES_MAX: usize = 512 << 10;
/// Longer words are cut there, in characters; a control character takes one of them.
const WORDS_MAX: usize = 512;
/// More details are left out.
pub const DETAILS_MAX: usize = 64;
/// What the type of an event begins with.
const TYPE: &str = "io.tripline.audit.";
const SPEC_VERSION: &str = "1.0";

/// Who did it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeedActor {
    /// As the brokers know it; else the user of the machine.
    pub principal: String,
    pub host: String,
    /// The process, as the configuration names it.
    pub instance: String,
}

/// What is written down.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::EnumString, strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum DeedKind {
    /// A process begins to guard streams.
    Start,
    /// And ends in order.
    Stop,
    /// Another configuration was tried.
    Config,
    /// Another bundle was tried.
    Bundle,
    /// Secret keys were loaded: their names.
    Keys,
    /// How many values each key opened and sealed since the last such entry.
    KeyUse,
    /// Somebody asked for one decision, and saw values of its record.
    Why,
    /// Somebody made a stream forget.
    StateReset,
    /// A sum of several sites was opened.
    FederateOpen,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeedOutcome {
    /// It is about to be done.
    Begun,
    Done,
    Refused,
    Failed,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    pub who: DeedActor,
    pub what: DeedKind,
    /// To what: a stream, a place in a topic, a file.
    pub subject: String,
    pub outcome: DeedOutcome,
    /// More about it, by name. No value of a record, no secret.
    pub details: BTreeMap<String, String>,
}

/// A deed at its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// From 0, without a gap.
    pub seq: u64,
    pub at: Timestamp,
    /// SHA-256 of the entry before it.
    pub prev: EntryDigest,
    pub deed: Deed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    specversion: String,
    id: String,
    source: String,
    #[serde(rename = "type")]
    kind: String,
    time: String,
    subject: String,
    datacontenttype: String,
    data: Data,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    seq: u64,
    prev: String,
    who: DeedActor,
    outcome: DeedOutcome,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    details: BTreeMap<String, String>,
}

impl AuditEntry {
    /// The value of its record, at most [`ENTRY_BYTES_MAX`] bytes. `source` names the log.
    pub fn to_bytes(&self, source: &str) -> Vec<u8> {
        let Self { seq, at, prev, deed } = self;
        let kind: &'static str = deed.what.into();
        let details = deed.details.iter().take(DETAILS_MAX);
        let event = Event {
            specversion: SPEC_VERSION.to_owned(),
            id: seq.to_string(),
            source: source.to_owned(),
            kind: format!("{TYPE}{kind}"),
            time: jiff::Timestamp::from_millisecond(at.0).unwrap_or_default().to_string(),
            subject: cut(&deed.subject),
            datacontenttype: "application/json".to_owned(),
            data: Data {
                seq: *seq,
                prev: prev.to_string(),
                who: DeedActor {
                    principal: cut(&deed.who.principal),
                    host: cut(&deed.who.host),
                    instance: cut(&deed.who.instance),
                },
                outcome: deed.outcome,
                details: details.map(|(name, said)| (cut(name), cut(said))).collect(),
            },
        };
        serde_json::to_vec(&event).expect("plain data")
    }

    /// Reads the value of a record.
    ///
    /// # Errors
    /// If it is none of ours: the words say why.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(format!("{} bytes; an entry has at most {ENTRY_BYTES_MAX}", bytes.len()));
        }
        let event: Event = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let kind = event.kind.strip_prefix(TYPE).and_then(|kind| kind.parse().ok());
        let what = kind.ok_or_else(|| format!("the type {:?} is not known", event.kind))?;
        let at: jiff::Timestamp =
            event.time.parse().map_err(|_| format!("the time {:?} is none", event.time))?;
        let Data { seq, prev, who, outcome, details } = event.data;
        let prev = prev.parse().map_err(|()| format!("{prev:?} is no digest"))?;
        if event.specversion != SPEC_VERSION || event.id != seq.to_string() {
            return Err(format!("the event {:?} holds entry {seq}", event.id));
        }
        let deed = Deed { who, what, subject: event.subject, outcome, details };
        Ok(Self { seq, at: Timestamp(at.as_millisecond()), prev, deed })
    }
}

fn cut(words: &str) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    words.chars().take(WORDS_MAX).map(plain).collect()
}
