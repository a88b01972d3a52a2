//! Looks at the groups and the outputs while all this happens: what only shows in between.
//!
//! I2, nothing is visible above what is committed; I10, no partition stands still with records waiting;
//! and how long it takes after a fault until every partition moves on. A coordinator that has just been
//! started may say for a moment that nothing was ever committed, and one that was killed and started again
//! within its session what was committed long ago; such a look is counted and not believed. That offsets
//! were not *committed* in another order, the log says in which Kafka keeps them (`offsets.rs`).

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// A partition may stand still so long after the last fault and its last step.
const STILL_MAX: Duration = Duration::from_secs(30);
/// And so long whatever happens.
const STILL_MAX_EVER: Duration = Duration::from_secs(120);
const EVERY: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(4);
/// Looks without an answer after which new clients look.
const SILENT: u32 = 10;

/// Watches one stream until it is told to stop.
pub struct Observer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Seen>,
    stop: AtomicBool,
}

/// What was seen so far.
#[derive(Default)]
pub struct Seen {
    partitions: BTreeMap<i32, Partition>,
    faults: Vec<Fault>,
    last_fault: Option<Instant>,
    /// From each fault to the first newly committed offset of every partition.
    pub recoveries: Vec<(String, Duration)>,
    pub samples: u64,
    /// Looks at which a partition had no offset that had one before.
    pub forgotten: u64,
    /// Partitions, at any look, that had an older offset than before.
    pub told_older: u64,
    pub visible_checks: u64,
    pub above_committed: Vec<String>,
    pub idle: Vec<String>,
}

struct Partition {
    committed: i64,
    end: i64,
    moved: Instant,
    told_idle: bool,
}

/// A fault from which not every partition has moved on.
struct Fault {
    name: String,
    at: Instant,
    /// What was committed by the first look after it.
    waiting: Option<BTreeMap<i32, i64>>,
}

impl Observer {
    pub fn start(client: ClientConfig, group: &str, input: &str, outputs: &[String]) -> Self {
        let shared = Arc::<Shared>::default();
        let watch = Watch::new(&client, group, input, outputs);
        let mine = shared.clone();
        let thread = thread::spawn(move || watch.run(&mine));
        Self { shared, thread: Some(thread) }
    }

    /// Something was done to the stream just now.
    pub fn fault(&self, name: &str) {
        let mut seen = self.seen();
        let at = Instant::now();
        seen.last_fault = Some(at);
        seen.faults.push(Fault { name: name.to_owned(), at, waiting: None });
    }

    /// Brokers were away, still or slow until now: nothing could move.
    pub fn goes_on(&self) {
        let now = Instant::now();
        let mut seen = self.seen();
        seen.last_fault = Some(now);
        seen.partitions.values_mut().for_each(|partition| partition.moved = now);
    }

    /// Whether every partition has moved on since the last fault.
    pub fn has_recovered(&self) -> bool {
        self.seen().faults.is_empty()
    }

    /// Records not yet committed; `None` until all of it is known.
    pub fn lag(&self) -> Option<i64> {
        let seen = self.seen();
        let lags = seen.partitions.values().map(|p| p.end - p.committed);
        (!seen.partitions.is_empty()).then(|| lags.sum())
    }

    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.shared.seen.lock().expect("no panic while held")
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn consumer(client: &ClientConfig, group: &str, isolation: &str) -> BaseConsumer {
    let mut client = client.clone();
    client.set("group.id", group).set("isolation.level", isolation);
    client.set("enable.auto.commit", "false").set("auto.offset.reset", "earliest");
    client.create().expect("a consumer")
}

struct Watch {
    client: ClientConfig,
    group: String,
    input: String,
    outputs: Vec<String>,
    /// Does not wait for open transactions.
    quick: BaseConsumer,
    /// Waits until what is pending is decided.
    stable: BaseConsumer,
    /// Reads the outputs as a reader downstream does.
    tail: BaseConsumer,
    tailed: BTreeSet<(String, i32)>,
    /// Partitions that were seen to have an offset.
    known: RefCell<BTreeSet<i32>>,
    forgotten: Cell<u64>,
    /// Looks in a row that had no answer.
    silent: u32,
    /// The highest source offset that was visible, per input partition.
    visible: BTreeMap<i32, i64>,
}

impl Watch {
    fn new(client: &ClientConfig, group: &str, input: &str, outputs: &[String]) -> Self {
        let consumer = |isolation| consumer(client, group, isolation);
        Self {
            client: client.clone(),
            group: group.to_owned(),
            input: input.to_owned(),
            outputs: outputs.to_vec(),
            quick: consumer("read_uncommitted"),
            stable: consumer("read_committed"),
            tail: consumer("read_committed"),
            tailed: BTreeSet::new(),
            known: RefCell::default(),
            forgotten: Cell::new(0),
            silent: 0,
            visible: BTreeMap::new(),
        }
    }

