//! A value becomes a name that only the owner of a key can make: `p1.<key>.<22 characters>`.
//!
//! HMAC-SHA256 over the field's pointer (or what `join` says), a zero byte and the value; the first 128 bits, in
//! base64url. The same value has the same pseudonym while the key stays, so records join; another field or another key
//! has others. A string is hashed without its quotes and escapes, a number as it is written: `1` and `1.0` differ.
//!
//! It cannot hide how often a value comes. Whoever has the key can try all values of a small domain.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64U;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{FieldKind, FieldSettings, FieldStep, Leaf, Unfit};
use crate::open::SecretKey;

pub const KIND: FieldKind = FieldKind { name: "pseudonym", takes: &["key", "join?"], make };

/// `pseudonym`: the state of the hash after key, label and zero byte, and the words before the hash.
#[derive(Clone, Debug)]
pub struct Pseudonym {
    mac: Hmac<Sha256>,
    begins: Vec<u8>,
}

/// Bits of the key: fewer than the hash has could be tried.
const KEY_BYTES_MIN: usize = 32;
/// Bytes of the hash that are kept: 2⁶⁴ values before two of them are likely to have one name.
const BYTES: usize = 16;

fn make(settings: &FieldSettings) -> Result<Box<dyn FieldStep>, String> {
    let (id, key) = settings.key.as_ref().ok_or("a key is wanted")?;
    let label = settings.join.as_deref().unwrap_or(&settings.field);
    Ok(Box::new(pseudonym(id, key, label)?))
}

/// Names values by `key`, which is called `id`; `label` says which values shall have the same names.
///
/// # Errors
/// If the key is too short.
pub fn pseudonym(id: &str, key: &SecretKey, label: &str) -> Result<Pseudonym, String> {
    let key = key.expose();
    if key.len() < KEY_BYTES_MIN {
        return Err(format!("the key {id:?} has {} bytes: {KEY_BYTES_MIN} are wanted", key.len()));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(label.as_bytes());
    mac.update(&[0]);
    Ok(Pseudonym { mac, begins: format!("p1.{id}.").into_bytes() })
}

impl Pseudonym {
    /// Appends the name of `value`.
    pub fn write(&self, value: &[u8], out: &mut Vec<u8>) {
        let mut mac = self.mac.clone();
        mac.update(value);
        let hash = mac.finalize().into_bytes();
        let mut text = [0; 22];
        B64U.encode_slice(&hash[..BYTES], &mut text).expect("16 bytes are 22 characters");
        out.extend_from_slice(&self.begins);
        out.extend_from_slice(&text);
    }
}

impl FieldStep for Pseudonym {
    fn apply(&self, leaf: &Leaf<'_>, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let (Leaf::Text(text) | Leaf::Bare(text)) = leaf else { return Err(Unfit::Step) };
        // Names of keys need no escapes.
        out.push(b'"');
        self.write(text.as_bytes(), out);
        out.push(b'"');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    fn settings(join: Option<&str>) -> FieldSettings {
        let key = Some(("pseudonyms-2026".to_owned(), SecretKey::new((0..32).collect())));
        FieldSettings {
            field: "/customer/id".into(),
            key,
            join: join.map(Into::into),
            ..FieldSettings::default()
        }
    }

    /// Python 3.11: `base64.urlsafe_b64encode(hmac.digest(bytes(range(32)), label + b"\0" + value, "sha256")[:16])`
    #[test]
    fn a_pseudonym_is_the_hmac_that_python_computes() {
        check(
            "pseudonym",
            &settings(None),
            &[
                (
                    Leaf::Text("alice@example.org"),
                    Ok("\"p1.pseudonyms-2026.k3ea8mNLKOD9dJGGU1XYQw\""),
                ),
                (Leaf::Text("z\u{e9}"), Ok("\"p1.pseudonyms-2026.cpn__SGZDuwwrHkenn8gqA\"")),
                (Leaf::Bare("4711"), Ok("\"p1.pseudonyms-2026.BlY5fnGIykHdRtEhl4HaWA\"")),
                (Leaf::Text("4711"), Ok("\"p1.pseudonyms-2026.BlY5fnGIykHdRtEhl4HaWA\"")),
                (Leaf::Nested, Err(Unfit::Step)),
            ],
        );
        check(
            "pseudonym",
            &settings(Some("customer")),
            &[(
                Leaf::Text("alice@example.org"),
                Ok("\"p1.pseudonyms-2026.2FoJf2MP-XenSyA4O5ISdw\""),
            )],
        );
    }

    #[test]
    fn a_short_key_is_refused() {
        let key = SecretKey::new(vec![1; 31]);
        assert!(pseudonym("k", &key, "/a").is_err());
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        let step = make(&settings(None)).unwrap();
        let shown = format!("{step:?} {:?}", settings(None));
        assert!(!shown.contains("01, 02") && !shown.contains("1, 2, 3"), "{shown}");
    }
}
