//! One thread: its consumer, its producer, its networks, the lanes of its partitions.
//!
//! Gather a batch, take it down the road, put what leaves into the open transaction, commit when
//! it is time. Nothing of a lane is kept anywhere else, so whatever fails, the worker drops what
//! is not committed and begins again where the last commit stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedMessage, Header, Message, OwnedHeaders};
use tracing::{error, info, warn};

use super::kafka::{
    Beginning, Change, Clients, Output, Reader, Session, SessionError, TransactionError,
    Transactions, content_type,
};
use super::progress::Progress;
use crate::config::Stream;
use crate::emit::{TRACE, VERDICT, connect_headers};
use crate::model::Networks;
use crate::pipeline::{Batch, Guard, GuardFailure, Input, Lane, LaneError, Outcome, Route};
use crate::record::{Offset, Partition, Position, Timestamp};
use crate::watch::{Message as WatchMessage, Presence};

/// Scores the partitions that its group gives it.
pub struct Worker {
    stream: Arc<Stream>,
    guard: Arc<Guard>,
    networks: Networks,
    session: Session,
    lanes: BTreeMap<Partition, Slot>,
    batch: Batch,
    /// When a poll last came back empty: everything that was there had been read.
    last_empty: Option<Instant>,
    commit_interval: Duration,
    progress: Arc<Progress>,
}

/// A lane, and what the worker knows about its partition.
struct Slot {
    lane: Lane,
    /// The next offset as of the last commit.
    committed: Offset,
    last_record: Instant,
    /// What the judge was told last, if it was told.
    told_quiet: Option<bool>,
}

impl Slot {
    fn new(lane: Lane) -> Self {
        let committed = lane.next();
        Self { lane, committed, last_record: Instant::now(), told_quiet: None }
    }
}

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Guard(#[from] GuardFailure),
}

/// A batch closes at this many bytes of values, whatever its rows.
const BATCH_BYTES_MAX: usize = 16 << 20;

/// How long an empty poll waits: bounds how late news and the end are noticed.
const POLL: Duration = Duration::from_millis(50);

/// Key of a lane's state in the state topic, in the partition of its number.
pub const LANE_KEY: &[u8] = b"lane";

impl Worker {
    /// Joins the stream's group as worker `number` of this process.
    ///
    /// # Errors
    /// If Kafka does not answer.
    pub fn join(
        clients: &Clients,
        stream: Arc<Stream>,
        guard: Arc<Guard>,
        networks: Networks,
        number: usize,
        progress: Arc<Progress>,
    ) -> Result<Self, WorkerError> {
        let group = group(clients, &stream.name);
        let role = format!("{}.worker-{number}", stream.name);
        let session = Session::join(clients, &role, &group, &stream.input)?;
        progress.beat();
        Ok(Self {
            stream,
            guard,
            networks,
            session,
            lanes: BTreeMap::new(),
            batch: Batch::default(),
            last_empty: None,
            commit_interval: clients.kafka().commit_interval,
            progress,
        })
    }

    /// Works until `stop`, then drains: what was read is finished and committed.
    ///
    /// # Errors
    /// If another process took this one's place, Kafka is lost for good, or the guard failed and
    /// its policy is to let nothing pass.
    pub fn run(mut self, stop: &AtomicBool) -> Result<(), WorkerError> {
        let mut opened: Option<Instant> = None;
        while !stop.load(Ordering::Relaxed) {
            self.progress.beat();
            let step = self.turn().and_then(|gathered| {
                opened = match self.session.has_open_transaction() {
                    true => opened.or_else(|| Some(Instant::now())),
                    false => None,
                };
                let age = opened.map(|at| at.elapsed()).unwrap_or_default();
                // Quiet for a tenth of the interval: commit at once, latency is free.
                let idle = gathered == 0 && age >= self.commit_interval / 10;
                self.tell_presence()?;
                if idle || age >= self.commit_interval {
                    self.commit()?;
                    opened = None;
                }
                self.rebalance()
            });
            match step {
                Ok(()) => {}
                Err(error) => {
                    self.recover(error)?;
                    opened = None;
                }
            }
        }
        if let Err(error) = self.commit() {
            // Not committed is not done: whoever comes next does it again.
            warn!(%error, "the last commit failed");
        }
        info!(
            records = Progress::get(&self.progress.records),
            commits = Progress::get(&self.progress.commits),
            "drained"
        );
        Ok(())
    }

