//! Any bytes as a record of the alerts topic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tripline::record::Timestamp;
use tripline::shell::routes::received::{Received, VALUE_BYTES_MAX};

fuzz_target!(|input: (Option<&[u8]>, &[u8], i64)| {
    let (key, value, at) = input;
    if let Ok(alert) = Received::read(key, value, Timestamp(at)) {
        assert!(!alert.dedup_key.is_empty());
        assert!(alert.bytes() < 4 * VALUE_BYTES_MAX);
        assert!(alert.id().is_ascii());
    }
});
