//! Lineage and sets of features through a real Kafka: what events count, what a catalogue hears, who is named.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::harness::{Broker, Process, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 2;
const RECORDS: i64 = 2000;

fn config(broker: &Broker, catalogue: u16) -> String {
    format!(
        r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[[key]]
name = "names-1"
jwk = {{ file = "names.jwk" }}
[[stream]]
name = "told"
input = "told.requests"
bundle = "{bundle}"
mode = "enforce"
on_flagged = "correct"
[[stream.output]]
of = "sanitized"
drop = ["/note"]
[[stream.output]]
of = "quarantine"
[[stream.output.step]]
field = "/x0"
do = "pseudonym"
key = "names-1"
[stream.alerts]
window_ms = 500
[stream.lineage]
topic = "tripline.lineage"
every = "1s"
[stream.privacy]
sets = [["x0", "x4", "x6"], ["x1"]]
key = "names-1"
limit = "20%"
rows = 500
every = "4s"
[[route]]
name = "catalogue"
kind = "openlineage"
url = "http://127.0.0.1:{catalogue}"
token = {{ env = "CATALOGUE_TOKEN" }}
"#,
        brokers = broker.address(),
        bundle = root().join("models/shuttle").display(),
    )
}

/// Whoever takes events: path, login and body of each request.
fn catalogue(port: u16) -> mpsc::Receiver<(String, String, Value)> {
    let (tell, told) = mpsc::channel();
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    // Ends with the test's process.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
            loop {
                let (mut path, mut login, mut length) = (String::new(), String::new(), 0);
                for line in reader.by_ref().lines().map_while(Result::ok) {
                    let lower = line.to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    } else if path.is_empty() {
                        path = line;
                    } else if let Some(value) = lower.strip_prefix("content-length:") {
                        length = value.trim().parse().expect("a length");
                    } else if lower.starts_with("authorization:") {
                        login = line;
                    }
                }
                let mut body = vec![0; length];
                if path.is_empty() || reader.read_exact(&mut body).is_err() {
                    break;
                }
                let event = serde_json::from_slice(&body).expect("JSON");
                let _ = tell.send((path, login, event));
                let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
                if (&stream).write_all(answer).is_err() {
                    break;
                }
            }
        }
    });
    told
}

/// Rows of shuttle as JSON, stamped now.
fn produce(broker: &Broker) {
    let table =
        std::fs::read_to_string(root().join("models/shuttle/slice/held-out.csv")).expect("rows");
    let producer: BaseProducer = broker.client().create().expect("a producer");
    for (i, line) in table.lines().skip(1).take(RECORDS as usize).enumerate() {
        let cells: Vec<&str> = line.split(',').collect();
        let members: Vec<String> = (0..9).map(|at| format!("\"x{at}\": {}", cells[at])).collect();
        let value = match i % 100 {
            7 => "no JSON".to_owned(),
            _ => format!("{{{}}}", members.join(", ")),
        };
        let record = BaseRecord::<str, str>::to("told.requests")
            .partition(i as i32 % PARTITIONS)
            .payload(&value);
        producer.send(record).expect("queued");
        producer.poll(Duration::ZERO);
    }
    producer.flush(Duration::from_secs(30)).expect("delivered");
}

/// All committed values of a topic of one partition.
fn read(broker: &Broker, topic: &str) -> Vec<Value> {
    let mut client = broker.client();
    client
        .set("group.id", "reader")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "false");
    let consumer: BaseConsumer = client.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("a partition");
    consumer.assign(&list).expect("assigned");
    let (mut values, mut quiet) = (vec![], Instant::now());
    while quiet.elapsed() < Duration::from_secs(3) {
        let Some(message) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = message.expect("a record");
        values.push(serde_json::from_slice(message.payload().expect("a value")).expect("JSON"));
        quiet = Instant::now();
    }
    values
}

/// Holds events against the schema of OpenLineage, with a validator that is not ours.
fn check(broker: &Broker, events: &[Value]) {
    let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
    let events = file(broker, "events.jsonl", &lines);
    let schema = root().join("tests/frozen/openlineage/run-event.json");
    let checked = Process::client("lineage.py", &["check"]).args([&schema, &events]).output();
    let checked = checked.expect("it runs");
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}{}", String::from_utf8_lossy(&checked.stderr));
    println!("{said}");
}

fn rows(event: &Value) -> i64 {
    event["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"].as_i64().expect("a count")
}

#[test]
fn every_record_is_in_one_event_the_catalogue_hears_them_and_features_that_point_to_few_rows_are_named()
 {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("told.requests", PARTITIONS, &[]);
    let port = free_port();
    let told = catalogue(port);
    let secret = format!(r#"{{"kty":"oct","k":"{}"}}"#, "A".repeat(43));
    file(&broker, "names.jwk", &secret);
    let config = file(&broker, "tripline.toml", &config(&broker, port));
    let config = config.to_str().expect("a path in UTF-8");
    let variables = [("CATALOGUE_TOKEN", "c4n4ry-of-the-catalogue")];
    let applied = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["topics", "-c", config, "--apply"])
        .envs(variables)
        .output()
        .expect("tripline runs");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    produce(&broker);
    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let mut guard = Process::tripline_with(&["run", "-c", config], &variables, &log);
    let (mut heard, mut privacy) = (0, None);
    wait_until("all rows in events, and an incident", Duration::from_secs(40), || {
        while let Ok((path, login, event)) = told.try_recv() {
            assert!(path.starts_with("POST /api/v1/lineage "), "{path}");
            assert!(login.ends_with("Bearer c4n4ry-of-the-catalogue"), "{login}");
            heard += rows(&event);
        }
        let of_privacy = |alert: &Value| alert["kind"] == "privacy";
        privacy = read(&broker, "tripline.alerts").into_iter().find(of_privacy);
        heard >= RECORDS && privacy.is_some()
    });
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    let events = read(&broker, "tripline.lineage");
    assert_eq!(events[0]["eventType"], "START");
    check(&broker, &events);
    assert_eq!(events.iter().map(rows).sum::<i64>(), RECORDS);
    let why = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["why", "told.quarantine", "0", "0", "--json", "-c", config])
        .envs(variables)
        .output()
        .expect("tripline runs");
    let said = String::from_utf8_lossy(&why.stderr);
    assert!(why.status.success(), "{said}");
    let decision: Value = serde_json::from_slice(&why.stdout).expect("JSON");
    assert_eq!(decision["run_id"], events[0]["run"]["runId"], "{decision:#}");
    let out = |i: usize| -> i64 {
        let count = |event: &Value| {
            event["outputs"][i]["outputFacets"]["outputStatistics"]["rowCount"].as_i64()
        };
        events.iter().map(|event| count(event).expect("a count")).sum()
    };
    let ends = ["told.sanitized", "told.quarantine", "told.dead-letter"];
    // Those that are no JSON, and a row of shuttle that is out of bounds.
    assert_eq!(out(2), RECORDS / 100 + 1);
    assert_eq!(out(0) + out(1) + out(2), RECORDS, "{ends:?}");
    let exposed = &privacy.expect("it was there")["exposed"];
    assert_eq!(exposed[0]["features"], serde_json::json!(["x0", "x4", "x6"]));
    assert!(exposed[0]["small"].as_f64().expect("a share") > 0.2, "{exposed}");
    let said = std::fs::read_to_string(&log).expect("a log");
    assert!(!said.contains("c4n4ry"), "{said}");
    println!("{} events; {}", events.len(), exposed);
}
