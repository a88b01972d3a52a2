//! Any bytes as a record's value: `f32-le`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tripline::codec::Format;
use tripline_fuzz::{Stream, streams};

static STREAMS: LazyLock<[Stream; 2]> = LazyLock::new(streams);

fuzz_target!(|value: &[u8]| {
    for stream in STREAMS.iter() {
        stream.check(stream.codecs.get(Format::F32Le), value, true);
    }
});
