//! Any bytes as `content-type` and `Inference-Header-Content-Length` headers, and the rest as the
//! value they describe: what `auto` and the streams' own formats make of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tripline::codec::Headers;
use tripline::record::Fault;
use tripline_fuzz::STREAMS;

fuzz_target!(|record: (Option<&[u8]>, Option<&[u8]>, &[u8])| {
    let (content_type, json_length, value) = record;
    let headers = Headers { content_type, json_length, schema_id: None };
    for stream in STREAMS.iter() {
        match stream.codecs.pick(&headers, value) {
            Ok(codec) => stream.check_with(codec, &headers, value, false),
            Err(fault) => assert_eq!(fault, Fault::UnknownFormat),
        }
    }
});
