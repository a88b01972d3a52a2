//! Encrypted fields and payloads: any bytes as a value of a schema that encrypts.

use std::sync::LazyLock;

use serde_json::Value;
use tripline::codec::ContentHeaders;
use tripline::open::framed::{Language, SchemaRules, SchemaText};
use tripline::open::{Arena, CsfleOpener, CsfleSpec, DataKey};
use tripline::record::{DataKeyAlgorithm, DataKeyId, SchemaId};

/// Knows the schema of each vector, and of each algorithm the key of the last vector that has it: of AES256_GCM that is the
/// whole payload, in which any bytes may stand.
static OPENER: LazyLock<CsfleOpener> = LazyLock::new(|| {
    let text = include_str!("../../tests/frozen/csfle/csfle-vectors.json");
    let all: Vec<Value> = serde_json::from_str(text).expect("JSON");
    let spec = CsfleSpec { keys: vec!["kek1".into()], subject: "in-value".into(), required: true };
    let opener = spec.build();
    for one in &all {
        let schema = &one["schema"];
        let is_json = schema["schemaType"] == "JSON";
        let rules = |name: &str| {
            let rules = schema["ruleSet"].get(name);
            let read = |rules: &Value| serde_json::from_value(rules.clone()).expect("rules");
            rules.map_or_else(Vec::new, read)
        };
        let rules = SchemaRules {
            domain: rules("domainRules"),
            encoding: rules("encodingRules"),
            tags: Default::default(),
        };
        let text = SchemaText {
            language: if is_json { Language::JsonSchema } else { Language::Avro },
            text: schema["schema"].as_str().expect("text").into(),
            references: vec![],
            rules: Some(Box::new(rules)),
        };
        let id = SchemaId::Number(schema["id"].as_u64().expect("a number") as u32);
        opener.learn(id, Some(&text)).expect("the schema is sound");
        let name = one["dek"]["algorithm"].as_str().expect("text");
        let algorithm = DataKeyAlgorithm::of_name(name).expect("one of ours");
        let proto = one["dek_proto"].as_str().expect("text");
        let byte = |i| u8::from_str_radix(&proto[i..i + 2], 16).expect("hexadecimal");
        let proto: Vec<u8> = (0..proto.len()).step_by(2).map(byte).collect();
        let key = DataKey::of_tink(algorithm, &proto).expect("a key");
        opener.ring().learn(DataKeyId { wrapped_by: 0, algorithm, version: 1 }, Some(key));
    }
    opener
});

pub fn csfle(value: &[u8]) {
    let headers = ContentHeaders::default();
    OPENER.missing(value, &headers);
    let mut arena = Arena::default();
    let Ok(opened) = OPENER.open(value, &headers, &mut arena) else {
        assert!(arena.bytes().is_empty(), "a fault left plaintext behind");
        return;
    };
    // What opens can be sealed again, unless a field came without a ciphertext; then it opens to the same.
    let (place, lock) = opened.expect("one in clear is a fault");
    let (plain, mut again) = (arena.bytes()[place].to_vec(), vec![]);
    if lock.seal(&plain, &mut vec![], &mut again).is_err() {
        return;
    }
    let mut second = Arena::default();
    let opened = OPENER.open(&again, &headers, &mut second).expect("it opens");
    let (place, _) = opened.expect("it is sealed");
    assert_eq!(second.bytes()[place], plain);
}
