//! Whoever reads the deployed model's answers: each becomes a half in the join topic, once.
//!
//! Halves and the offsets of the answers leave in one transaction. It remembers nothing: where it goes on is what its group
//! committed. Several of them may share the partitions of the answers topic.
//!
//! It cannot see answers that retention deleted before it read them: their records stay unanswered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::monitor::EVIDENCE_PARTITION;
use super::recovery::{GivenUp, Recovery};
use super::{
    Change, Fetched as _, Inbox, Kept, Output, Progress, Session, SessionError, Start, Timing,
};
use crate::answers::{AnswerSource, NoHalf};
use crate::config::{Stream, StreamAnswers};
use crate::record::{Offset, Partition};

/// Reads the partitions of the answers topic that its group gives it.
pub struct AnswerDriver<S> {
    session: S,
    stream: Arc<Stream>,
    source: AnswerSource,
    /// The next revision's configuration, once there is one.
    inbox: Arc<Inbox<Arc<Stream>>>,
    /// Partitions that are read, and the next offset of each.
    next: BTreeMap<Partition, Offset>,
    /// Those of which the last commit is looked for, and when next.
    restoring: BTreeSet<Partition>,
    again: Option<Instant>,
    /// Those that were read further since the last commit.
    moved: BTreeSet<Partition>,
    /// Halves that are not sent yet.
    value: Vec<u8>,
    /// When the first record came that is not committed.
    opened: Option<Instant>,
    recovery: Recovery,
    timing: Timing,
    progress: Arc<Progress>,
}

/// Key of the halves in the join topic.
pub const HALVES_KEY: &[u8] = b"halves";
/// A value of the join topic is sent when it has so many bytes: topics take a megabyte.
pub const HALVES_BYTES: usize = 256 << 10;

const POLL: Duration = Duration::from_millis(50);
const ANSWERS_MAX: usize = 1000;
const SOON: Duration = Duration::from_millis(300);

