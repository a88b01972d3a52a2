//! Any bytes as a record's value: `f64-le`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_f64_le(input));
