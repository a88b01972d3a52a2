//! What the brokers say of the topics that we read, asked every few seconds on a thread of its own.
//!
//! The record path learns from it whether its input is still the same log, and `/metrics` how many records
//! wait: of every partition, also of those that are held, cannot be fetched, or are another process's. It
//! cannot see what came and went between two looks.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use tracing::debug;

use super::Clients;
use super::farewell::part_with;
use super::native::{self, Which};
use super::quiet::Quiet;
use super::survey::extents;
use crate::deliver::Progress;
use crate::record::{Extent, Offset, Partition, TopicPartition};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long one question may take.
const EXCHANGE: Duration = Duration::from_secs(5);

/// Who looks at which topics, for all threads of a process.
#[derive(Default)]
pub struct Observers(Mutex<BTreeMap<(String, String), Weak<Looks>>>);

/// What was seen of one topic, for one group that reads it.
#[derive(Default)]
pub struct Looks {
    seen: Mutex<Seen>,
    /// Who is told how far the partitions reach.
    told: Mutex<Vec<Weak<Progress>>>,
}

#[derive(Default)]
struct Seen {
    /// How often somebody looked.
    looks: u64,
    extents: BTreeMap<TopicPartition, Extent>,
    /// Where a sender has a transaction open.
    open: BTreeSet<Partition>,
}

impl Looks {
    /// Whether a sender had a transaction open there when somebody last looked.
    pub fn has_open(&self, partition: Partition) -> bool {
        lock(&self.seen).open.contains(&partition)
    }

    /// The last look, if it is not the one of number `seen`, which it becomes.
    pub fn newer(&self, seen: &Cell<u64>) -> Option<BTreeMap<TopicPartition, Extent>> {
        let last = lock(&self.seen);
        (last.looks > seen.replace(last.looks)).then(|| last.extents.clone())
    }
}

impl Observers {
    /// What is seen of `topic` for `group`, and of the topics that are written, from now on until nobody holds it
    /// any more; `progress` is told.
    pub fn observe(
        &self,
        clients: &Clients,
        (group, topic): (&str, &str),
        outputs: &[String],
        progress: &Arc<Progress>,
    ) -> Arc<Looks> {
        let mut known = lock(&self.0);
        let place = (group.to_owned(), topic.to_owned());
        let looks = known.get(&place).and_then(Weak::upgrade).unwrap_or_else(|| {
            let looks = Arc::<Looks>::default();
            let (outputs, clients) = (outputs.to_vec(), clients.clone());
            let observer = Observer { looks: Arc::downgrade(&looks), clients, place, outputs };
            known.insert(observer.place.clone(), observer.looks.clone());
            thread::spawn(move || observer.run());
            looks
        });
        lock(&looks.told).push(Arc::downgrade(progress));
        looks
    }
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observers")
    }
}

struct Observer {
    looks: Weak<Looks>,
    clients: Clients,
    place: (String, String),
    outputs: Vec<String>,
}

impl Observer {
    /// Until nobody wants to know any more.
    fn run(self) {
        let mut consumer = None;
        while self.looks.strong_count() > 0 {
            if consumer.is_none() {
                consumer = self.consumer().ok();
            }
            if let Some(asked) = &consumer {
                match self.look(asked) {
                    Ok(look) => self.tell(look),
                    Err(reason) => {
                        debug!(topic = self.place.1, reason, "looking at a topic");
                        // It may have forgotten all brokers (`super::cut_off`). One that lacks a right is kept.
                        if asked.fetch_metadata(Some(&self.place.1), EXCHANGE).is_err() {
                            part_with(consumer.take());
                        }
                    }
                }
            }
            thread::sleep(EVERY);
        }
    }

    /// Of the group only by name: it never subscribes.
    fn consumer(&self) -> Result<BaseConsumer<Quiet>, KafkaError> {
        let mut config = self.clients.common("observer");
        config.set("group.id", &self.place.0);
        BaseConsumer::from_config_and_context(&config, Quiet)
    }

