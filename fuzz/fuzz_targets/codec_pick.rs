//! Any bytes as a `content-type` header, and the rest as the value it describes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use tripline::codec::Headers;
use tripline_fuzz::{Stream, streams};

static STREAMS: LazyLock<[Stream; 2]> = LazyLock::new(streams);

fuzz_target!(|record: (Option<&[u8]>, &[u8])| {
    let (header, value) = record;
    for stream in STREAMS.iter() {
        let headers = Headers { content_type: header, ..Headers::default() };
        let Ok(codec) = stream.codecs.pick(&headers) else {
            let header = header.expect("without a header there is always the default");
            assert_ne!(header, b"application/json");
            continue;
        };
        stream.check(codec, value, false);
    }
});
