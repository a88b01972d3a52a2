//! Any bytes as a record's value: `json`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tripline::codec::Format;
use tripline_fuzz::STREAMS;

fuzz_target!(|value: &[u8]| {
    for stream in STREAMS.iter() {
        stream.check(Format::Json, value, true);
    }
});
