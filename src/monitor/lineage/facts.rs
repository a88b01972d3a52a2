//! What is true of a run from its beginning to its end.

use openssl::sha::sha1;
use sha2::{Digest as _, Sha256};

use crate::bundle::Digest;
use crate::monitor::About;
use crate::record::Offset;

/// What events say of a stream beside its counts; frozen for a revision.
#[derive(Clone, Debug, PartialEq)]
pub struct LineageFacts {
    /// The namespace of the job: the consumer group.
    pub group: String,
    /// Time between two events.
    pub every_ms: i64,
    /// Features that are read from records, in order.
    pub fields: Vec<LineageField>,
    /// What becomes of fields, by output.
    pub sanitized: LineageOutput,
    pub quarantine: LineageOutput,
    /// What is watched.
    pub watches: Vec<&'static str>,
    /// What else of the configuration decides: a change is another run.
    pub revision: String,
}

/// A field of a record, as OpenLineage names it: `customer.id` for `/customer/id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageField {
    pub name: String,
    /// `double`, `string` or `image`.
    pub kind: &'static str,
}

/// The fields of an output; nothing is said of one whose values are sealed or gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineageOutput {
    pub fields: Option<Vec<LineageChange>>,
}

/// What becomes of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineageChange {
    pub field: String,
    /// `pseudonym`, `mask` …; nothing of a field that stays.
    pub step: Option<String>,
    /// Whether what was there can no more be read.
    pub masks: bool,
    /// Whether it changes only if the record is flagged, which depends on all features.
    pub is_conditional: bool,
}

impl LineageFacts {
    /// Names what is true of the run.
    pub fn id(&self, about: &About) -> String {
        let About { stream, input, sanitized, quarantine, dead_letter, baseline, bundle, .. } =
            about;
        let topics = [stream, input, sanitized, quarantine, dead_letter];
        let named = format!("{self:?} {topics:?} {baseline} {bundle} {:?}", about.policy);
        Digest(Sha256::digest(named).into()).to_string()[..16].to_owned()
    }

    /// The UUID of the run that begins with the message at `offset` of the evidence topic: version 5 of RFC 9562, so that
    /// whoever hears the same evidence makes the same.
    pub fn run(&self, about: &About, offset: Offset) -> String {
        /// The namespace of URLs.
        const NAMESPACE: [u8; 16] = [
            0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4,
            0x30, 0xc8,
        ];
        let (group, stream, id) = (&self.group, &about.stream, self.id(about));
        let name = format!("tripline:{group}:{stream}:{id}:{offset}");
        let hash = sha1(&[&NAMESPACE[..], name.as_bytes()].concat());
        uuid(hash[..16].try_into().expect("20 bytes"))
    }
}

/// The text of a UUID of version 5, made of the first bytes of a hash.
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_that_of_python() {
        // uuid.uuid5(uuid.NAMESPACE_URL, "tripline:payments:sha256:73cb3858")
        const NAMESPACE: [u8; 16] = [
            0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4,
            0x30, 0xc8,
        ];
        let name = b"tripline:payments:sha256:73cb3858";
        let hash = sha1(&[&NAMESPACE[..], &name[..]].concat());
        assert_eq!(uuid(hash[..16].try_into().unwrap()), PYTHONS);
    }

    const PYTHONS: &str = "ad3c5a83-8d66-5848-bef9-683f91e6319b";
}