    /// One batch; says how many records it had.
    fn turn(&mut self) -> Result<usize, WorkerError> {
        let (reader, transactions) = self.session.split();
        let wait = if transactions.is_open() { self.commit_interval / 10 } else { POLL };
        let messages = gather(&reader, &self.stream, &self.lanes, wait.min(POLL))?;
        let inputs: Vec<Input<'_>> = messages.iter().map(input).collect();
        self.batch.turn(&self.guard, &mut self.networks, &inputs)?;
        let now = Instant::now();
        if messages.is_empty() {
            self.last_empty = Some(now);
        }
        let mut counts = [0; 3];
        for ((message, input), outcome) in messages.iter().zip(&inputs).zip(self.batch.outcomes()) {
            emit(&self.stream, &self.batch, message, input.position, outcome, transactions)
                .map_err(SessionError::from)?;
            let slot = self.lanes.get_mut(&input.position.partition).expect("gathered by lane");
            slot.lane.settle(input.position, timestamp(message), outcome);
            slot.last_record = now;
            // The evidence of this record will say that the partition is not quiet.
            slot.told_quiet = Some(false);
            counts[outcome.route as usize] += 1;
        }
        let progress = &self.progress;
        Progress::add(&progress.records, messages.len() as u64);
        let [sanitized, quarantined, dead_lettered] = counts;
        Progress::add(&progress.sanitized, sanitized);
        Progress::add(&progress.quarantined, quarantined);
        Progress::add(&progress.dead_lettered, dead_lettered);
        Ok(messages.len())
    }

    /// Commits outputs, evidence, state and offsets together. Nothing open, nothing done.
    fn commit(&mut self) -> Result<(), WorkerError> {
        if !self.session.has_open_transaction() {
            return Ok(());
        }
        let started = Instant::now();
        let topics = &self.stream.topics;
        let mut evidence = vec![];
        for (partition, slot) in &mut self.lanes {
            if slot.lane.next() == slot.committed {
                continue;
            }
            slot.lane.drain_evidence(&mut evidence);
            for evidence in evidence.drain(..) {
                let value = WatchMessage::Evidence(evidence).to_bytes();
                let key = partition.to_string();
                self.session.send(Output::new(&topics.evidence, 0, key.as_bytes(), &value))?;
            }
            let state = slot.lane.to_bytes();
            self.session.send(Output::new(&topics.state, partition.0, LANE_KEY, &state))?;
        }
        self.session.commit(self.lanes.iter().map(|(&p, slot)| (p, slot.lane.next())))?;
        for slot in self.lanes.values_mut() {
            slot.committed = slot.lane.next();
        }
        self.progress.committed(started.elapsed());
        Ok(())
    }

    /// Tells the judge which partitions are here, and which have nothing to read: no record for a
    /// window, though a poll since came back empty.
    fn tell_presence(&mut self) -> Result<(), WorkerError> {
        for (&partition, slot) in &mut self.lanes {
            let silent = slot.last_record.elapsed() >= self.stream.alerts.window;
            let quiet = silent && self.last_empty.is_some_and(|at| at > slot.last_record);
            if slot.told_quiet == Some(quiet) {
                continue;
            }
            slot.told_quiet = Some(quiet);
            let value = WatchMessage::Presence(Presence { partition, quiet }).to_bytes();
            let key = partition.to_string();
            let topic = &self.stream.topics.evidence;
            self.session.send(Output::new(topic, 0, key.as_bytes(), &value))?;
        }
        Ok(())
    }

    /// Acts on what the group decided.
    fn rebalance(&mut self) -> Result<(), WorkerError> {
        while let Some(change) = self.session.change() {
            match change {
                Change::Assigned(partitions) => {
                    info!(?partitions, "assigned");
                    self.take_over(&partitions)?;
                }
                Change::Revoked(partitions) => {
                    self.commit()?;
                    info!(?partitions, "handed over");
                    self.forget(&partitions)?;
                }
                Change::Lost(partitions) => {
                    warn!(?partitions, "lost: somebody else has them, nothing is committed");
                    self.session.recover()?;
                    self.forget(&partitions)?;
                    self.restore_all()?;
                }
            }
        }
        Ok(())
    }

    fn take_over(&mut self, partitions: &[Partition]) -> Result<(), WorkerError> {
        let (mut ready, mut held) = (vec![], vec![]);
        for &partition in partitions {
            match self.restore(partition)? {
                Ok(lane) => {
                    ready.push((partition, lane.next()));
                    self.lanes.insert(partition, Slot::new(lane));
                }
                Err(reason) => {
                    error!(%reason, "partition {partition} is held still; the others go on");
                    Progress::add(&self.progress.stopped_partitions, 1);
                    held.push(partition);
                }
            }
        }
        let all: Vec<_> = ready.into_iter().chain(held.iter().map(|&p| (p, Offset(0)))).collect();
        self.session.assign(&all)?;
        if !held.is_empty() {
            self.session.pause(&held)?;
        }
        self.progress.join();
        Ok(())
    }

    fn forget(&mut self, partitions: &[Partition]) -> Result<(), WorkerError> {
        self.lanes.retain(|partition, _| !partitions.contains(partition));
        Ok(self.session.unassign(partitions)?)
    }

    /// After a transaction failed: a new producer, and every lane as the last commit left it.
    fn recover(&mut self, error: WorkerError) -> Result<(), WorkerError> {
        match error {
            WorkerError::Session(SessionError::Transaction(TransactionError::Failed {
                step,
                reason,
            })) => {
                warn!(step, reason, "transaction given up; beginning again at the last commit");
                Progress::add(&self.progress.failures, 1);
                self.session.recover()?;
                self.restore_all()
            }
            other => Err(other),
        }
    }

