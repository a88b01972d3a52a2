//! Whether the input is still the log that the lanes were read from, looked at while they are read.
//!
//! What the brokers were asked last costs a comparison. Only where it differs, or where the log did not have
//! what was to be read next, are they asked once more, and the partition goes on where its log does, or waits.
//! What is gone unread is told to the monitor in the transaction that passes over it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::{error, info};

use super::begin::unfit;
use super::commit::EVIDENCE_PARTITION;
use super::state::{Pause, Why};
use super::{Desk, Slot};
use crate::deliver::{Fetched, Output, Scorer, Session, SessionError};
use crate::record::{Extent, Offset, Partition, TopicPartition};
use crate::score::{Discontinuity, LaneError};
use crate::watch::{Loss, Message};

/// What is gone of the input, until the monitor is told.
#[derive(Debug, Default)]
pub struct Losses {
    untold: BTreeMap<Partition, Loss>,
    /// The same of outputs.
    outputs: Vec<Loss>,
    /// Partitions that wait because of it, and how that was told: each time once.
    waiting: BTreeMap<Partition, Loss>,
    /// Since when the log does not have what is to be read next.
    interrupted: Option<Instant>,
    /// Partitions with records of a leader that nobody has asked about the log yet.
    elected: BTreeSet<Partition>,
}

/// Before a partition is taken to be read out that others keep busy: what was fetched of it before has been
/// read by then.
const READ_OUT: Duration = Duration::from_secs(5);
/// Between two records of an upstream transaction that is idle: shorter, and each of its markers would be a
/// commit of ours.
const QUIET: Duration = Duration::from_secs(1);

impl Losses {
    /// `partition`, read up to `from`, waits because of `gone`.
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

    /// Records that had left are gone.
    pub fn of_output(&mut self, loss: Loss) {
        self.outputs.push(loss);
    }

    /// All of it is in the log.
    pub fn told(&mut self) {
        self.untold.clear();
        self.outputs.clear();
    }

    /// What was open is given up: who begins again finds anew what is gone. Only what holds a partition stays to be
    /// told.
    pub fn give_up(&mut self) {
        self.untold.retain(|_, loss| loss.waits);
        self.outputs.clear();
    }

    /// Partitions that are ours no more: whoever has them looks for himself.
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

impl<R: Scorer> Desk<R> {
    /// Compares the input with what it was, if somebody looked or if it did not have what was asked for.
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
                None => slot.lane.look(survey.extent),
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

    /// Whether some of `messages` were appended under a leader that is newer than what is known of their log. What
    /// came before may be another log by then, so none of them is counted before somebody has looked.
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

    /// Tells the monitor what is gone: part of every commit, so that nothing is passed over unsaid.
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

    /// Passes over what no reader is given, where nothing else was read for a while: markers of transactions
    /// and aborted records are no lag.
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
    /// Whether a log that was `look` when somebody last looked is the one that is read, as far as that shows. Then
    /// it is remembered.
    fn believes(&mut self, look: &Extent) -> bool {
        let is_same = self.lane.log().is_some_and(|was| look.is_plainly(was));
        if is_same {
            self.unsaved |= self.lane.log().is_some_and(|was| was.end != look.end);
            self.lane.look(look.clone());
        }
        is_same
    }
}
