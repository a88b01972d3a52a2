//! Output partitions that may hold records of a hanging transaction of ours (KIP-664).
//!
//! The records of a transaction are in the log at once. They count when a marker ends the transaction. A broker may
//! report a transaction as ended and write no marker: Kafka 4.4 skips partitions whose leader it does not know at
//! that moment, as if they were deleted. The marker of the *next* transaction of our id in that partition then ends
//! the old records too, so a commit would bring back records that were aborted.
//!
//! So after a producer is made, and after each failure, we suspect every partition that our id may have written to,
//! in whichever process. We note each partition's end offset. A partition is *clean* once its last stable offset has
//! passed that mark. We never commit to a partition that is not clean. If it does not become clean, the session
//! aborts an empty transaction on exactly those partitions, which writes the missing markers, and looks again.
//!
//! This file does no I/O: a session asks the brokers and reports here. Blind spots: it cannot tell whose records
//! hang, and it assumes that of one transaction's markers either all are missing or none.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::config::{Stream, Topics};
use crate::record::{Offset, Partition, TopicPartition};

/// The topics that a session writes to.
#[derive(Clone, Debug)]
pub struct Outputs {
    pub topics: Vec<String>,
    /// The evidence topic. Many processes write to it, so some transaction is open there nearly always. That ours
    /// has ended there is seen in another partition of the same transaction.
    pub evidence: String,
    /// Topics that followers read. Many processes write to them too.
    pub followed: Vec<String>,
    /// The state topic. The monitor and a worker both write to its first partition, so the same holds there.
    pub state: String,
}

/// Stands for the offsets that our group holds as pending. It counts as a topic with one partition.
pub const GROUP: &str = "the group's offsets";

/// What the open or last transaction wrote to, and which partitions are not clean.
#[derive(Debug)]
pub struct HangingTransactions {
    shared: Outputs,
    /// The known number of partitions of each topic.
    widths: BTreeMap<String, i32>,
    /// The partitions that the open or last committed transaction wrote to.
    written_to: BTreeMap<String, BTreeSet<Partition>>,
    /// Partitions that are not clean, and the end offset that marks them, once known.
    suspected: BTreeMap<TopicPartition, Option<Offset>>,
    /// Partitions where a committed transaction may lack its marker. The next commit there writes one; without a
    /// next commit readers would wait for ever. They do not hold up a commit.
    watched: BTreeMap<TopicPartition, Option<Offset>>,
    /// Partitions of the last aborted transaction that only we write to. If one is clean, all are.
    witnesses: BTreeSet<TopicPartition>,
}

impl Outputs {
    /// Whether other processes write there too.
    pub fn is_shared(&self, topic: &str, partition: Partition) -> bool {
        let is_followed = || self.followed.iter().any(|followed| followed == topic);
        topic == self.evidence
            || topic == GROUP
            || topic == self.state && partition.0 == 0
            || is_followed()
    }

    /// The topics that a worker of `stream` writes to.
    pub fn of_worker(stream: &Stream) -> Self {
        let topics = &stream.topics;
        let all = [&topics.sanitized, &topics.quarantine, &topics.dead_letter, &topics.state];
        let visits = stream.clients.as_ref().map(|_| &topics.visits);
        let join = stream.answers.as_ref().map(|answers| &answers.join_topic);
        let followed = visits.into_iter().chain(join);
        followed.fold(Self::shared(&all, stream), |outputs, topic| outputs.beside(topic))
    }

    /// The topics that a monitor of `stream`, or a reset of its state, writes to.
    pub fn of_monitor(stream: &Stream) -> Self {
        let lineage = stream.lineage.as_ref().map(|lineage| &lineage.topic);
        let own = [&stream.alerts.topic, &stream.topics.state];
        let all: Vec<&String> = own.into_iter().chain(lineage).collect();
        Self::shared(&all, stream)
    }

    /// The topics that a follower of `stream` writes to, which reads `topic`.
    pub fn of_follower(stream: &Stream, topic: &str) -> Self {
        let is_of_clients = topic == stream.topics.visits;
        let pages = stream.known_clients_topic().filter(|_| is_of_clients).map(str::to_owned);
        let own: Vec<&String> = [&stream.topics.state].into_iter().chain(&pages).collect();
        Self::shared(&own, stream).beside(topic)
    }

    fn shared(own: &[&String], stream: &Stream) -> Self {
        let Topics { evidence, state, .. } = &stream.topics;
        let topics = own.iter().copied().chain([evidence]).cloned().collect();
        Self { topics, evidence: evidence.clone(), followed: vec![], state: state.clone() }
    }

    /// These outputs, and a topic that a follower reads.
    #[must_use]
    pub fn beside(mut self, topic: &str) -> Self {
        self.topics.push(topic.to_owned());
        self.followed.push(topic.to_owned());
        self
    }
}

impl HangingTransactions {
    /// Suspects everything: the process that had our id before may have written anywhere. `widths` are the topics
    /// with their numbers of partitions, [`GROUP`] among them.
    pub fn new(shared: &Outputs, widths: impl IntoIterator<Item = (String, i32)>) -> Self {
        let mut all = Self {
            shared: shared.clone(),
            widths: BTreeMap::new(),
            written_to: BTreeMap::new(),
            suspected: BTreeMap::new(),
            watched: BTreeMap::new(),
            witnesses: BTreeSet::new(),
        };
        all.take_over(widths);
        all
    }

    /// A new producer has our id. Another process may have had the id since our last producer was made, and a new
    /// producer cannot see that. So everything is suspected again.
    pub fn take_over(&mut self, widths: impl IntoIterator<Item = (String, i32)>) {
        self.widths.extend(widths);
        let all = self.widths.iter().flat_map(|(topic, &width)| {
            (0..width)
                .map(|p| (TopicPartition { topic: topic.clone(), partition: Partition(p) }, None))
        });
        self.suspected.extend(all.collect::<Vec<_>>());
        self.suspect_written();
    }

