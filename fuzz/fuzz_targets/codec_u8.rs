//! Any bytes as a record's value: `u8`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tripline::codec::Format;
use tripline_fuzz::{Stream, streams};

static STREAMS: LazyLock<[Stream; 2]> = LazyLock::new(streams);

fuzz_target!(|value: &[u8]| {
    for stream in STREAMS.iter() {
        stream.check(stream.codecs.get(Format::U8), value, false);
    }
});
