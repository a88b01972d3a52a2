//! Memory in front of a mountain: ten million small records wait when a guard starts.
//!
//! `cargo bench --profile dev --bench backlog`: it takes some minutes and a gigabyte of disk, and fails if
//! the process ever had more than it declared. It says nothing about large records; those are bounded by
//! bytes, not by number. Needs `scripts/setup test`.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures")]

#[path = "../tests/harness/mod.rs"]
mod harness;

use std::process::Command;
use std::time::{Duration, Instant};

use harness::{Broker, Process, ShowOnPanic, file, path_in, root, wait_until};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

const INPUT: &str = "rows.requests";
const PARTITIONS: i32 = 4;
const RECORDS: i64 = 10_000_000;
/// Long enough for every queue to be full many times over.
const LOOK: Duration = Duration::from_secs(60);

fn fill(broker: &Broker) {
    let mut client = broker.client();
    client.set("compression.type", "lz4").set("linger.ms", "20");
    let producer: ThreadedProducer<DefaultProducerContext> = client.create().expect("a producer");
    let row = [45.0, 0.0, 86.0, 0.0, 44.0, -17.0, 41.0, 42.0, 2.0_f32];
    let value: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
    for i in 0..RECORDS {
        let partition = (i % i64::from(PARTITIONS)) as i32;
        let mut record = BaseRecord::<[u8], [u8]>::to(INPUT).partition(partition).payload(&value);
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full, "only a full queue is waited for");
            std::thread::sleep(Duration::from_millis(1));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(120)).expect("delivered");
}

/// What `tripline check` says the process takes at most, in MiB.
fn declared(config: &str) -> u64 {
    let check = Command::new(env!("CARGO_BIN_EXE_tripline")).args(["check", "-c", config]).output();
    let said = String::from_utf8_lossy(&check.expect("tripline runs").stdout).into_owned();
    let bound = said.split_once("at most ").and_then(|(_, rest)| rest.split_once(" MiB"));
    bound.and_then(|(number, _)| number.parse().ok()).unwrap_or_else(|| panic!("no bound: {said}"))
}

/// The most memory that a process ever had, in MiB.
fn peak(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number").div_ceil(1024)
}

fn main() {
    let broker = Broker::start_large();
    broker.create_topic(INPUT, PARTITIONS, &[]);
    fill(&broker);
    let text = format!(
        "instance = \"test-0\"\n[kafka]\nbrokers = \"{}\"\n[[stream]]\nname = \"rows\"\n\
         input = \"{INPUT}\"\ncodec = \"f32-le\"\nbundle = \"{}\"\n",
        broker.address(),
        root().join("models/shuttle").display(),
    );
    let config = file(&broker, "tripline.toml", &text);
    let config = config.to_str().expect("a path in UTF-8");
    let apply = ["topics", "-c", config, "--apply"];
    let applied = Command::new(env!("CARGO_BIN_EXE_tripline")).args(apply).status();
    assert!(applied.expect("tripline runs").success());
    let bound = declared(config);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let guard = Process::tripline(&["run", "-c", config], &log);
    let committed = || broker.committed_and_end("tripline.rows", INPUT, PARTITIONS);
    wait_until("the first commit", Duration::from_secs(60), || committed().0 > 0);
    let (began, start) = (committed().0, Instant::now());
    std::thread::sleep(LOOK);
    let (done, end) = committed();
    let rate = (done - began) as f64 / start.elapsed().as_secs_f64();
    let peak = peak(guard.child.id());
    println!("{end} records, {done} done ({rate:.0}/s): at most {peak} MiB, {bound} declared");
    assert!(end >= RECORDS && done > began && end - done > RECORDS / 10, "a mountain, and work");
    assert!(peak <= bound, "{peak} MiB, {bound} declared");
}
