//! Any bytes as a value of which fields, or all, are encrypted.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::csfle(input));
