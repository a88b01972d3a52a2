//! Everything `unsafe` of this crate, here and below: calls that the safe API lacks or gets wrong.

#![allow(
    unsafe_code,
    reason = "librdkafka is C: what its safe wrapper lacks is called here, and nowhere else"
)]

mod headers;

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::{BorrowedHeaders, BorrowedMessage};
use rdkafka::producer::{Producer, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::TopicPartitionList;

use crate::record::{Offset, Partition, TopicPartition};

pub use self::headers::{OVERHEAD, RecordHeaders};

/// What librdkafka said.
#[derive(Clone, Debug)]
pub struct NativeError {
    pub code: RDKafkaErrorCode,
    pub text: String,
}

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

/// What the brokers say we may do with something: codes of operations, Kafka's own. `None` if
/// they do not say, as brokers before 2.3 do not.
pub type Operations = Result<Option<Vec<i32>>, NativeError>;

/// What we may do with each of these topics.
///
/// # Errors
/// If nobody answers; what is wrong with a single topic stands beside its name.
pub fn topic_operations<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<Vec<(String, Operations)>, NativeError> {
    describe_topics(client, topics, timeout, with_operations, |topic| {
        let mut allowed = 0;
        // SAFETY: the description lives for this call, and so does what it points to.
        unsafe {
            let codes = sys::rd_kafka_TopicDescription_authorized_operations(topic, &mut allowed);
            codes_of(codes, allowed)
        }
    })
}

/// What `of` finds in the description of each of these topics, or why it has none.
fn describe_topics<C: ClientContext, T>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
    set: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t) -> Setter,
    of: impl Fn(*const sys::rd_kafka_TopicDescription_t) -> T,
) -> Result<Vec<Described<T>>, NativeError> {
    use sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    with_names(topics, |names| {
        let send = |options, queue| {
            // SAFETY: `names` are as many valid C strings as said, and are copied; so is the
            // collection, which is destroyed right after. The client outlives the call.
            unsafe {
                let topics =
                    sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
                sys::rd_kafka_DescribeTopics(client.native_ptr(), topics, options, queue);
                sys::rd_kafka_TopicCollection_destroy(topics);
            }
        };
        let answer = ask(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout, set, send)?;
        let mut described = vec![];
        // SAFETY: the event answers what we sent, so it has this result; all that is borrowed
        // from it is copied before `answer` goes. `count` is that of the array it came with.
        unsafe {
            let result = sys::rd_kafka_event_DescribeTopics_result(answer.ptr());
            let mut count = 0;
            let first = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
            for i in 0..count {
                let topic = *first.add(i);
                let name = CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic));
                let found = said(sys::rd_kafka_TopicDescription_error(topic));
                let found = found.map(|()| of(topic));
                described.push((name.to_string_lossy().into_owned(), found));
            }
        }
        Ok(described)
    })
}

/// What we may do with each of these consumer groups, whether or not they exist yet.
///
/// # Errors
/// If nobody answers; what is wrong with a single group stands beside its name.
pub fn group_operations<C: ClientContext>(
    client: &Client<C>,
    groups: &[&str],
    timeout: Duration,
) -> Result<Vec<(String, Operations)>, NativeError> {
    describe_groups(client, groups, timeout, |group| {
        let mut allowed = 0;
        // SAFETY: `group` lives for this call, and so does what it points to.
        unsafe {
            let codes =
                sys::rd_kafka_ConsumerGroupDescription_authorized_operations(group, &mut allowed);
            codes_of(codes, allowed)
        }
    })
}

/// A member of a consumer group. A process that was killed is one until its session times out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Given by the broker, to one consumer once.
    pub id: String,
    pub client_id: String,
    pub host: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.client_id, self.host)
    }
}

