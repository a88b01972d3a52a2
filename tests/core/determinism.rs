//! One recorded stream, however it is cut and whoever works on it: the same verdicts, scores,
//! corrected bytes, evidence and alerts, to the bit.
//!
//! Lanes, batches and monitor are the real ones with the shipped bundle; Kafka is not here. It shows
//! what may differ between two runs: how many workers there are, who has which partition, how
//! batches are cut, when is committed, how the workers' evidence interleaves, who restarts when.

#[path = "../../benches/shipped/mod.rs"]
mod shipped;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shipped::PIXELS;
use tripline::codec::{Config, Fields, Format};
use tripline::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use tripline::model::Networks;
use tripline::monitor::About;
use tripline::monitor::{Frame, Monitor};
use tripline::record::{Offset, OwnedRecord, Partition, Position, Record, Stamp, Timestamp};
use tripline::score::{Batch, Guard, Lane};
use tripline::watch::{
    Flagged, Message, Presence, Tally, Terms, Tick, Times, WindowStart, hypotheses,
};

const POLICY: Policy = Policy {
    mode: Mode::Enforce,
    on_flagged: OnFlagged::Correct,
    on_guard_failure: OnGuardFailure::Closed,
};
const PARTITIONS: i32 = 5;
const WINDOW_MS: u64 = 1000;
const FALSE_PAGE_MS: u64 = 3_600_000;
const KEEP_FIRING_FOR_MS: u64 = 3000;

struct Recorded {
    position: Position,
    record: OwnedRecord,
}

impl Recorded {
    fn record(&self) -> Record<'_> {
        self.record.at(self.position)
    }
}

/// What a record leaves as.
#[derive(Debug, PartialEq)]
struct Left {
    verdict: &'static str,
    /// p, scores and reasons are in it.
    trace: Vec<u8>,
    corrected: Option<Vec<u8>>,
}

/// Everything that leaves, by what it is about.
#[derive(Debug, PartialEq)]
struct Told {
    records: BTreeMap<Position, Left>,
    /// The last word on every window of every partition.
    evidence: BTreeMap<(WindowStart, Partition), Tally>,
    /// The alerts topic, value by value: of a monitor of the merged stream, and of one that scores partitions
    /// one by one.
    alerts: [Vec<String>; 2],
}

