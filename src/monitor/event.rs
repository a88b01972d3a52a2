//! What the world calls a message about an incident: CloudEvents' attributes, and an id.
//!
//! CloudEvents 1.0, Kafka protocol binding, binary mode: the attributes are headers, the value is
//! the data. A route may write the same attributes into a document. Two messages with the same bytes are the same message, so the id is made from them:
//! whoever writes or sends one twice, under at-least-once or after a crash, gives it the same id.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use serde::Serialize;

use super::Alert;

/// What CloudEvents says of a message, wherever it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventAttributes<'a> {
    pub specversion: &'static str,
    pub id: String,
    pub source: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// RFC 3339; left out if it is empty.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub time: &'a str,
    pub subject: &'a str,
    pub datacontenttype: &'static str,
}

impl<'a> EventAttributes<'a> {
    /// Of a change of the incident `key`, whose bytes are `value`.
    pub fn new(stream: &str, key: &'a str, status: &str, time: &'a str, value: &[u8]) -> Self {
        Self {
            specversion: "1.0",
            id: id(key, status, value),
            source: format!("/tripline/{stream}"),
            kind: format!("dev.tripline.incident.{status}"),
            time,
            subject: key,
            datacontenttype: "application/json",
        }
    }
}

/// Headers of a record of the alerts topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event([(&'static str, Vec<u8>); 7]);

/// Longest part of a `dedup_key` that stands in an id.
const KEY_CHARS_MAX: usize = 64;

impl Event {
    /// About `alert`, whose bytes are `value`.
    pub fn new(alert: &Alert, value: &[u8]) -> Self {
        let status = serde_json::to_value(alert.status).unwrap_or_default();
        let status = status.as_str().unwrap_or_default();
        let says =
            EventAttributes::new(&alert.stream, &alert.dedup_key, status, &alert.until, value);
        Self([
            ("ce_specversion", says.specversion.into()),
            ("ce_id", says.id.into()),
            ("ce_source", says.source.into()),
            ("ce_type", says.kind.into()),
            ("ce_time", says.time.into()),
            ("ce_subject", says.subject.into()),
            ("content-type", says.datacontenttype.into()),
        ])
    }

    pub fn headers(&self) -> [(&str, &[u8]); 7] {
        self.0.each_ref().map(|(name, value)| (*name, value.as_slice()))
    }
}

/// What tells one message from all others: letters, digits, `_` and `-` only, so that it can be a
/// header, and a part of what is signed, wherever it goes.
pub fn id(dedup_key: &str, status: &str, value: &[u8]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let word = |text: &str| text.chars().take(KEY_CHARS_MAX).map(plain).collect::<String>();
    let mut id = format!("{}-{}-", word(dedup_key), word(status));
    // The key too: what is cut off it would else be lost.
    let digest = Sha256::new().chain_update(dedup_key).chain_update([0]).chain_update(value);
    for byte in &digest.finalize()[..8] {
        let _ = write!(id, "{byte:02x}");
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_messages_and_can_be_a_header() {
        let first = id("6f1c", "firing", b"{}");
        assert_eq!(first, id("6f1c", "firing", b"{}"));
        assert!(first.starts_with("6f1c-firing-"), "{first}");
        assert_ne!(first, id("6f1c", "firing", b"{} "));
        let long = "ä.\n".repeat(100);
        let made = id(&long, "fi ring", b"");
        assert!(made.len() <= 64 + 64 + 2 + 16, "{made}");
        assert!(made.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)), "{made}");
        assert_ne!(made, id(&format!("{long}!"), "fi ring", b""));
    }
}
