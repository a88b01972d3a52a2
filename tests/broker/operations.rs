//! What an operator sees and does, on a real Kafka: metrics that move with the records, a partition
//! whose state is poisoned, its reset, a new budget while an incident is open, the monitor's reset.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tripline::emit::ReadTrace;

use crate::harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const INPUT: &str = "rows.requests";
const PARTITIONS: i32 = 3;
const WINDOW_MS: i64 = 1000;
const SOON: Duration = Duration::from_secs(240);

/// Partition and offset of the input.
type Source = (i32, i64);

/// A guard of a stream, as its operator has it: a file, a port and the command line.
struct Site {
    broker: Broker,
    config: String,
    admin: u16,
    log: std::path::PathBuf,
}

impl Site {
    fn new() -> Self {
        let broker = Broker::start();
        broker.create_topic(INPUT, PARTITIONS, &[("message.timestamp.type", "CreateTime")]);
        let log = path_in(&broker, "tripline.log");
        let mut site = Self { config: String::new(), admin: free_port(), log, broker };
        site.configure("");
        assert_eq!(site.tripline(&["topics", "--apply"]).1, Some(0));
        site
    }

    fn configure(&mut self, stream: &str) {
        let text = format!(
            r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
transaction_timeout_ms = 5000
[admin]
listen = "127.0.0.1:{admin}"
[[stream]]
name = "rows"
input = "{INPUT}"
bundle = "{bundle}"
codec = "f32-le"
mode = "enforce"
{stream}
[stream.alerts]
window_ms = {WINDOW_MS}
"#,
            brokers = self.broker.address(),
            admin = self.admin,
            bundle = root().join("models/shuttle").display(),
        );
        let path = file(&self.broker, "tripline.toml", &text);
        self.config = path.to_str().expect("a path in UTF-8").to_owned();
    }

    fn start(&self) -> Process {
        Process::tripline(&["run", "-c", &self.config, "--log", "json"], &self.log)
    }

