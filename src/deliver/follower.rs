//! A follower reads one topic of ours, remembers what it read, and tells what follows from it: the client monitor, the
//! join of requests and answers.
//!
//! Messages to the evidence topic, a tick, the state and the offset leave in one transaction. A follower may remember
//! more than one record of the state topic holds. So its state names the offset from which a restart reads again. What
//! is read again, up to the offset where the state ends, produces no message. The topic has one partition, so there is
//! one order and one follower. Its clock are ticks, which the follower writes to the same topic.
//!
//! Limit: if retention deleted records that a restart must read again, the follower remembers less.

mod clients;
mod pages;
mod reader;
mod role;
mod state;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{error, info};

use self::reader::Reader;
pub use self::role::Follower;
pub use self::state::{FollowerError, FollowerState, begin_follower};
use super::monitor::EVIDENCE_PARTITION;
use super::recovery::{GivenUp, Recovery};
use super::{Change, Fetched as _, Inbox, Kept, Output, Progress, Session, SessionError, Timing};
use crate::config::Stream;
use crate::record::{Offset, Partition, TopicPartition};
use crate::watch::Message;

/// Drives a follower while the group assigns the partition to this process.
pub struct FollowerDriver<S, F> {
    session: S,
    stream: Arc<Stream>,
    /// One that has read nothing.
    fresh: F,
    /// The follower of the next revision, if there is one.
    inbox: Arc<Inbox<(Arc<Stream>, F)>>,
    seat: Seat<F>,
    ticked: Option<Instant>,
    recovery: Recovery,
    timing: Timing,
    progress: Arc<Progress>,
}

enum Seat<F> {
    /// Another process has the partition.
    Empty,
    /// The partition is ours and the last state is looked for: since when, when the next attempt is due, and whether the
    /// log already says that it takes too long.
    Restoring {
        since: Instant,
        next: Instant,
        told: bool,
    },
    Taken(Box<Reader<F>>),
}

/// The only partition of what a follower reads, and that of its state.
const PARTITION: Partition = EVIDENCE_PARTITION;

const POLL: Duration = Duration::from_millis(100);
const MESSAGES_MAX: usize = 1000;
/// Bytes of pages that wait: beyond, they are written before more is read.
const PAGE_BYTES_MAX: usize = 4 << 20;
const SOON: Duration = Duration::from_millis(300);
const LATER: Duration = Duration::from_secs(5);

impl<S: Session, F: Follower> FollowerDriver<S, F> {
    /// `fresh` is one that has read nothing.
    pub fn new(
        session: S,
        stream: Arc<Stream>,
        fresh: F,
        inbox: Arc<Inbox<(Arc<Stream>, F)>>,
        timing: Timing,
        progress: Arc<Progress>,
    ) -> Self {
        progress.adopt(fresh.baseline());
        let (seat, recovery) = (Seat::Empty, Recovery::default());
        Self { session, stream, fresh, inbox, seat, ticked: None, recovery, timing, progress }
    }

    /// Returns the session, and what a follower of this revision begins with. Commits nothing.
    pub fn rest(self) -> (S, Arc<Stream>, F) {
        (self.session, self.stream, self.fresh)
    }

    /// The follower, if the partition is ours and it has read again what it must.
    pub fn follower(&self) -> Option<&F> {
        self.reader().map(|reader| &reader.follower)
    }

    /// Reads, tells what follows, and writes a tick if one is due.
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

    fn step(&mut self) -> Result<(), SessionError> {
        self.adopt()?;
        self.rebalance()?;
        self.check_log()?;
        self.restore()?;
        let messages = self.read()?;
        self.progress.alarm.sit(self.reader().is_some(), self.session.wall());
        let now = self.session.now();
        // A tick per half window, as the monitor's: a window closes at most that late.
        let every = (self.stream.alerts.window / 2).max(Duration::from_millis(100));
        let since = |at: Instant| now.saturating_duration_since(at);
        let tick = self.reader().is_some() && self.ticked.is_none_or(|at| since(at) >= every);
        if tick {
            self.ticked = Some(now);
        }
        self.note();
        self.tell(&messages, tick)
    }

    /// Reports its state to metrics.
    fn note(&self) {
        let Some(Reader { follower, log, .. }) = self.reader() else { return };
        let positions = self.session.positions();
        let read = positions.iter().find(|(partition, _)| *partition == PARTITION);
        let read = read.map_or(follower.next(), |(_, at)| *at.max(&follower.next()));
        let facts = follower.facts();
        self.progress.following.note(&facts, u64::try_from(log.end.0 - read.0).unwrap_or(0));
        self.progress.alarm.judged(facts.judged_until);
    }

