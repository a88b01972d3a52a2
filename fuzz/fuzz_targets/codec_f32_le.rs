//! Any bytes as a record's value: `f32-le`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tripline::codec::Format;
use tripline_fuzz::STREAMS;

fuzz_target!(|value: &[u8]| {
    for stream in STREAMS.iter() {
        stream.check(Format::F32Le, value, true);
    }
});
