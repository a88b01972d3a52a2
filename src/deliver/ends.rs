//! Which output partitions, and whether our group, may still hold something of ours that has no end.
//!
//! A transaction's records are in the log at once; they count when a marker ends it. A broker may
//! say that a transaction ended and write no marker: Kafka 4.4 passes over partitions whose leader it
//! does not know at that moment, as if they were deleted. Whatever ends the *next* transaction of
//! our id there then ends those records too: a commit would bring back what was given up. So
//! whoever begins to write under an id, or again after a failure, doubts every partition that this id
//! may have written to before, whichever process had it, until it has seen that everything below its
//! present end has ended, and commits nothing into one that it doubts.
//!
//! Where something hangs a session aborts a transaction that touches only these partitions: its
//! markers end what our id left. They too are believed only when they are seen.
//!
//! This asks nobody: a session does, and says what it saw. It cannot tell whose records hang; and it
//! takes it that of a transaction's markers all are missing or none.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::config::{Stream, Topics};
use crate::record::{Offset, Partition, TopicPartition};

/// Topics that a session writes to.
#[derive(Clone, Debug)]
pub struct Outputs {
    pub topics: Vec<String>,
    /// The one of them that many write to at once, so that something is open there nearly always:
    /// that ours has ended there is seen by another partition of the same transaction.
    pub evidence: String,
    /// In its first partition the monitor writes beside a worker: the same there.
    pub state: String,
}

/// Stands for the offsets that our group holds as pending, partition 0 of it.
pub const GROUP: &str = "the group's offsets";

/// What was written, what is doubted.
#[derive(Debug)]
pub struct Ends {
    shared: Outputs,
    /// How many partitions each topic has, as far as we know.
    widths: BTreeMap<String, i32>,
    /// Where the transaction that is open, or that was last committed, wrote to.
    touched: BTreeMap<String, BTreeSet<Partition>>,
    /// Where something may hang, and the end below which it would, once that is known.
    doubted: BTreeMap<TopicPartition, Option<Offset>>,
    /// Where something that was committed may lack its end: the next commit there gives it one, and if
    /// none comes somebody waits for ever. What is watched holds nothing up.
    watched: BTreeMap<TopicPartition, Option<Offset>>,
    /// Partitions of the last aborted transaction that are ours: one that has ended speaks for all.
    witnesses: BTreeSet<TopicPartition>,
}

impl Outputs {
    /// Whether others have something open there at nearly any time.
    pub fn is_shared(&self, topic: &str, partition: Partition) -> bool {
        topic == self.evidence || topic == GROUP || topic == self.state && partition.0 == 0
    }

    /// What a worker of `stream` writes to.
    pub fn of_worker(stream: &Stream) -> Self {
        let topics = &stream.topics;
        let all = [&topics.sanitized, &topics.quarantine, &topics.dead_letter, &topics.state];
        Self::shared(&all, stream)
    }

    /// What a monitor of `stream`, or a reset of its state, writes to.
    pub fn of_monitor(stream: &Stream) -> Self {
        let all = [&stream.alerts.topic, &stream.topics.state];
        Self::shared(&all, stream)
    }

    fn shared(own: &[&String], stream: &Stream) -> Self {
        let Topics { evidence, state, .. } = &stream.topics;
        let topics = own.iter().copied().chain([evidence]).cloned().collect();
        Self { topics, evidence: evidence.clone(), state: state.clone() }
    }
}

impl Ends {
    /// Whoever had our id before may have left something anywhere. `widths` are the topics and how
    /// many partitions each has; [`GROUP`] is one more.
    pub fn new(shared: &Outputs, widths: impl IntoIterator<Item = (String, i32)>) -> Self {
        let mut ends = Self {
            shared: shared.clone(),
            widths: BTreeMap::new(),
            touched: BTreeMap::new(),
            doubted: BTreeMap::new(),
            watched: BTreeMap::new(),
            witnesses: BTreeSet::new(),
        };
        ends.take_over(widths);
        ends
    }

    /// A new producer has our id. Another process may have had it since the last one was made, and
    /// have left something anywhere: to who takes an id over it does not show whether it was its own.
    pub fn take_over(&mut self, widths: impl IntoIterator<Item = (String, i32)>) {
        self.widths.extend(widths);
        let all = self.widths.iter().flat_map(|(topic, &width)| {
            (0..width)
                .map(|p| (TopicPartition { topic: topic.clone(), partition: Partition(p) }, None))
        });
        self.doubted.extend(all.collect::<Vec<_>>());
        self.doubt();
    }

    /// What is written to.
    pub fn topics(&self) -> &[String] {
        &self.shared.topics
    }

    /// A record goes to this partition; to any of the topic if its key decides.
    pub fn touch(&mut self, topic: &str, partition: Option<Partition>) {
        if !self.touched.contains_key(topic) {
            self.touched.insert(topic.to_owned(), BTreeSet::new());
        }
        let touched = self.touched.get_mut(topic).expect("inserted");
        match partition {
            Some(partition) => {
                touched.insert(partition);
            }
            None => {
                let width = self.widths.get(topic).copied().unwrap_or(1);
                touched.extend((0..width).map(Partition));
            }
        }
    }