impl<S: Session> AnswerDriver<S> {
    /// `stream` has `[stream.answers]`.
    pub fn new(
        session: S,
        stream: Arc<Stream>,
        inbox: Arc<Inbox<Arc<Stream>>>,
        timing: Timing,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            session,
            source: source(&stream),
            stream,
            inbox,
            next: BTreeMap::new(),
            restoring: BTreeSet::new(),
            again: None,
            moved: BTreeSet::new(),
            value: vec![],
            opened: None,
            recovery: Recovery::default(),
            timing,
            progress,
        }
    }

    /// Hands its session back. Nothing is committed.
    pub fn rest(self) -> (S, Arc<Stream>) {
        (self.session, self.stream)
    }

    /// Reads what there is, and commits when it is time.
    ///
    /// # Errors
    /// Only [`SessionError::Fenced`]: leave, touch nothing.
    pub fn turn(&mut self) -> Result<(), SessionError> {
        self.progress.beat(self.session.wall());
        let step = match self.recovery.advance(&mut self.session) {
            Ok(true) => self.step(),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        step.or_else(|error| self.give_up(error))
    }

    /// Commits what was read: the last thing it does.
    pub fn finish(mut self) {
        if self.recovery.is_over()
            && let Err(error) = self.commit()
        {
            warn!(%error, "the last commit failed");
        }
    }

    fn step(&mut self) -> Result<(), SessionError> {
        if let Some(stream) = self.inbox.take() {
            self.commit()?;
            // Whoever turns answers off needs a restart.
            if stream.answers.is_some() {
                (self.source, self.stream) = (source(&stream), stream);
            }
        }
        self.rebalance()?;
        self.restore()?;
        let read = self.read()?;
        let now = self.session.now();
        if !self.moved.is_empty() {
            self.opened.get_or_insert(now);
        }
        let age = self.opened.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let interval = self.timing.commit_interval;
        if age >= interval || read == 0 && age >= interval / 10 {
            self.commit()?;
        }
        Ok(())
    }

    /// Halves of what there is to read; says of how many records.
    fn read(&mut self) -> Result<usize, SessionError> {
        let (mut timeout, mut read) = (POLL, 0);
        while read < ANSWERS_MAX && !self.session.has_news() {
            let Some(message) = self.session.poll(timeout)? else { break };
            timeout = Duration::ZERO;
            let record = message.record();
            let Some(next) = self.next.get_mut(&record.at.partition) else { continue };
            if record.at.offset < *next {
                continue;
            }
            *next = record.at.offset.next();
            self.moved.insert(record.at.partition);
            match self.source.half(&record, self.session.wall(), &mut self.value) {
                Ok(()) | Err(NoHalf::Beside) => {}
                Err(NoHalf::WithoutId) => {
                    debug!(at = %record.at.offset, "an answer without an id");
                    Progress::add(&self.progress.alarm.unreadable, 1);
                }
            }
            drop(message);
            if self.value.len() >= HALVES_BYTES {
                self.send()?;
            }
            Progress::add(&self.progress.records, 1);
            read += 1;
        }
        Ok(read)
    }

    fn send(&mut self) -> Result<(), SessionError> {
        let Some(answers) = &self.stream.answers else { return Ok(()) };
        send_halves(&self.session, answers, &mut self.value)
    }

    /// Commits halves and offsets together.
    fn commit(&mut self) -> Result<(), SessionError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let started = self.session.now();
        self.send()?;
        self.session.barrier()?;
        let next: Vec<_> = self.moved.iter().map(|p| (*p, self.next[p])).collect();
        self.session.offsets(&next)?;
        self.session.commit()?;
        self.moved.clear();
        self.opened = None;
        self.progress.committed(self.session.now().saturating_duration_since(started));
        Ok(())
    }

    fn rebalance(&mut self) -> Result<(), SessionError> {
        while let Some(change) = self.session.change() {
            match change {
                Change::Assigned(partitions) => {
                    let from: Vec<_> = partitions.iter().map(|&p| (p, Offset(0))).collect();
                    self.session.assign(&from)?;
                    self.session.pause(&partitions)?;
                    self.restoring.extend(partitions);
                    self.again = None;
                }
                Change::Revoked(partitions) => {
                    // Given back whether the commit succeeded or not: the group waits for it.
                    let committed = self.commit();
                    self.forget(&partitions);
                    self.session.unassign(&partitions)?;
                    committed?;
                }
                Change::Lost(partitions) => {
                    self.forget(&partitions);
                    self.session.unassign(&partitions)?;
                    return Err(SessionError::Transaction {
                        step: "keeping partitions",
                        reason: "the group gave them to somebody else".into(),
                    });
                }
            }
            self.progress.rebalanced(self.next.len() + self.restoring.len(), false);
        }
        self.progress.join();
        Ok(())
    }

    fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.next.remove(partition);
            self.restoring.remove(partition);
            self.moved.remove(partition);
        }
    }

    /// Partitions go on where the group committed; of one of which nothing was committed, from its first record on.
    fn restore(&mut self) -> Result<(), SessionError> {
        let now = self.session.now();
        if self.restoring.is_empty() || self.again.is_some_and(|at| now < at) {
            return Ok(());
        }
        let Some(answers) = &self.stream.answers else { return Ok(()) };
        let partitions: Vec<Partition> = self.restoring.iter().copied().collect();
        let kept = Kept { topic: &answers.topic, keys: &[], extent: |_| None };
        let found = match self.session.beginnings(&partitions, kept) {
            Ok(found) => found,
            Err(error) if error.is_of_client() => return Err(error),
            Err(error) => {
                debug!(%error, "where answers go on is not known yet");
                self.again = Some(now + SOON);
                return Ok(());
            }
        };
        let mut from = vec![];
        for beginning in found {
            let start = beginning.log.extent.start;
            // There is no state that could lag behind.
            let at = match beginning.start(true) {
                Start::Fresh(next) => next.max(start),
                _ => start,
            };
            info!(stream = self.stream.name, partition = %beginning.partition, from = %at, "reading answers");
            self.next.insert(beginning.partition, at);
            from.push((beginning.partition, at));
        }
        self.restoring.clear();
        self.session.resume(&from)
    }

    fn give_up(&mut self, error: SessionError) -> Result<(), SessionError> {
        self.value.clear();
        self.opened = None;
        self.moved.clear();
        let given_up = self.recovery.give_up(error, &mut self.session, &self.progress);
        let GivenUp { error, .. } = given_up?;
        let mut unusable = matches!(error, SessionError::Consumer { .. });
        let partitions: Vec<Partition> = std::mem::take(&mut self.next).into_keys().collect();
        if self.session.lost() {
            // The group tells us next.
            self.restoring.clear();
        } else if !unusable {
            self.restoring.extend(&partitions);
            self.again = None;
            unusable = self.session.pause(&partitions).is_err();
        }
        if unusable {
            self.restoring.clear();
            self.session.discard_consumer();
        }
        Ok(())
    }
}

fn source(stream: &Stream) -> AnswerSource {
    let answers = stream.answers.as_ref().expect("whoever reads answers has a topic of them");
    AnswerSource::new(answers.identity(), answers.reading())
}

/// Sends `value` to the join topic, unless it is empty; it is empty then.
///
/// # Errors
/// If the transaction cannot go on.
pub fn send_halves<S: Session>(
    session: &S,
    answers: &StreamAnswers,
    value: &mut Vec<u8>,
) -> Result<(), SessionError> {
    if value.is_empty() {
        return Ok(());
    }
    session.send(Output {
        topic: &answers.join_topic,
        partition: Some(EVIDENCE_PARTITION),
        key: HALVES_KEY,
        value,
        headers: &[],
    })?;
    value.clear();
    Ok(())
}
