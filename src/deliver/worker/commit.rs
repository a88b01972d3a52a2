//! The commit: evidence, state and offsets are added to the outputs.

use tracing::debug;

use super::{LANE_KEY, Last, Slot, WorkerParts};
use crate::clients::{VisitMessage, Visits};
use crate::deliver::{Output, Scorer, Session, SessionError};
use crate::record::{Offset, Partition};
use crate::watch::{Evidence, Message, Presence};

/// The evidence topic has one partition: one order, one monitor.
pub(super) const EVIDENCE_PARTITION: Option<Partition> = Some(Partition(0));

impl Slot {
    /// Whether it was read further since the last commit. State and offset of a partition are written together or not at
    /// all: a lane that read nothing has neither.
    pub(super) fn has_moved(&self) -> bool {
        Some(self.lane.next()) != self.committed
    }
}

impl<R: Scorer> WorkerParts<R> {
    /// Commits outputs, evidence, state and offsets together. Does nothing if nothing was sent.
    pub(super) fn commit<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let has_passed_over = || self.partitions.slots().any(|(_, slot)| slot.passed_over);
        if !session.is_open() && self.losses.is_told() && !has_passed_over() {
            return Ok(());
        }
        let started = session.now();
        // What evidence counts has left: a record that its topic does not take is judged again.
        session.barrier()?;
        self.check_id(session)?;
        self.send_losses(session)?;
        self.send_evidence(session)?;
        // What state covers is never sent again: it must be there first.
        session.barrier()?;
        self.send_states(session)?;
        // Of those that did not move too: a coordinator that forgot some knows them again.
        let those = self.partitions.slots().filter(|(_, slot)| slot.has_moved() || slot.written);
        let next: Vec<(Partition, Offset)> = those.map(|(p, slot)| (p, slot.lane.next())).collect();
        session.offsets(&next)?;
        session.commit()?;
        self.note_committed(&next);
        self.tell(|spans| spans.commit(session.now(), session.wall()));
        self.opened = None;
        let took = session.now().saturating_duration_since(started);
        debug!(?took, partitions = next.len(), "transaction committed");
        self.progress.committed(took);
        Ok(())
    }

    /// Sends what the lanes counted since the last commit: for the monitor and, if clients are watched, for theirs.
    fn send_evidence<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let topics = &self.stream.topics;
        let send = |topic: &str, partition: Partition, value: &[u8]| {
            session.send(Output {
                topic,
                partition: EVIDENCE_PARTITION,
                key: partition.to_string().as_bytes(),
                value,
                headers: &[],
            })
        };
        let (mut evidence, mut visits) = (vec![], vec![]);
        for (partition, slot) in self.partitions.slots_mut().filter(|(_, slot)| slot.has_moved()) {
            slot.lane.drain_evidence(&mut evidence);
            // Before the counts of the same offsets.
            for (passage, groups) in slot.lane.drain_beside() {
                let passage = self.stream.lineage.as_ref().map(|_| Message::Passage(passage));
                let groups = self.scorer.quasi().map(|plan| groups.messages(plan));
                let groups = groups.into_iter().flatten().map(Message::Quasi);
                for message in passage.into_iter().chain(groups) {
                    send(&topics.evidence, partition, &message.to_bytes())?;
                }
            }
            let read_out = session.is_read_out(partition, slot.lane.next());
            for evidence in evidence.drain(..).map(|evidence| Evidence { read_out, ..evidence }) {
                send(&topics.evidence, partition, &Message::Evidence(evidence).to_bytes())?;
            }
            if self.stream.clients.is_some() {
                slot.lane.drain_visits(&mut visits);
            }
            for visits in visits.drain(..).map(|visits| Visits { read_out, ..visits }) {
                send(&topics.visits, partition, &VisitMessage::Visits(visits).to_bytes())?;
            }
        }
        Ok(())
    }

    /// Sends the state of each partition that moved.
    fn send_states<S: Session>(&self, session: &S) -> Result<(), SessionError> {
        for (partition, slot) in self.partitions.slots().filter(|(_, slot)| slot.has_moved()) {
            session.send(Output {
                topic: &self.stream.topics.state,
                partition: Some(partition),
                key: LANE_KEY,
                value: &slot.lane.to_bytes(),
                headers: &[],
            })?;
        }
        Ok(())
    }

    /// Notes what is committed now: the offsets `next`, and each lane as it is.
    fn note_committed(&mut self, next: &[(Partition, Offset)]) {
        for (_, slot) in self.partitions.slots_mut() {
            // Only a slot that moved has its state written.
            let has_moved = slot.has_moved();
            slot.written |= has_moved;
            slot.unsaved &= !has_moved;
            if has_moved || slot.last.is_none() {
                slot.last = Some(Last { lane: slot.lane.clone(), told_quiet: None });
            }
            if let Some(last) = &mut slot.last {
                last.told_quiet = slot.told_quiet;
            }
            slot.committed = Some(slot.lane.next());
            slot.passed_over = false;
        }
        self.losses.told();
        self.arrivals.unknown();
        self.refusals.forget_attempts();
        for &(partition, next) in next {
            self.progress.stands(partition, next);
        }
        for (partition, slot) in self.partitions.slots() {
            self.refusals.committed(partition, slot.lane.next());
            self.arrivals.committed(partition, slot.lane.next());
        }
    }

    /// Checks whether each partition makes progress, also while there is no producer.
    pub(super) fn look<S: Session>(&mut self, session: &S) {
        let at = (session.now(), session.wall());
        for (partition, slot) in self.partitions.slots() {
            // Records that do not reach us wait too: behind a transaction that a sender leaves open, or behind
            // a batch that the client cannot read.
            let is_behind = slot.lane.log().is_some_and(|log| log.end > slot.lane.next())
                && (session.has_open(partition) || !session.is_at_end(partition));
            let waits = self.partitions.is_waiting(partition)
                || Some(slot.lane.next()) > slot.committed
                || is_behind;
            self.stalls.look(partition, slot.committed, waits, at);
        }
        for partition in self.partitions.restoring() {
            self.stalls.look(partition, None, true, at);
        }
    }

    /// Tells the monitor which partitions make no progress, in a transaction without records, because a record may be the
    /// cause.
    pub(super) fn tell_stalls<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let now = session.now();
        let untold = self.stalls.untold(now);
        if untold.is_empty() || session.is_open() {
            return Ok(());
        }
        for stall in &untold {
            session.send(Output {
                topic: &self.stream.topics.evidence,
                partition: EVIDENCE_PARTITION,
                key: stall.partition.to_string().as_bytes(),
                value: &Message::Stall(stall.clone()).to_bytes(),
                headers: &[],
            })?;
        }
        self.commit(session)?;
        self.stalls.told(&untold, now);
        Ok(())
    }

    /// Tells the monitor which partitions this worker has, and which are quiet: no record for a window, and an empty poll
    /// since.
    pub(super) fn tell_presence<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let now = session.now();
        if self.partitions.slots().any(|(_, slot)| slot.told_quiet.is_none()) {
            session.send(Output {
                topic: &self.stream.topics.evidence,
                partition: EVIDENCE_PARTITION,
                key: b"reference",
                value: &Message::Reference(self.scorer.reference()).to_bytes(),
                headers: &[],
            })?;
        }
        for (partition, slot, is_reading) in self.partitions.slots_and_states_mut() {
            let silent = now.saturating_duration_since(slot.last_record);
            let read_out = self.last_empty.is_some_and(|at| at > slot.last_record);
            // Of a partition that is paused we do not know whether there is nothing to read.
            let quiet = silent >= self.stream.alerts.window && read_out && is_reading;
            if slot.told_quiet == Some(quiet) {
                continue;
            }
            slot.told_quiet = Some(quiet);
            session.send(Output {
                topic: &self.stream.topics.evidence,
                partition: EVIDENCE_PARTITION,
                key: partition.to_string().as_bytes(),
                value: &Message::Presence(Presence { partition, quiet }).to_bytes(),
                headers: &[],
            })?;
            if self.stream.clients.is_some() {
                session.send(Output {
                    topic: &self.stream.topics.visits,
                    partition: EVIDENCE_PARTITION,
                    key: partition.to_string().as_bytes(),
                    value: &VisitMessage::Presence(Presence { partition, quiet }).to_bytes(),
                    headers: &[],
                })?;
            }
        }
        Ok(())
    }
}
