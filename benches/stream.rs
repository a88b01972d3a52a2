//! Records per CPU-second of `tripline run` on a real Kafka.
//!
//! Beside it stands rdkafka's pass-through in the same run: the same clients with the same settings
//! (`shell::kafka::Session`), which poll a record, copy its headers, produce it and commit every 100 ms,
//! offsets in the transaction. Add the bare networks on the same rows, and that is the ceiling: what
//! reading, scoring and writing a record costs before anything of ours. The rounds alternate, so
//! that a busy neighbour meets both; the table shows medians.
//!
//! CPU is the user and system time of the measured process alone: the broker's is not in it. It is
//! counted from the moment the process has its partitions, so that loading a bundle, which happens
//! once, does not look like the price of a record. It cannot see what the clients make the broker do,
//! nor a network between the two.
//!
//! `cargo bench --profile dev --bench stream`; needs `scripts/setup test`.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures")]

#[path = "../tests/harness/mod.rs"]
mod harness;
#[path = "stream/commits.rs"]
mod commits;
#[path = "stream/pass_through.rs"]
mod pass_through;
mod shipped;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use commits::{commit_ms, commits};
use harness::{Broker, Process, ShowOnPanic, path_in};
use pass_through::pass_through;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset as NativeOffset, TopicPartitionList};
use shipped::{EVERY_COLUMN, PIXELS};
use tripline::deliver::Values;
use tripline::model::{Filled, Networks};

const INPUT: &str = "images";
const PARTITIONS: i32 = 4;
/// CPU time is told in ticks of 10 ms; the shortest round, a pass-through, has some 30 of them.
const RECORDS: i64 = 40_000;
const ROUNDS: usize = 5;
/// No round begins later than this: the whole then stays below four minutes on a busy machine too.
const LAST_START: Duration = Duration::from_secs(150);
const COMMIT_INTERVAL: Duration = Duration::from_millis(100);
/// How long one round may take: three times what the slowest takes on a machine of its own.
const PATIENCE: Duration = Duration::from_secs(40);
/// How this program calls itself to be measured.
const PASS_THROUGH: &str = "pass-through";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, brokers, name] = &arguments[..]
        && first == PASS_THROUGH
    {
        return pass_through(brokers, name);
    }
    // `cargo bench` says `--bench`, and may name what to run; `cargo test --benches` does neither.
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    if is_bench && wanted.is_none_or(|name| "stream".contains(name.as_str())) {
        measure();
    }
    Ok(())
}

fn measure() {
    let started = Instant::now();
    let images = shipped::images();
    let mut networks = shipped::networks(&shipped::bundle());
    let rows = shipped::rows(&images);
    let broker = Broker::start_large();
    broker.create_topic(INPUT, PARTITIONS, &[]);
    preload(&broker, &images);
    // A build in the meantime must not change what is measured.
    let tripline = path_in(&broker, "tripline");
    std::fs::copy(env!("CARGO_BIN_EXE_tripline"), &tripline).expect("a copy");

    let (mut bare, mut through) = (vec![], vec![]);
    let (mut protected, mut at_least_once, mut clients) = (vec![], vec![], vec![]);
    for round in (1..=ROUNDS).take_while(|_| started.elapsed() < LAST_START) {
        bare.push(networks_alone(&mut networks, &rows));
        through.push(round_of_pass_through(&broker, round));
        let run = |delivery, extra| round_of_tripline(&broker, &tripline, round, delivery, extra);
        protected.push(run("exactly_once", ("", "")));
        at_least_once.push(run("at_least_once", ("", "")));
        clients.push(run("exactly_once", ("clients-", CLIENTS)));
        println!(
            "round {round} of {ROUNDS}, CPU µs per record: networks {:.1}, {PASS_THROUGH} {:.1}, \
             tripline {:.1}, at least once {:.1}, with clients {:.1}",
            bare[round - 1],
            through[round - 1].cpu_us,
            protected[round - 1].cpu_us,
            at_least_once[round - 1].cpu_us,
            clients[round - 1].cpu_us,
        );
    }
    report(&bare, &through, &protected, [&at_least_once, &clients]);
}

/// What one round of one process showed.
struct Round {
    records_per_second: f64,
    /// Per record, from the first assignment on.
    cpu_us: f64,
    /// Spent before the first assignment.
    start_cpu_seconds: f64,
    /// How long commits took, offsets included.
    commits: Values,
}

