//! Any bytes as `content-type` and `Inference-Header-Content-Length` headers, and the rest as the
//! value they describe: what `auto` and the streams' own formats make of it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| tripline_fuzz::targets::codec_pick(input));
