//! What goes wrong around a stream, on a real Kafka: partitions that come while it runs, records
//! that a topic does not take, networks that fail, hang or give infinities. Each costs what it must
//! and nothing else.

mod records;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tripline::emit::ReadTrace;

use self::records::{committed, left, once, row, send};
use crate::harness::{Broker, Process, ShowOnPanic, file, path_in, root, wait_until};
use crate::turn::turn;

const STREAM: &str = "rows";
const INPUT: &str = "rows.requests";

/// The shipped bundle for tables of nine numbers, with a network of `tests/onnx/make.py` in it:
/// `sick` gives infinities where a first feature is below −13, `slow` takes a tenth of a second for a row.
fn bundle_with(broker: &Broker, network: &str) -> PathBuf {
    let mut bundle =
        tripline::shell::bundle::read(&root().join("models/shuttle")).expect("a bundle");
    let path = root().join(format!("tests/onnx/{network}.onnx"));
    bundle.networks.insert(tripline::bundle::AUTOENCODER, std::fs::read(path).expect("a network"));
    let dir = path_in(broker, network);
    tripline::shell::bundle::write(&dir, &bundle.into_files()).expect("a place to write");
    dir
}

fn config(broker: &Broker, kafka: &str, stream: &str) -> String {
    let text = format!(
        r#"
instance = "test-0"

[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
transaction_timeout_ms = 5000
{kafka}

[[stream]]
name = "{STREAM}"
input = "{INPUT}"
codec = "f32-le"
mode = "enforce"
{stream}
"#,
        brokers = broker.address(),
    );
    let path = file(broker, "tripline.toml", &text);
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn shuttle() -> String {
    format!("bundle = \"{}\"", root().join("models/shuttle").display())
}

fn tripline(args: &[&str]) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tripline")).args(args).output().expect("tripline runs");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

fn add_partitions(broker: &Broker, topic: &str, count: usize) {
    let admin: AdminClient<DefaultClientContext> = broker.client().create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let more = [NewPartitions::new(topic, count)];
    let answers = runtime.block_on(admin.create_partitions(&more, &AdminOptions::new()));
    answers.expect("an answer").into_iter().for_each(|answer| drop(answer.expect("added")));
}

#[test]
fn partitions_added_while_it_runs_are_worked_on_as_soon_as_something_can_leave() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(INPUT, 1, &[]);
    let config = config(
        &broker,
        "properties = { \"topic.metadata.refresh.interval.ms\" = 1000 }",
        &shuttle(),
    );
    tripline(&["topics", "-c", &config, "--apply"]);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", &config], &log);
    send(&broker, 0, (0..10).map(|_| (row(45.0), 1)));
    committed(&broker, 1, 10);

    // The input first: its new partition waits, and the old one does not.
    add_partitions(&broker, INPUT, 2);
    send(&broker, 1, (0..10).map(|_| (row(45.0), 1)));
    wait_until("a clear error", Duration::from_secs(60), || {
        let log = std::fs::read_to_string(&log).expect("a log");
        log.contains("partition 1 is paused")
            && log.contains("an output topic has only 1 partitions")
            && log.contains("`tripline topics --apply`")
    });
    send(&broker, 0, (0..10).map(|_| (row(45.0), 1)));
    committed(&broker, 2, 20);

    // The outputs follow: it goes on without being asked.
    tripline(&["topics", "-c", &config, "--apply"]);
    committed(&broker, 2, 30);
    assert!(guard.terminate(Duration::from_secs(20)).success());
    let left = left(&broker, 2);
    assert_eq!(once(&left).len(), 30);
}

#[test]
fn a_record_that_its_topic_does_not_take_leaves_as_a_dead_letter_or_a_pointer_to_it() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(INPUT, 1, &[("max.message.bytes", "4000000")]);
    let config = config(&broker, "", &shuttle());
    tripline(&["topics", "-c", &config, "--apply"]);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    // Sanitized takes a megabyte. One record is larger; its neighbours in the batch are not.
    let mut records: Vec<(Vec<u8>, usize)> = (0..20).map(|_| (row(45.0), 10)).collect();
    records[7].1 = 1_200_000;
    // No number at all, and too large for the dead-letter topic too.
    records[13] = (vec![255; 36], 2_000_000);
    send(&broker, 0, records.clone());
    let mut guard = Process::tripline(&["run", "-c", &config], &log);
    committed(&broker, 1, 20);
    assert!(guard.terminate(Duration::from_secs(20)).success());

    let left = left(&broker, 1);
    let once = once(&left);
    assert_eq!(once.len(), 20);
    for (at, (topic, verdict)) in &once {
        let expected = match at.1 {
            7 => ("dead-letter", "dead-letter:undeliverable"),
            13 => ("dead-letter", "dead-letter:not-finite"),
            _ => ("sanitized", "pass"),
        };
        assert_eq!((*topic, *verdict), expected, "{at:?}");
    }
    for at in [7, 13] {
        let (_, _, value) = &left[&(0, at)][0];
        let pointer: serde_json::Value =
            serde_json::from_slice(value.as_ref().expect("a pointer")).expect("JSON");
        let own = &records[at as usize].0;
        let digest = tripline::bundle::Digest::of(own).to_string();
        let place = serde_json::json!({
            "topic": INPUT, "partition": 0, "offset": at, "bytes": own.len(), "sha256": digest,
        });
        assert_eq!(pointer, place);
    }
}