    fn look(&self, consumer: &BaseConsumer<Quiet>) -> Result<Look, String> {
        let topic = &self.place.1;
        let said = |error: native::NativeError| error.text;
        let known = consumer.fetch_metadata(Some(topic), EXCHANGE).map_err(|e| e.to_string())?;
        let known = known.topics().iter().find(|known| known.name() == topic);
        let count = known.map_or(0, |topic| topic.partitions().len() as i32);
        let partitions: Vec<Partition> = (0..count).map(Partition).collect();
        let place = |partition| TopicPartition { topic: topic.clone(), partition };
        let places: Vec<TopicPartition> = partitions.iter().copied().map(place).collect();
        let written = self.outputs.iter().flat_map(|topic| {
            partitions.iter().map(|&partition| TopicPartition { topic: topic.clone(), partition })
        });
        // A monitor writes the topic that it reads.
        let all: BTreeSet<TopicPartition> = places.iter().cloned().chain(written).collect();
        let all: Vec<TopicPartition> = all.into_iter().collect();
        let extents =
            extents(consumer.client(), self.clients.ids(), &all, EXCHANGE).map_err(said)?;
        let stable = native::offsets(consumer.client(), &places, Which::Stable, EXCHANGE);
        let stable = stable.map_err(said)?;
        let mut asked = TopicPartitionList::new();
        for partition in &partitions {
            asked.add_partition(topic, partition.0);
        }
        // While a transaction with offsets is open they are not told: then what was told before stands.
        let committed = consumer.committed_offsets(asked, EXCHANGE).map(|all| {
            let told = all.elements().into_iter().filter_map(|element| match element.offset() {
                NativeOffset::Offset(at) => Some((Partition(element.partition()), Offset(at))),
                _ => None,
            });
            told.collect()
        });
        let stable = stable.into_iter().map(|(place, at)| (place.partition, at.offset)).collect();
        Ok(Look { extents, stable, committed: committed.unwrap_or_default() })
    }

    fn tell(&self, Look { extents, stable, committed }: Look) {
        let Some(looks) = self.looks.upgrade() else { return };
        lock(&looks.told).retain(|progress| {
            let Some(progress) = progress.upgrade() else { return false };
            for &partition in stable.keys() {
                let place = TopicPartition { topic: self.place.1.clone(), partition };
                let Some(extent) = extents.get(&place) else { continue };
                // What a transaction of a sender holds back waits too.
                let committed = committed.get(&partition).copied().unwrap_or(extent.start);
                progress.ends(partition, extent.end, Some(committed));
            }
            true
        });
        let mut seen = lock(&looks.seen);
        let end = |partition| {
            let place = TopicPartition { topic: self.place.1.clone(), partition };
            extents.get(&place).map(|extent| extent.end)
        };
        let open = stable.iter().filter(|&(&partition, &at)| end(partition) > Some(at));
        seen.open = open.map(|(&partition, _)| partition).collect();
        (seen.looks, seen.extents) = (seen.looks + 1, extents);
    }
}

/// One look.
struct Look {
    extents: BTreeMap<TopicPartition, Extent>,
    /// Up to where each partition may be read.
    stable: BTreeMap<Partition, Offset>,
    /// Below which the group has done each.
    committed: BTreeMap<Partition, Offset>,
}

/// What is inside is replaced whole: a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use rdkafka::ClientConfig;
    use rdkafka::mocking::MockCluster;

    use super::*;

    /// Else one more client would be left with every look, for as long as an outage lasts.
    #[test]
    fn a_client_that_looked_in_vain_is_gone_at_once_though_no_broker_is_there() {
        let cluster = MockCluster::new(1).expect("a cluster");
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "g");
        let consumer: BaseConsumer<Quiet> =
            BaseConsumer::from_config_and_context(&config, Quiet).expect("a client");
        consumer.fetch_metadata(None, EXCHANGE).expect("an answer");
        drop(cluster);
        let mut asked = TopicPartitionList::new();
        asked.add_partition("t", 0);
        let wait = Duration::from_secs(1);
        assert!(consumer.committed_offsets(asked, wait).is_err());
        assert!(consumer.fetch_metadata(None, wait).is_err());
        let began = Instant::now();
        drop(consumer);
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}
