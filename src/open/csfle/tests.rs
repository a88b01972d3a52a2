//! Vectors of Confluent's own serializers (confluent-kafka 2.16.1), and what is wrong with others.

mod protobuf;

use proptest::prelude::*;
use serde_json::Value;

use super::cipher::DataKey;
use super::lock::CannotSeal;
use super::*;
use crate::open::framed::{Language, SchemaRule, SchemaRules, SchemaText};
use crate::open::{Arena, ContentHeaders};
use crate::record::{DataKeyAlgorithm, DataKeyId, Fault, Missing, SchemaId, SealFault, Unread};

/// One value, with its schema and its data key.
struct Vector {
    name: String,
    value: Vec<u8>,
    schema: SchemaText,
    id: SchemaId,
    algorithm: DataKeyAlgorithm,
    proto: Vec<u8>,
    /// What opens of it, frame and all.
    plain: Vec<u8>,
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

fn rules(set: &Value, name: &str) -> Vec<SchemaRule> {
    set.get(name).map_or_else(Vec::new, |rules| serde_json::from_value(rules.clone()).unwrap())
}

fn text(language: Language, text: &str, set: &Value) -> SchemaText {
    let rules = SchemaRules {
        domain: rules(set, "domainRules"),
        encoding: rules(set, "encodingRules"),
        tags: set
            .get("tags")
            .map_or_else(Default::default, |tags| serde_json::from_value(tags.clone()).unwrap()),
    };
    let rules = Some(Box::new(rules));
    SchemaText { language, text: text.into(), references: vec![], rules }
}

fn vectors() -> Vec<Vector> {
    let all = include_str!("../../../tests/frozen/csfle/csfle-vectors.json");
    let all: Vec<Value> = serde_json::from_str(all).unwrap();
    let vector = |one: &Value| {
        let schema = &one["schema"];
        let is_json = schema["schemaType"] == "JSON";
        let language = if is_json { Language::JsonSchema } else { Language::Avro };
        let value = unhex(one["value"].as_str().unwrap());
        let plain = match is_json {
            true => br#"{"amount":1.5,"country":"PL"}"#.to_vec(),
            false => unhex("000000000000f83f0204504c040102"),
        };
        Vector {
            name: one["name"].as_str().unwrap().into(),
            plain: [&value[..5], &plain].concat(),
            schema: text(language, schema["schema"].as_str().unwrap(), &schema["ruleSet"]),
            id: SchemaId::Number(schema["id"].as_u64().unwrap() as u32),
            algorithm: DataKeyAlgorithm::of_name(one["dek"]["algorithm"].as_str().unwrap())
                .unwrap(),
            proto: unhex(one["dek_proto"].as_str().unwrap()),
            value,
        }
    };
    all.iter().map(vector).collect()
}

fn opener(required: bool) -> CsfleOpener {
    CsfleSpec { keys: vec!["kek1".into()], subject: "in-value".into(), required }.build()
}

fn key(algorithm: DataKeyAlgorithm, version: u32) -> DataKeyId {
    DataKeyId { wrapped_by: 0, algorithm, version }
}

/// An opener that knows the vector's schema and key.
fn ready(vector: &Vector) -> CsfleOpener {
    let opener = opener(true);
    opener.learn(vector.id, Some(&vector.schema)).unwrap();
    let known = DataKey::of_tink(vector.algorithm, &vector.proto).unwrap();
    opener.ring().learn(key(vector.algorithm, 1), Some(known));
    opener
}

fn open(opener: &CsfleOpener, value: &[u8]) -> Result<Option<(Vec<u8>, CsfleLock)>, Unread> {
    let mut arena = Arena::default();
    let opened = opener.open(value, &ContentHeaders::default(), &mut arena);
    if opened.is_err() {
        assert!(arena.bytes().is_empty(), "a fault left plaintext behind");
    }
    Ok(opened?.map(|(place, lock)| (arena.bytes()[place].to_vec(), lock)))
}

fn fault(opener: &CsfleOpener, value: &[u8]) -> Fault {
    match open(opener, value).unwrap_err() {
        Unread::Fault(fault) => fault,
        Unread::Missing(missing) => panic!("{missing} is missing"),
    }
}

#[test]
fn what_confluents_client_encrypted_opens_once_schema_and_key_are_known() {
    for vector in vectors() {
        let opener = opener(true);
        let headers = ContentHeaders::default();
        let missing = || opener.missing(&vector.value, &headers);
        assert_eq!(missing(), Some(Missing::Schema(vector.id)), "{}", vector.name);
        opener.learn(vector.id, Some(&vector.schema)).unwrap();
        let id = key(vector.algorithm, 1);
        assert_eq!(missing(), Some(Missing::DataKey(id)), "{}", vector.name);
        assert!(
            matches!(open(&opener, &vector.value), Err(Unread::Missing(Missing::DataKey(at))) if at == id)
        );
        let known = DataKey::of_tink(vector.algorithm, &vector.proto).unwrap();
        opener.ring().learn(id, Some(known));
        assert_eq!(missing(), None, "{}", vector.name);
        let (plain, _) = open(&opener, &vector.value).unwrap().unwrap();
        assert_eq!(plain, vector.plain, "{}", vector.name);
    }
}

#[test]
fn what_is_sealed_again_has_other_bytes_and_opens_to_the_same() {
    for vector in vectors() {
        let opener = ready(&vector);
        let (plain, lock) = open(&opener, &vector.value).unwrap().unwrap();
        let mut again = vec![];
        lock.seal(&plain, &mut vec![], &mut again).unwrap();
        assert_eq!(again.len(), vector.value.len(), "{}", vector.name);
        // SIV has no nonce: the same text is the same ciphertext, Confluent's own.
        let is_siv = vector.algorithm == DataKeyAlgorithm::Aes256Siv;
        assert_eq!(again == vector.value, is_siv, "{}", vector.name);
        assert_eq!(open(&opener, &again).unwrap().unwrap().0, plain, "{}", vector.name);
        // A longer text in the same field.
        let changed = String::from_utf8_lossy(&plain).contains("\"PL\"");
        let longer = match changed {
            true => String::from_utf8(plain.clone())
                .unwrap()
                .replace("PL", "N\\\"L\\u00e9")
                .into_bytes(),
            false => [&plain[..13], b"\x02\x0ahello\x00"].concat(),
        };
        let mut sealed = vec![];
        lock.seal(&longer, &mut vec![], &mut sealed).unwrap();
        let opened = open(&opener, &sealed).unwrap().unwrap().0;
        match changed {
            true => assert_eq!(
                serde_json::from_slice::<Value>(&opened[5..]).unwrap(),
                serde_json::json!({"amount": 1.5, "country": "N\"Lé"})
            ),
            false => assert_eq!(opened, longer, "{}", vector.name),
        }
    }
}

#[test]
fn what_the_record_chose_is_a_fault_by_its_name() {
    for vector in vectors() {
        let opener = ready(&vector);
        let mut flipped = vector.value.clone();
        // Within a ciphertext, whatever the format: in base64 another letter.
        let at = flipped.iter().rposition(|&byte| byte == b'/' || byte == b'5').unwrap_or(20);
        flipped[at] = if flipped[at] == b'/' { b'8' } else { flipped[at] ^ 1 };
        assert!(
            matches!(fault(&opener, &flipped), Fault::Undecryptable(_)),
            "{}: {:?}",
            vector.name,
            fault(&opener, &flipped)
        );
        opener.ring().learn(key(vector.algorithm, 1), None);
        assert_eq!(fault(&opener, &vector.value), Fault::UnknownKey, "{}", vector.name);
        // Of another key than the stream's nothing is ever asked for.
        let others = CsfleSpec { keys: vec!["other".into()], ..opener.spec().clone() }.build();
        others.learn(vector.id, Some(&vector.schema)).unwrap();
        assert_eq!(others.missing(&vector.value, &ContentHeaders::default()), None);
        assert_eq!(fault(&others, &vector.value), Fault::UnknownKey);
        others.learn(vector.id, None).unwrap();
        assert_eq!(fault(&others, &vector.value), Fault::UnknownSchema);
        others.forget(vector.id);
        assert!(others.missing(&vector.value, &ContentHeaders::default()).is_some());
        let clear = SchemaText { rules: None, ..vector.schema.clone() };
        others.learn(vector.id, Some(&clear)).unwrap();
        assert_eq!(fault(&others, &vector.value), Fault::NotSealed);
    }
    assert_eq!(fault(&opener(true), b"{}"), Fault::NotSealed);
    assert!(open(&opener(false), b"{}").unwrap().is_none());
}

#[test]
fn a_version_that_nobody_has_is_asked_for_and_is_a_fault_if_the_registry_has_none() {
    let vector = &vectors()[4];
    let mut set = serde_json::json!({ "encodingRules": [{
        "type": "ENCRYPT_PAYLOAD", "mode": "WRITEREAD",
        "params": { "encrypt.kek.name": "kek1", "encrypt.dek.expiry.days": "1" },
    }] });
    let opener = ready(vector);
    let rotated = text(Language::Avro, &vector.schema.text, &set);
    opener.learn(vector.id, Some(&rotated)).unwrap();
    let value = |version: u32| {
        [&vector.value[..5], &[0], &version.to_be_bytes(), &vector.value[5..]].concat()
    };
    let headers = ContentHeaders::default();
    let id = key(DataKeyAlgorithm::Aes256Gcm, 7);
    assert_eq!(opener.missing(&value(7), &headers), Some(Missing::DataKey(id)));
    opener.ring().learn(id, None);
    assert_eq!(opener.missing(&value(7), &headers), None);
    assert_eq!(fault(&opener, &value(7)), Fault::UnknownKey);
    // 0 is the first one, as clients take it.
    let (plain, lock) = open(&opener, &value(0)).unwrap().unwrap();
    assert_eq!(plain, vector.plain);
    let mut again = vec![];
    lock.seal(&plain, &mut vec![], &mut again).unwrap();
    assert_eq!(again[..10], value(0)[..10], "the version that it came with");
    let ciphertext = Fault::Undecryptable(SealFault::Ciphertext);
    assert_eq!(fault(&opener, &value(1)[..9]), ciphertext);
    let mut other = value(1);
    other[5] = 1;
    assert_eq!(fault(&opener, &other), ciphertext);
    set["encodingRules"][0]["disabled"] = true.into();
    opener.learn(vector.id, Some(&text(Language::Avro, &vector.schema.text, &set))).unwrap();
    assert_eq!(fault(&opener, &value(1)), Fault::NotSealed, "a rule that is off encrypts nothing");
}

fn pii(rest: &Value) -> Value {
    let mut set = serde_json::json!({ "domainRules": [{
        "type": "ENCRYPT", "mode": "WRITEREAD", "tags": ["PII"],
        "params": { "encrypt.kek.name": "kek1" },
    }] });
    set.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    set
}

/// A lock of a schema, as if a value of it had been opened.
fn sealed(opener: &CsfleOpener, schema: &SchemaText, plain: &[u8]) -> Vec<u8> {
    let id = SchemaId::Number(9);
    opener.learn(id, Some(schema)).unwrap();
    let key_id = key(DataKeyAlgorithm::Aes256Gcm, 1);
    opener.ring().learn(key_id, Some(DataKey::new(DataKeyAlgorithm::Aes256Gcm, &[3; 32]).unwrap()));
    let lock = opener.lock_for_tests(id);
    let mut out = vec![];
    lock.seal(plain, &mut vec![], &mut out).unwrap();
    out
}

#[test]
fn fields_of_arrays_maps_and_records_that_hold_themselves_are_found() {
    let schema = r#"{"type": "record", "name": "Tree", "namespace": "n", "fields": [
        {"name": "names", "type": {"type": "array", "items": "string"}, "confluent:tags": ["PII"]},
        {"name": "notes", "type": {"type": "map", "values": ["null", "string", "long"]}},
        {"name": "child", "type": ["null", "Tree"], "confluent:tags": ["PII"]}]}"#;
    // names in a block with its size: ["ab", "c"]; notes {"k": "secret"}; a child without anything.
    let plain = b"\0\0\0\0\x09\x03\x0a\x04ab\x02c\0\x02\x02k\x02\x0csecret\0\x02\0\0\0";
    let from_outside = serde_json::json!({ "tags": { "n.*.notes": ["PII"] } });
    for (rest, expected) in [(serde_json::json!({}), 2), (from_outside, 3)] {
        let opener = opener(true);
        let schema = text(Language::Avro, schema, &pii(&rest));
        let value = sealed(&opener, &schema, plain);
        // Base64 of 28 bytes more than the text.
        let longer = value.len() - plain.len();
        assert!(longer > 36 * expected && longer < 50 * expected, "{longer} for {expected}");
        assert_eq!(value.windows(6).any(|part| part == b"secret"), expected == 2);
        let opened = open(&opener, &value).unwrap().unwrap().0;
        // Equal but for the block, which no longer says its size.
        let same = b"\0\0\0\0\x09\x04\x04ab\x02c\0\x02\x02k\x02\x0csecret\0\x02\0\0\0";
        assert_eq!(opened, same);
    }
}

