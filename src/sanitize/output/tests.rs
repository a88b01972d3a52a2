//! What leaves by an output, tried with canaries.

use super::*;
use crate::open::{Jwk, open_jwe};

const PUBLIC: &str = r#"{"kty":"OKP","kid":"s","crv":"X25519","x":"PX"}"#;

fn pair() -> (KeyMaterial, KeyMaterial) {
    let text = include_str!("../../../tests/frozen/jose/jwe-vectors.json");
    let all: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
    let mut key = all.into_iter().find(|one| one["jwk"]["kty"] == "OKP").unwrap()["jwk"].take();
    let private = Jwk::read(&key.to_string()).unwrap().material;
    key.as_object_mut().unwrap().remove("d");
    (Jwk::read(&key.to_string()).unwrap().material, private)
}

fn leave(spec: &OutputSpec, value: &str) -> (Result<ValueForm, Unfit>, Vec<u8>) {
    let mut out = b"kept".to_vec();
    let output = spec.build().unwrap();
    let content = output.value(value.as_bytes(), None, &mut Scratch::default(), &mut out);
    assert_eq!(out[..4], *b"kept");
    (content, out.split_off(4))
}

fn spec() -> OutputSpec {
    let settings =
        FieldSettings { field: "/card".into(), keep_last: Some(2), ..FieldSettings::default() };
    OutputSpec {
        drop: vec!["/name".into()],
        steps: vec![StepSpec { kind: "mask".into(), settings }],
        ..OutputSpec::default()
    }
}

const RECORD: &str = r#"{"amount":1,"name":"canary","card":"canary99"}"#;

#[test]
fn a_value_leaves_with_its_fields_changed_or_not_at_all() {
    let (content, out) = leave(&spec(), RECORD);
    assert_eq!(content, Ok(ValueForm::Record));
    assert_eq!(out, br#"{"amount":1,"card":"***99"}"#);
    for value in ["canary", r#"{"card":{"number":"canary"}}"#, r#"["canary"]"#] {
        let (content, out) = leave(&spec(), value);
        assert!(content.is_err() && out.is_empty(), "{value}");
    }
}

#[test]
fn what_no_step_can_be_applied_to_is_sealed_as_a_whole() {
    let (public, private) = pair();
    let spec = OutputSpec { encrypt_to: Some(("security".into(), public)), ..spec() };
    for (value, expected) in
        [(RECORD, r#"{"amount":1,"card":"***99"}"#), ("no JSON: canary", "no JSON: canary")]
    {
        let (content, out) = leave(&spec, value);
        assert_eq!(content, Ok(ValueForm::Sealed));
        assert!(!out.windows(6).any(|part| part == b"canary"));
        let opened = open_jwe(&out, &private, &[("ECDH-ES", "A256GCM")]).unwrap();
        assert_eq!(*opened.plaintext, expected.as_bytes());
    }
}

#[test]
fn a_pointer_has_nothing_of_the_value() {
    let spec = OutputSpec { pointer: true, ..OutputSpec::default() };
    assert_eq!(leave(&spec, RECORD), (Ok(ValueForm::Pointer), vec![]));
}

#[test]
fn a_key_stays_goes_or_becomes_a_pseudonym() {
    let key = |record_key| {
        let mut out = vec![];
        let output = OutputSpec { record_key, ..OutputSpec::default() }.build().unwrap();
        (output.key(b"alice", &mut out), String::from_utf8(out).unwrap())
    };
    assert_eq!(key(KeyRule::Same), (KeyFate::Same, String::new()));
    assert_eq!(key(KeyRule::Drop), (KeyFate::Gone, String::new()));
    let secret = SecretKey::new((0..32).collect());
    let named = key(KeyRule::Pseudonym { id: "k".into(), key: secret.clone() });
    // Python: hmac.digest(bytes(range(32)), b"record-key\0alice", "sha256")[:16]
    assert_eq!(named, (KeyFate::Named, "p1.k.0Y4Ze0rZh4fxoy91YaKzAA".into()));
    let short = KeyRule::Pseudonym { id: "k".into(), key: SecretKey::new(vec![1; 8]) };
    assert!(OutputSpec { record_key: short, ..OutputSpec::default() }.build().is_err());
}

#[test]
fn headers_go_by_name_whatever_the_case_of_their_letters() {
    let rule = |keep: Option<&[&str]>, drop: &[&str]| HeaderRule {
        keep: keep.map(|keep| keep.iter().map(|&name| name.to_owned()).collect()),
        drop: drop.iter().map(|&name| name.to_owned()).collect(),
    };
    let takes =
        |rule: HeaderRule| ["X-User", "x-trace", "\u{e9}"].map(|name| rule.takes(name.as_bytes()));
    assert_eq!(takes(rule(None, &[])), [true, true, true]);
    assert_eq!(takes(rule(None, &["x-user"])), [false, true, true]);
    assert_eq!(takes(rule(None, &["*"])), [false, false, false]);
    assert_eq!(takes(rule(Some(&["x-trace"]), &[])), [false, true, false]);
    assert_eq!(takes(rule(Some(&["x-trace"]), &["x-trace"])), [false, false, false]);
}

#[test]
fn a_table_that_cannot_be_used_says_why_and_prints_no_key() {
    let (_, private) = pair();
    let opens = OutputSpec { encrypt_to: Some(("s".into(), private)), ..OutputSpec::default() };
    assert!(opens.build().unwrap_err().to_string().contains("\"s\" is no public key"));
    let twice = OutputSpec { drop: vec!["/card/x".into()], ..spec() };
    assert!(matches!(twice.build().unwrap_err(), BadOutput::Pointers(_)));
    let mut unknown = spec();
    unknown.steps[0].kind = "blur".into();
    assert!(unknown.build().unwrap_err().to_string().contains("\"blur\" is no step"));
    assert!(Jwk::read(PUBLIC).is_err(), "two bytes are no point");
}