/// Who is in this consumer group now.
///
/// # Errors
/// If nobody answers or the group may not be described.
pub fn group_members<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> Result<Vec<Member>, NativeError> {
    let described = describe_groups(client, &[group], timeout, |group| {
        // SAFETY: `group` lives for this call, and so do its members, of which there are as many as
        // it says; strings are valid or null, and are copied.
        unsafe {
            let text = |text: *const c_char| match text.is_null() {
                true => String::new(),
                false => CStr::from_ptr(text).to_string_lossy().into_owned(),
            };
            let members = 0..sys::rd_kafka_ConsumerGroupDescription_member_count(group);
            let member = |i| sys::rd_kafka_ConsumerGroupDescription_member(group, i);
            let read = |member| Member {
                id: text(sys::rd_kafka_MemberDescription_consumer_id(member)),
                client_id: text(sys::rd_kafka_MemberDescription_client_id(member)),
                host: text(sys::rd_kafka_MemberDescription_host(member)),
            };
            members.map(|i| read(member(i))).collect()
        }
    })?;
    match described.into_iter().next() {
        Some((_, Err(error))) if error.code == RDKafkaErrorCode::GroupIdNotFound => Ok(vec![]),
        Some((_, members)) => members,
        None => Ok(vec![]),
    }
}

/// Which member of its group this consumer is, if it is one.
pub fn member_id<C: ClientContext>(client: &Client<C>) -> Option<String> {
    // SAFETY: the client outlives the call; the string is ours, valid or null, and freed once, after
    // it was copied.
    unsafe {
        let text = sys::rd_kafka_memberid(client.native_ptr());
        if text.is_null() {
            return None;
        }
        let id = CStr::from_ptr(text).to_string_lossy().into_owned();
        sys::rd_kafka_mem_free(client.native_ptr(), text.cast());
        (!id.is_empty()).then_some(id)
    }
}

/// Commits `offsets` for the group of a consumer. The safe call waits for as long as it takes.
///
/// # Errors
/// If the group does not take them, or nobody answers within `timeout`: they may be committed later
/// all the same.
pub fn commit_offsets<C: ClientContext>(
    client: &Client<C>,
    offsets: &TopicPartitionList,
    timeout: Duration,
) -> Result<(), NativeError> {
    const OURS: &str = "librdkafka made none, which it does for a client that lives";
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    let native = client.native_ptr();
    let failed = |code| NativeError { code, text: String::new() };
    // SAFETY: client and list outlive the call, and the list is copied. Queue and event are ours and
    // each is destroyed once, the event first; what comes for a queue that is gone is dropped.
    unsafe {
        let queue = sys::rd_kafka_queue_new(native);
        let queue = Owned::new(queue, sys::rd_kafka_queue_destroy).expect(OURS);
        let (no_callback, nothing) = (None, ptr::null_mut());
        let sent =
            sys::rd_kafka_commit_queue(native, offsets.ptr(), queue.ptr(), no_callback, nothing);
        match RDKafkaErrorCode::from(sent) {
            RDKafkaErrorCode::NoError => {}
            code => return Err(failed(code)),
        }
        let event = sys::rd_kafka_queue_poll(queue.ptr(), timeout_ms);
        let Some(event) = Owned::new(event, sys::rd_kafka_event_destroy) else {
            return Err(failed(RDKafkaErrorCode::OperationTimedOut));
        };
        match RDKafkaErrorCode::from(sys::rd_kafka_event_error(event.ptr())) {
            RDKafkaErrorCode::NoError => Ok(()),
            code => Err(failed(code)),
        }
    }
}

/// A group's name, and what was found of it.
type Described<T> = (String, Result<T, NativeError>);

/// What `of` finds in the description of each of these groups, or why it has none.
fn describe_groups<C: ClientContext, T>(
    client: &Client<C>,
    groups: &[&str],
    timeout: Duration,
    of: impl Fn(*const sys::rd_kafka_ConsumerGroupDescription_t) -> T,
) -> Result<Vec<Described<T>>, NativeError> {
    use sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
    with_names(groups, |names| {
        let send = |options, queue| {
            // SAFETY: `names` are as many valid C strings as said, and are copied. The client
            // outlives the call.
            unsafe {
                let (first, count) = (names.as_mut_ptr(), names.len());
                sys::rd_kafka_DescribeConsumerGroups(
                    client.native_ptr(),
                    first,
                    count,
                    options,
                    queue,
                );
            }
        };
        let request = RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let answer = ask(client, request, timeout, with_operations, send)?;
        let mut described = vec![];
        // SAFETY: as in `describe_topics`.
        unsafe {
            let result = sys::rd_kafka_event_DescribeConsumerGroups_result(answer.ptr());
            let mut count = 0;
            let first = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &mut count);
            for i in 0..count {
                let group = *first.add(i);
                let name = CStr::from_ptr(sys::rd_kafka_ConsumerGroupDescription_group_id(group));
                let found = said(sys::rd_kafka_ConsumerGroupDescription_error(group));
                let found = found.map(|()| of(group));
                described.push((name.to_string_lossy().into_owned(), found));
            }
        }
        Ok(described)
    })
}

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

