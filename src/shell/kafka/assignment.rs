//! Assignments and revocations, in a queue.
//!
//! librdkafka calls back in the middle of a poll. A commit in the callback would re-enter the worker that polls. So the
//! callback only queues the change, and the worker acts on it after its batch.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tracing::warn;

use super::words;
/// What the group decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Assigned,
    Revoked,
}

/// Consumer context with the queue.
#[derive(Default)]
pub struct Assignments {
    news: Mutex<Vec<(News, TopicPartitionList)>>,
    leaving: AtomicBool,
}

impl Assignments {
    /// The oldest change in the queue.
    pub fn take(&self) -> Option<(News, TopicPartitionList)> {
        let mut news = self.news.lock().expect("no panic while held");
        (!news.is_empty()).then(|| news.remove(0))
    }

    pub fn is_empty(&self) -> bool {
        self.news.lock().expect("no panic while held").is_empty()
    }

    /// From now on the callback itself gives partitions back: nobody reads the queue any more.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }
}

impl ClientContext for Assignments {
    fn error(&self, error: KafkaError, reason: &str) {
        words::report(&error, reason);
    }
}

impl ConsumerContext for Assignments {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let news = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => News::Assigned,
            _ => News::Revoked,
        };
        if self.leaving.load(Ordering::Relaxed) {
            let done = match news {
                News::Assigned => consumer.incremental_assign(partitions),
                News::Revoked => consumer.incremental_unassign(partitions),
            };
            if let Err(error) = done {
                warn!(%error, "giving partitions back");
            }
            return;
        }
        self.news.lock().expect("no panic while held").push((news, partitions.clone()));
    }
}
