//! Messages of Protobuf with encrypted fields: vectors of confluent-kafka's own serializer.
//!
//! It wrote `shop.Order` (nested messages, lists, maps, a `oneof`, a decimal) and `shop.Person`, by schemas that are source
//! or a descriptor. A field without presence that was not set is encrypted as an empty text, so messages are compared as
//! what they mean.

use prost_reflect::DynamicMessage;
use prost_reflect::prost::Message as _;

use super::*;
use crate::open::framed::{Frame, compile_protobuf};

pub(super) fn protobuf_vectors() -> Vec<Vector> {
    let all = include_str!("../../../../tests/frozen/csfle/protobuf-vectors.json");
    let all: Vec<Value> = serde_json::from_str(all).unwrap();
    let vector = |one: &Value| {
        let schema = &one["schema"];
        let (value, algorithm) = (unhex(one["value"].as_str().unwrap()), &one["dek"]["algorithm"]);
        Vector {
            name: one["name"].as_str().unwrap().into(),
            plain: unhex(one["plain"].as_str().unwrap()),
            schema: text(
                Language::Protobuf,
                schema["schema"].as_str().unwrap(),
                &schema["ruleSet"],
            ),
            id: SchemaId::Number(schema["id"].as_u64().unwrap() as u32),
            algorithm: DataKeyAlgorithm::of_name(algorithm.as_str().unwrap()).unwrap(),
            proto: unhex(one["dek_proto"].as_str().unwrap()),
            value,
        }
    };
    all.iter().map(vector).collect()
}

/// What the message behind a frame, or bare, means.
fn meaning(vector: &Vector, payload: &[u8]) -> Vec<u8> {
    let file = compile_protobuf(&vector.schema).unwrap();
    let frame = Frame::read(&vector.value, &ContentHeaders::default()).unwrap();
    let (place, _) = frame.message().unwrap();
    let message = file.messages().nth(place[0] as usize).unwrap();
    DynamicMessage::decode(message, payload).unwrap().encode_to_vec()
}

fn payload<'v>(vector: &Vector, value: &'v [u8]) -> &'v [u8] {
    let frame = Frame::read(&vector.value, &ContentHeaders::default()).unwrap();
    &value[frame.message().unwrap().1..]
}

#[test]
fn messages_of_confluents_serializer_open_to_what_was_sent_and_can_be_sealed_again() {
    for vector in protobuf_vectors() {
        let opener = opener(true);
        opener.learn(vector.id, Some(&vector.schema)).unwrap();
        let id = key(vector.algorithm, 1);
        let missing = opener.missing(&vector.value, &ContentHeaders::default());
        assert_eq!(missing, Some(Missing::DataKey(id)), "{}", vector.name);
        let opener = ready(&vector);
        let (plain, lock) = open(&opener, &vector.value).unwrap().unwrap();
        let sent = meaning(&vector, &vector.plain);
        assert_eq!(meaning(&vector, payload(&vector, &plain)), sent, "{}", vector.name);
        let mut again = vec![];
        lock.seal(&plain, &mut vec![], &mut again).unwrap();
        assert_eq!(again.len(), vector.value.len(), "{}", vector.name);
        let is_siv = vector.algorithm == DataKeyAlgorithm::Aes256Siv;
        assert_eq!(again == vector.value, is_siv, "{}", vector.name);
        assert_eq!(open(&opener, &again).unwrap().unwrap().0, plain, "{}", vector.name);
    }
}

#[test]
fn lengths_around_a_longer_text_are_right() {
    let vector = &protobuf_vectors()[0];
    let opener = ready(vector);
    let (plain, lock) = open(&opener, &vector.value).unwrap().unwrap();
    let file = compile_protobuf(&vector.schema).unwrap();
    let order = file.messages().nth(1).unwrap();
    let mut message = DynamicMessage::decode(order, payload(vector, &plain)).unwrap();
    let first = message.get_field_by_name_mut("first").unwrap();
    let next = first.as_message_mut().unwrap().get_field_by_name_mut("next").unwrap();
    // Both lengths around it take a byte more.
    let long = prost_reflect::Value::String("long ".repeat(4000));
    next.as_message_mut().unwrap().set_field_by_name("name", long);
    let frame = plain.len() - payload(vector, &plain).len();
    let changed = [&plain[..frame], &message.encode_to_vec()].concat();
    let mut sealed = vec![];
    lock.seal(&changed, &mut vec![], &mut sealed).unwrap();
    let (opened, _) = open(&opener, &sealed).unwrap().unwrap();
    assert_eq!(meaning(vector, payload(vector, &opened)), message.encode_to_vec());
}

#[test]
fn a_group_is_passed_over_and_a_message_that_nests_too_deep_is_a_fault() {
    let schema = r#"syntax = "proto2"; import "confluent/meta.proto"; message T {
        optional group Old = 1 { optional string who = 2 [(confluent.field_meta).tags = "PII"]; }
        optional string who = 2 [(confluent.field_meta).tags = "PII"];
        optional T next = 3; }"#;
    let none = serde_json::json!({});
    let opener = opener(true);
    let id = SchemaId::Number(9);
    opener.learn(id, Some(&text(Language::Protobuf, schema, &pii(&none)))).unwrap();
    // A group with field 2 in it, which is not encrypted.
    let value = b"\0\0\0\0\x09\0\x0b\x12\x01a\x0c";
    let (plain, _) = open(&opener, value).unwrap().unwrap();
    assert_eq!(plain, value);
    let mut deep = vec![];
    for _ in 0..200 {
        let mut outer = vec![0x1a];
        prost::encoding::encode_varint(deep.len() as u64, &mut outer);
        outer.extend(&deep);
        deep = outer;
    }
    let deep = [b"\0\0\0\0\x09\0", &deep[..]].concat();
    assert!(matches!(fault(&opener, &deep), Fault::Unreadable { .. }));
    let unknown = b"\0\0\0\0\x09\x02\x0e";
    assert_eq!(fault(&opener, unknown), Fault::UnknownSchema, "the file has no eighth message");
}
