//! Any bytes as a message: Protobuf behind a frame, whose end they may choose too.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tripline::codec::{Format, Language};
use tripline_fuzz::{Stream, framed};

const SCHEMA: &str = r#"
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

static STREAMS: LazyLock<[Stream; 3]> = LazyLock::new(|| {
    let stream = |pointers| framed(Language::Protobuf, SCHEMA, pointers);
    [stream(&["/x"]), stream(&["/items/1", "/a/y", "/many/1/l/0"]), stream(&["/m/w", "/m/x", "/x"])]
});

fuzz_target!(|message: &[u8]| {
    for frame in [&[0, 0, 0, 0, 7, 0][..], &[0, 0, 0, 0, 7, 2, 2], &[0, 0, 0, 0, 7]] {
        let value = [frame, message].concat();
        for stream in STREAMS.iter() {
            stream.check(Format::Confluent, &value, true);
        }
    }
});
