//! Partitions coming and going, written down instead of acted upon.
//!
//! librdkafka calls back in the middle of a poll. Committing there would re-enter the worker that
//! polls; so the callback only keeps the news, and the worker acts when its batch is done.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tracing::warn;

use super::words;
/// What the group decided, in the order it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    Assigned,
    Revoked,
}

/// Consumer context that keeps the news.
#[derive(Default)]
pub struct Assignments {
    news: Mutex<Vec<(News, TopicPartitionList)>>,
    leaving: AtomicBool,
}

impl Assignments {
    /// The oldest news not yet taken.
    pub fn take(&self) -> Option<(News, TopicPartitionList)> {
        let mut news = self.news.lock().expect("no panic while held");
        (!news.is_empty()).then(|| news.remove(0))
    }

    pub fn is_empty(&self) -> bool {
        self.news.lock().expect("no panic while held").is_empty()
    }

    /// From now on partitions are given back at once: nobody is left to act on news.
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
