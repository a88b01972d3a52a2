//! Any bytes as an answer of the deployed model, and as a value of the join topic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::answers(input));