#[test]
fn properties_are_found_through_references_branches_and_arrays() {
    let schema = r##"{"type": "object", "properties": {
        "people": {"type": "array", "items": {"$ref": "#/$defs/person"}},
        "tags": {"type": "array", "items": {"type": "string"}, "confluent:tags": ["PII"]}},
        "$defs": {"person": {"type": "object", "properties": {
            "name": {"oneOf": [{"type": "null"}, {"type": "string"}], "confluent:tags": ["PII"]},
            "age": {"type": "number"},
            "friend": {"$ref": "#/$defs/person"}}}}}"##;
    let plain = "\0\0\0\0\x09{\"people\": [{\"name\": \"zoë\", \"age\": 3, \"friend\": {\"name\": null, \"friend\": {\"name\":\"\\u0041\"}}}], \
         \"tags\": [\"a\", 1, \"b\\n\"], \"x\": \"name\"}";
    let opener = opener(true);
    let schema = text(Language::JsonSchema, schema, &pii(&serde_json::json!({})));
    let value = sealed(&opener, &schema, plain.as_bytes());
    assert!(!String::from_utf8_lossy(&value).contains("zoë"));
    let opened = open(&opener, &value).unwrap().unwrap().0;
    let read = |bytes: &[u8]| serde_json::from_slice::<Value>(&bytes[5..]).unwrap();
    assert_eq!(read(&opened), read(plain.as_bytes()));
    let clear = read(&value);
    assert!(clear["tags"][0].as_str().unwrap().len() == 40 && clear["tags"][1] == 1, "{clear}");
    assert_eq!((&clear["x"], &clear["people"][0]["age"]), (&"name".into(), &3.into()));
}

