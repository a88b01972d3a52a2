//! The answer reader: reads the deployed model's answers, and writes a half to the join topic for each, once.
//!
//! Halves, offsets and how far each partition is read leave in one transaction. The last of these, in the first partition of
//! the state topic, says where it goes on: a coordinator may forget offsets after a broker's crash. Several readers may share
//! the partitions of the answers topic.
//!
//! Answers that were deleted before it read them are counted; their records stay unanswered. It cannot see answers that came
//! and went between two looks at a topic that was made anew.

mod begin;
mod restoring;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use self::restoring::Restoring;
use super::monitor::EVIDENCE_PARTITION;
use super::recovery::{GivenUp, Recovery};
use super::{
    Change, Fetched as _, FollowerState, Inbox, Output, Progress, Session, SessionError, Timing,
    numbered_key,
};
use crate::answers::{AnswerSource, NoHalf};
use crate::config::{Stream, StreamAnswers};
use crate::record::{Extent, Offset, Partition};

/// Reads the partitions of the answers topic that its group gives it.
pub struct AnswerDriver<S> {
    session: S,
    stream: Arc<Stream>,
    source: AnswerSource,
    /// The next revision's configuration, once there is one.
    inbox: Arc<Inbox<Arc<Stream>>>,
    /// Partitions that are read.
    reading: BTreeMap<Partition, ReadSoFar>,
    /// Partitions whose last commit is looked for.
    restoring: Restoring,
    /// Partitions that were read further since the last commit.
    moved: BTreeSet<Partition>,
    /// Since when the log of some partition does not have the next offset.
    interrupted: Option<Instant>,
    /// Halves that are not sent yet.
    value: Vec<u8>,
    /// When the first record came that is not committed.
    opened: Option<Instant>,
    recovery: Recovery,
    timing: Timing,
    progress: Arc<Progress>,
}

/// How far a partition is read, and its log as it was when somebody last looked.
struct ReadSoFar {
    next: Offset,
    log: Extent,
}

/// Key of how far a partition of the answers topic is read, in the first partition of the state topic; its number follows.
pub const ANSWERS_KEY: &[u8] = b"answers";
/// Key of the halves in the join topic.
pub const HALVES_KEY: &[u8] = b"halves";
/// A value of the join topic is sent when it has so many bytes: topics take a megabyte.
pub const HALVES_BYTES: usize = 256 << 10;

const POLL: Duration = Duration::from_millis(50);
const ANSWERS_MAX: usize = 1000;
/// Before partitions are taken to be read out that others keep busy.
const READ_OUT: Duration = Duration::from_secs(5);

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
            reading: BTreeMap::new(),
            restoring: Restoring::default(),
            moved: BTreeSet::new(),
            interrupted: None,
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
        self.check_log(read == 0)?;
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
            let Some(reading) = self.reading.get_mut(&record.at.partition) else { continue };
            if record.at.offset < reading.next {
                continue;
            }
            reading.next = record.at.offset.next();
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

    /// Commits halves, how far each partition is read, and offsets together.
    fn commit(&mut self) -> Result<(), SessionError> {
        if self.moved.is_empty() {
            return Ok(());
        }
        let started = self.session.now();
        self.send()?;
        self.session.barrier()?;
        let moved = || self.moved.iter().map(|&partition| (partition, &self.reading[&partition]));
        for (partition, ReadSoFar { next, log }) in moved() {
            self.session.send(Output {
                topic: &self.stream.topics.state,
                partition: Some(EVIDENCE_PARTITION),
                key: &numbered_key(ANSWERS_KEY, partition),
                value: &FollowerState::plain(*next, log).to_bytes(),
                headers: &[],
            })?;
        }
        let next: Vec<_> = moved().map(|(partition, reading)| (partition, reading.next)).collect();
        self.session.offsets(&next)?;
        self.session.commit()?;
        self.moved.clear();
        self.opened = None;
        self.progress.committed(self.session.now().saturating_duration_since(started));
        Ok(())
    }

    /// Looks for where to go on if a log is another one than it was, or did not have the next offset. What was fetched before
    /// is read first: `read_out` says that there is none of it.
    fn check_log(&mut self, read_out: bool) -> Result<(), SessionError> {
        let now = self.session.now();
        if self.session.is_interrupted() {
            self.interrupted.get_or_insert(now);
        }
        let Some(answers) = &self.stream.answers else { return Ok(()) };
        let mut differs = false;
        for (place, look) in self.session.looked().into_iter().flatten() {
            let reading = self.reading.get_mut(&place.partition);
            match reading.filter(|_| place.topic == answers.topic) {
                Some(reading) if look.is_plainly(&reading.log) => reading.log = look,
                Some(_) => differs = true,
                None => {}
            }
        }
        let is_over = |since| read_out || now.saturating_duration_since(since) >= READ_OUT;
        if !differs && !self.interrupted.is_some_and(is_over) {
            return Ok(());
        }
        self.commit()?;
        self.interrupted = None;
        let partitions: Vec<Partition> = std::mem::take(&mut self.reading).into_keys().collect();
        self.restoring.begin(&partitions);
        self.session.pause(&partitions)
    }

    fn rebalance(&mut self) -> Result<(), SessionError> {
        while let Some(change) = self.session.change() {
            match change {
                Change::Assigned(partitions) => {
                    let from: Vec<_> = partitions.iter().map(|&p| (p, Offset(0))).collect();
                    self.session.assign(&from)?;
                    self.session.pause(&partitions)?;
                    self.restoring.begin(&partitions);
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
            let partitions = self.reading.len() + self.restoring.partitions.len();
            self.progress.rebalanced(partitions, false);
        }
        self.progress.join();
        Ok(())
    }

    fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            self.reading.remove(partition);
            self.restoring.partitions.remove(partition);
            self.moved.remove(partition);
            self.progress.release(*partition);
        }
        self.progress.held(self.restoring.partitions.len());
    }

    fn give_up(&mut self, error: SessionError) -> Result<(), SessionError> {
        self.value.clear();
        self.opened = None;
        self.moved.clear();
        let given_up = self.recovery.give_up(error, &mut self.session, &self.progress);
        let GivenUp { error, .. } = given_up?;
        let mut unusable = matches!(error, SessionError::Consumer { .. });
        let partitions: Vec<Partition> = std::mem::take(&mut self.reading).into_keys().collect();
        self.interrupted = None;
        if self.session.lost() {
            // The group tells us next.
            self.restoring = Restoring::default();
        } else if !unusable {
            self.restoring.begin(&partitions);
            unusable = self.session.pause(&partitions).is_err();
        }
        if unusable {
            self.restoring = Restoring::default();
            self.session.discard_consumer();
        }
        if self.restoring.partitions.is_empty() {
            self.progress.disown();
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
