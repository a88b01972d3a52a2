//! What the world calls a message about an incident: CloudEvents' attributes, and an id.
//!
//! CloudEvents 1.0, Kafka protocol binding, binary mode: the attributes are headers, the value is
//! the data. Two messages with the same bytes are the same message, so the id is made from them:
//! whoever writes or sends one twice, under at-least-once or after a crash, gives it the same id.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::Alert;

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
        let key = alert.dedup_key.as_str();
        Self([
            ("ce_specversion", "1.0".into()),
            ("ce_id", id(key, status, value).into()),
            ("ce_source", format!("/tripline/{}", alert.stream).into()),
            ("ce_type", format!("dev.tripline.incident.{status}").into()),
            ("ce_time", alert.until.as_str().into()),
            ("ce_subject", key.into()),
            ("content-type", "application/json".into()),
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