#[test]
fn rules_that_we_cannot_follow_make_a_schema_unusable() {
    let check = |language, schema: &str, set: &Value, words: &str| {
        let opener = opener(true);
        let id = SchemaId::Number(9);
        let refused = opener.learn(id, Some(&text(language, schema, set))).unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
        assert_eq!(fault(&opener, b"\0\0\0\0\x09"), Fault::UnknownSchema);
    };
    let none = serde_json::json!({});
    let avro = r#"{"type": "record", "name": "T", "fields": [{"name": "a", "type": "string", "confluent:tags": ["PII"]}]}"#;
    let proto = "syntax = \"proto3\"; import \"other.proto\";";
    check(Language::Protobuf, proto, &pii(&none), "other.proto");
    check(Language::JsonSchema, r#"{"$ref": "other.json"}"#, &pii(&none), "other.json");
    check(Language::Avro, "no schema", &pii(&none), "");
    let mut two = pii(&none);
    let first = two["domainRules"][0].clone();
    two["domainRules"].as_array_mut().unwrap().push(first);
    check(Language::Avro, avro, &two, "two rules encrypt");
    for (param, value, words) in [
        ("encrypt.dek.algorithm", "AES512", "no encrypt.dek.algorithm"),
        ("encrypt.dek.expiry.days", "soon", "is no number"),
        ("encrypt.kek.name", "", "no encrypt.kek.name"),
    ] {
        let mut set = pii(&none);
        set["domainRules"][0]["params"][param] = value.into();
        check(Language::Avro, avro, &set, words);
    }
}

#[test]
fn a_field_that_came_without_a_ciphertext_cannot_be_sealed() {
    let vector = &vectors()[0];
    let opener = ready(vector);
    // The country is null, and the blob is there: another rule's key would be wanted for none.
    let (_, lock) = open(&opener, &vector.value).unwrap().unwrap();
    let cut = lock.seal(b"\0\0\0\0\x01short", &mut vec![], &mut vec![]);
    assert_eq!(cut, Err(CannotSeal::Value));
    let empty = opener.lock_for_tests(vector.id).without_keys();
    let no_key = empty.seal(&vector.plain, &mut vec![], &mut vec![]);
    assert_eq!(no_key, Err(CannotSeal::Key));
}

#[test]
fn the_ring_holds_so_many_keys_and_lets_go_of_the_one_used_longest_ago() {
    let opener = opener(true);
    let ring = opener.ring();
    let id = |version| key(DataKeyAlgorithm::Aes256Gcm, version);
    (1..=KEYS_MAX as u32).for_each(|version| ring.learn(id(version), None));
    assert!(ring.get(id(1)).is_some());
    ring.learn(id(5000), None);
    assert!(ring.knows(id(1)) && ring.knows(id(5000)) && !ring.knows(id(2)));
    ring.forget(id(1));
    assert!(ring.get(id(1)).is_none());
}

proptest! {
    /// Any bytes behind a frame of each vector's schema, and each vector with some bytes changed.
    #[test]
    fn no_bytes_panic_and_what_opens_can_be_sealed_again(
        noise in proptest::collection::vec(any::<u8>(), 0..80),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        for vector in vectors().into_iter().chain(protobuf::protobuf_vectors()) {
            let opener = ready(&vector);
            let mut edited = vector.value.clone();
            for (at, byte) in &edits {
                let at = at.index(edited.len());
                edited[at] = *byte;
            }
            let framed = [&vector.value[..5], &noise].concat();
            let spliced = [&vector.value[..cut.index(vector.value.len())], &noise].concat();
            for value in [noise.clone(), framed, spliced, edited] {
                opener.missing(&value, &ContentHeaders::default());
                let Ok(Some((plain, lock))) = open(&opener, &value) else { continue };
                let mut again = vec![];
                if lock.seal(&plain, &mut vec![], &mut again).is_ok() {
                    prop_assert_eq!(open(&opener, &again).unwrap().unwrap().0, plain);
                }
            }
        }
    }
}
