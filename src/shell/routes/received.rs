//! An alert as a route reads it: leniently, for it may be of another version than ours.
//!
//! Whatever is an object of JSON under some key is told, with what can be read of it; a field that is
//! missing or of another type is empty, and those we do not know go along in the bytes. What is no
//! such object cannot be told. It bounds what it keeps, and takes control characters out of what a
//! person reads: anybody who may write to the topic can write anything.

use serde::Deserialize as _;
use serde_json::{Map, Value};

use crate::monitor::{Finding, id};
use crate::record::Timestamp;

/// What is said of one incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// One key for everything said about one incident.
    pub dedup_key: String,
    /// `firing`, `updated` or `resolved`; anything else counts as firing.
    pub status: String,
    pub kind: String,
    pub severity: String,
    pub stream: String,
    pub summary: String,
    /// RFC 3339, as it was written.
    pub since: String,
    pub until: String,
    pub evidence: Vec<String>,
    pub next_steps: Vec<String>,
    /// When it was written to the topic.
    pub at: Timestamp,
    /// The record's value.
    pub value: Vec<u8>,
}

/// Why a record of the alerts topic cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("{0} bytes; an alert has at most {VALUE_BYTES_MAX}")]
    TooLarge(usize),
    #[error("not an object of JSON")]
    NotAnObject,
    #[error("neither a key nor a `dedup_key`")]
    NoKey,
}

/// An alert of today has 1 to 2 KiB.
pub const VALUE_BYTES_MAX: usize = 64 << 10;
/// Longest text that is kept, in characters; the rest is in the bytes.
const TEXT_CHARS_MAX: usize = 2000;
/// Most lines of evidence or of next steps.
const LINES_MAX: usize = 20;

impl Received {
    /// Reads a record's value, written `at`, under `key`.
    ///
    /// # Errors
    /// If nobody could be told anything of it.
    pub fn read(key: Option<&[u8]>, value: &[u8], at: Timestamp) -> Result<Self, Unreadable> {
        if value.len() > VALUE_BYTES_MAX {
            return Err(Unreadable::TooLarge(value.len()));
        }
        let read: Result<Map<String, Value>, _> = serde_json::from_slice(value);
        let fields = read.map_err(|_| Unreadable::NotAnObject)?;
        let text = |name: &str| match fields.get(name) {
            Some(Value::String(text)) => plain(text),
            _ => String::new(),
        };
        let lines = |name: &str| match fields.get(name) {
            Some(Value::Array(items)) => items.iter().take(LINES_MAX).map(line).collect(),
            _ => vec![],
        };
        let dedup_key = match (text("dedup_key"), key) {
            (read, _) if !read.is_empty() => read,
            (_, Some(key)) if !key.is_empty() => plain(&String::from_utf8_lossy(key)),
            _ => return Err(Unreadable::NoKey),
        };
        Ok(Self {
            dedup_key,
            status: text("status"),
            kind: text("kind"),
            severity: text("severity"),
            stream: text("stream"),
            summary: text("summary"),
            since: text("since"),
            until: text("until"),
            evidence: lines("evidence"),
            next_steps: lines("next_steps"),
            at,
            value: value.to_vec(),
        })
    }

    pub fn is_over(&self) -> bool {
        self.status == "resolved"
    }

    /// The message's id; the record's `ce_id` is the same.
    pub fn id(&self) -> String {
        id(&self.dedup_key, &self.status, &self.value)
    }

    /// Without the bytes: what is kept of an incident while it is open.
    pub fn without_value(self) -> Self {
        Self { value: vec![], ..self }
    }

    /// About as many bytes as it takes.
    pub fn bytes(&self) -> usize {
        let texts = [&self.dedup_key, &self.status, &self.kind, &self.severity, &self.stream];
        let texts = texts.into_iter().chain([&self.summary, &self.since, &self.until]);
        let lines = self.evidence.iter().chain(&self.next_steps);
        let text = |text: &String| size_of::<String>() + text.len();
        texts.chain(lines).map(text).sum::<usize>() + self.value.len() + 200
    }
}

