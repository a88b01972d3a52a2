//! One thread: its consumer, its producer, its networks, the lanes of its partitions.
//!
//! Gather a batch, take it down the road, put what leaves into the open transaction, commit when
//! it is time. Nothing of a lane is kept anywhere else, so whatever fails, the worker drops what
//! is not committed and begins again where the last commit stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::message::BorrowedMessage;
use tracing::{error, info, warn};

use super::clock;
use super::kafka::{Beginning, Change, Clients, Output, Session, SessionError, TransactionError};
use super::records::{emit, gather, input, timestamp};
use super::registry::Registry;
use crate::config::Stream;
use crate::decide::OnGuardFailure;
use crate::deliver::Progress;
use crate::model::Networks;
use crate::pipeline::{Batch, Guard, GuardFailure, Input, Lane, LaneError, Unscorable};
use crate::record::{Offset, Partition, Position};
use crate::watch::{Message as WatchMessage, Presence};

/// Scores the partitions that its group gives it.
pub struct Worker {
    stream: Arc<Stream>,
    guard: Arc<Guard>,
    registry: Option<Arc<Registry>>,
    networks: Networks,
    session: Session,
    lanes: BTreeMap<Partition, Slot>,
    /// Partitions whose next record cannot be read before the registry answers, and when it is
    /// asked again. Nothing is fetched of them until then.
    waiting: Option<(Instant, BTreeSet<Partition>)>,
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

/// What a worker judges by, and where it learns more.
pub struct Knowledge {
    pub guard: Arc<Guard>,
    pub registry: Option<Arc<Registry>>,
}

/// Why a worker ends.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error(transparent)]
    Guard(#[from] GuardFailure),
}

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
        knowledge: Knowledge,
        networks: Networks,
        number: usize,
        progress: Arc<Progress>,
    ) -> Result<Self, WorkerError> {
        let group = clients.workers(&stream.name);
        let role = format!("{}.worker-{number}", stream.name);
        let session = Session::join(clients, &role, &group, &stream.input)?;
        progress.beat(clock::now());
        Ok(Self {
            stream,
            guard: knowledge.guard,
            registry: knowledge.registry,
            networks,
            session,
            lanes: BTreeMap::new(),
            waiting: None,
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
            self.progress.beat(clock::now());
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
        let count = Progress::get;
        let progress = &self.progress;
        info!(
            records = count(&progress.records),
            sanitized = count(&progress.sanitized),
            quarantined = count(&progress.quarantined),
            dead_lettered = count(&progress.dead_lettered),
            commits = count(&progress.commits),
            mean_commit_ms =
                count(&progress.commit_micros) / 1000 / count(&progress.commits).max(1),
            given_up = count(&progress.failures),
            "drained"
        );
        Ok(())
    }

    /// One batch; says how many records it had.
    fn turn(&mut self) -> Result<usize, WorkerError> {
        self.wake()?;
        let mut stuck = Stuck::default();
        let settled = self.gather_and_settle(&mut stuck)?;
        self.wait(stuck)?;
        Ok(settled)
    }

    /// Gathers records and takes them down the road, but for those that are `stuck`.
    fn gather_and_settle(&mut self, stuck: &mut Stuck) -> Result<usize, WorkerError> {
        let (reader, transactions) = self.session.split();
        let wait = if transactions.is_open() { self.commit_interval / 10 } else { POLL };
        let waiting = self.waiting.as_ref();
        let expected = |at: Position| {
            let waits = waiting.is_some_and(|(_, waiting)| waiting.contains(&at.partition));
            !waits
                && self.lanes.get(&at.partition).is_some_and(|slot| at.offset >= slot.lane.next())
        };
        let mut messages = gather(&reader, &self.stream, expected, wait.min(POLL))?;
        let empty = messages.is_empty();
        if let Some(registry) = &self.registry {
            stuck.find(registry, &self.guard, &mut messages);
        }
        let inputs: Vec<Input<'_>> = messages.iter().map(input).collect();
        self.batch.turn(&self.guard, &mut self.networks, &inputs)?;
        let now = Instant::now();
        if empty {
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

    /// Fetches nothing more of the partitions that are stuck, until it is time to ask again. What
    /// came before their first unreadable record is settled; that one and all behind it are read
    /// again then, in order.
    fn wait(&mut self, stuck: Stuck) -> Result<(), WorkerError> {
        let Stuck { partitions, retry_at: Some(retry_at) } = stuck else { return Ok(()) };
        if partitions.is_empty() {
            return Ok(());
        }
        let list: Vec<Partition> = partitions.iter().copied().collect();
        self.session.pause(&list)?;
        let (until, waiting) = self.waiting.get_or_insert((retry_at, BTreeSet::new()));
        waiting.extend(partitions);
        *until = retry_at.max(*until);
        Ok(())
    }

    /// Reads the waiting partitions again, if it is time.
    fn wake(&mut self) -> Result<(), WorkerError> {
        let due = |(until, _): &mut (Instant, BTreeSet<Partition>)| Instant::now() >= *until;
        let Some((_, waiting)) = self.waiting.take_if(due) else { return Ok(()) };
        let next = |partition| Some((partition, self.lanes.get(&partition)?.lane.next()));
        let rewind: Vec<_> = waiting.into_iter().filter_map(next).collect();
        let partitions: Vec<Partition> = rewind.iter().map(|&(partition, _)| partition).collect();
        self.session.resume(&partitions)?;
        Ok(self.session.rewind(&rewind)?)
    }

    /// Commits outputs, evidence, state and offsets together. Nothing open, nothing done.
    fn commit(&mut self) -> Result<(), WorkerError> {
        if !self.session.has_open_transaction() {
            return Ok(());
        }
        let started = Instant::now();
        let topics = &self.stream.topics;
        let mut evidence = vec![];
        // State and offset of a partition are written together or not at all: a lane that read
        // nothing has neither.
        let moved = |slot: &Slot| slot.lane.next() != slot.committed;
        for (partition, slot) in self.lanes.iter_mut().filter(|(_, slot)| moved(slot)) {
            slot.lane.drain_evidence(&mut evidence);
            for evidence in evidence.drain(..) {
                let value = WatchMessage::Evidence(evidence).to_bytes();
                let key = partition.to_string();
                self.session.send(Output::new(&topics.evidence, 0, key.as_bytes(), &value))?;
            }
            let state = slot.lane.to_bytes();
            self.session.send(Output::new(&topics.state, partition.0, LANE_KEY, &state))?;
        }
        let offsets = self.lanes.iter().filter(|(_, slot)| moved(slot));
        self.session.commit(offsets.map(|(&p, slot)| (p, slot.lane.next())))?;
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
            // Of a partition that waits we do not know whether there is nothing to read.
            let waits = self.waiting.as_ref().is_some_and(|(_, w)| w.contains(&partition));
            let read_out = self.last_empty.is_some_and(|at| at > slot.last_record);
            let quiet = silent && read_out && !waits;
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
                    // Given back whether the commit succeeded or not: the group waits for it, and
                    // nobody tells us twice.
                    let committed = self.commit();
                    info!(?partitions, "handed over");
                    self.forget(&partitions)?;
                    committed?;
                }
                Change::Lost(partitions) => {
                    warn!(?partitions, "lost: somebody else has them, nothing is committed");
                    self.forget(&partitions)?;
                    self.session.recover()?;
                    self.restore_all()?;
                }
            }
        }
        Ok(())
    }

    fn take_over(&mut self, partitions: &[Partition]) -> Result<(), WorkerError> {
        let (mut from, mut held) = (vec![], vec![]);
        for &partition in partitions {
            match self.restore(partition)? {
                Some(lane) => {
                    from.push((partition, lane.next()));
                    self.lanes.insert(partition, Slot::new(lane));
                }
                None => {
                    from.push((partition, Offset(0)));
                    held.push(partition);
                }
            }
        }
        self.session.assign(&from)?;
        self.session.pause(&held)?;
        self.progress.join();
        Ok(())
    }

    fn forget(&mut self, partitions: &[Partition]) -> Result<(), WorkerError> {
        self.lanes.retain(|partition, _| !partitions.contains(partition));
        if let Some((_, waiting)) = &mut self.waiting {
            // Should one come back, it comes back fetched.
            let gone = |partition: &&Partition| waiting.contains(partition);
            let gone: Vec<Partition> = partitions.iter().filter(gone).copied().collect();
            self.session.resume(&gone)?;
            waiting.retain(|partition| !partitions.contains(partition));
        }
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
            // Forgotten by another worker in just this moment; the registry is asked again.
            WorkerError::Guard(GuardFailure { error: Unscorable::Schema(id), .. }) => {
                warn!(%id, "schema gone; beginning again at the last commit");
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
        let (mut rewind, mut held) = (vec![], vec![]);
        for partition in std::mem::take(&mut self.lanes).into_keys() {
            match self.restore(partition)? {
                Some(lane) => {
                    rewind.push((partition, lane.next()));
                    self.lanes.insert(partition, Slot::new(lane));
                }
                None => held.push(partition),
            }
        }
        self.session.pause(&held)?;
        Ok(self.session.rewind(&rewind)?)
    }

    /// The lane of `partition` as the last commit left it; `None` if that cannot be known, and the
    /// partition must be held still.
    fn restore(&self, partition: Partition) -> Result<Option<Lane>, WorkerError> {
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
        match lane(&beginning) {
            Ok(lane) => Ok(Some(lane)),
            Err(reason) => {
                error!(%reason, "partition {partition} is held still; the others go on");
                Progress::add(&self.progress.stopped_partitions, 1);
                Ok(None)
            }
        }
    }
}

/// Partitions whose records cannot be read before the registry answers.
#[derive(Default)]
struct Stuck {
    partitions: BTreeSet<Partition>,
    retry_at: Option<Instant>,
}

impl Stuck {
    /// Asks for the schemas of `messages`. If that fails, and unscored records may not pass, leaves
    /// only those before each partition's first record that cannot be read.
    fn find(
        &mut self,
        registry: &Registry,
        guard: &Guard,
        messages: &mut Vec<BorrowedMessage<'_>>,
    ) {
        let inputs: Vec<Input<'_>> = messages.iter().map(input).collect();
        let Err(unavailable) = registry.supply(guard, &inputs) else { return };
        if guard.policy().on_guard_failure == OnGuardFailure::Open {
            return;
        }
        self.retry_at = Some(unavailable.retry_at);
        for input in inputs {
            if guard.wants(&input).is_some() {
                self.partitions.insert(input.position.partition);
            }
        }
        let mut unreadable = BTreeSet::new();
        messages.retain(|message| {
            let input = input(message);
            let partition = input.position.partition;
            if self.partitions.contains(&partition) && guard.wants(&input).is_some() {
                unreadable.insert(partition);
            }
            !unreadable.contains(&partition)
        });
    }
}
