//! Any bytes as a sealed value: a JWE, or the parts of one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::jwe(input));
