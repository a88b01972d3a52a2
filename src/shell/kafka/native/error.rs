//! Errors as librdkafka gives them.

use std::ffi::CStr;

use rdkafka::bindings as sys;
use rdkafka::error::RDKafkaErrorCode;

/// What librdkafka said.
#[derive(Clone, Debug)]
pub struct NativeError {
    pub code: RDKafkaErrorCode,
    pub text: String,
}

/// # Safety
/// `error` must be null or a librdkafka error that lives; it is only read.
pub(super) unsafe fn said(error: *const sys::rd_kafka_error_t) -> Result<(), NativeError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: as said; the string belongs to the error and is copied.
    let (code, text) = unsafe {
        (sys::rd_kafka_error_code(error), CStr::from_ptr(sys::rd_kafka_error_string(error)))
    };
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(NativeError { code, text: text.to_string_lossy().into_owned() }),
    }
}
