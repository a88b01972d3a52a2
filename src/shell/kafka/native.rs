//! Everything `unsafe` of this crate: three calls that the safe API lacks or gets wrong.

#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedHeaders;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

/// What librdkafka said about a transaction.
#[derive(Clone, Debug)]
pub struct NativeError {
    pub code: RDKafkaErrorCode,
    pub text: String,
}

/// Commits the producer's open transaction.
///
/// The safe call flushes first by polling in steps of 100 ms that do not end early: every commit
/// takes 100 ms. librdkafka's own commit flushes too, and with the polling thread of a
/// [`ThreadedProducer`] serving its events it takes as long as the broker does: a median of 3.8 ms
/// against a single-node Kafka on the same two cores, 1 to 2 ms against librdkafka's mock.
///
/// # Errors
/// What librdkafka answers; after `timeout` it is unknown whether the transaction was committed.
pub fn commit_transaction<C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
    timeout: Duration,
) -> Result<(), NativeError> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the handle lives as long as `producer`, which we borrow; the call is thread-safe.
    let error =
        unsafe { sys::rd_kafka_commit_transaction(producer.client().native_ptr(), timeout_ms) };
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: `error` is ours and not null; the string is copied before the error is destroyed,
    // once.
    unsafe {
        let text = CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned();
        let code = RDKafkaErrorCode::from(sys::rd_kafka_error_code(error));
        sys::rd_kafka_error_destroy(error);
        Err(NativeError { code, text })
    }
}

/// Value of the last header of this name, if there is one and it is not null.
///
/// The safe iterator panics on a header name that is not UTF-8: any producer could stop us.
pub fn header<'a>(headers: &'a BorrowedHeaders, name: &CStr) -> Option<&'a [u8]> {
    let mut value: *const c_void = ptr::null();
    let mut size = 0_usize;
    // SAFETY: a `&BorrowedHeaders` is a cast `rd_kafka_headers_t` that lives as long as the
    // reference. The out-pointers are valid; on success `value` points to `size` bytes owned by
    // the headers, or is null.
    unsafe {
        let headers = ptr::from_ref(headers).cast::<sys::rd_kafka_headers_t>();
        let found = sys::rd_kafka_header_get_last(headers, name.as_ptr(), &mut value, &mut size);
        let is_there = found == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        (is_there && !value.is_null()).then(|| std::slice::from_raw_parts(value.cast::<u8>(), size))
    }
}