    /// Bytes of pages that wait to be written.
    fn page_bytes(&self) -> usize {
        match &self.seat {
            Seat::Taken(reader) => reader.follower.page_bytes(),
            _ => 0,
        }
    }

    fn reader(&self) -> Option<&Reader<F>> {
        match &self.seat {
            Seat::Taken(reader) if reader.read >= reader.follower.next() => Some(reader),
            _ => None,
        }
    }

    /// Switches to the next revision, if there is one.
    fn adopt(&mut self) -> Result<(), SessionError> {
        let Some((stream, fresh)) = self.inbox.take() else { return Ok(()) };
        (self.stream, self.fresh) = (stream, fresh);
        self.progress.adopt(self.fresh.baseline());
        if self.reader().is_none() {
            // It has to read again anyway: the new one does.
            return if let Seat::Taken(_) = self.seat { self.read_anew() } else { Ok(()) };
        }
        if let Seat::Taken(reader) = &mut self.seat {
            reader.follower = self.fresh.clone().succeeding(&reader.follower);
        }
        self.tell(&[], true)
    }

    /// Reads records, and returns the messages that follow from them.
    fn read(&mut self) -> Result<Vec<Message>, SessionError> {
        let mut messages = vec![];
        let mut timeout = POLL;
        for _ in 0..MESSAGES_MAX {
            if self.session.has_news() || self.page_bytes() > PAGE_BYTES_MAX {
                break;
            }
            let Some(message) = self.session.poll(timeout)? else { break };
            timeout = Duration::ZERO;
            let Seat::Taken(reader) = &mut self.seat else { continue };
            let record = message.record();
            let offset = record.at.offset;
            if offset < reader.read {
                continue;
            }
            match record.value.map(|value| reader.follower.take(offset, value)) {
                Some(Ok(())) => {}
                // Only roles of ours write here; what we cannot read is of another version.
                Some(Err(error)) => {
                    error!(%error, %offset, "the {} cannot read a record", F::NAME);
                    Progress::add(&self.progress.alarm.unreadable, 1);
                    reader.follower.skip(offset);
                }
                None => reader.follower.skip(offset),
            }
            reader.read = offset.next();
            Progress::add(&self.progress.records, 1);
        }
        if let Seat::Taken(reader) = &mut self.seat {
            reader.catch_up(&self.session);
            reader.follower.drain(&mut messages);
        }
        Ok(messages)
    }

    /// Commits messages, a tick, state and offset together.
    fn tell(&mut self, messages: &[Message], tick: bool) -> Result<(), SessionError> {
        // State may be large: it is written with messages and ticks only. After a restart, what was read since then is
        // read again.
        if self.reader().is_none() || messages.is_empty() && !tick && self.page_bytes() == 0 {
            return Ok(());
        }
        let pages = match &mut self.seat {
            Seat::Taken(reader) => reader.follower.drain_pages(),
            _ => vec![],
        };
        let Some(Reader { follower, log, .. }) = self.reader() else { return Ok(()) };
        let started = self.session.now();
        let topics = &self.stream.topics;
        for message in messages {
            self.session.send(Output {
                topic: &topics.evidence,
                partition: Some(EVIDENCE_PARTITION),
                key: F::KEY,
                value: &message.to_bytes(),
                headers: &[],
            })?;
        }
        if tick {
            self.session.send(Output {
                topic: F::topic(&self.stream),
                partition: Some(PARTITION),
                key: b"tick",
                value: &F::tick(self.session.wall()),
                headers: &[],
            })?;
        }
        for (key, value) in &pages {
            let topic = F::pages_topic(&self.stream).expect("who has pages has a topic of them");
            let partition = Some(PARTITION);
            self.session.send(Output { topic, partition, key, value, headers: &[] })?;
        }
        self.session.barrier()?;
        self.session.send(Output {
            topic: &topics.state,
            partition: Some(PARTITION),
            key: F::KEY,
            value: &FollowerState::of(follower, log).to_bytes(),
            headers: &[],
        })?;
        self.session.offsets(&[(PARTITION, follower.next())])?;
        self.session.commit()?;
        self.progress.committed(self.session.now().saturating_duration_since(started));
        Ok(())
    }

    /// Begins again if the topic was made anew or its log was cut.
    fn check_log(&mut self) -> Result<(), SessionError> {
        let interrupted = self.session.is_interrupted();
        let looked = self.session.looked();
        let topic = F::topic(&self.stream).to_owned();
        let place = TopicPartition { topic: topic.clone(), partition: PARTITION };
        let Seat::Taken(reader) = &mut self.seat else { return Ok(()) };
        match looked.as_ref().and_then(|looked| looked.get(&place)) {
            Some(look) if look.is_plainly(&reader.log) => reader.log = look.clone(),
            None => {}
            Some(_) => {
                let known = [(PARTITION, Some(reader.log.clone()))];
                let found = self.session.survey(&topic, &known)?;
                let (_, survey) = found.into_iter().next().expect("one was asked about");
                if survey.since(Some(&reader.log), reader.follower.next()).is_some() {
                    return self.read_anew();
                }
                reader.log = survey.extent;
            }
        }
        if interrupted { self.read_anew() } else { Ok(()) }
    }

