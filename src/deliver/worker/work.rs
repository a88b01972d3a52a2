//! One batch: gathers records, scores them, and sends them in the open transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use tracing::error;

use super::partitions::{Pause, Why};
use super::visits::visits;
use super::{POLL, WorkerParts};
use crate::deliver::emit;
use crate::deliver::refusal::{Facts, Form, Objection};
use crate::deliver::{CrashLoopGuard, Fetched, Scorer, Session, SessionError};
use crate::record::{Fault, Offset, Partition, Position, Record};
use crate::sanitize::ValueForm;
use crate::score::{Destination, NewKey, Outcome};

/// A batch closes at this many bytes of values and headers, whatever its rows.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

impl<R: Scorer> WorkerParts<R> {
    /// Scores one batch; returns its number of records.
    pub(super) fn work<S: Session>(&mut self, session: &S) -> Result<usize, SessionError> {
        let (mut messages, began) = self.gather(session)?;
        self.tell(|spans| spans.begin(began));
        if messages.is_empty() {
            drop(messages);
            self.last_empty = Some(session.now());
            self.pass_over(session)?;
            return Ok(0);
        }
        if self.is_elected(&messages) {
            let again: BTreeSet<_> = messages.iter().map(|m| m.record().at.partition).collect();
            drop(messages);
            session.rewind(&self.nexts(again))?;
            return Ok(0);
        }
        let mut again = BTreeSet::new();
        let (alone, mut behind) = self.set_aside(&mut messages, &mut again);
        let has_doubtful = self.has_doubtful(&messages, session.now());
        if has_doubtful {
            // A refusal gives up the whole transaction: what is not in doubt leaves before.
            self.commit(session)?;
        }
        self.supply(session, &mut messages)?;
        let mut records = self.score_and_send(session, &mut messages)?;
        if has_doubtful {
            // What is known to pass must not be given up for what comes next.
            self.commit(session)?;
        }
        drop(messages);
        if let Some(message) = alone {
            records += self.alone(session, &message)?;
        }
        // In this turn: who fetched them again would wait behind all that is queued of other partitions.
        behind.retain(|message| self.partitions.is_reading(message.record().at.partition));
        if !behind.is_empty() {
            self.supply(session, &mut behind)?;
            records += self.score_and_send(session, &mut behind)?;
        }
        drop(behind);
        again.retain(|partition| !self.partitions.is_waiting(*partition));
        session.rewind(&self.nexts(again))?;
        Ok(records)
    }

