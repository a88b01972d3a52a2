//! Which parts of a schema's values are encrypted, and with what: its rules of type `ENCRYPT` and `ENCRYPT_PAYLOAD`.
//!
//! A rule without tags is of all fields. Rules of other types are not looked at: whoever reads values by them reads them
//! otherwise than we do.

use super::UnusableRule;
use crate::open::framed::{SchemaRule, SchemaRules};
use crate::record::{DataKeyAlgorithm, DataKeyId};

/// What one rule encrypts with.
#[derive(Clone, Debug, PartialEq)]
pub struct EncryptionRule {
    /// Which of the stream's keys wraps the data key; none if it is none of them.
    pub wrapped_by: Option<u16>,
    pub algorithm: DataKeyAlgorithm,
    /// Each ciphertext says which version of the data key it has.
    pub rotated: bool,
    /// Tags of its fields; of all, if there are none.
    pub tags: Vec<String>,
}

/// The rules of a schema that encrypt.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Encryption {
    pub fields: Vec<EncryptionRule>,
    /// All that is behind the frame.
    pub payload: Option<EncryptionRule>,
}

/// Bytes of a version: a zero and 32 bits.
pub const VERSION_BYTES: usize = 5;

/// The version in front of a ciphertext, where data keys are rotated.
pub fn version_of(sealed: &[u8]) -> Option<u32> {
    let (head, _) = sealed.split_first_chunk::<VERSION_BYTES>()?;
    let [0, version @ ..] = head else { return None };
    Some(u32::from_be_bytes(*version))
}

/// A schema has hardly more than one.
const RULES_MAX: usize = 16;

impl EncryptionRule {
    /// The data key of a ciphertext that says this version; without rotation it says none, and has the first.
    pub fn key(&self, version: Option<u32>) -> Option<DataKeyId> {
        let (wrapped_by, algorithm) = (self.wrapped_by?, self.algorithm);
        // 0 stands for the first one too.
        let version = version.unwrap_or(1).max(1);
        Some(DataKeyId { wrapped_by, algorithm, version })
    }

    /// The data key of a ciphertext, as far as it says one.
    pub fn key_of(&self, sealed: &[u8]) -> Option<DataKeyId> {
        self.key(if self.rotated { Some(version_of(sealed)?) } else { None })
    }

    fn of(rule: &SchemaRule, keys: &[String]) -> Result<Self, UnusableRule> {
        let wrong = |what: String| UnusableRule(format!("rule {:?}: {what}", rule.name));
        let param = |name: &str| Some(rule.params.as_ref()?.get(name)?.as_str());
        let kek = param("encrypt.kek.name").filter(|kek| !kek.is_empty());
        let kek = kek.ok_or_else(|| wrong("it has no encrypt.kek.name".into()))?;
        let algorithm = param("encrypt.dek.algorithm").unwrap_or("AES256_GCM");
        let known = DataKeyAlgorithm::of_name(algorithm);
        let algorithm = known
            .ok_or_else(|| wrong(format!("we have no encrypt.dek.algorithm {algorithm:?}")))?;
        let days = param("encrypt.dek.expiry.days").unwrap_or("0");
        let days: u32 = days
            .trim()
            .parse()
            .map_err(|_| wrong(format!("encrypt.dek.expiry.days {days:?} is no number")))?;
        let wrapped_by = keys.iter().position(|key| key == kek).map(|at| at as u16);
        let tags = rule.tags.clone().unwrap_or_default();
        Ok(Self { wrapped_by, algorithm, rotated: days > 0, tags })
    }
}

