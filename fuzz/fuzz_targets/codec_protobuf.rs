//! Any bytes as a message: Protobuf behind a frame, whose end they may choose too.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_protobuf(input));