    /// A client that forgot all brokers asks nobody again. Such a client may never be gone either.
    fn ask_by_new_clients(&mut self) {
        for (client, isolation) in
            [(&mut self.quick, "read_uncommitted"), (&mut self.stable, "read_committed")]
        {
            let new = consumer(&self.client, &self.group, isolation);
            let old = std::mem::replace(client, new);
            thread::spawn(move || drop(old));
        }
    }

    fn run(mut self, shared: &Shared) {
        let mut turn = 0_u64;
        while !shared.stop.load(Ordering::Relaxed) {
            let began = Instant::now();
            if turn.is_multiple_of(10) {
                self.tail_all();
            }
            self.drain_tail();
            if turn.is_multiple_of(5)
                && let Some((committed, visible)) = self.visible_and_committed()
            {
                shared.seen.lock().expect("no panic while held").compare(&committed, &visible);
            }
            let looked = Instant::now();
            if let Some(committed) = self.committed(&self.quick) {
                let ends = self.ends(committed.keys());
                let mut seen = shared.seen.lock().expect("no panic while held");
                seen.note(looked, &committed, &ends);
                seen.forgotten = self.forgotten.get();
                self.silent = 0;
            } else {
                self.silent += 1;
                if self.silent.is_multiple_of(SILENT) {
                    self.ask_by_new_clients();
                }
            }
            turn += 1;
            thread::sleep(EVERY.saturating_sub(began.elapsed()));
        }
    }

    fn partitions(&self, topic: &str) -> Vec<i32> {
        let metadata = self.quick.fetch_metadata(Some(topic), TIMEOUT);
        let ids = metadata.iter().flat_map(|m| m.topics()).flat_map(|topic| topic.partitions());
        ids.map(rdkafka::metadata::MetadataPartition::id).collect()
    }

    fn committed(&self, by: &BaseConsumer) -> Option<BTreeMap<i32, i64>> {
        let mut list = TopicPartitionList::new();
        for partition in self.partitions(&self.input) {
            list.add_partition(&self.input, partition);
        }
        let found = by.committed_offsets(list, TIMEOUT).ok()?;
        let elements = found.elements();
        if elements.is_empty() || elements.iter().any(|e| e.error().is_err()) {
            return None;
        }
        let mut known = self.known.borrow_mut();
        let mut committed = BTreeMap::new();
        for element in &elements {
            let partition = element.partition();
            let offset = match element.offset() {
                Offset::Offset(offset) => {
                    known.insert(partition);
                    offset
                }
                _ if known.contains(&partition) => {
                    self.forgotten.set(self.forgotten.get() + 1);
                    return None;
                }
                _ => 0,
            };
            committed.insert(partition, offset);
        }
        Some(committed)
    }

    fn ends<'a>(&self, partitions: impl Iterator<Item = &'a i32>) -> BTreeMap<i32, i64> {
        let end =
            |&p: &i32| Some((p, self.quick.fetch_watermarks(&self.input, p, TIMEOUT).ok()?.1));
        partitions.filter_map(end).collect()
    }