    fn restore_all(&mut self) -> Result<(), WorkerError> {
        if self.session.lost() {
            // The group tells us next; until then there is nothing that is ours.
            self.lanes.clear();
            return Ok(());
        }
        let mut rewind = vec![];
        for partition in self.lanes.keys().copied().collect::<Vec<_>>() {
            match self.restore(partition)? {
                Ok(lane) => {
                    rewind.push((partition, lane.next()));
                    self.lanes.insert(partition, Slot::new(lane));
                }
                Err(reason) => {
                    error!(%reason, "partition {partition} is held still; the others go on");
                    Progress::add(&self.progress.stopped_partitions, 1);
                    self.lanes.remove(&partition);
                    self.session.pause(&[partition])?;
                }
            }
        }
        if !rewind.is_empty() {
            self.session.rewind(&rewind)?;
        }
        Ok(())
    }

    /// The lane of `partition` as the last commit left it.
    fn restore(&self, partition: Partition) -> Result<Result<Lane, LaneError>, WorkerError> {
        let window_ms = self.stream.alerts.window.as_millis() as u64;
        let epoch = self.guard.epoch();
        let lane = |b: &Beginning| match (&b.state, b.committed) {
            (None, None) => Ok(Lane::new(epoch, partition, b.oldest, window_ms)),
            (None, Some(committed)) => Err(LaneError::Missing { partition, committed }),
            (Some(state), committed) => {
                let committed = committed.unwrap_or(b.oldest);
                Lane::restore(state, epoch, partition, committed, window_ms)
            }
        };
        let place = (self.stream.topics.state.as_str(), partition.0, LANE_KEY);
        let beginning = self.session.beginning(partition, place, |b| lane(b).is_ok())?;
        Ok(lane(&beginning))
    }
}

/// The consumer group that scores `stream`.
pub fn group(clients: &Clients, stream: &str) -> String {
    format!("{}.{stream}", clients.kafka().group)
}

/// Records until the batch is full, its oldest has waited its budget, or there are no more.
fn gather<'a>(
    reader: &Reader<'a>,
    stream: &Stream,
    lanes: &BTreeMap<Partition, Slot>,
    wait: Duration,
) -> Result<Vec<BorrowedMessage<'a>>, SessionError> {
    let mut messages = Vec::new();
    let (mut bytes, mut first) = (0, None);
    while messages.len() < stream.rows_max && bytes < BATCH_BYTES_MAX && !reader.has_news() {
        let timeout = if messages.is_empty() { wait } else { Duration::ZERO };
        let Some(message) = reader.poll(timeout)? else { break };
        // A record fetched before a rewind, or of a partition that is not ours any more.
        let lane = lanes.get(&Partition(message.partition())).map(|slot| &slot.lane);
        let expected = lane.is_some_and(|lane| message.offset() >= lane.next().0);
        if expected {
            bytes += message.payload_len();
            messages.push(message);
        }
        if first.get_or_insert_with(Instant::now).elapsed() >= stream.linger {
            break;
        }
    }
    Ok(messages)
}

fn input<'a>(message: &'a BorrowedMessage<'_>) -> Input<'a> {
    Input {
        position: Position {
            partition: Partition(message.partition()),
            offset: Offset(message.offset()),
        },
        content_type: message.headers().and_then(content_type),
        value: message.payload(),
    }
}

fn timestamp(message: &BorrowedMessage<'_>) -> Timestamp {
    Timestamp(message.timestamp().to_millis().unwrap_or(-1))
}

/// Puts one record into the transaction: its own key, partition number, timestamp and headers,
/// then ours.
fn emit(
    stream: &Stream,
    batch: &Batch,
    message: &BorrowedMessage<'_>,
    source: Position,
    outcome: &Outcome,
    transactions: &mut Transactions,
) -> Result<(), TransactionError> {
    let mut headers = message.headers().map_or_else(OwnedHeaders::new, |headers| headers.detach());
    if let (Route::DeadLetter, Err(fault)) = (outcome.route, &outcome.judged) {
        for (key, value) in connect_headers(&stream.input, source, &stream.name, fault) {
            headers = headers.insert(Header { key, value: Some(value.as_bytes()) });
        }
    }
    let trace = &batch.traces()[outcome.trace.clone()];
    headers = headers
        .insert(Header { key: VERDICT, value: Some(outcome.text.as_bytes()) })
        .insert(Header { key: TRACE, value: Some(trace) });
    let topics = &stream.topics;
    transactions.send(Output {
        topic: match outcome.route {
            Route::Sanitized => &topics.sanitized,
            Route::Quarantine => &topics.quarantine,
            Route::DeadLetter => &topics.dead_letter,
        },
        partition: Some(source.partition.0),
        key: message.key(),
        value: match &outcome.corrected {
            Some(range) => Some(&batch.corrected()[range.clone()]),
            None => message.payload(),
        },
        timestamp_ms: message.timestamp().to_millis(),
        headers: Some(headers),
    })
}
