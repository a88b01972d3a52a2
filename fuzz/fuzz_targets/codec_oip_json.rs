//! Any bytes as a record's value: `oip-json`, with the header that says where its JSON ends and
//! without it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tripline::codec::{Format, Headers};
use tripline_fuzz::STREAMS;

fuzz_target!(|value: &[u8]| {
    // Where the last brace is, the JSON ends most often.
    let end = value.iter().rposition(|&byte| byte == b'}').map_or(0, |at| at + 1);
    let length = end.to_string();
    let headers = Headers { json_length: length.as_bytes().into(), ..Headers::default() };
    for stream in STREAMS.iter() {
        stream.check(Format::OipJson, value, false);
        let codec = stream.codecs.get(Format::OipJson).expect("always there");
        stream.check_with(codec, &headers, value, false);
    }
});
