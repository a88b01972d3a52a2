//! Records: any bytes as a value, and what each codec makes of them.

use std::sync::LazyLock;

use tripline::codec::{ContentHeaders, Format, Language};
use tripline::record::{Ambiguity, Fault};

use super::super::{STREAMS, Stream, framed};
use super::Split as _;

fn every_stream(format: Format, value: &[u8], exact: bool) {
    for stream in STREAMS.iter() {
        stream.check(format, value, exact);
    }
}

pub fn codec_json(value: &[u8]) {
    every_stream(Format::Json, value, true);
}

pub fn codec_f32_le(value: &[u8]) {
    every_stream(Format::F32Le, value, true);
}

pub fn codec_f64_le(value: &[u8]) {
    every_stream(Format::F64Le, value, true);
}

pub fn codec_u8(value: &[u8]) {
    every_stream(Format::U8, value, false);
}

pub fn codec_kserve_v1(value: &[u8]) {
    every_stream(Format::KserveV1, value, true);
}

pub fn codec_cloudevents(value: &[u8]) {
    every_stream(Format::CloudEvents, value, false);
}

pub fn codec_connect_json(value: &[u8]) {
    every_stream(Format::ConnectJson, value, false);
}

pub fn codec_oip_protobuf(value: &[u8]) {
    every_stream(Format::OipProtobuf, value, false);
}

/// With the header that says where its JSON ends, and without it.
pub fn codec_oip_json(value: &[u8]) {
    // Where the last brace is, the JSON ends most often.
    let end = value.iter().rposition(|&byte| byte == b'}').map_or(0, |at| at + 1);
    let length = end.to_string();
    let headers =
        ContentHeaders { json_length: length.as_bytes().into(), ..ContentHeaders::default() };
    for stream in STREAMS.iter() {
        stream.check(Format::OipJson, value, false);
        let codec = stream.codecs.get(Format::OipJson).expect("always there");
        stream.check_with(codec, &headers, value, false);
    }
}

/// `content-type` and `Inference-Header-Content-Length` headers, and the value they describe: what
/// `auto` and the streams' own formats make of it.
pub fn codec_pick(input: &[u8]) {
    let (content_type, rest) = input.optional();
    let (json_length, value) = rest.optional();
    let (content_type, json_length) = (content_type.into(), json_length.into());
    let headers = ContentHeaders { content_type, json_length, ..ContentHeaders::default() };
    for stream in STREAMS.iter() {
        match stream.codecs.pick(&headers, value) {
            Ok(codec) => stream.check_with(codec, &headers, value, false),
            Err(fault) => assert!(
                matches!(fault, Fault::UnknownFormat | Fault::Ambiguous(Ambiguity::Format)),
                "{fault:?}"
            ),
        }
    }
}

/// Every kind of type, wanted and passed over, and one that holds itself.
const AVRO: &str = r#"{
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

static AVRO_STREAMS: LazyLock<[Stream; 2]> = LazyLock::new(|| {
    let rows = format!(r#"{{"type": "array", "items": {AVRO}}}"#);
    [
        framed(Language::Avro, AVRO, &["/x", "/items/1", "/by_key/k"]),
        framed(Language::Avro, &rows, &["/x", "/next/x"]),
    ]
});

/// A datum behind a frame.
pub fn codec_avro(datum: &[u8]) {
    let value = [&[0, 0, 0, 0, 7], datum].concat();
    for stream in AVRO_STREAMS.iter() {
        stream.check(Format::Confluent, &value, true);
    }
}

const PROTOBUF: &str = r#"
syntax = "proto3";
import "google/protobuf/wrappers.proto";
message M {
  message In { double y = 1; repeated double l = 2; }
  double x = 1;
  repeated double items = 2;
  oneof what { In a = 3; In b = 4; float c = 5; }
  google.protobuf.DoubleValue w = 6;
  map<string, double> m = 7;
  repeated In many = 8;
  optional double o = 9;
}
message N { M m = 1; double x = 2; }
"#;

static PROTOBUF_STREAMS: LazyLock<[Stream; 3]> = LazyLock::new(|| {
    let stream = |pointers| framed(Language::Protobuf, PROTOBUF, pointers);
    [stream(&["/x"]), stream(&["/items/1", "/a/y", "/many/1/l/0"]), stream(&["/m/w", "/m/x", "/x"])]
});

/// A message behind a frame, whose end it may choose too.
pub fn codec_protobuf(message: &[u8]) {
    for frame in [&[0, 0, 0, 0, 7, 0][..], &[0, 0, 0, 0, 7, 2, 2], &[0, 0, 0, 0, 7]] {
        let value = [frame, message].concat();
        for stream in PROTOBUF_STREAMS.iter() {
            stream.check(Format::Confluent, &value, true);
        }
    }
}
