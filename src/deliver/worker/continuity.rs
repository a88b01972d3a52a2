//! Checks while reading that the input is still the same log.
//!
//! An observer asks the brokers for the topic's extent every few seconds; a worker compares that answer with what it knows.
//! If they differ, or the log does not have the next offset, the worker asks again itself. Then the partition goes on where
//! its log does, or is paused. Records that are gone unread are told to the monitor in the transaction that passes over
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::begin::unfit;
use super::commit::EVIDENCE_PARTITION;
use super::partitions::{Pause, Why};
use super::{Slot, WorkerParts};
use crate::deliver::{Fetched, Output, Scorer, Session, SessionError};
use crate::record::{Extent, Offset, Partition, TopicPartition};
use crate::score::{Discontinuity, LaneError};
use crate::watch::{Loss, Message};

/// Losses that the monitor was not told yet.
#[derive(Debug, Default)]
pub struct Losses {
    untold: BTreeMap<Partition, Loss>,
    /// Records that an output lost.
    outputs: Vec<Loss>,
    /// Paused partitions, and the message that was sent about each; it is sent once.
    waiting: BTreeMap<Partition, Loss>,
    /// Since when the log does not have the next offset.
    interrupted: Option<Instant>,
    /// Partitions with records of a new leader epoch, or of a topic made anew, whose log was not checked yet.
    elected: BTreeSet<Partition>,
}

/// Before a partition is taken to be read out that others keep busy: what was fetched of it before has been
/// read by then.
const READ_OUT: Duration = Duration::from_secs(5);
/// Between two records of an upstream transaction that is idle: shorter, and each of its markers would be a
/// commit of ours.
const QUIET: Duration = Duration::from_secs(1);

impl Losses {
    /// `partition`, read up to `from`, is paused because of `gone`.
    pub fn holds(&mut self, partition: Partition, from: Offset, gone: Discontinuity) {
        let loss = loss(partition, from, gone, true);
        if self.waiting.get(&partition) != Some(&loss) {
            error!(%partition, "the input is another log from here on: {gone}");
            self.waiting.insert(partition, loss.clone());
            self.untold.insert(partition, loss);
        }
    }

    /// `partition`, read up to `from`, goes on in spite of `gone`.
    pub fn goes_on(&mut self, partition: Partition, from: Offset, gone: Discontinuity) {
        error!(%partition, next = %gone.next, "records of the input are lost: {gone}");
        self.waiting.remove(&partition);
        self.untold.insert(partition, loss(partition, from, gone, false));
    }

    pub fn is_told(&self) -> bool {
        self.untold.is_empty() && self.outputs.is_empty()
    }

    /// An output lost records.
    pub fn of_output(&mut self, loss: Loss) {
        self.outputs.push(loss);
    }

    /// Every message is committed.
    pub fn told(&mut self) {
        self.untold.clear();
        self.outputs.clear();
    }

    /// The open transaction is aborted. Losses are found again when the partition is restored. Only messages about paused
    /// partitions stay.
    pub fn give_up(&mut self) {
        self.untold.retain(|_, loss| loss.waits);
        self.outputs.clear();
    }

    /// Forgets partitions that were revoked: their next worker checks itself.
    pub fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.untold.remove(partition);
            self.waiting.remove(partition);
            self.elected.remove(partition);
        }
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

fn loss(partition: Partition, from: Offset, gone: Discontinuity, waits: bool) -> Loss {
    let Discontinuity { cause, unread, next, .. } = gone;
    Loss { partition, from, to: next, unread, cause, waits }
}

