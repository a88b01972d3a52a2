//! Offsets and leader epochs of partitions: asked of brokers, known to the client, and read from.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_int};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::BorrowedMessage;

use super::admin::ask;
use super::error::{NativeError, said};
use super::names::with_names;
use super::owned::Owned;
use crate::record::{Offset, Partition, TopicPartition};

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The oldest that is kept.
    Oldest,
    /// The one after the last record.
    End,
    /// The one up to which no transaction is open.
    Stable,
}

/// An offset, and in which leader epoch the log reached it, if the broker says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub offset: Offset,
    pub epoch: Option<i32>,
}

/// An offset of each of these partitions. Who is not in the answer has no leader now.
///
/// # Errors
/// If nobody answers.
pub fn offsets<C: ClientContext>(
    client: &Client<C>,
    places: &[TopicPartition],
    which: Which,
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, Listed>, NativeError> {
    use sys::rd_kafka_IsolationLevel_t::*;
    use sys::rd_kafka_OffsetSpec_t::*;
    use sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_LISTOFFSETS;
    if places.is_empty() {
        return Ok(BTreeMap::new());
    }
    let topics: Vec<&str> = places.iter().map(|place| place.topic.as_str()).collect();
    with_names(&topics, |names| {
        let (spec, level) = match which {
            Which::Oldest => {
                (RD_KAFKA_OFFSET_SPEC_EARLIEST, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED)
            }
            Which::End => (RD_KAFKA_OFFSET_SPEC_LATEST, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED),
            Which::Stable => (RD_KAFKA_OFFSET_SPEC_LATEST, RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED),
        };
        // SAFETY: the options live for this call.
        let isolated =
            |options| unsafe { sys::rd_kafka_AdminOptions_set_isolation_level(options, level) };
        let send = |options, queue| {
            // SAFETY: the list is ours; names are valid C strings and are copied, and so is the
            // list, which is destroyed right after. An element lives until the next is added.
            unsafe {
                let size = c_int::try_from(places.len()).unwrap_or(0);
                let list = sys::rd_kafka_topic_partition_list_new(size);
                for (&mut name, place) in names.iter_mut().zip(places) {
                    let element =
                        sys::rd_kafka_topic_partition_list_add(list, name, place.partition.0);
                    (*element).offset = spec as i64;
                }
                sys::rd_kafka_ListOffsets(client.native_ptr(), list, options, queue);
                sys::rd_kafka_topic_partition_list_destroy(list);
            }
        };
        let answer = ask(client, RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout, isolated, send)?;
        let mut found = BTreeMap::new();
        // SAFETY: as in `describe_topics`.
        unsafe {
            let result = sys::rd_kafka_event_ListOffsets_result(answer.ptr());
            let mut count = 0;
            let first = sys::rd_kafka_ListOffsets_result_infos(result, &mut count);
            for i in 0..count {
                let seen = &*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*first.add(i));
                if RDKafkaErrorCode::from(seen.err) == RDKafkaErrorCode::NoError {
                    let topic = CStr::from_ptr(seen.topic).to_string_lossy().into_owned();
                    let place = TopicPartition { topic, partition: Partition(seen.partition) };
                    let epoch = sys::rd_kafka_topic_partition_get_leader_epoch(seen);
                    let epoch = (epoch >= 0).then_some(epoch);
                    found.insert(place, Listed { offset: Offset(seen.offset), epoch });
                }
            }
        }
        Ok(found)
    })
}

/// Where a partition ended when the client last had an answer for it; nobody is asked.
pub fn known_end<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    partition: Partition,
) -> Option<Offset> {
    with_names(&[topic], |names| {
        let &mut [topic] = names else { unreachable!("one name") };
        let (mut low, mut high) = (-1, -1);
        // SAFETY: the client lives as long as the borrow, the name is a valid C string, and the out-pointers are
        // valid for the call.
        let code = unsafe {
            sys::rd_kafka_get_watermark_offsets(
                client.native_ptr(),
                topic,
                partition.0,
                &mut low,
                &mut high,
            )
        };
        let is_known = RDKafkaErrorCode::from(code) == RDKafkaErrorCode::NoError && high >= 0;
        is_known.then_some(Offset(high))
    })
}

/// Reads these partitions from these offsets on, up to which the log reached in this leader epoch: one that
/// parted from that log earlier is read from there (KIP-320).
///
/// # Errors
/// If the consumer refuses.
pub fn seek_in_epoch<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    to: &[(Partition, Offset, i32)],
    timeout: Duration,
) -> Result<(), NativeError> {
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    with_names(&[topic], |names| {
        let &mut [topic] = names else { unreachable!("one name") };
        // SAFETY: the name is a valid C string and is copied; the list is ours and destroyed once, as is the
        // error. An element lives until the next is added.
        unsafe {
            let list = sys::rd_kafka_topic_partition_list_new(to.len() as c_int);
            for &(partition, offset, epoch) in to {
                let element = sys::rd_kafka_topic_partition_list_add(list, topic, partition.0);
                (*element).offset = offset.0;
                sys::rd_kafka_topic_partition_set_leader_epoch(element, epoch);
            }
            let error =
                sys::rd_kafka_seek_partitions(consumer.client().native_ptr(), list, timeout_ms);
            sys::rd_kafka_topic_partition_list_destroy(list);
            let error = Owned::new(error, sys::rd_kafka_error_destroy);
            error.map_or(Ok(()), |error| said(error.ptr()))
        }
    })
}

/// The epoch of the leader that appended this record; `None` if the broker does not say.
pub fn leader_epoch(message: &BorrowedMessage<'_>) -> Option<i32> {
    // SAFETY: the message lives as long as the borrow, and is only read.
    let epoch = unsafe { sys::rd_kafka_message_leader_epoch(message.ptr()) };
    (epoch >= 0).then_some(epoch)
}
