//! The calls of a session, one by one: what each does to the cluster, and what a strike makes of it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::logs::survey;
use super::steps::{ended, failed, no_answer};
use super::{Fetch, Fetched, Queued, Result, Session, ending};
use crate::deliver::{self, Beginning, Change, Forward, GROUP, Kept, Output};
use crate::record::{
    Extent, Offset, OwnedRecord, Partition, Position, Stamp, Timestamp, TopicPartition,
};
use crate::score::Survey;
use crate::sim::cluster::Ms;
use crate::sim::cluster::group::News;
use crate::sim::expect;
use crate::sim::faults::{Call, Strike};
use crate::sim::names::BEGAN_AT;

impl deliver::Session for Session {
    type Fetched<'a> = Fetched;

    fn now(&self) -> Instant {
        self.ground.instant(self.ground.now())
    }

    fn wall(&self) -> Timestamp {
        let cluster = self.ground.cluster.borrow();
        Timestamp(BEGAN_AT + cluster.now as i64 + cluster.skew)
    }

    fn poll(&self, timeout: Duration) -> Result<Option<Fetched>> {
        let strike = self.enter(Call::Poll)?;
        self.end_open_again()?;
        self.ask_whose_id()?;
        let mut mine = self.mine.borrow_mut();
        let mut found = None;
        if let Some(consumer) = mine.consumer.as_mut() {
            consumer.ended |= strike == Strike::ConsumerEnds;
            if consumer.ended {
                return Err(ended("by seed"));
            }
            self.look_for_news(consumer);
            if consumer.news.is_empty() && !self.ground.faults.borrow_mut().chance(0.02) {
                found = self.fetch(consumer);
            }
            if found.is_none() && consumer.news.is_empty() {
                let now = self.ground.cluster.borrow().now;
                self.resume_at.set(now + timeout.as_millis() as Ms);
            }
        } else {
            let now = self.ground.cluster.borrow().now;
            self.resume_at.set(now + timeout.as_millis() as Ms);
        }
        drop(mine);
        self.leave(strike, "poll", found)
    }

    fn has_news(&self) -> bool {
        self.mine.borrow().consumer.as_ref().is_some_and(|consumer| !consumer.news.is_empty())
    }

    fn change(&self) -> Option<Change> {
        if !self.process.alive.get() {
            return None;
        }
        let mut mine = self.mine.borrow_mut();
        let consumer = mine.consumer.as_mut()?;
        let news = consumer.news.pop_front()?;
        consumer.told = true;
        let change = match news {
            News::Assigned(partitions) => Change::Assigned(partitions),
            News::Revoked(partitions) if consumer.lost => Change::Lost(partitions),
            News::Revoked(partitions) => Change::Revoked(partitions),
        };
        let kind = match change {
            Change::Assigned(_) => "assigned",
            Change::Revoked(_) => "revoked",
            Change::Lost(_) => "lost",
        };
        let in_flight = if mine.open { ", records in flight" } else { "" };
        self.ground.note(|| format!("{}: {change:?}", self.place.name));
        self.ground.faults.borrow_mut().hit(format!("{kind}{in_flight}"));
        Some(change)
    }

    fn lost(&self) -> bool {
        self.mine.borrow().consumer.as_ref().is_some_and(|consumer| consumer.lost)
    }

    fn assign(&self, from: &[(Partition, Offset)]) -> Result<()> {
        self.note_reading(from);
        self.consume(Call::Assign, |consumer| {
            consumer.told = false;
            for &(partition, offset) in from {
                let next = self.from(partition, offset);
                consumer.fetched.push(Fetch::at(partition, next));
            }
        })
    }

    fn unassign(&self, partitions: &[Partition]) -> Result<()> {
        let uncommitted = self.is_open();
        self.consume(Call::Unassign, |consumer| {
            consumer.told = false;
            if consumer.lost || uncommitted {
                self.part_with(partitions);
            }
            consumer.fetched.retain(|fetch| !partitions.contains(&fetch.partition));
            let mut cluster = self.ground.cluster.borrow_mut();
            cluster.groups[self.place.group].give_back(consumer.member, partitions);
        })
    }

    fn pause(&self, partitions: &[Partition]) -> Result<()> {
        if partitions.is_empty() {
            return Ok(());
        }
        self.consume(Call::Pause, |consumer| {
            for &partition in partitions {
                let fetch = consumer.fetch_of(partition)?;
                fetch.paused = true;
            }
            Ok(())
        })?
    }

    fn resume(&self, from: &[(Partition, Offset)]) -> Result<()> {
        if from.is_empty() {
            return Ok(());
        }
        self.note_reading(from);
        self.consume(Call::Resume, |consumer| {
            for &(partition, offset) in from {
                let next = self.from(partition, offset);
                *consumer.fetch_of(partition)? = Fetch::at(partition, next);
            }
            Ok(())
        })?
    }

