//! Any bytes as a record's value: `kserve-v1`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_kserve_v1(input));