    /// What was open is committed, and its markers are believed.
    pub fn committed(&mut self) {
        self.touched.clear();
    }

    /// What was written last may hang.
    pub fn doubt(&mut self) {
        // Its markers are others than those of the last abort.
        self.witnesses.clear();
        let places: Vec<TopicPartition> = self.written().collect();
        self.doubted.extend(places.into_iter().map(|place| (place, None)));
    }

    /// What was written last is committed, and nobody can say yet whether it has ended.
    pub fn watch(&mut self) {
        let places: Vec<TopicPartition> = self.written().collect();
        self.watched.extend(places.into_iter().map(|place| (place, None)));
    }

    fn written(&self) -> impl Iterator<Item = TopicPartition> {
        self.touched.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(|&partition| TopicPartition { topic: topic.clone(), partition })
        })
    }

    /// The places to ask about.
    pub fn doubts(&self) -> Vec<TopicPartition> {
        let all: BTreeSet<&TopicPartition> =
            self.doubted.keys().chain(self.watched.keys()).collect();
        all.into_iter().cloned().collect()
    }

    pub fn is_calm(&self) -> bool {
        self.doubted.is_empty() && self.watched.is_empty()
    }

    /// This partition has its end here, and up to there nothing is open. In this order: the end was
    /// looked for first, and not before our producer was made.
    pub fn saw(&mut self, place: &TopicPartition, end: Offset, stable: Offset) {
        if let Some(known) = self.watched.get_mut(place)
            && stable >= *known.get_or_insert(end)
        {
            self.watched.remove(place);
        }
        let Some(known) = self.doubted.get_mut(place) else { return };
        if stable >= *known.get_or_insert(end) {
            self.doubted.remove(place);
            if self.witnesses.contains(place) {
                // The abort that it is a witness of went into everything shared.
                self.doubted = mem::take(&mut self.doubted)
                    .into_iter()
                    .filter(|(p, _)| !self.is_shared(p))
                    .collect();
            }
        }
    }

    /// Where an aborted transaction ends what hangs, beside the group: everything doubted, and one
    /// witness at least.
    pub fn to_abort(&self) -> Vec<TopicPartition> {
        let mut places = self.doubts();
        places.retain(|place| place.topic != GROUP);
        if places.iter().all(|place| self.is_shared(place)) {
            let mut all = self.widths.iter().flat_map(|(topic, &width)| {
                (0..width).map(|p| TopicPartition { topic: topic.clone(), partition: Partition(p) })
            });
            places.extend(all.find(|place| !self.is_shared(place)));
        }
        places
    }

    /// A transaction into these was aborted, and may hang as well. True if that may have undone
    /// offsets that were committed before: who committed them must look where it stands.
    #[must_use]
    pub fn aborted(&mut self, places: Vec<TopicPartition>) -> bool {
        let own = places.iter().filter(|place| !self.is_shared(place));
        self.witnesses = own.cloned().collect();
        self.doubted.extend(places.into_iter().map(|place| (place, None)));
        let watched = mem::take(&mut self.watched);
        watched.keys().any(|place| place.topic == GROUP)
    }

    /// Whether what was written last went anywhere that only we write to.
    pub fn touched_own(&self) -> bool {
        self.written().any(|place| !self.is_shared(&place))
    }

    /// What was written last has ended where only we write: wherever it went, then, and nowhere else.
    pub fn forgive(&mut self) {
        let doubted = mem::take(&mut self.doubted);
        let has_ended = |place: &TopicPartition| self.is_shared(place) && self.is_touched(place);
        self.doubted = doubted.into_iter().filter(|(place, _)| !has_ended(place)).collect();
    }

    fn is_shared(&self, place: &TopicPartition) -> bool {
        self.shared.is_shared(&place.topic, place.partition)
    }

    /// Everything was ended as it should be: by whom it was seen there is nothing to doubt.
    pub fn believe(&mut self) {
        self.watched.clear();
        self.doubted.clear();
    }

    /// A partition that was written to and is doubted: nothing may be committed into it.
    pub fn hanging(&self) -> Option<&TopicPartition> {
        self.doubted.keys().find(|place| self.is_touched(place))
    }

    /// The same of the last commit, where only we write: the rest ends with that.
    pub fn endless(&self) -> Option<&TopicPartition> {
        let mut own = self.doubted.keys().filter(|place| !self.is_shared(place));
        own.find(|place| self.is_touched(place))
    }

    fn is_touched(&self, place: &TopicPartition) -> bool {
        let touched = self.touched.get(&place.topic);
        touched.is_some_and(|touched| touched.contains(&place.partition))
    }
}

#[cfg(test)]
mod tests;