    /// What a command says, and its exit code.
    fn tripline(&self, args: &[&str]) -> (String, Option<i32>) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        let output = command.args(args).args(["-c", &self.config]).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        (String::from_utf8_lossy(&said).into_owned(), output.status.code())
    }

    /// `tripline state show` of the only stream.
    fn show(&self) -> Value {
        let (said, code) = self.tripline(&["state", "show", "--json"]);
        assert_eq!(code, Some(0), "{said}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
    }

    fn get(&self, path: &str) -> String {
        let mut said = String::new();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.admin)) else { return said };
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let _ = stream.write_all(request.as_bytes());
        let _ = stream.read_to_string(&mut said);
        said
    }

    /// Waits until `/metrics` has all these lines.
    fn wait_for_metrics(&self, lines: &[String]) {
        let mut page = String::new();
        let started = std::time::Instant::now();
        while !lines.iter().all(|line| page.lines().any(|there| there == line)) {
            assert!(started.elapsed() < SOON, "{lines:#?} are not in\n{page}");
            std::thread::sleep(Duration::from_millis(200));
            page = self.get("/metrics");
        }
    }

    fn producer(&self) -> BaseProducer {
        self.broker.client().create().expect("a producer")
    }

    /// Sends values to one partition, with timestamps from `at` on, `per_second` in each second.
    fn send(&self, partition: i32, at: i64, per_second: usize, values: &[Vec<u8>]) {
        let producer = self.producer();
        for (i, value) in values.iter().enumerate() {
            let record = BaseRecord::to(INPUT).partition(partition).key("k").payload(value);
            let timestamp = at + 1000 * (i / per_second) as i64;
            producer.send(record.timestamp(timestamp)).expect("room");
        }
        producer.flush(Duration::from_secs(20)).expect("delivered");
    }

    fn wait_for_commits(&self, records: i64) {
        let done = || self.broker.committed_and_end("tripline.rows", INPUT, PARTITIONS).0;
        wait_until("records to be committed", SOON, || done() == records);
    }

    /// Every committed record of these topics: its value, and by its trace where it came from.
    fn read(&self, topics: &[(&str, i32)]) -> Vec<(Vec<u8>, Option<Source>)> {
        let mut client = self.broker.client();
        client.set("group.id", "reader").set("isolation.level", "read_committed");
        client.set("enable.partition.eof", "true").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        for &(topic, partitions) in topics {
            for partition in 0..partitions {
                let added = list.add_partition_offset(topic, partition, Offset::Beginning);
                added.expect("an offset");
            }
        }
        consumer.assign(&list).expect("assigned");
        let (mut read, mut open) = (vec![], list.count());
        while open > 0 {
            match consumer.poll(Duration::from_secs(20)).expect("a record or an end") {
                Ok(message) => {
                    let trace = message.headers().and_then(|headers| {
                        let trace = headers.iter().find(|h| h.key == "tripline-trace")?.value?;
                        let source = ReadTrace::unpack(trace)?.source;
                        Some((source.partition.0, source.offset.0))
                    });
                    let value = message.payload().unwrap_or_default().to_vec();
                    read.push((value, trace));
                }
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => panic!("{error}"),
            }
        }
        read
    }

    /// What is said of attacks. Unreadable records are an incident of their own, and what is learned in
    /// between pages nobody.
    fn alerts(&self) -> Vec<Value> {
        let alerts = self.read(&[("tripline.alerts", 1)]);
        let alerts = alerts.iter().map(|(value, _)| serde_json::from_slice(value).expect("JSON"));
        let told = |alert: &Value| alert["kind"] == "attack" && alert["status"] != "updated";
        alerts.filter(told).collect()
    }

    /// Twenty seconds of clean rows, then ten with attacks, ending now; waits for the alert.
    fn attack(&self, (clean, attacks): &(Vec<Vec<u8>>, Vec<Vec<u8>>), from: i64) {
        let before = self.alerts().len();
        let attacked = |i: usize| i >= 1000 && i.is_multiple_of(2);
        let row = |i: usize| match attacked(i) {
            true => attacks[i % attacks.len()].clone(),
            false => clean[i % clean.len()].clone(),
        };
        self.send(0, from, 50, &(0..1500).map(row).collect::<Vec<_>>());
        wait_until("an alert", SOON, || self.alerts().len() > before);
        let alerts = self.alerts();
        assert_eq!(alerts[before]["status"], "firing", "{alerts:#?}");
    }

    /// Attacks on until the share of flagged records rang too. Which watch rings first is chance, and a watch of signals ends
    /// with its budget. Says how many records that took.
    fn attack_until_the_share_rings(
        &self,
        (clean, attacks): &(Vec<Vec<u8>>, Vec<Vec<u8>>),
    ) -> usize {
        let rings = || {
            let shown = self.show();
            let firing = shown["monitor"]["firing"].as_array().cloned().unwrap_or_default();
            let members = firing.iter().flat_map(|incident| incident["members"].as_array());
            members.flatten().any(|member| {
                member["finding"]["watch"] == "flagged-share" && member["firing"] == true
            })
        };
        let row = |i: usize| match i.is_multiple_of(2) {
            true => attacks[i % attacks.len()].clone(),
            false => clean[i % clean.len()].clone(),
        };
        let (mut sent, started) = (0, std::time::Instant::now());
        while !rings() {
            assert!(started.elapsed() < SOON, "{:#}", self.show());
            self.send(0, now() - 5000, 50, &(0..250).map(row).collect::<Vec<_>>());
            sent += 250;
            std::thread::sleep(Duration::from_secs(5));
        }
        sent
    }

    fn wait_until_nobody_is_a_member(&self) {
        wait_until("members to leave", SOON, || {
            self.show()["members"].as_array().expect("a list").is_empty()
        });
    }
}

/// Clean and attacked rows of the shipped slice, as the stream carries them.
fn rows() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let path = root().join("models/shuttle/slice/held-out.csv");
    let text = std::fs::read_to_string(path).expect("the slice");
    let (mut clean, mut attacks) = (vec![], vec![]);
    for line in text.lines().skip(1) {
        let (numbers, label) = line.rsplit_once(',').expect("a label");
        let numbers = numbers.split(',').map(|n| n.parse::<f32>().expect("a number"));
        let row: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        if label == "normal" { clean.push(row) } else { attacks.push(row) }
    }
    (clean, attacks)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_millis()).expect("for a while")
}

