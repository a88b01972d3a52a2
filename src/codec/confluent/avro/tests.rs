//! Held against `apache-avro`'s own writer, and against bytes that no honest writer makes.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;

use super::super::tests::{FRAME, NOTHING, WIDTH, bits, codec, encoded, rows};
use super::super::{Confluent, Language};
use crate::record::{Fault, FeatureId, MISSING};

const PAYMENT: &str = r#"{
  "type": "record", "name": "Payment", "namespace": "shop", "fields": [
    {"name": "note", "type": ["null", "string"]},
    {"name": "image", "type": {"type": "array", "items": "double"}},
    {"name": "order", "type": {"type": "string", "logicalType": "uuid"}},
    {"name": "amount", "type": ["null", "double"]},
    {"name": "tags", "type": {"type": "map", "values": "long"}},
    {"name": "protocol", "type": {"type": "enum", "name": "Protocol", "symbols": ["udp", "tcp", "icmp"]}},
    {"name": "count", "type": "int"}
  ]}"#;

fn avro(schema: &str) -> Confluent {
    codec(Language::Avro, schema, None)
}

fn datum(schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    [FRAME, &writer.write_value_to_vec(value).unwrap()].concat()
}

fn maybe(value: Option<Value>) -> Value {
    match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(value)),
    }
}

