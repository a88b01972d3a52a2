//! Any bytes as a record's value: `u8`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_u8(input));