/// 1,500 records of a minute: real images in three formats, some with several rows, some broken,
/// timestamps out of order, and an attack from second 20 to 30.
///
/// `hostile` has every fourth record of an attacker's making, who writes any timestamp.
fn recorded(hostile: bool) -> Vec<Recorded> {
    let mut rng = ChaCha8Rng::seed_from_u64(17);
    let mut wild = ChaCha8Rng::seed_from_u64(18);
    let slice = |name: &str| {
        let path = shipped::model().join("slice").join(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let (clean, trigger) = (slice("clean.u8"), slice("trigger.u8"));
    let mut next = [0_i64; PARTITIONS as usize];
    let mut record = |i: i64| {
        let at = i * 40;
        let attacked = (20_000..30_000).contains(&at) && rng.random_bool(0.4);
        let mut image = |attacked: bool| {
            let pool = if attacked { &trigger } else { &clean };
            let which = rng.random_range(0..pool.len() / PIXELS);
            pool[which * PIXELS..][..PIXELS].to_vec()
        };
        let first = image(attacked);
        let more: Vec<u8> = (0..i % 4).flat_map(|_| image(false)).collect();
        let unit = |image: &[u8]| image.iter().map(|&x| f32::from(x) / 255.0).collect::<Vec<_>>();
        let header = |said: &str| (b"content-type".to_vec(), Some(said.into()));
        let (content_type, mut value) = match i % 7 {
            0 => (Some("application/json"), serde_json::to_vec(&unit(&first)).expect("numbers")),
            1 => {
                let bytes = unit(&first).into_iter().flat_map(f32::to_le_bytes).collect();
                (Some("application/x-f32-le"), bytes)
            }
            2 => (Some("application/x-u8"), [more, first].concat()),
            _ => (Some("application/x-u8"), first),
        };
        match rng.random_range(0..60) {
            0 => value.truncate(100),
            1 => value.fill(0xff),
            _ => {}
        }
        let partition = rng.random_range(0..PARTITIONS);
        let offset = &mut next[partition as usize];
        // Offsets have gaps: transaction markers, compaction.
        *offset += rng.random_range(1..3);
        let mut timestamp = at + rng.random_range(0..WINDOW_MS as i64);
        if hostile && wild.random_bool(0.27) {
            let spread = at + wild.random_range(0..3_600_000);
            timestamp = [-1, 0, at + 3_000_000, spread, i64::MAX][wild.random_range(0..5)];
        }
        Recorded {
            position: Position { partition: Partition(partition), offset: Offset(*offset) },
            // Out of order by up to a window, which is what the monitor waits for.
            record: OwnedRecord {
                stamp: Stamp::of_sender(Timestamp(timestamp)),
                key: None,
                headers: content_type.map(header).into_iter().collect(),
                value: (i % 97 != 0).then_some(value),
            },
        }
    };
    (0..1500).map(&mut record).collect()
}

fn guard() -> Guard {
    let fields = Fields::new(vec![String::new()]).ok();
    let reading =
        Config { format: Format::Auto, fields, value_bytes_max: 1 << 17, ..Config::default() };
    Guard::new(&shipped::bundle(), None, POLICY, &reading).expect("a guard")
}

/// What `workers` say about `stream` when chance decides everything that may differ.
fn run(stream: &[Recorded], guard: &Guard, networks: &mut [Networks], seed: u64) -> Told {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let workers = networks.len();
    let owners: Vec<usize> = (0..PARTITIONS).map(|_| rng.random_range(0..workers)).collect();
    let mut told =
        Told { records: BTreeMap::new(), evidence: BTreeMap::new(), alerts: [vec![], vec![]] };
    let said: Vec<Vec<Message>> = thread::scope(|scope| {
        let working = |(worker, networks)| {
            let owners = &owners;
            let own = |record: &&Recorded| owners[record.position.partition.0 as usize] == worker;
            let records: Vec<&Recorded> = stream.iter().filter(own).collect();
            scope.spawn(move || work(records, guard, networks, seed ^ (worker as u64 + 1)))
        };
        let threads: Vec<_> = networks.iter_mut().enumerate().map(working).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("a worker"));
        ended
            .map(|(records, said)| {
                told.records.extend(records);
                said
            })
            .collect()
    });
    for message in said.iter().flatten() {
        if let Message::Evidence(e) = message {
            for window in &e.windows {
                let sum = told.evidence.entry((window.window, e.partition)).or_default();
                sum.add(&window.tally);
            }
        }
    }
    told.alerts = [false, true].map(|apart| monitor(guard, said.clone(), apart, &mut rng));
    told
}

/// One worker: its records in some order that keeps each partition's, cut and committed at random.
fn work(
    records: Vec<&Recorded>,
    guard: &Guard,
    networks: &mut Networks,
    seed: u64,
) -> (Vec<(Position, Left)>, Vec<Message>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut queues: BTreeMap<Partition, Vec<&Recorded>> = BTreeMap::new();
    for record in records.into_iter().rev() {
        queues.entry(record.position.partition).or_default().push(record);
    }
    let fresh = |&p: &Partition| (p, Lane::new(guard.baseline(), p, Offset(0), WINDOW_MS));
    let mut lanes: BTreeMap<Partition, Lane> = queues.keys().map(fresh).collect();
    let (mut batch, mut left, mut said) = (Batch::default(), vec![], vec![]);
    while !queues.is_empty() {
        // Small cuts and large ones alike.
        let size = 1 << rng.random_range(0..9);
        let mut cut = vec![];
        while cut.len() < size && !queues.is_empty() {
            // Some of one partition at a time, as a fetch brings them.
            let at = rng.random_range(0..queues.len());
            let partition = *queues.keys().nth(at).expect("one of them");
            let queue = queues.get_mut(&partition).expect("it is there");
            for _ in 0..rng.random_range(1..40) {
                cut.extend(queue.pop());
            }
            if queue.is_empty() {
                queues.remove(&partition);
            }
        }
        let records: Vec<Record<'_>> = cut.iter().map(|record| record.record()).collect();
        batch.score(guard, networks, &records).expect("it scores");
        for (record, outcome) in cut.iter().zip(batch.outcomes()) {
            let lane = lanes.get_mut(&record.position.partition).expect("its lane");
            let cells = &batch.cells()[outcome.cells.clone()];
            lane.count(record.position, record.record.stamp, outcome, cells);
            let trace = batch.traces()[outcome.trace.clone()].to_vec();
            let corrected = outcome.corrected.clone().map(|at| batch.corrected()[at].to_vec());
            left.push((record.position, Left { verdict: outcome.text, trace, corrected }));
        }
        if rng.random_bool(0.5) || queues.is_empty() {
            commit(guard, &mut lanes, &mut said, &mut rng);
        }
    }
    (left, said)
}

/// Evidence of every lane; now and then somebody else goes on from its state.
fn commit(
    guard: &Guard,
    lanes: &mut BTreeMap<Partition, Lane>,
    said: &mut Vec<Message>,
    rng: &mut ChaCha8Rng,
) {
    let mut evidence = vec![];
    for (&partition, lane) in lanes {
        lane.drain_evidence(&mut evidence);
        said.extend(evidence.drain(..).map(Message::Evidence));
        if rng.random_bool(0.2) {
            let bytes = lane.to_bytes();
            let next = lane.next();
            *lane = Lane::restore(&bytes, guard.baseline(), partition, next, WINDOW_MS)
                .expect("it covers what was committed");
        }
    }
}

/// What the monitor makes of it: the workers' messages in some order that keeps each worker's.
fn monitor(
    guard: &Guard,
    said: Vec<Vec<Message>>,
    per_partition: bool,
    rng: &mut ChaCha8Rng,
) -> Vec<String> {
    let budget = guard.decider().budget();
    let about = About {
        stream: "s".into(),
        input: "s.requests".into(),
        sanitized: "s.sanitized".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: guard.baseline().to_owned(),
        bundle: guard.digest().to_string(),
        policy: guard.policy(),
        budget,
        false_page_ms: FALSE_PAGE_MS,
        schema: guard.schema().clone(),
        brokers: "kafka:9092".into(),
        file: "tripline.toml".into(),
    };
    let times = Times {
        window_ms: WINDOW_MS,
        false_page_ms: FALSE_PAGE_MS,
        keep_firing_for_ms: KEEP_FIRING_FOR_MS,
    };
    let (flagged, rows) = guard.decider().clean_flagged();
    let watches = hypotheses(guard.signals(), Flagged { budget, rows, flagged }, |_| true);
    let terms = Terms::new(guard.baseline(), "s", watches, times);
    let (signals, schema) = (guard.signals().clone(), guard.schema().clone());
    let no_data_ms = None;
    let frame = Arc::new(Frame {
        about,
        terms,
        answers: None,
        signals,
        schema,
        no_data_ms,
        per_partition,
        quasi: None,
        lineage: None,
    });
    let fresh = || Monitor::new(frame.clone());

    let presence = |quiet| {
        (0..PARTITIONS).map(move |p| Message::Presence(Presence { partition: Partition(p), quiet }))
    };
    // Workers say what they took over before they read.
    let mut messages: Vec<Message> = presence(false).collect();
    messages.push(Message::Tick(Tick { at: Timestamp(1_000_000) }));
    let mut turns: Vec<usize> =
        said.iter().enumerate().flat_map(|(w, said)| vec![w; said.len()]).collect();
    turns.shuffle(rng);
    let mut said: Vec<_> = said.into_iter().map(Vec::into_iter).collect();
    messages.extend(turns.into_iter().map(|w| said[w].next().expect("as many turns as words")));
    messages.extend(presence(true));

    let (mut monitor, mut alerts) = (fresh(), vec![]);
    for message in messages {
        let message = Message::from_bytes(&message.to_bytes()).expect("our own words");
        monitor.take(monitor.next(), &message, &mut alerts);
        if rng.random_bool(0.02) {
            let restored = fresh().restore(&monitor.to_bytes(), monitor.next());
            monitor = restored.expect("its own state").0;
        }
    }
    let json = |alert| serde_json::to_string(alert).expect("plain data");
    alerts.iter().map(json).collect()
}

/// Runs `stream` in so many ways, each with one to three workers; gives what all of them tell.
fn check(stream: &[Recorded], ways: u64) -> Told {
    let (guard, bundle) = (guard(), shipped::bundle());
    let mut networks: Vec<Networks> = (0..3).map(|_| shipped::networks(&bundle)).collect();
    let expected = run(stream, &guard, &mut networks[..1], 0);
    for way in 1..=ways {
        for workers in 1..=3 {
            let told = run(stream, &guard, &mut networks[..workers], way * 10 + workers as u64);
            let place = format!("way {way}, {workers} workers");
            for (at, said) in &expected.records {
                assert_eq!(told.records.get(at), Some(said), "{place}: {at:?}");
            }
            assert_eq!(told.evidence, expected.evidence, "{place}");
            assert_eq!(told.alerts, expected.alerts, "{place}");
        }
    }
    expected
}

fn counted(told: &Told) -> u64 {
    told.evidence.values().map(|tally| tally.counts.rows + tally.counts.faults).sum()
}

#[test]
fn hostile_stamps_change_neither_that_nor_when_the_attack_is_told() {
    let (honest, hostile) = (check(&recorded(false), 0), check(&recorded(true), 4));
    assert_eq!((counted(&honest), counted(&hostile)), (1500, 1500));
    let firing = |told: &Told| -> Vec<jiff::Timestamp> {
        let attack = |alert: &&String| {
            alert.contains("\"kind\":\"attack\"") && alert.contains("\"status\":\"firing\"")
        };
        let when = |alert: &String| {
            let after = alert.split("\"until\":\"").nth(1).expect("when it was told");
            after.split('"').next().and_then(|at| at.parse().ok()).expect("a time")
        };
        told.alerts[0].iter().filter(attack).map(when).collect()
    };
    let (honest, hostile) = (firing(&honest), firing(&hostile));
    assert_eq!(hostile.len(), honest.len(), "{hostile:?} {honest:?}");
    // A record of the last window before the attack may fall into its first, or the other way round.
    let window = std::time::Duration::from_millis(WINDOW_MS);
    for (hostile, honest) in hostile.iter().zip(&honest) {
        let apart = hostile.duration_since(*honest).unsigned_abs();
        assert!(apart <= window, "{hostile} {honest}");
    }
}

#[test]
fn cuts_workers_commits_and_restarts_change_nothing_that_is_told() {
    let stream = recorded(false);
    let expected = check(&stream, 20);

    // The stream has in it what could differ.
    assert_eq!(expected.records.len(), stream.len());
    for text in ["pass", "correct", "dead-letter:null-value", "dead-letter:wrong-arity"] {
        let some = expected.records.values().any(|left| left.verdict == text);
        assert!(some, "no record is {text}");
    }
    let of = |kind: &str, status: &str| {
        let both = [format!("\"kind\":\"{kind}\""), format!("\"status\":\"{status}\"")];
        let has = |alert: &&String| both.iter().all(|part| alert.contains(part));
        expected.alerts[0].iter().filter(has).count()
    };
    // Unreadable records are an incident of their own, beside the attack: there are some all the time, and a hold
    // of 3 s lets one incident of them end.
    let seen = ["firing", "resolved"].map(|status| (of("attack", status), of("quality", status)));
    assert_eq!(seen, [(1, 2), (1, 1)], "{:#?}", expected.alerts);
    let named = |alert: &String| alert.contains("on partition");
    assert!(expected.alerts[1].iter().any(named), "{:#?}", expected.alerts[1]);
    assert!(!expected.alerts[0].iter().any(named), "{:#?}", expected.alerts[0]);
}