fn report(bare: &[f64], through: &[Round], protected: &[Round], others: [&[Round]; 2]) {
    println!(
        "\n{RECORDS} records of {PIXELS} bytes, {PARTITIONS} partitions, medians of {} rounds\n\n\
         {:<14}{:>10}{:>15}{:>14}{:>16}{:>22}{:>13}",
        bare.len(),
        "",
        "records/s",
        "per CPU-second",
        "CPU µs/record",
        "lowest-highest",
        "commit ms 50/99/99.9 %",
        "start CPU s",
    );
    let row = |name: &str, cpu_us: Vec<f64>, rounds: &[Round]| {
        let lowest = cpu_us.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = cpu_us.iter().copied().fold(0.0, f64::max);
        let range = format!("{lowest:.1}-{highest:.1}");
        let cpu_us = median(cpu_us);
        let of = |what: fn(&Round) -> f64, digits: usize| match rounds {
            [] => String::new(),
            rounds => format!("{:.digits$}", median(rounds.iter().map(what).collect())),
        };
        println!(
            "{name:<14}{:>10}{:>15.0}{cpu_us:>14.1}{range:>16}{:>22}{:>13}",
            of(|round| round.records_per_second, 0),
            1e6 / cpu_us,
            commit_ms(rounds.iter().map(|round| &round.commits)),
            of(|round| round.start_cpu_seconds, 2),
        );
        cpu_us
    };
    let cpu_us = |rounds: &[Round]| rounds.iter().map(|round| round.cpu_us).collect();
    let networks = row("networks", bare.to_vec(), &[]);
    let through = row(PASS_THROUGH, cpu_us(through), through);
    let protected = row("exactly once", cpu_us(protected), protected);
    let [_, with_clients] = ["at least once", "with clients"]
        .into_iter()
        .zip(others)
        .map(|(name, rounds)| row(name, cpu_us(rounds), rounds))
        .collect::<Vec<_>>()[..]
    else {
        unreachable!("two were measured")
    };
    let ceiling = networks + through;
    println!(
        "\nceiling: networks and {PASS_THROUGH}, {ceiling:.1} CPU µs per record, {:.0} records per \
         CPU-second; tripline run (exactly once) spends {:.2} times that",
        1e6 / ceiling,
        protected / ceiling,
    );
    println!("with clients: {:.2} of the records per CPU-second without", protected / with_clients);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// The input: real images in turn, each with a key and the header that says how to read it.
fn preload(broker: &Broker, images: &[u8]) {
    let mut config = broker.client();
    config.set("linger.ms", "20");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    for (i, image) in (0..RECORDS).zip(images.chunks_exact(PIXELS).cycle()) {
        // So many clients come again and again.
        let key = (i % 5_000).to_be_bytes();
        let content_type = Header { key: "content-type", value: Some("application/x-u8") };
        let mut record = BaseRecord::to(INPUT)
            .partition(i as i32 % PARTITIONS)
            .key(&key[..])
            .payload(image)
            .headers(OwnedHeaders::new().insert(content_type));
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "producing the input");
            record = back;
            sleep(Duration::from_millis(5));
        }
    }
    producer.flush(PATIENCE).expect("the input is written");
    let (_, end) = broker.committed_and_end("nobody", INPUT, PARTITIONS);
    assert_eq!(end, RECORDS, "records in the input topic");
}

/// CPU µs per row of the bare networks, 256 rows at a time.
fn networks_alone(networks: &mut Networks, rows: &[f32]) -> f64 {
    const BATCH: usize = 256;
    let mut filled = Filled::default();
    let mut batches = rows.chunks_exact(BATCH * PIXELS).cycle();
    let (started, before, mut done) = (Instant::now(), cpu_seconds("self"), 0);
    while started.elapsed() < Duration::from_secs(3) {
        let x = batches.next().expect("there is always another");
        networks.fill(EVERY_COLUMN, x, &mut filled).expect("they run");
        done += BATCH;
    }
    (cpu_seconds("self") - before) * 1e6 / done as f64
}

fn round_of_pass_through(broker: &Broker, round: usize) -> Round {
    let name = format!("{PASS_THROUGH}-{round}");
    broker.create_topic(&name, PARTITIONS, &[]);
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([PASS_THROUGH, &broker.address(), &name]).stdin(Stdio::piped());
    let (mut process, round) = watch(broker, command, &format!("bench.{name}"), &name);
    // It waits for the end of its input, which `wait` closes.
    let status = process.child.wait().expect("its end");
    assert!(status.success(), "{name}: {status}");
    round
}

/// A stream whose clients are watched, by the record's key. The bundle has no fingerprints: marks other than `matched` are on.
const CLIENTS: &str = r#"
[stream.clients]
enabled = true
[stream.clients.id]
key = true
[[stream.clients.key]]
name = "pseudonyms"
from = "2026-01-01T00:00:00Z"
[[key]]
name = "pseudonyms"
jwk = { file = "pseudonyms.jwk" }
"#;