impl<R: Scorer> WorkerParts<R> {
    /// Compares the input with what is known of it, if there is a new answer or the log did not have the next offset.
    pub(super) fn check_input<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let now = session.now();
        if session.is_interrupted() {
            self.losses.interrupted.get_or_insert(now);
        }
        // What was fetched before is read first, and is not lost.
        let is_read_out = |since: Instant| {
            now.saturating_duration_since(since) >= READ_OUT || self.last_empty > Some(since)
        };
        let interrupted = self.losses.interrupted.is_some_and(is_read_out);
        let mut doubtful = vec![];
        let looked = session.looked();
        if looked.is_none() && !interrupted && self.losses.elected.is_empty() {
            return Ok(());
        }
        if let Some(looked) = &looked {
            self.check_outputs(session, looked)?;
        }
        for (partition, slot) in self.partitions.slots_mut() {
            let place = TopicPartition { topic: self.stream.input.clone(), partition };
            let look = looked.as_ref().and_then(|looked| looked.get(&place));
            let differs = look.is_some_and(|look| !slot.believes(look));
            if interrupted || differs || self.losses.elected.contains(&partition) {
                doubtful.push((partition, slot.lane.log().cloned()));
            }
        }
        if doubtful.is_empty() {
            self.losses.elected.clear();
            return Ok(());
        }
        self.commit(session)?;
        let surveys = session.survey(&self.stream.input, &doubtful)?;
        self.losses.elected.clear();
        for (partition, survey) in surveys {
            let slot = self.partitions.slot_mut(partition).expect("it was asked about");
            let next = slot.lane.next();
            let gone = survey.since(slot.lane.log(), next);
            match gone {
                Some(gone) if !gone.ambiguous && !interrupted && gone.next > next => {
                    // Retention is past us: what was fetched before is still to be read.
                }
                Some(gone) if gone.ambiguous && !self.stream.accept_gap => {
                    self.losses.holds(partition, next, gone);
                    self.progress.stands(partition, gone.next);
                    let error = LaneError::Discontinuous { partition, next, gone };
                    let why = Why::Restore(unfit(&self.stream, partition, &error));
                    session.pause(&[partition])?;
                    self.partitions.restore(partition, Pause::begin(now, why));
                }
                Some(gone) => {
                    slot.lane.go_on(gone.next, survey.extent);
                    (slot.committed, slot.last) = (None, None);
                    self.losses.goes_on(partition, next, gone);
                    self.refusals.forget(&[partition]);
                    self.arrivals.forget(&[partition]);
                    session.rewind(&[(partition, gone.next)])?;
                }
                None => {
                    slot.unsaved |= slot.lane.log() != Some(&survey.extent);
                    slot.lane.look(survey.extent);
                }
            }
        }
        if interrupted {
            self.losses.interrupted = None;
            // It is not said which partition was meant: each of them is read on where it stands.
            info!("reading on");
            session.rewind(&self.nexts(self.partitions.reading()))?;
        }
        Ok(())
    }

    /// Refuses a commit if the input was made anew since what it covers was read: offsets go on in the new topic where they
    /// stood, so some of these records may be of the one, and some of the other. They are given up, and read again once the
    /// partitions were checked.
    pub(super) fn check_id<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let input = &self.stream.input;
        let moved = || self.partitions.slots().filter(|(_, slot)| slot.has_moved());
        if moved().next().is_none() {
            return Ok(());
        }
        let Some(id) = session.topic_id(input) else { return Ok(()) };
        let is_other = |slot: &Slot| {
            let known = slot.lane.log().and_then(|log| log.topic.as_ref());
            known.is_some_and(|known| *known != id)
        };
        if !moved().any(|(_, slot)| is_other(slot)) {
            return Ok(());
        }
        let reason = format!("topic {input} was made anew since these records were read");
        self.losses.elected.extend(self.partitions.slots().map(|(partition, _)| partition));
        Err(SessionError::Exchange { what: "commit", reason })
    }

    /// Whether some of `messages` have a newer leader epoch than the known log. The log may have been cut before them, so
    /// none of them is scored before it is checked.
    pub(super) fn is_elected<M: Fetched>(&mut self, messages: &[M]) -> bool {
        for message in messages {
            let partition = message.record().at.partition;
            let known =
                self.partitions.slot(partition).and_then(|slot| slot.lane.log()?.leader_epoch);
            if known.is_some() && message.leader_epoch() > known {
                self.losses.elected.insert(partition);
            }
        }
        !self.losses.elected.is_empty()
    }

    /// Sends the losses to the monitor. Every commit does, so that no record is passed over without a message.
    pub(super) fn send_losses<S: Session>(&self, session: &S) -> Result<(), SessionError> {
        for loss in self.losses.untold.values().chain(&self.losses.outputs) {
            session.send(Output {
                topic: &self.stream.topics.evidence,
                partition: EVIDENCE_PARTITION,
                key: loss.partition.to_string().as_bytes(),
                value: &Message::Loss(loss.clone()).to_bytes(),
                headers: &[],
            })?;
            self.progress.lost(loss.cause, loss.unread);
        }
        Ok(())
    }

    /// Moves past transaction markers and aborted records, if nothing else was read for a while: they are no lag.
    pub(super) fn pass_over<S: Session>(&mut self, session: &S) -> Result<(), SessionError> {
        let now = session.now();
        let is_quiet = |slot: &Slot| {
            let since = slot.last_record.max(slot.passed_at);
            now.saturating_duration_since(since) >= QUIET
        };
        if !self.partitions.slots().any(|(_, slot)| is_quiet(slot)) {
            return Ok(());
        }
        for (partition, position) in session.positions() {
            let is_reading = self.partitions.is_reading(partition);
            let slot = self.partitions.slot_mut(partition);
            let Some(slot) = slot.filter(|slot| is_reading && is_quiet(slot)) else { continue };
            // No further than the log was seen to reach: if it loses what was passed over, that shows.
            let seen = slot.lane.log().map_or(position, |log| log.end.min(position));
            if seen > slot.lane.next() {
                slot.lane.pass_over(seen);
                (slot.passed_over, slot.passed_at) = (true, now);
            }
        }
        // What was seen since the last commit is written once: after a stop nobody could compare with it.
        let unsaved = |slot: &Slot| slot.unsaved && is_quiet(slot);
        for (_, slot) in self.partitions.slots_mut().filter(|(_, slot)| unsaved(slot)) {
            (slot.committed, slot.passed_over, slot.passed_at) = (None, true, now);
        }
        let has_passed_over = self.partitions.slots().any(|(_, slot)| slot.passed_over);
        if has_passed_over { self.commit(session) } else { Ok(()) }
    }
}

impl Slot {
    /// Whether the extent `look` belongs to the log that is read. If so, it is remembered.
    fn believes(&mut self, look: &Extent) -> bool {
        let is_same = self.lane.log().is_some_and(|was| look.is_plainly(was));
        if is_same {
            self.unsaved |= self.lane.log().is_some_and(|was| was.end != look.end);
            self.lane.look(look.clone());
        }
        is_same
    }
}