/// What an item of a list says: a text, a finding's words, or whatever it is, in JSON.
fn line(item: &Value) -> String {
    match (item, Finding::deserialize(item)) {
        (Value::String(text), _) => plain(text),
        (_, Ok(finding)) => {
            let Finding { watch, psi, rows, .. } = &finding;
            plain(&format!("{watch}: {} (PSI {psi}, {rows} rows)", finding.words()))
        }
        (other, _) => plain(&other.to_string()),
    }
}

fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(TEXT_CHARS_MAX).map(visible).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Result<Received, Unreadable> {
        Received::read(Some(b"k"), value.as_bytes(), Timestamp(7))
    }

    #[test]
    fn what_cannot_be_read_of_an_alert_is_empty_and_the_rest_is_told() {
        let alert = read(
            r#"{"version": 9, "status": "updated", "severity": 3, "stream": "s", "new": {"a": [1]},
            "summary": "two\nlines", "evidence": ["a", {"feature": "x"}, {"watch": "input-drift",
            "feature": "amount", "measure": "median", "typical": 1.5, "seen": 3.25, "psi": 0.4,
            "chi2": 12, "rows": 980}], "next_steps": "none"}"#,
        );
        let alert = alert.unwrap();
        assert_eq!((&*alert.dedup_key, &*alert.status, &*alert.severity), ("k", "updated", ""));
        assert_eq!(
            (&*alert.summary, alert.evidence[1].as_str()),
            ("two lines", r#"{"feature":"x"}"#)
        );
        let said = "input-drift: amount: median 3.25, usually 1.5 (PSI 0.4, 980 rows)";
        assert_eq!(alert.evidence[2], said);
        assert!(alert.next_steps.is_empty() && !alert.is_over());
    }

    #[test]
    fn a_frozen_alert_is_told_as_it_was_meant() {
        let frozen = include_str!("../../../tests/frozen/v3/alert-resolved.json");
        let alert = read(frozen).unwrap();
        assert!(alert.is_over() && alert.summary.contains("156 of 325 records"));
        assert_eq!((&*alert.kind, &*alert.severity, &*alert.stream), ("attack", "critical", "s"));
        assert_eq!(alert.next_steps.len(), 2);
        let frozen = include_str!("../../../tests/frozen/v3/alert-firing.json");
        assert!(!read(frozen).unwrap().is_over());
    }

    #[test]
    fn what_nobody_could_be_told_is_named() {
        assert_eq!(read("[]"), Err(Unreadable::NotAnObject));
        assert_eq!(read("{\"status\": \"firing\""), Err(Unreadable::NotAnObject));
        assert_eq!(Received::read(None, b"{}", Timestamp(0)), Err(Unreadable::NoKey));
        let large = vec![b' '; VALUE_BYTES_MAX + 1];
        let said = Received::read(Some(b"k"), &large, Timestamp(0));
        assert_eq!(said, Err(Unreadable::TooLarge(large.len())));
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_is_kept_is_bounded(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..80)),
            junk in proptest::collection::vec(any::<u8>(), 0..200),
            fields in proptest::collection::vec(
                "\"(status|summary|evidence|since|dedup_key|x)\": (\"[^\"\\\\]{0,9}\"|null|-?[0-9]{1,9}|\\[(\"a\", )*\\{\\}\\])",
                0..6,
            ),
        ) {
            let object = format!("{{{}}}", fields.join(", "));
            for value in [&junk[..], object.as_bytes()] {
                if let Ok(read) = Received::read(key.as_deref(), value, Timestamp(-1)) {
                    prop_assert!(!read.dedup_key.is_empty());
                    prop_assert!(read.bytes() < 2 * VALUE_BYTES_MAX);
                    prop_assert!(read.id().is_ascii());
                }
            }
        }
    }
}