    fn tail_all(&mut self) {
        let mut more = TopicPartitionList::new();
        for topic in self.outputs.clone() {
            for partition in self.partitions(&topic) {
                if self.tailed.insert((topic.clone(), partition)) {
                    let mut element = more.add_partition(&topic, partition);
                    element.set_offset(Offset::Beginning).expect("a beginning");
                }
            }
        }
        if more.count() > 0
            && let Err(error) = self.tail.incremental_assign(&more)
        {
            eprintln!("chaos: {}: cannot follow the outputs: {error}", self.group);
        }
    }

    fn drain_tail(&mut self) {
        let mut empty = 0;
        while empty < 2 {
            let Some(Ok(message)) = self.tail.poll(Duration::from_millis(5)) else {
                empty += 1;
                continue;
            };
            let Some(headers) = message.headers() else { continue };
            // From the end, where ours are: rdkafka panics on a sender's name that is not UTF-8.
            let mut last = (0..headers.count()).rev().take(2).map(|at| headers.get(at));
            let trace = last.find(|header| header.key == "tripline-trace");
            let Some(bytes) = trace.and_then(|header| header.value) else { continue };
            let (Some(p), Some(o)) = (bytes.get(2..6), bytes.get(6..14)) else { continue };
            let partition = i32::from_le_bytes(p.try_into().expect("4 bytes"));
            let offset = i64::from_le_bytes(o.try_into().expect("8 bytes"));
            let highest = self.visible.entry(partition).or_insert(-1);
            *highest = offset.max(*highest);
        }
    }

    /// What was visible, and then what is committed for good: in this order.
    fn visible_and_committed(&self) -> Option<(BTreeMap<i32, i64>, BTreeMap<i32, i64>)> {
        Some((self.committed(&self.stable)?, self.visible.clone()))
    }
}

impl Seen {
    /// I2, the second half.
    fn compare(&mut self, committed: &BTreeMap<i32, i64>, visible: &BTreeMap<i32, i64>) {
        self.visible_checks += 1;
        for (partition, &highest) in visible {
            let known = self.partitions.get(partition).map_or(0, |known| known.committed);
            match committed.get(partition).map(|&committed| committed.max(known)) {
                Some(committed) if highest >= committed => self.above_committed.push(format!(
                    "partition {partition}: offset {highest} is visible, {committed} committed"
                )),
                _ => {}
            }
        }
    }

    fn note(&mut self, looked: Instant, committed: &BTreeMap<i32, i64>, ends: &BTreeMap<i32, i64>) {
        let now = Instant::now();
        self.samples += 1;
        for (&partition, &offset) in committed {
            let known = self.partitions.entry(partition).or_insert(Partition {
                committed: offset,
                end: 0,
                moved: now,
                told_idle: false,
            });
            self.told_older += u64::from(offset < known.committed);
            let offset = offset.max(known.committed);
            if offset != known.committed || known.end == known.committed {
                known.moved = now;
                known.told_idle = false;
            }
            known.committed = offset;
            known.end = ends.get(&partition).copied().unwrap_or(known.end);
            let still = now - known.moved;
            let calm = self.last_fault.is_none_or(|at| now - at > STILL_MAX);
            let idle = still > STILL_MAX && calm || still > STILL_MAX_EVER;
            if idle && !known.told_idle {
                known.told_idle = true;
                let Partition { committed, end, .. } = known;
                let fault = format!("partition {partition}: {committed} of {end} for {still:?}");
                self.idle.push(fault);
            }
        }
        for fault in &mut self.faults {
            match &mut fault.waiting {
                None if looked >= fault.at => fault.waiting = Some(committed.clone()),
                None => {}
                Some(waiting) => {
                    waiting.retain(|partition, before| committed.get(partition) == Some(before));
                }
            }
        }
        let recovered = |fault: &mut Fault| fault.waiting.as_ref().is_some_and(BTreeMap::is_empty);
        for fault in self.faults.extract_if(.., recovered) {
            self.recoveries.push((fault.name, now - fault.at));
        }
    }
}