/// Records whose timestamps the reader's topic refuses, among honest ones; one has no key either, and the
/// dead-letter topic refuses that.
fn refused_timestamps(delivery: &str) {
    const HOUR_MS: i64 = 3_600_000;
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(INPUT, 2, &[("message.timestamp.after.max.ms", "9223372036854775807")]);
    let hour = HOUR_MS.to_string();
    broker.create_topic("rows.sanitized", 2, &[("message.timestamp.before.max.ms", &hour)]);
    broker.create_topic("rows.dead-letter", 2, &[("cleanup.policy", "compact")]);
    let config = config(&broker, &format!("delivery = \"{delivery}\""), &shuttle());
    tripline(&["topics", "-c", &config, "--apply"]);
    let checked = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["check", "-c", &config, "--connect"])
        .output()
        .expect("tripline runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(78), "{said}");
    for why in ["rows.sanitized refuses records whose timestamp is more than 1 h old", "=compact"] {
        assert!(said.contains(why), "{said}");
    }

    let producer: BaseProducer = broker.client().create().expect("a producer");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later");
    let now = now.as_millis() as i64;
    let value = row(45.0);
    let stamp = |at: i64| match at {
        7 => 4_102_444_800_000,
        13 | 20..30 => now - 2 * HOUR_MS,
        _ => now,
    };
    for (partition, at) in [0, 1].into_iter().flat_map(|p| (0..40).map(move |at| (p, at))) {
        let record = BaseRecord::to(INPUT).partition(partition).payload(&value);
        let record = record.timestamp(if partition == 0 { stamp(at) } else { now });
        let record = if at == 13 { record } else { record.key("k") };
        producer.send(record).map_err(|(error, _)| error).expect("room");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", &config], &log);
    committed(&broker, 2, 80);
    assert!(guard.terminate(Duration::from_secs(20)).success());

    let left = left(&broker, 2);
    // Once, whatever the delivery: nothing failed but what was refused.
    let once = once(&left);
    assert_eq!(once.len(), 80);
    for (&(partition, at), &way) in &once {
        let expected = match stamp(at) == now || partition == 1 {
            true => ("sanitized", "pass"),
            false => ("dead-letter", "dead-letter:refused-timestamp"),
        };
        assert_eq!(way, expected, "{partition}/{at}");
        let (_, _, sent) = &left[&(partition, at)][0];
        let sent = sent.as_deref().expect("a value");
        let pointer = (partition, at) == (0, 13);
        assert_eq!(sent == value, !pointer, "{partition}/{at}");
    }
    let log = std::fs::read_to_string(&log).expect("a log");
    let told = log.matches("a topic does not take a record").count();
    assert!((1..=3).contains(&told), "{told} lines");
}

#[test]
fn what_a_topic_refuses_leaves_as_a_dead_letter_and_all_else_once_exactly_once() {
    refused_timestamps("exactly_once");
}

#[test]
fn what_a_topic_refuses_leaves_as_a_dead_letter_and_all_else_once_at_least_once() {
    refused_timestamps("at_least_once");
}

/// Twenty clean rows in each of three partitions; one of them, in the middle one, makes the network
/// `sick`.
fn with_one(broker: &Broker, sick: f32) {
    for partition in 0..3 {
        let first = |i| if (partition, i) == (1, 11) { sick } else { 45.0 };
        send(broker, partition, (0..20).map(|i| (row(first(i)), 1)));
    }
}

fn guard_failure(
    (policy, network, more): (&str, &str, &str),
    sick: f32,
    after: impl FnOnce(&Broker, &str),
) {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(INPUT, 3, &[]);
    let stream = format!(
        "bundle = \"{}\"\non_guard_failure = \"{policy}\"\n{more}",
        bundle_with(&broker, network).display()
    );
    let config = config(&broker, "", &stream);
    tripline(&["topics", "-c", &config, "--apply"]);
    with_one(&broker, sick);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", &config], &log);
    after(&broker, log.to_str().expect("UTF-8"));
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

/// A record of which a network makes infinities is held back, and no other is, whatever the policy.
fn held_back_alone(policy: &str) {
    guard_failure((policy, "sick", ""), -13.5, |broker, log| {
        committed(broker, 3, 60);
        let left = left(broker, 3);
        let once = once(&left);
        assert_eq!(once.len(), 60);
        let odd = once.into_iter().filter(|(_, way)| *way != ("sanitized", "pass"));
        let odd: Vec<_> = odd.collect();
        assert_eq!(odd, [((1, 11), ("quarantine", "quarantine:unscorable"))]);
        let log = std::fs::read_to_string(log).expect("a log");
        assert!(!log.contains("is paused"), "{log}");
    });
}

#[test]
fn a_record_of_which_a_network_makes_infinities_does_not_pass_if_open() {
    held_back_alone("open");
}

#[test]
fn a_record_of_which_a_network_makes_infinities_holds_no_partition_if_closed() {
    held_back_alone("closed");
}

/// Batches that no network of a tenth of a second a row comes back from in time.
const IMPATIENT: &str = "guard_timeout_ms = 20\nrows_max = 4";

#[test]
fn a_network_that_does_not_come_back_is_ended_and_its_records_pass_unscored_if_open() {
    guard_failure(("open", "slow", IMPATIENT), 45.0, |broker, _| {
        committed(broker, 3, 60);
        let left = left(broker, 3);
        let once = once(&left);
        assert_eq!(once.len(), 60);
        assert!(once.values().all(|way| *way == ("sanitized", "unscored")), "{once:?}");
    });
}

#[test]
fn a_network_that_does_not_come_back_holds_its_records_and_the_process_goes_on_if_closed() {
    guard_failure(("closed", "slow", IMPATIENT), 45.0, |broker, log| {
        wait_until("a clear error", Duration::from_secs(30), || {
            let log = std::fs::read_to_string(log).expect("a log");
            log.contains("did not come back from a batch of") && log.contains("within 20ms")
        });
        assert!(once(&left(broker, 3)).is_empty());
    });
}

#[test]
fn at_least_once_loses_nothing_when_killed_and_offsets_follow_what_was_delivered() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(INPUT, 3, &[]);
    let config = config(&broker, "delivery = \"at_least_once\"", &shuttle());
    tripline(&["topics", "-c", &config, "--apply"]);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let run = || Process::tripline(&["run", "-c", &config], &log);
    let group = format!("tripline.{STREAM}");
    let mut guard = run();
    for part in 1..=4 {
        for partition in 0..3 {
            send(&broker, partition, (0..4000).map(|_| (row(45.0), 1)));
        }
        wait_until("progress before a kill", Duration::from_secs(60), || {
            broker.committed_and_end(&group, INPUT, 3).0 > 12_000 * (part - 1)
        });
        guard.kill();
        guard = run();
    }
    committed(&broker, 3, 48_000);
    assert!(guard.terminate(Duration::from_secs(20)).success());
    let left = left(&broker, 3);
    assert_eq!(left.len(), 48_000, "every record left");
    let twice = left.values().filter(|ways| ways.len() > 1).count();
    println!("{twice} of 48000 left more than once");
    for ways in left.values() {
        assert!(ways.iter().all(|way| way == &ways[0]), "each time the same: {ways:?}");
    }
}
