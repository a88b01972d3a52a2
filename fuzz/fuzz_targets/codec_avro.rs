//! Any bytes as a datum: Avro behind a frame.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tripline::codec::{Format, Language};
use tripline_fuzz::{Stream, framed};

/// Every kind of type, wanted and passed over, and one that holds itself.
const SCHEMA: &str = r#"{
  "type": "record", "name": "R", "fields": [
    {"name": "note", "type": ["null", "string", {"type": "fixed", "name": "F", "size": 3}]},
    {"name": "x", "type": "double"},
    {"name": "items", "type": {"type": "array", "items": ["float", "double"]}},
    {"name": "nothing", "type": {"type": "array", "items": "null"}},
    {"name": "by_key", "type": {"type": "map", "values": "double"}},
    {"name": "word", "type": {"type": "enum", "name": "E", "symbols": ["a", "b"]}},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "next", "type": ["null", "R"]},
    {"name": "flag", "type": "boolean"}
  ]}"#;

static STREAMS: LazyLock<[Stream; 2]> = LazyLock::new(|| {
    let rows = format!(r#"{{"type": "array", "items": {SCHEMA}}}"#);
    [
        framed(Language::Avro, SCHEMA, &["/x", "/items/1", "/by_key/k"]),
        framed(Language::Avro, &rows, &["/x", "/next/x"]),
    ]
});

fuzz_target!(|datum: &[u8]| {
    let value = [&[0, 0, 0, 0, 7], datum].concat();
    for stream in STREAMS.iter() {
        stream.check(Format::Confluent, &value, true);
    }
});
