//! The deployed model behind the stream, and I15: each half of a pair is joined once.
//!
//! The model answers what leaves `sanitized`: some records not at all, some twice, some after the horizon, and some that nobody sent.
//! In the end the topics are held against each other. The join topic has one half of each record that left with an id, and
//! one of each answer. A join reads the whole topic undisturbed: it says of pairs what the evidence says. Each half came to
//! exactly one end.
//!
//! The join that reads again is the product's own: it cannot see an error in matching, only that a crash, a rebalance or a
//! second reader changed what was counted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Header, Headers, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use serde_json::{Value, json};
use tripline::answers::{HalfOf, Identity, Join, JoinValue};
use tripline::deliver::JOIN_KEY;
use tripline::record::{Offset, Timestamp};
use tripline::watch::answers::LATENCY;
use tripline::watch::{JoinCounts, JoinEvidence, JoinWindow, Message};

use crate::programs::{ANSWERS, STREAM};
use crate::replay::{each, first_stream};

/// The header that tells records apart: the load writes it first, a number and a time.
const ID: &str = "chaos";
/// How long an answer waits that comes late: longer than the horizon.
const LATE: Duration = Duration::from_secs(25);
const AGAIN: Duration = Duration::from_secs(1);

/// Answers until it is dropped.
pub struct Model {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Answers that are to be sent, by when and in order.
type Later = BTreeMap<(Instant, u64), (Vec<u8>, i64)>;

impl Model {
    pub fn start(client: &ClientConfig) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (client, mine) = (client.clone(), stop.clone());
        let thread = thread::spawn(move || answer(&client, &mine));
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn answer(client: &ClientConfig, stop: &AtomicBool) {
    let mut reading = client.clone();
    reading.set("group.id", "chaos-model").set("isolation.level", "read_committed");
    reading.set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = reading.create().expect("a consumer");
    consumer.subscribe(&[&format!("{STREAM}.sanitized")]).expect("a subscription");
    let mut writing = client.clone();
    writing.set("enable.idempotence", "true").set("message.timeout.ms", "0").set("linger.ms", "5");
    let producer: ThreadedProducer<DefaultProducerContext> = writing.create().expect("a producer");
    // A record that is read again after a rebalance is not answered again.
    let (mut seen, mut later, mut sent) = (BTreeSet::new(), Later::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(20))
            && let Some(id) = id(&message)
            && seen.insert(id.to_vec())
        {
            for (wait, id, label) in plan(id) {
                sent += 1;
                later.insert((Instant::now() + wait, sent), (id, label));
            }
        }
        while let Some(due) = later.first_entry().filter(|due| due.key().0 <= Instant::now()) {
            let (id, label) = due.remove();
            let body = format!(r#"{{"predictions": [{label}]}}"#);
            let headers = OwnedHeaders::new().insert(Header { key: ID, value: Some(&id) });
            let record = BaseRecord::<(), str>::to(ANSWERS).payload(&body).headers(headers);
            // There is room for 100,000.
            let _ = producer.send(record);
        }
    }
    let _ = producer.flush(Duration::from_secs(60));
    // A client that lost all brokers may never be gone.
    thread::spawn(move || drop((consumer, producer)));
}

/// What is answered to the record of this id, and after how long.
fn plan(id: &[u8]) -> Vec<(Duration, Vec<u8>, i64)> {
    let Some(number) = id.get(..8).map(|raw| i64::from_le_bytes(raw.try_into().expect("8 bytes")))
    else {
        return vec![];
    };
    let label = number % 3;
    let mut answers = match number {
        n if n % 29 == 7 => vec![],
        n if n % 41 == 3 => vec![(LATE, id.to_vec(), label)],
        _ => vec![(Duration::ZERO, id.to_vec(), label)],
    };
    if number % 37 == 5 {
        answers.push((AGAIN, id.to_vec(), label));
    }
    if number % 50 == 11 {
        answers.push((Duration::ZERO, [b"nobody", id].concat(), label));
    }
    answers
}

/// The value of the first header, if it is the one that tells records apart.
fn id<'a>(message: &'a BorrowedMessage<'_>) -> Option<&'a [u8]> {
    let headers = message.headers().filter(|headers| headers.count() > 0)?;
    Some(headers.get(0)).filter(|first| first.key == ID)?.value
}

/// What the topics say of pairs.
pub struct Joined {
    /// Of all windows that were told.
    pub counts: JoinCounts,
    pub halves: usize,
    pub pairs: u64,
    pub waiting: usize,
    /// In words; empty if I15 holds.
    pub differences: Vec<String>,
}

impl Joined {
    pub fn report(&self) -> Value {
        json!({
            "halves": self.halves, "pairs": self.pairs, "waiting": self.waiting, "counts": self.counts,
            "differences": self.differences,
        })
    }
}

/// Holds the topics of the first stream of `config` against each other.
pub fn joined(client: &ClientConfig, config: &Path) -> Result<Joined, String> {
    let (_, stream) = first_stream(config)?;
    let answers = stream.answers.as_ref().ok_or("no answers are read")?;
    let log = read(client, &answers.join_topic)?;
    let mut differences = ledger(client, &answers.identity(), &answers.topic, &log)?;

    let (next, low, bytes) = state(client, &stream.topics.state)?;
    let fresh = Join::new(answers.joining(stream.alerts.window));
    let (mut undisturbed, mut again) = (fresh.clone(), fresh.restore(next, low, &bytes)?);
    let mut out = vec![];
    for (offset, value) in log.iter().filter(|(offset, _)| *offset < next) {
        undisturbed.take(*offset, value)?;
        undisturbed.drain(&mut out);
        if *offset >= low {
            again.take(*offset, value)?;
        }
    }
    let facts = |join: &Join| (join.waiting(), join.clock());
    if facts(&again) != facts(&undisturbed) {
        let said = format!("{:?}, {:?} expected", facts(&again), facts(&undisturbed));
        differences.push(format!("what a restart remembers: {said}"));
    }
    let expected = sum(out.into_iter().filter_map(pairs_of), &undisturbed.to_bytes())?;
    let mut evidence = vec![];
    each(client, &stream.topics.evidence, &mut |message| {
        let said = message.payload().and_then(|value| Message::from_bytes(value).ok());
        evidence.extend(said.and_then(pairs_of));
    })?;
    differences.extend(chain(&evidence));
    let said = sum(evidence.into_iter(), &bytes)?;
    for window in said.keys().chain(expected.keys()).collect::<BTreeSet<_>>() {
        let (said, expected) = (said.get(window), expected.get(window));
        if said != expected {
            differences.push(format!("window {window:?}: {said:?}; expected {expected:?}"));
        }
    }

    let all = said.values().fold(JoinWindow::empty(Timestamp(0)), |mut all, window| {
        all.add(window);
        all
    });
    let pairs = all.cells.slice(LATENCY.start, LATENCY.end).into_iter().map(u64::from).sum();
    let before = log.iter().filter(|(offset, _)| *offset < next);
    let halves: usize = before.map(|(_, value)| halves_of(value).count()).sum();
    let JoinCounts { unanswered, orphan, doubled, late, given_up, .. } = all.counts;
    let waiting = undisturbed.waiting();
    let ended = 2 * pairs + unanswered + orphan + doubled + late + given_up + waiting as u64;
    if ended != halves as u64 {
        differences.push(format!("{halves} halves came to {ended} ends"));
    }
    Ok(Joined { counts: all.counts, halves, pairs, waiting, differences })
}

/// One half of each record that left with an id, and of each answer.
fn ledger(
    client: &ClientConfig,
    identity: &Identity,
    answers: &str,
    log: &[(Offset, Vec<u8>)],
) -> Result<Vec<String>, String> {
    let (mut requests, mut said) = (vec![], vec![]);
    for half in log.iter().flat_map(|(_, value)| halves_of(value)) {
        match half {
            (id, true) => said.push(id),
            (id, false) => requests.push(id),
        }
    }
    let mut differences = vec![];
    for (what, topic, mut halves) in
        [("requests", &*format!("{STREAM}.sanitized"), requests), ("answers", answers, said)]
    {
        let mut records = vec![];
        each(client, topic, &mut |message| {
            records.extend(id(message).and_then(|id| identity.hash(id)));
        })?;
        halves.sort_unstable();
        records.sort_unstable();
        if halves != records {
            let (halves, records) = (halves.len(), records.len());
            differences.push(format!("{halves} halves of {records} {what}, or of others"));
        }
    }
    Ok(differences)
}

/// Messages about pairs follow each other without a gap.
fn chain(evidence: &[JoinEvidence]) -> Vec<String> {
    let gaps = evidence.windows(2).filter(|two| two[1].from != two[0].to);
    let said = |two: &[JoinEvidence]| {
        format!("counts of {}..{}, then of {}..", two[0].from, two[0].to, two[1].from)
    };
    gaps.map(said).collect()
}

fn pairs_of(message: Message) -> Option<JoinEvidence> {
    match message {
        Message::Answers(said) => Some(said),
        _ => None,
    }
}

/// Windows as they were told, with those that `state` holds back.
fn sum(
    told: impl Iterator<Item = JoinEvidence>,
    state: &[u8],
) -> Result<BTreeMap<Timestamp, JoinWindow>, String> {
    let state: Value = serde_json::from_slice(state).map_err(|error| error.to_string())?;
    let held = serde_json::from_value(state["windows"].clone());
    let held: Vec<JoinWindow> = held.map_err(|error| error.to_string())?;
    let mut sums = BTreeMap::new();
    for window in told.flat_map(|said| said.windows).chain(held) {
        let start = window.window;
        sums.entry(start).or_insert_with(|| JoinWindow::empty(start)).add(&window);
    }
    Ok(sums)
}

/// The id of each half, and whether it is an answer's.
fn halves_of(value: &[u8]) -> impl Iterator<Item = (u64, bool)> {
    let halves = match JoinValue::read(value) {
        Ok(JoinValue::Halves(halves)) => Some(halves),
        _ => None,
    };
    halves.into_iter().flatten().map(|half| (half.id, matches!(half.of, HalfOf::Answer { .. })))
}

fn read(client: &ClientConfig, topic: &str) -> Result<Vec<(Offset, Vec<u8>)>, String> {
    let mut all = vec![];
    each(client, topic, &mut |message| {
        all.push((Offset(message.offset()), message.payload().unwrap_or_default().to_vec()));
    })?;
    Ok(all)
}

/// What the join last committed: up to where it read, from where it reads again, and what it knows.
fn state(client: &ClientConfig, topic: &str) -> Result<(Offset, Offset, Vec<u8>), String> {
    let mut last = None;
    each(client, topic, &mut |message| {
        if message.partition() == 0 && message.key() == Some(JOIN_KEY) {
            last = message.payload().map(<[u8]>::to_vec);
        }
    })?;
    let last = last.ok_or("the join has no state")?;
    let line = last.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let head: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let at = |name: &str| head[name].as_i64().map(Offset).ok_or(format!("no {name} in {head}"));
    Ok((at("next")?, at("low")?, last[(line.len() + 1).min(last.len())..].to_vec()))
}