    fn rewind(&self, to: &[(Partition, Offset)]) -> Result<()> {
        if to.is_empty() {
            return Ok(());
        }
        self.note_reading(to);
        self.consume(Call::Rewind, |consumer| {
            for &(partition, offset) in to {
                let next = self.from(partition, offset);
                let fetch = consumer.fetch_of(partition)?;
                *fetch = Fetch { paused: fetch.paused, ..Fetch::at(partition, next) };
            }
            Ok(())
        })?
    }

    fn is_open(&self) -> bool {
        self.mine.borrow().open
    }

    fn forward(&self, message: &Fetched, forward: Forward<'_>) -> Result<()> {
        let mut headers = vec![];
        if let Some(keep) = forward.keep {
            let own = message.record.headers.iter().filter(|(name, _)| (keep.0)(name));
            headers.extend(own.cloned());
        }
        headers.extend(owned(forward.headers));
        let now = Timestamp(BEGAN_AT + self.ground.now() as i64);
        let record = OwnedRecord {
            key: forward.key.of(message.record.key.as_deref()).map(<[u8]>::to_vec),
            value: forward.value.map(<[u8]>::to_vec),
            headers,
            stamp: if forward.keep_timestamp {
                message.record.stamp
            } else {
                Stamp::of_sender(now)
            },
        };
        let topic = self.ground.cluster.borrow().topic(forward.topic);
        let Position { partition, .. } = message.position;
        let source = Some(message.position);
        self.queue(Call::Forward, Queued { topic, partition, record: Rc::new(record), source })
    }

    fn send(&self, output: Output<'_>) -> Result<()> {
        let cluster = self.ground.cluster.borrow();
        let topic = cluster.topic(output.topic);
        let n = cluster.topics[topic].partitions.len();
        let by_key = || output.key.iter().map(|&byte| usize::from(byte)).sum::<usize>() % n;
        let partition = output.partition.unwrap_or_else(|| Partition(by_key() as i32));
        let record = OwnedRecord {
            key: Some(output.key.to_vec()),
            value: Some(output.value.to_vec()),
            headers: owned(output.headers).collect(),
            stamp: Stamp::of_sender(Timestamp(cluster.now as i64)),
        };
        drop(cluster);
        self.queue(Call::Send, Queued { topic, partition, record: Rc::new(record), source: None })
    }

    fn barrier(&self) -> Result<()> {
        let strike = self.enter(Call::Barrier)?;
        if !self.ground.exactly_once {
            if strike == Strike::RequestLost {
                self.flush_some()?;
                return Err(self.wait_in_vain("flush"));
            }
            self.flush()?;
        }
        self.leave(strike, "flush", ())
    }

    fn arrive(&self) -> Result<()> {
        let strike = self.enter(Call::Barrier)?;
        if strike == Strike::RequestLost {
            self.flush_some()?;
            return Err(self.wait_in_vain("flush"));
        }
        self.flush()?;
        self.leave(strike, "flush", ())
    }

    fn offsets(&self, next: &[(Partition, Offset)]) -> Result<()> {
        let strike = self.enter(Call::Offsets)?;
        if strike == Strike::RequestLost {
            return Err(self.wait_in_vain("send offsets"));
        }
        let mut mine = self.mine.borrow_mut();
        let Some(member) = mine.consumer.as_ref().map(|consumer| consumer.member) else {
            return Err(failed("send offsets", "there is no consumer"));
        };
        mine.moved = next.to_vec();
        if self.ground.exactly_once && !next.is_empty() {
            mine.hanging.wrote(GROUP, Some(Partition(0)));
            let lease = mine.lease;
            let mut cluster = self.ground.cluster.borrow_mut();
            let done = cluster.add_offsets(lease, (self.place.group, member), next);
            drop((cluster, mine));
            done.map_err(|refusal| self.refused("send offsets", refusal))?;
        } else {
            mine.offsets = next.to_vec();
            drop(mine);
        }
        self.leave(strike, "send offsets", ())
    }

    fn commit(&self) -> Result<()> {
        self.commit_open()
    }

    fn discard_consumer(&mut self) {
        let politely = self.ground.faults.borrow_mut().chance(0.5);
        let Some(consumer) = self.mine.borrow_mut().consumer.take() else { return };
        if !self.process.alive.get() {
            return;
        }
        self.ground.note(|| format!("{}: consumer discarded", self.place.name));
        let all: Vec<Partition> = consumer.fetched.iter().map(|fetch| fetch.partition).collect();
        self.part_with(&all);
        let mut cluster = self.ground.cluster.borrow_mut();
        match politely {
            true => cluster.groups[self.place.group].leave(consumer.member),
            false => cluster.mute(self.place.group, consumer.member),
        }
        let gone = (self.place.group, consumer.member);
        self.process.members.borrow_mut().retain(|member| *member != gone);
    }

    fn undo(&mut self) -> Result<()> {
        self.undo_refused()
    }

