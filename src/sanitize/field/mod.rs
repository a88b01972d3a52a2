//! What is done to one field of a value before its record leaves: small steps, one file each. This file holds the
//! trait and the list.
//!
//! These steps hide parts of a value from the readers of an output. The steps on a row (`sanitize/*.rs`) make a flagged row
//! harmless. Records are scored before any step on a field, so no verdict depends on one. The steps use no randomness and no
//! clock: after a replay a record leaves with the same bytes.

mod bands;
mod ff1;
mod mask;
mod prefix;
mod pseudonym;
mod replace;

use std::fmt;

use crate::open::SecretKey;

pub use pseudonym::{Pseudonym, pseudonym};

/// One transformation of one field.
pub trait FieldStep: fmt::Debug + Send + Sync {
    /// Appends to `out` the JSON that stands in place of `leaf`. A null stays null and never comes here.
    ///
    /// # Errors
    /// If this step cannot be applied to what stands there. Nothing of the field may then leave in clear.
    fn apply(&self, leaf: &Leaf<'_>, out: &mut Vec<u8>) -> Result<(), Unfit>;
}

/// What stands at a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaf<'a> {
    /// A string, its escapes undone.
    Text(&'a str),
    /// A number or a truth value, as it is written.
    Bare(&'a str),
    /// An object or an array.
    Nested,
}

/// A value that the steps of its output cannot be applied to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("it is no JSON")]
    Format,
    #[error("a field stands where the configuration does not look for it")]
    Hidden,
    #[error("a step cannot be applied to what stands at its field")]
    Step,
    #[error("it cannot be sealed")]
    Seal,
}

/// What a step is told by its table; each kind takes some of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FieldSettings {
    /// JSON pointer of the field.
    pub field: String,
    /// Name and bytes of a key.
    pub key: Option<(String, SecretKey)>,
    /// Stands for the pointer in pseudonyms.
    pub join: Option<String>,
    pub keep_last: Option<u32>,
    pub chars: Option<u32>,
    pub with: Option<String>,
    pub edges: Option<Vec<f64>>,
}

/// An entry of the list: how one kind of step comes to be.
pub struct FieldKind {
    /// What `do` says.
    pub name: &'static str,
    /// Keys of its table beside `field` and `do`; one that ends in `?` may be left out.
    pub takes: &'static [&'static str],
    /// Makes the step of settings that have what it takes, or says what is wrong with them.
    pub make: fn(&FieldSettings) -> Result<Box<dyn FieldStep>, String>,
}

/// Every step there is.
pub const FIELD_STEPS: &[FieldKind] = &[
    replace::NULL,
    replace::REPLACE,
    mask::KIND,
    pseudonym::KIND,
    bands::KIND,
    prefix::KIND,
    ff1::KIND,
];

/// What `do` says of a field that goes altogether: no step, because nothing stands there any more.
pub const DROP: &str = "drop";

/// Appends `text` as a JSON string.
fn write_string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a string is JSON, and a vector takes it");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the step called `name` makes of each leaf.
    pub fn check(name: &str, settings: &FieldSettings, cases: &[(Leaf<'_>, Result<&str, Unfit>)]) {
        let kind = FIELD_STEPS.iter().find(|kind| kind.name == name).expect("in the list");
        let step = (kind.make)(settings).expect("fitting settings");
        for (leaf, expected) in cases {
            let mut out = b"kept".to_vec();
            let made = step.apply(leaf, &mut out);
            let made = made.map(|()| String::from_utf8(out.split_off(4)).unwrap());
            assert_eq!(made.as_deref(), expected.as_deref(), "{name} {leaf:?}");
            assert_eq!(out[..4], *b"kept");
        }
    }

    #[test]
    fn every_step_writes_json_and_nothing_of_what_it_cannot_change() {
        let settings = FieldSettings {
            field: "/a".into(),
            key: Some(("k".into(), SecretKey::new(vec![7; 32]))),
            keep_last: Some(2),
            chars: Some(2),
            with: Some("\"x\"".into()),
            edges: Some(vec![1.0, 2.5]),
            ..FieldSettings::default()
        };
        for kind in FIELD_STEPS {
            let step = (kind.make)(&settings).unwrap();
            for leaf in [
                Leaf::Text("12\u{1f600}34567 \"\\\n"),
                Leaf::Text(""),
                Leaf::Text("123456789"),
                Leaf::Bare("-1.5e3"),
                Leaf::Bare("true"),
                Leaf::Nested,
            ] {
                let mut out = vec![];
                match step.apply(&leaf, &mut out) {
                    Ok(()) => drop(serde_json::from_slice::<serde_json::Value>(&out).unwrap()),
                    Err(unfit) => assert_eq!(unfit, Unfit::Step),
                }
                let mut again = vec![];
                let _ = step.apply(&leaf, &mut again);
                assert_eq!(out, again, "{} is no function of the field", kind.name);
            }
        }
    }
}
