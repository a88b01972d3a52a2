//! What a session reads of logs without consuming: where partitions begin, how far they reach, what has parted.

use std::collections::BTreeMap;

use super::steps::no_answer;
use super::{Result, Session};
use crate::deliver::{Beginning, Kept};
use crate::record::{Extent, Offset, Partition, TopicPartition};
use crate::score::Survey;
use crate::sim::cluster::Ms;
use crate::sim::cluster::group::MemberId;
use crate::sim::cluster::log::Topic;
use crate::sim::faults::{Call, Strike};

/// Between two looks at the input.
const LOOK_MS: Ms = 2_000;

impl Session {
    pub(super) fn find_beginnings(
        &self,
        partitions: &[Partition],
        kept: Kept<'_>,
    ) -> Result<Vec<Beginning>> {
        let strike = self.enter(Call::Beginnings)?;
        if strike == Strike::NoAnswer {
            return Err(no_answer("fetch committed offsets"));
        }
        let state = self.ground.cluster.borrow().topic(kept.topic);
        let n = self.ground.cluster.borrow().topics[state].partitions.len();
        let ends = |&partition: &Partition| match kept.place_of(partition).0 {
            at if (at.0 as usize) < n => self.ground.cluster.borrow().ends(state, at),
            _ => (0, 0),
        };
        let known: Vec<(usize, usize)> = partitions.iter().map(ends).collect();
        let mut committed = vec![];
        {
            let mine = self.mine.borrow();
            let member = mine.consumer.as_ref().map_or(MemberId::MAX, |consumer| consumer.member);
            drop(mine);
            let mut cluster = self.ground.cluster.borrow_mut();
            let group = &mut cluster.groups[self.place.group];
            for &partition in partitions {
                if group.is_unstable(partition) {
                    drop(cluster);
                    self.ground.faults.borrow_mut().hit("offset unstable");
                    self.end_pending_offsets()?;
                    return Err(no_answer(
                        "fetch committed offsets: one is still in a transaction",
                    ));
                }
                committed.push(group.tell(member, partition));
            }
        }
        // Two questions, and between them the world goes on.
        self.give_way(Call::Beginnings)?;
        // A group that tells old offsets does not tell that newer ones are on their way.
        if partitions.iter().map(ends).zip(&known).any(|(now, known)| now.1 < known.0) {
            self.ground.faults.borrow_mut().hit("state unstable");
            self.end_pending_offsets()?;
            return Err(no_answer("read state: one is still in a transaction"));
        }
        self.offsets_missing.set(None);
        let cluster = self.ground.cluster.borrow();
        let topic = &cluster.topics[state];
        let found = partitions.iter().zip(committed).map(|(&partition, committed)| {
            let (at, keys) = kept.place_of(partition);
            let log = topic.partitions.get(at.0 as usize);
            let values = keys.iter().map(|key| {
                let mut newest_first = log?.committed(0).rev();
                newest_first.find(|(_, r)| r.key.as_ref() == Some(key))?.1.value.clone()
            });
            let values: Vec<Option<Vec<u8>>> = values.collect();
            let known = values.first().and_then(|value| (kept.extent)(value.as_deref()?));
            let log = survey(&cluster.topics[self.place.input], partition, known.as_ref());
            Beginning { partition, committed, log, kept: values }
        });
        let found = found.collect();
        drop(cluster);
        self.leave(strike, "beginnings", found)
    }

    /// Every committed record of a topic of one partition.
    pub(super) fn replay_pages(
        &self,
        topic: &str,
        each: &mut dyn FnMut(&[u8], &[u8]),
    ) -> Result<()> {
        let is_open = {
            let cluster = self.ground.cluster.borrow();
            let log = &cluster.topics[cluster.topic(topic)].partitions[0];
            log.stable() < log.end()
        };
        if is_open {
            self.ground.faults.borrow_mut().hit("pages unstable");
            self.end_pending_offsets()?;
            return Err(no_answer("read pages: one is still in a transaction"));
        }
        let cluster = self.ground.cluster.borrow();
        for (_, record) in cluster.topics[cluster.topic(topic)].partitions[0].committed(0) {
            if let (Some(key), Some(value)) = (&record.key, &record.value) {
                each(key, value);
            }
        }
        Ok(())
    }

    /// Somebody looks every two seconds, and is heard when the next one looks: by then the world has gone on.
    pub(super) fn look_at_logs(&self) -> Option<BTreeMap<TopicPartition, Extent>> {
        let now = self.ground.now();
        let (at, mut look) = (self.looked_at.get(), self.look.borrow_mut());
        if at.is_some_and(|at| now < at + LOOK_MS) {
            return None;
        }
        self.looked_at.set(Some(now));
        let cluster = self.ground.cluster.borrow();
        let input = &cluster.topics[self.place.input].name;
        let outputs = self.place.outputs.topics.iter();
        let topics = outputs.chain([input]).map(|name| &cluster.topics[cluster.topic(name)]);
        let extents = topics.flat_map(|topic| {
            (0..topic.partitions.len()).map(|p| {
                let partition = Partition(p as i32);
                (TopicPartition { topic: topic.name.clone(), partition }, extent(topic, partition))
            })
        });
        look.replace(extents.collect())
    }
}

fn extent(topic: &Topic, partition: Partition) -> Extent {
    let log = &topic.partitions[partition.0 as usize];
    let (start, end) = (Offset(log.start() as i64), Offset(log.end() as i64));
    Extent { topic: Some(topic.id()), start, end, leader_epoch: Some(log.epoch() as i32) }
}

pub(super) fn survey(topic: &Topic, partition: Partition, was: Option<&Extent>) -> Survey {
    let (extent, log) = (extent(topic, partition), &topic.partitions[partition.0 as usize]);
    let was = was.filter(|was| was.topic == extent.topic);
    let ended = was.and_then(|was| Some((was.end, log.end_of(was.leader_epoch? as usize)? as i64)));
    let parted = ended.filter(|&(then, now)| now < then.0).map(|(_, now)| Offset(now));
    Survey { extent, parted }
}