    fn recover(&mut self) -> Result<()> {
        let strike = self.enter(Call::Recover)?;
        if matches!(strike, Strike::NoAnswer | Strike::RequestLost) {
            return Err(no_answer("init transactions"));
        }
        let lease = self.ground.cluster.borrow_mut().init(self.place.producer);
        let mut mine = self.mine.borrow_mut();
        mine.lease = lease;
        if !self.place.believes && self.ground.exactly_once {
            mine.hanging.take_over(ending::widths(&self.ground, &self.place));
        }
        mine.give_up();
        let subscribed = mine.consumer.is_some();
        drop(mine);
        self.leave(strike, "init transactions", ())?;
        if !subscribed {
            self.subscribe();
        }
        // Undone or not: its owner begins again.
        self.end_open_transactions().map(drop)
    }

    fn beginnings(&self, partitions: &[Partition], kept: Kept<'_>) -> Result<Vec<Beginning>> {
        self.find_beginnings(partitions, kept)
    }

    fn positions(&self) -> Vec<(Partition, Offset)> {
        let mine = self.mine.borrow();
        let fetched = mine.consumer.iter().flat_map(|consumer| &consumer.fetched);
        let position = |fetch: &Fetch| Some((fetch.partition, Offset(fetch.position? as i64)));
        fetched.filter_map(position).collect()
    }

    fn is_read_out(&self, partition: Partition, next: Offset) -> bool {
        let cluster = self.ground.cluster.borrow();
        let log = &cluster.topics[self.place.input].partitions[partition.0 as usize];
        log.next(next.0 as usize).is_none()
    }

    fn is_at_end(&self, partition: Partition) -> bool {
        let mine = self.mine.borrow();
        let fetched = mine.consumer.iter().flat_map(|consumer| &consumer.fetched);
        let mut next = fetched.filter(|fetch| fetch.partition == partition).map(|fetch| fetch.next);
        next.next().is_some_and(|next| self.is_read_out(partition, Offset(next as i64)))
    }

    fn has_open(&self, partition: Partition) -> bool {
        let cluster = self.ground.cluster.borrow();
        let log = &cluster.topics[self.place.input].partitions[partition.0 as usize];
        log.stable() < log.end()
    }

    fn is_interrupted(&self) -> bool {
        let mut mine = self.mine.borrow_mut();
        mine.consumer.as_mut().is_some_and(|consumer| std::mem::take(&mut consumer.interrupted))
    }

    fn looked(&self) -> Option<BTreeMap<TopicPartition, Extent>> {
        self.look_at_logs()
    }

    fn topic_id(&self, topic: &str) -> Option<String> {
        let cluster = self.ground.cluster.borrow();
        self.ground.exactly_once.then(|| cluster.topics[cluster.topic(topic)].id())
    }

    fn survey(
        &self,
        topic: &str,
        known: &[(Partition, Option<Extent>)],
    ) -> Result<Vec<(Partition, Survey)>> {
        let strike = self.enter(Call::Survey)?;
        if strike == Strike::NoAnswer {
            return Err(no_answer("look at the input"));
        }
        let cluster = self.ground.cluster.borrow();
        let topic = &cluster.topics[cluster.topic(topic)];
        let found = known.iter().map(|(p, was)| (*p, survey(topic, *p, was.as_ref())));
        let found = found.collect();
        drop(cluster);
        self.leave(strike, "survey", found)
    }

    fn source_before(&self, place: &TopicPartition, at: Offset) -> Result<Option<Offset>> {
        let cluster = self.ground.cluster.borrow();
        let topic = &cluster.topics[cluster.topic(&place.topic)];
        let log = &topic.partitions[place.partition.0 as usize];
        let mut below = log.committed(0).take_while(|&(offset, _)| (offset as i64) < at.0);
        let last = below.by_ref().last();
        Ok(last.and_then(|(_, record)| Some(expect::source(record)?.offset)))
    }

    fn replay(&self, topic: &str, each: &mut dyn FnMut(&[u8], &[u8])) -> Result<()> {
        self.replay_pages(topic, each)
    }

    fn partitions_of(&self, topic: &str) -> Result<i32> {
        let strike = self.enter(Call::PartitionsOf)?;
        if strike == Strike::NoAnswer {
            return Err(no_answer("fetch metadata"));
        }
        let cluster = self.ground.cluster.borrow();
        let n = cluster.topics[cluster.topic(topic)].partitions.len();
        drop(cluster);
        self.leave(strike, "metadata", n as i32)
    }
}

/// Partitions and offsets, for people.
pub(super) fn places(all: &[(Partition, Offset)]) -> String {
    all.iter().map(|(partition, offset)| format!(" {partition}/{offset}")).collect()
}

impl Session {
    fn note_reading(&self, from: &[(Partition, Offset)]) {
        self.ground.note(|| format!("{}: reads from{}", self.place.name, places(from)));
    }
}

fn owned(headers: &[(&str, &[u8])]) -> impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)> {
    headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), Some(value.to_vec())))
}
