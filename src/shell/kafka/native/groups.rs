//! Consumer groups: their members, what we may do with them, and the offsets that they commit.

use std::ffi::{CStr, c_char, c_int};
use std::fmt;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::admin::{Described, Operations, ask, codes_of, with_operations};
use super::error::{NativeError, said};
use super::names::with_names;
use super::owned::Owned;

/// A member of a consumer group. A process that was killed is one until its session times out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Given by the broker, to one consumer once.
    pub id: String,
    pub client_id: String,
    pub host: String,
}

impl fmt::Display for GroupMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.client_id, self.host)
    }
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

/// Who is in this consumer group now.
///
/// # Errors
/// If nobody answers or the group may not be described.
pub fn group_members<C: ClientContext>(
    client: &Client<C>,
    group: &str,
    timeout: Duration,
) -> Result<Vec<GroupMember>, NativeError> {
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
            let read = |member| GroupMember {
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
