//! How a producer's transaction ends: committed, or aborted with the group in it.

use std::ffi::c_int;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};

use super::error::{NativeError, said};
use super::names::with_names;
use super::owned::Owned;

/// Why a transaction was not committed.
#[derive(Clone, Debug)]
pub struct CommitError {
    pub code: RDKafkaErrorCode,
    pub text: String,
    /// It is not committed, and may be aborted.
    pub requires_abort: bool,
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
) -> Result<(), CommitError> {
    let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the handle lives as long as `producer`, which we borrow; the call is thread-safe.
    let error =
        unsafe { sys::rd_kafka_commit_transaction(producer.client().native_ptr(), timeout_ms) };
    let Some(error) = Owned::new(error, sys::rd_kafka_error_destroy) else { return Ok(()) };
    // SAFETY: `error` is ours and lives until the end of this function.
    let (said, requires_abort) =
        unsafe { (said(error.ptr()), sys::rd_kafka_error_txn_requires_abort(error.ptr()) != 0) };
    said.map_err(|NativeError { code, text }| CommitError { code, text, requires_abort })
}

/// Adds `group` to the open transaction with an offset of `topic` that it does not take, from a member
/// that it does not have: the end of the transaction reaches the group, and changes nothing there
/// whichever it is. That it refuses is no error; the transaction can only be aborted then.
pub fn touch_group<C: ProducerContext + 'static>(
    producer: &ThreadedProducer<C>,
    group: &str,
    topic: &str,
    timeout: Duration,
) {
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    with_names(&[group, topic, "nobody"], |names| {
        let &mut [group, topic, nobody] = names else { unreachable!("three names") };
        // SAFETY: names are valid C strings and are copied. List and member are ours and destroyed
        // once, and so is the error; the producer outlives the call.
        unsafe {
            let list = sys::rd_kafka_topic_partition_list_new(1);
            (*sys::rd_kafka_topic_partition_list_add(list, topic, 0)).offset = 0;
            let member = sys::rd_kafka_consumer_group_metadata_new_with_genid(
                group,
                i32::MAX,
                nobody,
                ptr::null(),
            );
            let native = producer.client().native_ptr();
            let refusal =
                sys::rd_kafka_send_offsets_to_transaction(native, list, member, timeout_ms);
            drop(Owned::new(refusal, sys::rd_kafka_error_destroy));
            sys::rd_kafka_consumer_group_metadata_destroy(member);
            sys::rd_kafka_topic_partition_list_destroy(list);
        }
    });
}