    /// The topics that are written to.
    pub fn topics(&self) -> &[String] {
        &self.shared.topics
    }

    /// A record was sent to this partition; `None`: to any partition of the topic.
    pub fn wrote(&mut self, topic: &str, partition: Option<Partition>) {
        if !self.written_to.contains_key(topic) {
            self.written_to.insert(topic.to_owned(), BTreeSet::new());
        }
        let written_to = self.written_to.get_mut(topic).expect("inserted");
        match partition {
            Some(partition) => {
                written_to.insert(partition);
            }
            None => {
                let width = self.widths.get(topic).copied().unwrap_or(1);
                written_to.extend((0..width).map(Partition));
            }
        }
    }

    /// The open transaction is committed, and its markers are there.
    pub fn committed(&mut self) {
        self.written_to.clear();
    }

    /// Suspects all partitions that the last transaction wrote to.
    pub fn suspect_written(&mut self) {
        // Its markers are not those of the last abort.
        self.witnesses.clear();
        let places: Vec<TopicPartition> = self.written().collect();
        self.suspected.extend(places.into_iter().map(|place| (place, None)));
    }

    /// Watches all partitions that the last transaction wrote to: it is committed, and its markers were not seen yet.
    pub fn watch_written(&mut self) {
        let places: Vec<TopicPartition> = self.written().collect();
        self.watched.extend(places.into_iter().map(|place| (place, None)));
    }

    fn written(&self) -> impl Iterator<Item = TopicPartition> {
        self.written_to.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|&partition| TopicPartition { topic: topic.clone(), partition })
        })
    }

    /// The partitions to ask the brokers about.
    pub fn unclean(&self) -> Vec<TopicPartition> {
        let all: BTreeSet<&TopicPartition> =
            self.suspected.keys().chain(self.watched.keys()).collect();
        all.into_iter().cloned().collect()
    }

    pub fn is_clean(&self) -> bool {
        self.suspected.is_empty() && self.watched.is_empty()
    }

    /// Takes a partition's end offset and its last stable offset. The end must be read first, and after our producer
    /// was made.
    pub fn observe(&mut self, place: &TopicPartition, end: Offset, stable: Offset) {
        if let Some(known) = self.watched.get_mut(place)
            && stable >= *known.get_or_insert(end)
        {
            self.watched.remove(place);
        }
        let Some(known) = self.suspected.get_mut(place) else { return };
        if stable >= *known.get_or_insert(end) {
            self.suspected.remove(place);
            if self.witnesses.contains(place) {
                // The abort that it is a witness of wrote markers into all shared partitions too.
                self.suspected = mem::take(&mut self.suspected)
                    .into_iter()
                    .filter(|(p, _)| !self.is_shared(p))
                    .collect();
            }
        }
    }

    /// The partitions that an empty aborted transaction must touch, beside the group: all that are not clean, and at
    /// least one witness.
    pub fn places_to_abort(&self) -> Vec<TopicPartition> {
        let mut places = self.unclean();
        places.retain(|place| place.topic != GROUP);
        if places.iter().all(|place| self.is_shared(place)) {
            let mut all = self.widths.iter().flat_map(|(topic, &width)| {
                (0..width).map(|p| TopicPartition { topic: topic.clone(), partition: Partition(p) })
            });
            places.extend(all.find(|place| !self.is_shared(place)));
        }
        places
    }

    /// An empty transaction on these partitions was aborted, and may hang as well. True if the abort may have undone
    /// offsets that were committed before. Then the caller must read its committed offsets again.
    #[must_use]
    pub fn aborted(&mut self, places: Vec<TopicPartition>) -> bool {
        let own = places.iter().filter(|place| !self.is_shared(place));
        self.witnesses = own.cloned().collect();
        self.suspected.extend(places.into_iter().map(|place| (place, None)));
        let watched = mem::take(&mut self.watched);
        watched.keys().any(|place| place.topic == GROUP)
    }

    /// Whether the last transaction wrote to a partition that only we write to.
    pub fn wrote_alone(&self) -> bool {
        self.written().any(|place| !self.is_shared(&place))
    }

    /// The last transaction has ended in the partitions that only we write to, so it has ended in the shared ones.
    pub fn clear_shared(&mut self) {
        let suspected = mem::take(&mut self.suspected);
        let has_ended = |place: &TopicPartition| self.is_shared(place) && self.is_written(place);
        self.suspected = suspected.into_iter().filter(|(place, _)| !has_ended(place)).collect();
    }

    fn is_shared(&self, place: &TopicPartition) -> bool {
        self.shared.is_shared(&place.topic, place.partition)
    }

    /// Takes every partition as clean.
    pub fn clear(&mut self) {
        self.watched.clear();
        self.suspected.clear();
    }

    /// A partition that was written to and is not clean: nothing may be committed to it.
    pub fn unclean_written(&self) -> Option<&TopicPartition> {
        self.suspected.keys().find(|place| self.is_written(place))
    }

    /// A partition that only we write to, that the last commit wrote to and that is not clean. Shared partitions follow from
    /// those.
    pub fn unclean_own(&self) -> Option<&TopicPartition> {
        let mut own = self.suspected.keys().filter(|place| !self.is_shared(place));
        own.find(|place| self.is_written(place))
    }

    fn is_written(&self, place: &TopicPartition) -> bool {
        let written_to = self.written_to.get(&place.topic);
        written_to.is_some_and(|written_to| written_to.contains(&place.partition))
    }
}

#[cfg(test)]
mod tests;