    /// Commits what was read, then looks for the offset to go on from.
    fn read_anew(&mut self) -> Result<(), SessionError> {
        self.tell(&[], true)?;
        self.begin_again();
        self.session.pause(&[PARTITION])
    }

    fn rebalance(&mut self) -> Result<(), SessionError> {
        while let Some(change) = self.session.change() {
            match change {
                Change::Assigned(partitions) => {
                    // Paused until the state says where to go on.
                    let from: Vec<_> = partitions.iter().map(|&p| (p, Offset(0))).collect();
                    self.session.assign(&from)?;
                    self.session.pause(&partitions)?;
                    if partitions.contains(&PARTITION) {
                        self.begin_again();
                    }
                }
                Change::Revoked(partitions) | Change::Lost(partitions) => {
                    // What was read and not committed, the next process reads too.
                    if partitions.contains(&PARTITION) {
                        self.seat = Seat::Empty;
                        self.progress.disown();
                    }
                    self.session.unassign(&partitions)?;
                }
            }
            self.progress.rebalanced(usize::from(!matches!(self.seat, Seat::Empty)), false);
        }
        // One that stands by is ready too.
        self.progress.join();
        Ok(())
    }

    fn begin_again(&mut self) {
        let now = self.session.now();
        self.seat = Seat::Restoring { since: now, next: now, told: false };
    }

    /// Restores the follower from its last commit.
    fn restore(&mut self) -> Result<(), SessionError> {
        let now = self.session.now();
        let Seat::Restoring { since, next, told } = &mut self.seat else { return Ok(()) };
        if now < *next {
            return Ok(());
        }
        let topic = &self.stream.topics.state;
        let kept = Kept::in_same(topic, &[F::KEY], FollowerState::log_of);
        let found = self.session.beginnings(&[PARTITION], kept);
        if found.as_ref().is_err_and(SessionError::is_of_client) {
            return found.map(drop);
        }
        let reader = found.map_err(|error| error.to_string()).and_then(|found| {
            let beginning = found.first().ok_or("nobody knows of its topic")?;
            let begun = begin_follower(&self.fresh, beginning, self.timing.offsets_lag);
            Ok((begun.map_err(|error| error.to_string())?, beginning.committed))
        });
        let reader = match (reader, F::pages_topic(&self.stream)) {
            (Ok(begun), Some(topic)) => match pages::load(&self.session, topic, begun) {
                Err(error @ SessionError::Fenced { .. }) => return Err(error),
                loaded => loaded.map_err(|error| error.to_string()).flatten(),
            },
            (reader, _) => reader,
        };
        match reader {
            Ok((reader, committed)) => {
                let next = reader.follower.next();
                info!(stream = self.stream.name, from = %reader.read, %next, "the {} reads", F::NAME);
                self.session.resume(&[(PARTITION, reader.read)])?;
                if !self.timing.offsets_lag && committed.is_some_and(|committed| committed < next) {
                    // What it commits next writes the offset anew.
                    Progress::add(&self.progress.offsets_behind_state, 1);
                }
                self.seat = Seat::Taken(Box::new(reader));
                self.progress.held(0);
            }
            Err(reason) => {
                let late = now.saturating_duration_since(*since) >= self.timing.state_agrees_after;
                *next = now + if late { LATER } else { SOON };
                if late && !*told {
                    error!(stream = self.stream.name, "no {}: {reason}", F::NAME);
                    *told = true;
                }
                self.progress.hold(PARTITION, &reason);
                self.progress.held(1);
            }
        }
        Ok(())
    }

    fn give_up(&mut self, error: SessionError) -> Result<(), SessionError> {
        let given_up = self.recovery.give_up(error, &mut self.session, &self.progress);
        let GivenUp { error, .. } = given_up.inspect_err(|_| self.seat = Seat::Empty)?;
        let mut unusable = matches!(error, SessionError::Consumer { .. });
        if self.session.lost() {
            // What it read is not told, and must not be committed before the group tells us.
            self.seat = Seat::Empty;
        } else if !matches!(self.seat, Seat::Empty) && !unusable {
            self.begin_again();
            unusable = self.session.pause(&[PARTITION]).is_err();
        }
        if unusable {
            self.seat = Seat::Empty;
            self.session.discard_consumer();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