#[test]
fn an_operator_sees_what_is_wrong_resets_it_and_nothing_is_lost() {
    let _turn = turn();
    let mut site = Site::new();
    let _tail = ShowOnPanic(site.log.clone());
    let rows = rows();
    let (clean, attacks) = &rows;

    // Metrics move with what is committed.
    let mut guard = site.start();
    // One attack among 61 rows is no incident yet.
    for partition in 0..PARTITIONS {
        let attacked = if partition == 0 { &attacks[..1] } else { &clean[20..21] };
        let first = [&clean[..24], attacked, &vec![b"no row".to_vec(); 3]].concat();
        site.send(partition, now(), 50, &first);
    }
    site.wait_for_commits(84);
    let line = |name: &str, labels: &str, n: i64| format!("{name}{{stream=\"rows\"{labels}}} {n}");
    let lag = |p| line("tripline_consumer_lag_records", &format!(",partition=\"{p}\""), 0);
    site.wait_for_metrics(&[
        line("tripline_records_total", ",output=\"dead-letter\"", 9),
        line("tripline_faults_total", ",fault=\"unreadable\"", 9),
        line("tripline_partitions_held", "", 0),
        lag(0),
        lag(1),
        lag(2),
    ]);
    let page = site.get("/metrics");
    let value = |name: &str| -> f64 {
        let values = page.lines().filter(|line| line.starts_with(name));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert_eq!(value("tripline_records_total{"), 84.0, "{page}");
    assert_eq!(value("tripline_faults_total{"), 9.0, "{page}");
    let quarantined = value("tripline_records_total{stream=\"rows\",output=\"quarantine\"}");
    assert_eq!(value("tripline_flagged_records_total{"), quarantined, "{page}");
    assert!(quarantined >= 1.0, "{page}");

    // State is shown, and not touched while somebody works.
    let shown = site.show();
    assert_eq!(shown["members"].as_array().map(Vec::len), Some(2), "{shown:#}");
    for partition in shown["partitions"].as_array().expect("a list") {
        assert_eq!(partition["problem"], Value::Null, "{shown:#}");
        assert_eq!(partition["committed"], 28, "{shown:#}");
        assert_eq!(partition["covered"], 28, "{shown:#}");
        assert_eq!(partition["crash_loop"]["starts"], 1, "{shown:#}");
        assert_eq!(partition["baseline"], shown["baseline"], "{shown:#}");
    }
    let reset = |site: &Site, which: &[&str]| {
        site.tripline(&[&["state", "reset", "--stream", "rows"], which].concat())
    };
    let (said, code) = reset(&site, &["--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("group tripline.rows has members: tripline.test-0.rows.worker-0"),
        "{said}"
    );
    assert!(guard.terminate(Duration::from_secs(20)).success());

    // Somebody writes nonsense over one partition's state and deletes another's.
    let producer = site.producer();
    let lane = BaseRecord::<[u8], [u8]>::to("rows.state").key(b"lane");
    producer.send(lane.partition(1).payload(b"{\"version\":5}")).expect("room");
    let lane = BaseRecord::<[u8], [u8]>::to("rows.state").key(b"lane");
    producer.send(lane.partition(2)).expect("room");
    producer.flush(Duration::from_secs(20)).expect("delivered");
    let mut guard = site.start();
    for partition in 0..PARTITIONS {
        site.send(partition, now(), 50, &clean[..10]);
    }
    site.wait_for_commits(94);
    wait_until("both to be named", SOON, || {
        let said = site.get("/ready");
        [1, 2].iter().all(|p| {
            said.contains(&format!("held still: stream rows: partition {p}: "))
                && said.contains(&format!("`tripline state reset --stream rows --partition {p}`"))
        })
    });
    assert!(site.get("/ready").starts_with("HTTP/1.1 200"), "the third partition is served");
    let held = |p| line("tripline_partition_held", &format!(",partition=\"{p}\""), 1);
    site.wait_for_metrics(&[held(1), held(2), line("tripline_partitions_held", "", 2)]);
    wait_until("both to be logged as errors", SOON, || {
        let log = std::fs::read_to_string(&site.log).expect("a log");
        [1, 2].iter().all(|p| log.contains(&format!("partition {p} is paused")))
    });
    assert!(guard.terminate(Duration::from_secs(20)).success());
    logs_are_json_and_name_what_is_held(&site.log);

    // Nothing is done before it is said, and what is said is done.
    let (said, code) = reset(&site, &["--partition", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("partition 1: goes on at offset 28, which the group committed"),
        "{said}"
    );
    assert!(
        said.contains("nothing is known of what it forgets: partition 1: cannot read"),
        "{said}"
    );
    assert!(said.ends_with("nothing is done yet: add --yes\n"), "{said}");
    assert!(site.show()["partitions"][1]["problem"].is_string());
    for partition in ["1", "2"] {
        let (said, code) = reset(&site, &["--partition", partition, "--yes"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.ends_with("done\n"), "{said}");
    }
    let (said, code) = reset(&site, &["--partition", "3"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("topic rows.requests has no partition 3; it has 3"), "{said}");
    let shown = site.show();
    assert!(shown["partitions"][1]["problem"].is_null(), "{shown:#}");
    assert!(shown["partitions"][2]["problem"].is_null(), "{shown:#}");

    // The stream goes on.
    let mut guard = site.start();
    site.wait_for_commits(114);

    // An attack that is open goes on under a new budget; so do offsets.
    site.attack(&rows, now() - 30_000);
    let more = site.attack_until_the_share_rings(&rows);
    assert!(guard.terminate(Duration::from_secs(20)).success());
    site.configure("budget = 0.02");
    let (said, code) = site.tripline(&["state", "show"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("signals are watched anew at the next start"), "{said}");
    assert!(said.contains(" fires, "), "{said}");
    let before = site.show()["monitor"]["baseline"].clone();
    let mut guard = site.start();
    wait_until("the new budget", SOON, || site.show()["monitor"]["baseline"] != before);
    let (shown, alerts) = (site.show(), site.alerts());
    let key = &alerts[0]["dedup_key"];
    assert_eq!(&shown["monitor"]["firing"][0]["dedup_key"], key, "{shown:#}\n{alerts:#?}");
    assert_eq!(site.alerts().len(), 1, "{:#?}", site.alerts());

    // A reset of the monitor ends it, and says so.
    assert!(guard.terminate(Duration::from_secs(20)).success());
    site.wait_until_nobody_is_a_member();
    let (said, code) = reset(&site, &["--monitor", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let alerts = site.alerts();
    assert!(
        said.contains(&format!("incident {} is firing", alerts[0]["dedup_key"].as_str().unwrap()))
    );
    assert_eq!(alerts.len(), 2, "{alerts:#?}");
    let last = &alerts[1];
    assert_eq!(last["status"], "resolved", "{alerts:#?}");
    assert_eq!(last["dedup_key"], alerts[0]["dedup_key"]);
    let summary = last["summary"].as_str().expect("a text");
    assert!(summary.contains("the monitor's state was reset"), "{summary}");
    let mut guard = site.start();
    site.attack(&rows, now() - 30_000);
    site.wait_for_commits(114 + 2 * 1500 + more as i64);
    stayed_below_what_was_declared(&guard, &site.get("/metrics"));
    assert!(guard.terminate(Duration::from_secs(20)).success());

    // Every record left once, whatever was reset meanwhile.
    let topics = ["rows.sanitized", "rows.quarantine", "rows.dead-letter"].map(|t| (t, PARTITIONS));
    let mut times: BTreeMap<Source, u32> = BTreeMap::new();
    for (_, source) in site.read(&topics) {
        *times.entry(source.expect("a trace")).or_default() += 1;
    }
    assert_eq!(times.len(), 114 + 2 * 1500 + more);
    assert!(times.values().all(|&n| n == 1), "doubled");
}

/// The most that was ever resident against what `run` checked at its start.
fn stayed_below_what_was_declared(guard: &Process, page: &str) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", guard.child.id()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    let name = "tripline_memory_declared_bytes ";
    let declared = page.lines().find_map(|line| line.strip_prefix(name)).expect("it is declared");
    let declared: u64 = declared.parse().expect("a number");
    println!("peak {} MiB, declared {} MiB", peak >> 10, declared >> 20);
    assert!(peak << 10 <= declared, "{peak} KiB were resident, {declared} bytes declared");
}

/// What a person needs to find a held partition in a log that a machine collects.
fn logs_are_json_and_name_what_is_held(log: &Path) {
    let text = std::fs::read_to_string(log).expect("a log");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        for member in ["timestamp", "level", "target", "fields"] {
            assert!(!line[member].is_null(), "{member} is missing in {line}");
        }
    }
    let held: Vec<&Value> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR" && line.to_string().contains("state reset"))
        .collect();
    assert!(held.len() >= 2, "two held partitions, and {held:#?}");
}