fn record(fields: Vec<(&str, Value)>) -> Value {
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn payment(amount: Option<f64>, protocol: u32, count: i32, pixels: &[f64], note: &str) -> Value {
    let word = ["udp", "tcp", "icmp"][protocol as usize].to_owned();
    record(vec![
        ("note", maybe(Some(Value::String(note.into())))),
        ("image", Value::Array(pixels.iter().map(|&x| Value::Double(x)).collect())),
        ("order", Value::String("89791234-5678-4000-8000-001122334455".into())),
        ("amount", maybe(amount.map(Value::Double))),
        ("tags", Value::Map([("a".to_owned(), Value::Long(-9))].into())),
        ("protocol", Value::Enum(protocol, word)),
        ("count", Value::Int(count)),
    ])
}

proptest! {
    #[test]
    fn what_another_writer_wrote_is_read_and_written_as_it_would_have_been(
        amount in proptest::option::of(-1e30_f32..1e30),
        (protocol, count) in (0_u32..3, -1_000_000_i32..1_000_000),
        pixels in proptest::array::uniform2(0_f32..1.0),
        (new_amount, new_count) in (-1e30_f32..1e30, -1_000_000_i32..1_000_000),
        note in ".{0,20}",
    ) {
        let codec = avro(PAYMENT);
        let pixels = pixels.map(f64::from);
        let value = payment(amount.map(f64::from), protocol, count, &pixels, &note);
        let value = datum(PAYMENT, value);
        let word = |at: u32| f32::from(u8::from(protocol == at));
        let mut row = [
            amount.unwrap_or(MISSING), count as f32, word(1), word(0),
            pixels[0] as f32, pixels[1] as f32,
        ];
        prop_assert_eq!(bits(&rows(&codec, &value).unwrap()), bits(&row));

        // Everything that can change does; a missing amount and a word that is no feature stay.
        row = [new_amount, new_count as f32, 0.0, 1.0, 0.5, 0.25];
        let corrected = encoded(&codec, &value, &row);
        let amount = amount.map(|_| f64::from(new_amount));
        let expected = payment(amount, 0, new_count, &[0.5, 0.25], &note);
        prop_assert_eq!(corrected, datum(PAYMENT, expected));
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = rows(&avro(PAYMENT), &[FRAME, &bytes].concat());
    }

    #[test]
    fn no_datum_with_one_byte_changed_panics(at in 0_usize..128, byte in any::<u8>()) {
        let mut value = datum(PAYMENT, payment(Some(1.5), 1, 3, &[0.5, 0.5], "note"));
        let at = FRAME.len() + at % (value.len() - FRAME.len());
        value[at] = byte;
        let _ = rows(&avro(PAYMENT), &value);
    }
}

/// One field, `amount`, of this type, written in these bytes, reads as this number.
fn check_type(schema: &str, bytes: &[u8], expected: Result<f32, Fault>) {
    let codec = avro(&format!(
        r#"{{"type": "record", "name": "R", "fields": [{{"name": "amount", "type": {schema}}}]}}"#
    ));
    let read = rows(&codec, &[FRAME, bytes].concat()).map(|row| row[0].to_bits());
    assert_eq!(read, expected.map(f32::to_bits), "{schema} {bytes:?}");
}

#[test]
fn every_type_is_the_number_below_it() {
    let long = |logical: &str| format!(r#"{{"type": "long", "logicalType": "{logical}"}}"#);
    check_type("\"boolean\"", &[1], Ok(1.0));
    check_type("\"int\"", &[3], Ok(-2.0));
    check_type("\"float\"", &1.5_f32.to_le_bytes(), Ok(1.5));
    check_type(r#"{"type": "int", "logicalType": "date"}"#, &[0x80, 1], Ok(64.0));
    check_type(&long("timestamp-millis"), &[2], Ok(1.0));
    check_type(&long("time-micros"), &[2], Ok(1.0));
    let decimal = r#"{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}"#;
    check_type(decimal, &[4, 1, 0], Ok(2.56));
    check_type(decimal, &[4, 0xff, 0x38], Ok(-2.0));
    let fixed = r#"{"type": {"type": "fixed", "name": "F", "size": 3}, "logicalType": "decimal", "precision": 5}"#;
    check_type(fixed, &[1, 0, 0], Ok(65536.0));
    check_type("\"string\"", &[2, b'7'], Err(Fault::WrongType { feature: FeatureId(0) }));
    check_type(r#"["null", "long"]"#, &[0], Ok(MISSING));
    check_type(r#"["long", "null"]"#, &[0, 1], Ok(-1.0));
    check_type(
        r#"{"type": "map", "values": "int"}"#,
        &[0],
        Err(Fault::WrongType { feature: FeatureId(0) }),
    );
}

#[test]
fn readers_that_are_lax_are_no_excuse() {
    check_type("\"boolean\"", &[2], Err(Fault::Unreadable { at: 5 }));
    check_type("\"int\"", &[3, 0], Err(Fault::Unreadable { at: 6 }));
    check_type("\"int\"", &[0xff, 0xff, 0xff, 0xff, 0x7f], Err(Fault::Unreadable { at: 5 }));
    check_type("\"int\"", &[], Err(Fault::Unreadable { at: 5 }));
    check_type(r#"["null", "long"]"#, &[4], Err(Fault::Unreadable { at: 5 }));
    check_type(r#"["null", "long"]"#, &[1], Err(Fault::Unreadable { at: 5 }));
}

#[test]
fn a_block_with_its_size_keeps_it_true_when_an_item_grows() {
    let schema = r#"{"type": "record", "name": "R", "fields": [
        {"name": "image", "type": {"type": "array", "items": "long"}}]}"#;
    let codec = avro(schema);
    // Two items, two bytes; then one more block would follow, but none does.
    let value = [FRAME, &[3, 4, 2, 4, 0]].concat();
    let mut row = rows(&codec, &value).unwrap();
    assert_eq!(row[4..], [1.0, 2.0]);
    row[5] = 100.0;
    let grown = encoded(&codec, &value, &row);
    assert_eq!(grown[FRAME.len()..], [3, 6, 2, 0xc8, 1, 0]);
    assert_eq!(rows(&codec, &grown).unwrap()[4..], [1.0, 100.0]);
    // A size that is not that of the items is read differently by others.
    let lie = [FRAME, &[3, 2, 2, 4, 0]].concat();
    assert_eq!(rows(&codec, &lie), Err(Fault::Unreadable { at: 5 }));
}

#[test]
fn an_array_of_records_is_a_row_each() {
    let schema = r#"{"type": "array", "items": {"type": "record", "name": "R", "fields": [
        {"name": "count", "type": "int"}, {"name": "amount", "type": "int"}]}}"#;
    let codec = avro(schema);
    let value = [FRAME, &[4, 2, 4, 6, 8, 2, 10, 12, 0]].concat();
    let mut read = rows(&codec, &value).unwrap();
    let columns = |row: &[f32]| [row[1], row[0]];
    assert_eq!(
        read.chunks(WIDTH).map(columns).collect::<Vec<_>>(),
        [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    );
    read[2 * WIDTH] = -7.0;
    let changed = encoded(&codec, &value, &read);
    assert_eq!(changed[FRAME.len()..], [4, 2, 4, 6, 8, 2, 10, 13, 0]);
    let none = rows(&codec, &[FRAME, &[0]].concat());
    assert!(matches!(none, Err(Fault::WrongArity { got: 0, .. })), "{none:?}");
}

#[test]
fn pointers_go_through_records_maps_and_arrays() {
    let schema = r#"{"type": "record", "name": "R", "fields": [
        {"name": "m", "type": {"type": "map", "values": "double"}},
        {"name": "inner", "type": ["null", {"type": "record", "name": "Inner", "fields": [
            {"name": "l", "type": {"type": "array", "items": "int"}}, {"name": "p", "type": "string"}]}]},
        {"name": "pixels", "type": {"type": "array", "items": {"type": "array", "items": "float"}}}]}"#;
    let fields = ["/inner/l/0", "/inner/l/2", "/m/a~1b", "/inner/p", "/pixels"];
    let codec = codec(Language::Avro, schema, Some(&fields));
    let map = |key: &str, x: f64| {
        [&[2, 2 * key.len() as u8], key.as_bytes(), &x.to_le_bytes(), &[0]].concat()
    };
    let inner = [&[2, 6, 10, 20, 30, 0][..], b"\x06udp"].concat();
    let pixels =
        [&[4, 2][..], &0.5_f32.to_le_bytes(), &[0, 2], &0.25_f32.to_le_bytes(), &[0, 0]].concat();
    let value = [FRAME, &map("a/b", 9.0), &inner, &pixels].concat();
    assert_eq!(rows(&codec, &value), Ok(vec![15.0, 9.0, 0.0, 1.0, 0.5, 0.25]));
    // Nothing of the record below a union of null; another key of the map.
    let value = [FRAME, &map("a", 9.0), &[0], &pixels].concat();
    let mut row = NOTHING;
    row[4..].copy_from_slice(&[0.5, 0.25]);
    assert_eq!(bits(&rows(&codec, &value).unwrap()), bits(&row));
}

#[test]
fn pointers_fewer_than_features_share_them_out_by_what_the_record_holds() {
    let schema = r#"{"type": "record", "name": "R", "fields": [
        {"name": "last", "type": {"type": "array", "items": "int"}},
        {"name": "first", "type": {"type": "record", "name": "F", "fields": [
            {"name": "x", "type": "int"}]}},
        {"name": "word", "type": "string"}]}"#;
    let fields = ["/first/x", "/last/0", "/last/1", "/word"];
    let codec = codec(Language::Avro, schema, Some(&fields));
    let read = rows(&codec, &[FRAME, &[4, 2, 4, 0, 6], b"\x06tcp"].concat());
    assert_eq!(read, Err(Fault::WrongArity { got: 4, expected: 6 }));
}