    /// Polls until the batch is full, or its first record has waited for `linger`. Drops records that were fetched before a
    /// rewind, and records of paused partitions. Gives with them when the first one came.
    fn gather<'a, S: Session>(
        &self,
        session: &'a S,
    ) -> Result<(Vec<S::Fetched<'a>>, Option<Instant>), SessionError> {
        let wait = if session.is_open() { self.timing.commit_interval / 10 } else { POLL };
        let mut messages: Vec<S::Fetched<'a>> = Vec::new();
        let (mut bytes, mut first) = (0, None);
        while messages.len() < self.stream.rows_max
            && bytes < BATCH_BYTES_MAX
            && !session.has_news()
        {
            let waited = |first| session.now().saturating_duration_since(first);
            let timeout = match first {
                None => wait.min(POLL),
                Some(first) => self.stream.linger.saturating_sub(waited(first)),
            };
            let Some(message) = session.poll(timeout)? else { break };
            let at = message.record().at;
            let slot = self.partitions.slot(at.partition);
            let expected = self.partitions.is_reading(at.partition)
                && slot.is_some_and(|slot| at.offset >= slot.lane.next());
            if expected {
                bytes += message.record().footprint();
                messages.push(message);
            }
            let first = *first.get_or_insert_with(|| session.now());
            if waited(first) >= self.stream.linger {
                break;
            }
        }
        Ok((messages, first))
    }

    /// Fetches schemas and keys that `messages` need. If one does not come, keeps only the records before each partition's
    /// first one that needs it.
    fn supply<S: Session>(
        &mut self,
        session: &S,
        messages: &mut Vec<S::Fetched<'_>>,
    ) -> Result<(), SessionError> {
        let records: Vec<Record<'_>> = messages.iter().map(Fetched::record).collect();
        let Some(retry_at) = self.scorer.fetch(&records) else { return Ok(()) };
        let unreadable = records.iter().filter(|record| self.scorer.misses(record));
        let mut first: BTreeMap<Partition, Offset> = BTreeMap::new();
        for record in unreadable {
            first.entry(record.at.partition).or_insert(record.at.offset);
        }
        for (&partition, &offset) in &first {
            let why = Why::Missing { offset };
            session.pause(&[partition])?;
            self.partitions.pause(partition, Pause::until(retry_at, session.now(), why));
        }
        messages.retain(|message| {
            let at = message.record().at;
            first.get(&at.partition).is_none_or(|&offset| at.offset < offset)
        });
        Ok(())
    }

    /// Scores `messages` and sends them in the open transaction. Under `on_guard_failure = "closed"` a record that cannot be
    /// scored pauses its partition; the others go on.
    fn score_and_send<S: Session>(
        &mut self,
        session: &S,
        messages: &mut Vec<S::Fetched<'_>>,
    ) -> Result<usize, SessionError> {
        loop {
            let records: Vec<Record<'_>> = messages.iter().map(Fetched::record).collect();
            let Err(failure) = self.scorer.score(&records) else { break };
            let at = failure.at;
            // It may have taken long to fail.
            self.progress.beat(session.wall());
            if failure.is_of_all() {
                let mut first = BTreeMap::new();
                for at in messages.iter().map(|message| message.record().at) {
                    first.entry(at.partition).or_insert(at);
                }
                for &at in first.values() {
                    self.guard_failed(session, at, &failure.error.to_string())?;
                }
                messages.clear();
                continue;
            }
            self.guard_failed(session, at, &failure.error.to_string())?;
            messages.retain(|message| {
                let position = message.record().at;
                position.partition != at.partition || position.offset < at.offset
            });
        }
        self.send(session, messages)?;
        self.count_outcomes(session, messages);
        Ok(messages.len())
    }

    /// Sends `messages` in the open transaction, with the outcomes of the last scoring. Each leaves in the form that its topic
    /// accepts, as far as that is known.
    fn send<S: Session>(
        &mut self,
        session: &S,
        messages: &[S::Fetched<'_>],
    ) -> Result<(), SessionError> {
        let now = session.now();
        for (i, message) in messages.iter().enumerate() {
            let at = message.record().at;
            let outcome = &self.scorer.outcomes()[i];
            let keyless = message.record().key.is_none() || outcome.departure.key == NewKey::Gone;
            let least = leaving(&message.record(), outcome);
            let facts = Facts { keyless, least, ..Facts::of(&message.record()) };
            let topic = emit::topic(&self.stream, outcome);
            // It is judged and counted again as it left, and not sent again.
            let has_arrived = self.arrivals.has(at);
            let doubt = match has_arrived {
                true => self.refusals.known(at, topic),
                false => self.refusals.doubt(at, topic, facts, now),
            };
            let doubt = doubt.unwrap_or_default();
            let mut form = doubt.form;
            if form > Form::Whole {
                let objection = doubt.objection.unwrap_or(Objection::Record);
                self.progress.refused(objection);
                form = self.otherwise(i, message, form, (objection, now));
            }
            if has_arrived {
                // Its half may have been on its way when the rest was given up.
                let sent = (&message.record(), &self.scorer.outcomes()[i]);
                self.halves.add(session, &self.stream, sent, self.scorer.own_answers())?;
                continue;
            }
            // What may be refused goes when nothing else is on its way: what comes behind it in the same partition
            // would be out of sequence, and it takes a broker half a second to forget that.
            let outcome = &self.scorer.outcomes()[i];
            let goes_to = emit::topic(&self.stream, outcome);
            let alone = doubt.alone || self.refusals.is_large(goes_to, &message.record(), now);
            if alone {
                session.arrive()?;
                self.refusals.trying(Some(at));
            }
            emit::forward(session, &self.stream, &self.scorer, message, outcome, form)?;
            let sent = (&message.record(), outcome);
            self.halves.add(session, &self.stream, sent, self.scorer.own_answers())?;
            self.arrivals.send(at);
            if alone {
                session.arrive()?;
                self.refusals.trying(None);
            }
        }
        self.halves.flush(session, &self.stream)
    }

    /// Prepares the outcome of the `i`th record of the last scoring to leave as `form`, because of `objection`. Returns the
    /// form in which it leaves.
    fn otherwise<M: Fetched>(
        &mut self,
        i: usize,
        message: &M,
        form: Form,
        (objection, now): (Objection, Instant),
    ) -> Form {
        if self.scorer.outcomes()[i].destination == Destination::Sanitized {
            let fault = match objection {
                Objection::Size => {
                    Fault::Undeliverable { bytes: message.record().value.map_or(0, <[u8]>::len) }
                }
                Objection::Timestamp => {
                    Fault::RefusedTimestamp { timestamp: message.record().stamp.at.0 }
                }
                Objection::Record => Fault::RefusedRecord,
            };
            self.scorer.replace(i, &message.record(), fault);
            let topics = &self.stream.topics;
            let least = leaving(&message.record(), &self.scorer.outcomes()[i]);
            let is_too_large = objection == Objection::Size
                && form == Form::Letter
                && (self.refusals.accepts_no_more(&topics.dead_letter, &topics.sanitized, now)
                    || self.refusals.is_too_large(&topics.dead_letter, least, now));
            // The dead letter would be refused for its size as well.
            return if is_too_large { Form::Pointer } else { form };
        }
        match (form, objection) {
            // It stays where it is held back. What is too large for there, or refused for what it is,
            // is not made better by a timestamp of ours.
            (Form::Letter, Objection::Size | Objection::Record) => Form::Pointer,
            _ => form,
        }
    }

    /// Scores one record in a transaction of its own, because it may have crashed processes before.
    fn alone<S: Session>(
        &mut self,
        session: &S,
        message: &S::Fetched<'_>,
    ) -> Result<usize, SessionError> {
        let record = message.record();
        let at = record.at;
        if let Some(retry_at) = self.scorer.fetch(&[record])
            && self.scorer.misses(&record)
        {
            let why = Why::Missing { offset: at.offset };
            session.pause(&[at.partition])?;
            self.partitions.pause(at.partition, Pause::until(retry_at, session.now(), why));
            return Ok(0);
        }
        self.commit(session)?;
        let next = self.partitions.slot(at.partition).expect("it was gathered").lane.next();
        let was_careful =
            self.crash_loops.get(&at.partition).is_some_and(|crash_loop| crash_loop.careful(next));
        let careful = |crash_loop: &&mut CrashLoopGuard| crash_loop.careful(next);
        let spent = match self.crash_loops.get_mut(&at.partition).filter(careful) {
            Some(crash_loop) if crash_loop.is_spent() => {
                error!(partition = %at.partition, offset = %at.offset,
                    "this record ended the process twice, alone: it is dead-lettered unread");
                true
            }
            Some(crash_loop) => {
                crash_loop.begin_alone();
                self.unannounced.insert(at.partition);
                self.announce(session, &[at.partition])?;
                false
            }
            None => false,
        };
        if spent {
            self.scorer.refuse(&record, Fault::Crash);
        } else {
            let judged = self.scorer.score(&[record]);
            // Whatever fails from here on, the record is not what ended a process: said so when
            // the partition is read again, unless it is committed now.
            if let Some(crash_loop) = self.crash_loops.get_mut(&at.partition).filter(careful) {
                crash_loop.survived();
                self.unannounced.insert(at.partition);
            }
            if let Err(failure) = judged {
                self.announce(session, &[at.partition])?;
                self.guard_failed(session, at, &failure.error.to_string())?;
                return Ok(0);
            }
        }
        self.send(session, std::slice::from_ref(message))?;
        self.count_outcomes(session, std::slice::from_ref(message));
        self.commit(session)?;
        self.unannounced.remove(&at.partition);
        if was_careful && let Some(crash_loop) = self.crash_loops.get_mut(&at.partition) {
            crash_loop.move_on(at.offset.next());
        }
        Ok(1)
    }

    /// Counts the outcomes of `messages` in their lanes.
    fn count_outcomes<S: Session>(&mut self, session: &S, messages: &[S::Fetched<'_>]) {
        let now = session.now();
        let every_ms = self.scorer.quasi().map_or(1, |plan| plan.spec().every_ms as i64);
        for (message, outcome) in messages.iter().zip(self.scorer.outcomes()) {
            let at = message.record().at;
            let slot = self.partitions.slot_mut(at.partition).expect("gathered by lane");
            let cells = &self.scorer.cells()[outcome.cells.clone()];
            let groups = &self.scorer.groups()[outcome.groups.clone()];
            let stamp = message.record().stamp;
            let window = slot.lane.count_with(at, stamp, outcome, cells, (groups, every_ms));
            if let Some(clients) = &self.stream.clients {
                let rows = &self.scorer.visits()[outcome.visits.clone()];
                let visits = visits(clients, &message.record(), window, outcome, rows);
                slot.lane.visit(window, at.offset, visits);
            }
            slot.lane.reach(message.leader_epoch());
            slot.last_record = now;
            // The evidence of this record will say that the partition is not quiet.
            slot.told_quiet = Some(false);
        }
        self.progress.sent(self.scorer.outcomes());
        if let Some(spans) = &mut self.spans {
            spans.note(messages, self.scorer.outcomes());
        }
    }

    fn guard_failed<S: Session>(
        &mut self,
        session: &S,
        at: Position,
        reason: &str,
    ) -> Result<(), SessionError> {
        session.pause(&[at.partition])?;
        self.partitions.guard_failed(at.partition, at.offset, reason.to_owned(), session.now());
        Ok(())
    }
}

/// The bytes of `record` that leave in every form but a pointer: those of its value, if it leaves unchanged.
fn leaving(record: &Record<'_>, outcome: &Outcome) -> usize {
    let as_it_came = outcome.corrected.is_none() && outcome.departure.content == ValueForm::Record;
    if as_it_came { record.value.map_or(0, <[u8]>::len) } else { 0 }
}
