//! Any bytes as a datum: Avro behind a frame.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_avro(input));
