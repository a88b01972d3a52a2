//! Any bytes as a record's value: `connect-json`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_connect_json(input));
