//! Any bytes as a record of the alerts topic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::alert(input));
