//! Any bytes as a bundle's manifest or tensors.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::bundle(input));