fn round_of_tripline(
    broker: &Broker,
    tripline: &Path,
    round: usize,
    delivery: &str,
    (kind, extra): (&str, &str),
) -> Round {
    let name = format!("{kind}{}-{round}", delivery.replace('_', "-"));
    let jwk = r#"{"kty":"oct","k":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}"#;
    harness::file(broker, "pseudonyms.jwk", jwk);
    let text = format!(
        r#"
instance = "bench-{name}"

[kafka]
brokers = "{brokers}"
group = "bench"
commit_interval_ms = {commit_interval_ms}
delivery = "{delivery}"

[admin]
listen = "127.0.0.1:{admin}"

[[stream]]
name = "{name}"
input = "{INPUT}"
bundle = "{bundle}"
codec = "u8"
mode = "enforce"
on_flagged = "quarantine"

[stream.alerts]
topic = "{name}.alerts"
{extra}"#,
        brokers = broker.address(),
        commit_interval_ms = COMMIT_INTERVAL.as_millis(),
        admin = harness::free_port(),
        bundle = shipped::model().display(),
    );
    let config = harness::file(broker, &format!("{name}.toml"), &text);
    let made = Command::new(tripline)
        .args(["topics", "--apply", "-c"])
        .arg(&config)
        .output()
        .expect("tripline runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut command = Command::new(tripline);
    command.args(["run", "-c"]).arg(&config);
    let (mut process, round) = watch(broker, command, &format!("bench.{name}"), &name);
    let status = process.terminate(PATIENCE);
    assert!(status.success(), "{name}: {status}");
    let refused = broker.committed_and_end("nobody", &format!("{name}.dead-letter"), PARTITIONS).1;
    assert_eq!(refused, 0, "every image is read and scored");
    round
}

/// Starts the command and measures it until its group has committed every record.
fn watch(broker: &Broker, mut command: Command, group: &str, name: &str) -> (Process, Round) {
    let log = path_in(broker, &format!("{name}.log"));
    let _tail = ShowOnPanic(log.clone());
    let file = std::fs::File::create(&log).expect("a log");
    let child = command
        .env("RUST_LOG", "tripline=debug")
        .env("NO_COLOR", "1")
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .expect("it starts");
    let mut process = Process { child };
    let pid = process.child.id().to_string();
    let deadline = Instant::now() + PATIENCE;
    let mut wait = |step: Duration, what: &str| {
        assert!(Instant::now() < deadline, "{name}: {what} took longer than {PATIENCE:?}");
        let ended = process.child.try_wait().expect("a status");
        assert!(ended.is_none(), "{name} ended: {ended:?}");
        sleep(step);
    };

    let said = || std::fs::read_to_string(&log).expect("its log");
    while !said().contains("assigned") {
        wait(Duration::from_millis(2), "to get its partitions");
    }
    let start_cpu_seconds = cpu_seconds(&pid);
    let watcher = Watcher::new(broker, group);
    let mut first = None;
    let (last, cpu_end) = loop {
        let (done, now) = (watcher.committed(), Instant::now());
        if done > 0 {
            first.get_or_insert((done, now));
        }
        if done == RECORDS {
            break (now, cpu_seconds(&pid));
        }
        wait(Duration::from_millis(20), "to commit every record");
    };
    let (done_first, first) = first.expect("something was committed");
    let round = Round {
        records_per_second: (RECORDS - done_first) as f64 / (last - first).as_secs_f64(),
        cpu_us: (cpu_end - start_cpu_seconds) * 1e6 / RECORDS as f64,
        start_cpu_seconds,
        commits: commits(&said()),
    };
    (process, round)
}

/// Looks at what a group has committed, from outside of it.
struct Watcher {
    consumer: BaseConsumer,
}

impl Watcher {
    fn new(broker: &Broker, group: &str) -> Self {
        let mut client = broker.client();
        // Not to wait for open transactions: a look, not a promise.
        client.set("group.id", group).set("isolation.level", "read_uncommitted");
        Self { consumer: client.create().expect("a consumer") }
    }

    fn committed(&self) -> i64 {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(INPUT, 0, PARTITIONS - 1);
        let Ok(list) = self.consumer.committed_offsets(list, Duration::from_secs(5)) else {
            return 0;
        };
        let offset = |offset| if let NativeOffset::Offset(o) = offset { o } else { 0 };
        list.elements().iter().map(|element| offset(element.offset())).sum()
    }
}

/// User and system time of a process so far, in all its threads: fields 14 and 15 of `stat`, counted
/// behind the name, which may hold anything.
fn cpu_seconds(pid: &str) -> f64 {
    let path: PathBuf = ["/proc", pid, "stat"].iter().collect();
    let stat = std::fs::read_to_string(path).expect("it is running");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks: f64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<f64>().expect("ticks"))
        .sum();
    ticks / ticks_per_second()
}

fn ticks_per_second() -> f64 {
    let output = Command::new("getconf").arg("CLK_TCK").output().expect("getconf runs");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}
