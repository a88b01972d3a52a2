//! The judge's thread: evidence in; alerts, state and offsets out, in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::message::Message as _;
use tracing::{error, info, warn};

use super::clock;
use super::kafka::{Beginning, Change, Clients, Output, Session, SessionError, TransactionError};
use crate::config::Stream;
use crate::deliver::Progress;
use crate::incident::{Alert, Status};
use crate::pipeline::{Judge, JudgeError};
use crate::record::{Offset, Partition};
use crate::watch::{Message, Tick};

/// Judges one stream while its group gives it the evidence partition; else stands by.
pub struct JudgeThread {
    stream: Arc<Stream>,
    fresh: Judge,
    session: Session,
    judge: Option<Judge>,
    /// The next offset as of the last commit.
    committed: Offset,
    progress: Arc<Progress>,
}

/// Why a judge ends.
#[derive(Debug, thiserror::Error)]
pub enum JudgeThreadError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
}

/// The evidence topic has one partition: one order, one judge.
pub const EVIDENCE_PARTITION: Partition = Partition(0);

/// Key of the judge's state, in partition 0 of the state topic.
pub const JUDGE_KEY: &[u8] = b"judge";

const POLL: Duration = Duration::from_millis(100);
const MESSAGES_MAX: usize = 1000;

impl JudgeThread {
    /// Joins the stream's group of judges; `fresh` is a judge that has heard nothing.
    ///
    /// # Errors
    /// If Kafka does not answer.
    pub fn join(
        clients: &Clients,
        stream: Arc<Stream>,
        fresh: Judge,
        progress: Arc<Progress>,
    ) -> Result<Self, JudgeThreadError> {
        let group = clients.judges(&stream.name);
        let role = format!("{}.judge", stream.name);
        let session = Session::join(clients, &role, &group, &stream.topics.evidence)?;
        progress.beat(clock::now());
        Ok(Self { stream, fresh, session, judge: None, committed: Offset(0), progress })
    }

    /// Judges until `stop`.
    ///
    /// # Errors
    /// If another process took this one's place, Kafka is lost for good, or the judge's state
    /// cannot be restored.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), JudgeThreadError> {
        // A tick per half window: a window closes at most that late.
        let tick_every =
            Duration::from_millis((self.stream.alerts.window.as_millis() as u64 / 2).max(100));
        let mut ticked = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            self.progress.beat(clock::now());
            let tick = self.judge.is_some() && ticked.elapsed() >= tick_every;
            if tick {
                ticked = Instant::now();
            }
            let step = self.turn(tick).and_then(|()| self.rebalance());
            match step {
                Ok(()) => {}
                Err(JudgeThreadError::Session(SessionError::Transaction(
                    TransactionError::Failed { step, reason },
                ))) => {
                    warn!(step, reason, "judge: transaction given up; beginning again");
                    Progress::add(&self.progress.failures, 1);
                    self.session.recover()?;
                    self.restore_and_rewind()?;
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    /// Takes what evidence there is, says what follows from it, writes a tick if it is time.
    fn turn(&mut self, tick: bool) -> Result<(), JudgeThreadError> {
        let mut alerts = vec![];
        let (reader, _) = self.session.split();
        let mut timeout = POLL;
        for _ in 0..MESSAGES_MAX {
            if reader.has_news() {
                break;
            }
            let Some(message) = reader.poll(timeout)? else { break };
            timeout = Duration::ZERO;
            let Some(judge) = &mut self.judge else { continue };
            let offset = Offset(message.offset());
            if offset < judge.next() {
                continue;
            }
            match message.payload().map(Message::from_bytes) {
                Some(Ok(said)) => judge.take(offset, &said, &mut alerts),
                // Only our own workers write here; what we cannot read is of another version.
                Some(Err(error)) => {
                    error!(%error, %offset, "cannot read evidence");
                    judge.skip(offset);
                }
                None => judge.skip(offset),
            }
            self.progress.records.fetch_add(1, Ordering::Relaxed);
        }
        self.say(&alerts, tick)
    }

    /// Commits alerts, a tick, state and offset together.
    fn say(&mut self, alerts: &[Alert], tick: bool) -> Result<(), JudgeThreadError> {
        let Some(judge) = &self.judge else { return Ok(()) };
        let heard = judge.next();
        if alerts.is_empty() && !tick && heard == self.committed {
            return Ok(());
        }
        let started = Instant::now();
        let state = judge.to_bytes();
        let topics = &self.stream.topics;
        for alert in alerts {
            match alert.status {
                Status::Firing => warn!(incident = alert.dedup_key, "{}", alert.summary),
                Status::Resolved => info!(incident = alert.dedup_key, "{}", alert.summary),
            }
            let output = Output {
                topic: &self.stream.alerts.topic,
                partition: None,
                key: Some(alert.dedup_key.as_bytes()),
                value: Some(&alert.to_bytes()),
                timestamp_ms: None,
                headers: None,
            };
            self.session.send(output)?;
        }
        if tick {
            let value = Message::Tick(Tick { at: clock::now() }).to_bytes();
            let output = Output::new(&topics.evidence, EVIDENCE_PARTITION.0, b"tick", &value);
            self.session.send(output)?;
        }
        let output = Output::new(&topics.state, 0, JUDGE_KEY, &state);
        self.session.send(output)?;
        self.session.commit(std::iter::once((EVIDENCE_PARTITION, heard)))?;
        self.committed = heard;
        self.progress.committed(started.elapsed());
        Ok(())
    }

    fn rebalance(&mut self) -> Result<(), JudgeThreadError> {
        while let Some(change) = self.session.change() {
            match change {
                Change::Assigned(partitions) => {
                    if partitions.contains(&EVIDENCE_PARTITION) {
                        let (judge, ended) = self.restore()?;
                        self.session.assign(&[(EVIDENCE_PARTITION, judge.next())])?;
                        info!(stream = self.stream.name, from = %judge.next(), "judging");
                        self.judge = Some(judge);
                        if !ended.is_empty() {
                            self.say(&ended, false)?;
                        }
                    } else {
                        self.session.assign(&[])?;
                    }
                    self.progress.join();
                }
                Change::Revoked(partitions) | Change::Lost(partitions) => {
                    // Every turn commits what it heard: nothing is open here.
                    self.judge = None;
                    self.session.unassign(&partitions)?;
                }
            }
        }
        // A judge that stands by is ready too.
        self.progress.join();
        Ok(())
    }

    fn restore_and_rewind(&mut self) -> Result<(), JudgeThreadError> {
        if self.judge.is_none() || self.session.lost() {
            self.judge = None;
            return Ok(());
        }
        let (judge, ended) = self.restore()?;
        self.session.rewind(&[(EVIDENCE_PARTITION, judge.next())])?;
        self.judge = Some(judge);
        self.say(&ended, false)
    }

    /// The judge as its last commit left it.
    fn restore(&self) -> Result<(Judge, Vec<Alert>), JudgeThreadError> {
        let judge = |b: &Beginning| match (&b.state, b.committed) {
            (None, None) => Ok((self.fresh.clone().starting_at(b.oldest), vec![])),
            (None, Some(committed)) => Err(JudgeError::Missing { committed }),
            (Some(state), committed) => {
                self.fresh.clone().restore(state, committed.unwrap_or(b.oldest))
            }
        };
        let place = (self.stream.topics.state.as_str(), 0, JUDGE_KEY);
        let beginning = self.session.beginning(EVIDENCE_PARTITION, place, |b| judge(b).is_ok())?;
        Ok(judge(&beginning)?)
    }
}