#[test]
fn a_type_that_holds_itself_ends_where_we_stop_following() {
    let schema = r#"{"type": "record", "name": "R", "fields": [
        {"name": "next", "type": ["null", "R"]}, {"name": "count", "type": "int"}]}"#;
    let codec = avro(schema);
    let nested = |n: usize| [FRAME, &vec![2; n][..], &[0], &vec![14; n + 1][..]].concat();
    assert_eq!(rows(&codec, &nested(3)).unwrap()[1], 7.0);
    assert!(matches!(rows(&codec, &nested(1000)), Err(Fault::Unreadable { .. })));
}

/// What eleven bytes claim must cost no more than eleven bytes may.
#[test]
fn hostile_counts_end_soon_and_allocate_nothing() {
    let zigzag = |n: i64| {
        let mut out = vec![];
        super::put_zigzag(n, &mut out);
        out
    };
    let nothings = r#"{"type": "record", "name": "E", "fields": []}"#;
    let simple = ["\"null\"", "\"double\"", "\"string\""].map(|items| (items, items));
    for (items, again) in simple.into_iter().chain([(nothings, "\"E\"")]) {
        let schema = format!(
            r#"{{"type": "record", "name": "R", "fields": [
                {{"name": "image", "type": {{"type": "array", "items": {items}}}}},
                {{"name": "other", "type": {{"type": "array", "items": {again}}}}}]}}"#
        );
        let codec = avro(&schema);
        for count in [i64::MAX, i64::MIN, -i64::MAX, 1 << 40] {
            let head = zigzag(count);
            for tail in [&[][..], &[0, 0], &zigzag(i64::MAX), &zigzag(-1)] {
                let wanted = [FRAME, &head, tail].concat();
                let passed_over = [FRAME, &[0], &head, tail].concat();
                for value in [wanted, passed_over] {
                    assert!(rows(&codec, &value).is_err(), "{items} {count} {tail:?}");
                }
            }
        }
    }
    let rows_of_nothing = format!(r#"{{"type": "array", "items": {nothings}}}"#);
    let read = rows(&avro(&rows_of_nothing), &[FRAME, &zigzag(1 << 40)].concat());
    assert!(matches!(read, Err(Fault::TooManyRows { .. })), "{read:?}");
    let map = r#"{"type": "map", "values": "null"}"#;
    for (schema, at) in [(r#""string""#, 10), (r#""bytes""#, 10), (map, 11)] {
        let value = [&zigzag(i64::MAX)[..], b"short"].concat();
        check_type(schema, &value, Err(Fault::Unreadable { at: FRAME.len() + at }));
    }
}

#[test]
fn named_types_of_other_subjects_are_found() {
    let references = vec![(
        "shop.Inner".to_owned(),
        r#"{"type": "record", "name": "Inner", "namespace": "shop", "fields": [
            {"name": "x", "type": "int"}]}"#
            .to_owned(),
    )];
    let text = r#"{"type": "record", "name": "Outer", "namespace": "shop", "fields": [
        {"name": "count", "type": "int"}, {"name": "inner", "type": "shop.Inner"},
        {"name": "again", "type": ["null", "Inner"]}]}"#;
    let codec = avro("\"int\"");
    let id = super::super::SchemaId::Number(8);
    let text = super::Text { language: Language::Avro, text: text.into(), references, rules: None };
    codec.learn(id, Some(&text)).unwrap();
    let read = rows(&codec, &[0, 0, 0, 0, 8, 14, 2, 2, 4]).unwrap();
    assert_eq!(read[1], 7.0);
}