/// The ids of these topics, by which another one under the same name is told from it; `None` if brokers do
/// not say, as those before 2.8 do not. A topic that is not there is left out.
///
/// # Errors
/// If nobody answers.
pub fn topic_ids<C: ClientContext>(
    client: &Client<C>,
    topics: &[&str],
    timeout: Duration,
) -> Result<BTreeMap<String, Option<String>>, NativeError> {
    let plain = |_| ptr::null_mut();
    let described = describe_topics(client, topics, timeout, plain, |topic| {
        // SAFETY: the description lives for this call, and its id with it; the string is the id's, and
        // is copied.
        unsafe {
            let id = sys::rd_kafka_TopicDescription_topic_id(topic);
            let bits = (
                sys::rd_kafka_Uuid_most_significant_bits(id),
                sys::rd_kafka_Uuid_least_significant_bits(id),
            );
            let text = CStr::from_ptr(sys::rd_kafka_Uuid_base64str(id)).to_string_lossy();
            (bits != (0, 0)).then(|| text.into_owned())
        }
    })?;
    Ok(described.into_iter().filter_map(|(name, id)| Some((name, id.ok()?))).collect())
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

/// An option of an admin request that is not its timeout.
type Setter = *mut sys::rd_kafka_error_t;

fn with_operations(options: *mut sys::rd_kafka_AdminOptions_t) -> Setter {
    // SAFETY: the options live for this call.
    unsafe { sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1) }
}

/// Sends one admin request with what `set` sets, and waits for its answer.
fn ask<C: ClientContext>(
    client: &Client<C>,
    request: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    set: impl FnOnce(*mut sys::rd_kafka_AdminOptions_t) -> Setter,
    send: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Owned<sys::rd_kafka_event_t>, NativeError> {
    const OURS: &str = "librdkafka made none, which it does for a client that lives";
    let timeout_ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
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
            timeout_ms,
            why.as_mut_ptr(),
            why.len(),
        );
        let queue = sys::rd_kafka_queue_new(native);
        let queue = Owned::new(queue, sys::rd_kafka_queue_destroy).expect(OURS);
        send(options.ptr(), queue.ptr());
        // librdkafka answers every request, at the latest when its own timeout is over.
        let event = sys::rd_kafka_queue_poll(queue.ptr(), timeout_ms.saturating_add(5000));
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

/// Lends names as C strings. Names come from a configuration that allows no NUL.
fn with_names<T>(names: &[&str], body: impl FnOnce(&mut [*const c_char]) -> T) -> T {
    let names: Vec<CString> =
        names.iter().map(|&name| CString::new(name).expect("a name without NUL")).collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    body(&mut pointers)
}

/// # Safety
/// `codes` must be null or point to `count` values of an enumeration of C.
unsafe fn codes_of(codes: *const sys::rd_kafka_AclOperation_t, count: usize) -> Option<Vec<i32>> {
    if codes.is_null() || count == 0 {
        return None;
    }
    // SAFETY: as said. Read as numbers: a code that Rust's enumeration does not have is none of it.
    Some(unsafe { std::slice::from_raw_parts(codes.cast::<i32>(), count) }.to_vec())
}

/// # Safety
/// `error` must be null or a librdkafka error that lives; it is only read.
unsafe fn said(error: *const sys::rd_kafka_error_t) -> Result<(), NativeError> {
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

/// Something of librdkafka's that is ours to destroy.
struct Owned<T> {
    ptr: NonNull<T>,
    destroy: unsafe extern "C" fn(*mut T),
}

impl<T> Owned<T> {
    /// `None` for a null pointer. `destroy` must be the function that ends what `ptr` points to,
    /// and nobody else may call it.
    fn new(ptr: *mut T, destroy: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        NonNull::new(ptr).map(|ptr| Self { ptr, destroy })
    }

    fn ptr(&self) -> *mut T {
        self.ptr.as_ptr()
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: whoever made this gave us the pointer and the function that belongs to it.
        unsafe { (self.destroy)(self.ptr.as_ptr()) }
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
