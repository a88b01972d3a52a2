//! Any bytes as a record's value: `oip-json`, with the header that says where its JSON ends and
//! without it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_oip_json(input));