impl Encryption {
    /// The rules among `rules` that a reader undoes; `keys` are the names of the stream's keys.
    ///
    /// # Errors
    /// If one says what we do not have.
    pub fn of(rules: &SchemaRules, keys: &[String]) -> Result<Self, UnusableRule> {
        let is = |rule: &SchemaRule, action: &str| {
            // What is encrypted for writing alone, readers see as it is.
            rule.action == action
                && rule.disabled != Some(true)
                && matches!(rule.mode.as_str(), "WRITEREAD" | "READ")
        };
        let fields = rules.domain.iter().filter(|rule| is(rule, "ENCRYPT"));
        let fields = fields.map(|rule| EncryptionRule::of(rule, keys));
        let fields: Vec<EncryptionRule> = fields.collect::<Result<_, _>>()?;
        let mut payloads = rules.encoding.iter().filter(|rule| is(rule, "ENCRYPT_PAYLOAD"));
        let payload = payloads.next().map(|rule| EncryptionRule::of(rule, keys)).transpose()?;
        if payloads.next().is_some() || fields.len() > RULES_MAX {
            return Err(UnusableRule("it encrypts its values more often than we follow".into()));
        }
        Ok(Self { fields, payload })
    }

    pub fn is_none(&self) -> bool {
        self.fields.is_empty() && self.payload.is_none()
    }

    /// Which rule encrypts a field with these tags.
    ///
    /// # Errors
    /// If more than one does.
    pub fn rule_of(&self, name: &str, tags: &[String]) -> Result<Option<u8>, UnusableRule> {
        let takes = |rule: &EncryptionRule| {
            rule.tags.is_empty() || rule.tags.iter().any(|tag| tags.contains(tag))
        };
        let mut taking = self.fields.iter().enumerate().filter(|(_, rule)| takes(rule));
        let first = taking.next().map(|(at, _)| at as u8);
        match taking.next() {
            Some(_) => Err(UnusableRule(format!("two rules encrypt the field {name:?}"))),
            None => Ok(first),
        }
    }
}

/// The tags that a schema's metadata gives to the field with this full name.
pub fn tags_of(rules: &SchemaRules, name: &str) -> Vec<String> {
    let fits = rules.tags.iter().filter(|(pattern, _)| fits(pattern.as_bytes(), name.as_bytes()));
    fits.flat_map(|(_, tags)| tags.iter().cloned()).collect()
}

/// Confluent's patterns: `?` is one byte and `*` any number of them up to a dot, `**` any number at all.
///
/// O(pattern · name): one row of what fits is kept.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    // fits[j]: the pattern so far fits the first j bytes of the name.
    let mut row: Vec<bool> = (0..=name.len()).map(|j| j == 0).collect();
    let mut rest = pattern;
    while let Some((&sign, behind)) = rest.split_first() {
        let (wide, behind) = match behind.strip_prefix(b"*") {
            Some(behind) if sign == b'*' => {
                // `**.*` is `**`.
                (true, behind.strip_prefix(b".*").unwrap_or(behind))
            }
            _ => (false, behind),
        };
        let mut next = vec![false; name.len() + 1];
        for j in 0..=name.len() {
            let byte = j.checked_sub(1).map(|before| name[before]);
            next[j] = match sign {
                b'*' => row[j] || byte.is_some_and(|byte| next[j - 1] && (wide || byte != b'.')),
                b'?' => byte.is_some_and(|byte| row[j - 1] && byte != b'.'),
                _ => byte.is_some_and(|byte| row[j - 1] && byte == sign),
            };
        }
        (row, rest) = (next, behind);
    }
    row[name.len()]
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn a_pattern_fits_the_names_that_confluents_matcher_says() {
        // The examples of confluent-kafka's `wildcard_match`.
        for (name, pattern, expected) in [
            ("eve", "eve*", true),
            ("alice.bob.eve", "a*.bob.eve", true),
            ("alice.bob.eve", "a*.bob.e*", true),
            ("alice.bob.eve", "a*", false),
            ("alice.bob.eve", "a**", true),
            ("alice.bob.eve", "alice.bob*", false),
            ("alice.bob.eve", "alice.bob**", true),
            ("alice.bob.eve", "**.*", true),
            ("alice", "al?ce", true),
            ("a.b", "a?b", false),
            ("", "", true),
            ("", "**", true),
            ("x", "", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{name} {pattern}");
        }
    }
}
