//! What brokers say of topics: ids, and what we may do with them.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::ptr;
use std::time::Duration;

use rdkafka::bindings as sys;
use rdkafka::client::{Client, ClientContext};

use super::admin::{Described, Operations, Setter, ask, codes_of, with_operations};
use super::error::{NativeError, said};
use super::names::with_names;

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
