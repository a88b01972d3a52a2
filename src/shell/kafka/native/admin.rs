//! One admin request: its options, its answer, and the codes of operations in it.

use std::ffi::{CStr, c_char, c_int};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;

use super::error::{NativeError, said};
use super::owned::Owned;

/// What the brokers say we may do with something: codes of operations, Kafka's own. `None` if
/// they do not say, as brokers before 2.3 do not.
pub type Operations = Result<Option<Vec<i32>>, NativeError>;

/// A group's name, and what was found of it.
pub(super) type Described<T> = (String, Result<T, NativeError>);

/// An option of an admin request that is not its timeout.
pub(super) type Setter = *mut sys::rd_kafka_error_t;

/// How long librdkafka keeps a request to a group's coordinator: as long as it can. If such a request times out before
/// librdkafka reaches the coordinator, and it reaches it later, librdkafka ends the process (2.12.1: `Assertion
/// eonce->refcnt > 0`). So we stop waiting first.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Sends one admin request with what `set` sets, and waits for its answer. After an error of a request to a coordinator the
/// client is to be dropped: the request is still there.
pub(super) fn ask<C: ClientContext>(
    client: &Client<C>,
    request: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    set: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t) -> Setter,
    send: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Owned<sys::rd_kafka_event_t>, NativeError> {
    const OURS: &str = "librdkafka made none, which it does for a client that lives";
    let of_coordinator =
        request == sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    let milliseconds = |time: Duration| c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
    // All other requests librdkafka answers, at the latest when its own timeout is over.
    let (kept, patience) = match of_coordinator {
        true => (FOR_EVER, timeout),
        false => (timeout, timeout + Duration::from_secs(5)),
    };
    let native = client.native_ptr();
    // SAFETY: the client lives as long as the borrow. Options, queue and event are ours and each
    // is destroyed once, the event before the queue it came from. An error from a setter is ours
    // to destroy too.
    unsafe {
        let options = sys::rd_kafka_AdminOptions_new(native, request);
        let options = Owned::new(options, sys::rd_kafka_AdminOptions_destroy).expect(OURS);
        if let Some(error) = Owned::new(set(options.ptr()), sys::rd_kafka_error_destroy) {
            said(error.ptr())?;
        }
        let mut why: [c_char; 256] = [0; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(
            options.ptr(),
            milliseconds(kept),
            why.as_mut_ptr(),
            why.len(),
        );
        let queue = sys::rd_kafka_queue_new(native);
        let queue = Owned::new(queue, sys::rd_kafka_queue_destroy).expect(OURS);
        send(options.ptr(), queue.ptr());
        let event = sys::rd_kafka_queue_poll(queue.ptr(), milliseconds(patience));
        let Some(event) = Owned::new(event, sys::rd_kafka_event_destroy) else {
            let text = "no answer".to_owned();
            return Err(NativeError { code: RDKafkaErrorCode::OperationTimedOut, text });
        };
        match RDKafkaErrorCode::from(sys::rd_kafka_event_error(event.ptr())) {
            RDKafkaErrorCode::NoError => Ok(event),
            code => {
                let text = CStr::from_ptr(sys::rd_kafka_event_error_string(event.ptr()));
                Err(NativeError { code, text: text.to_string_lossy().into_owned() })
            }
        }
    }
}

pub(super) fn with_operations(options: *mut sys::rd_kafka_AdminOptions_t) -> Setter {
    // SAFETY: the options live for this call.
    unsafe { sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1) }
}

/// # Safety
/// `codes` must be null or point to `count` values of an enumeration of C.
pub(super) unsafe fn codes_of(
    codes: *const sys::rd_kafka_AclOperation_t,
    count: usize,
) -> Option<Vec<i32>> {
    if codes.is_null() || count == 0 {
        return None;
    }
    // SAFETY: as said. Read as numbers: a code that Rust's enumeration does not have is none of it.
    Some(unsafe { std::slice::from_raw_parts(codes.cast::<i32>(), count) }.to_vec())
}
