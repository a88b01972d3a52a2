//! Clients on a real Kafka: one that sends what cannot be read is told by its pseudonym, once, although worker and client
//! monitor are killed; no id is in a topic of ours.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tripline::clients::VisitMessage;

use crate::harness::{Broker, Process, ShowOnPanic, file, path_in, root, wait_until};
use crate::turn::turn;

const INPUT: &str = "rows.requests";
const PARTITIONS: i32 = 2;
const ROW: &str = r#"{"x0":45,"x1":0,"x2":86,"x3":0,"x4":44,"x5":-17,"x6":41,"x7":42,"x8":2}"#;
/// The client that sends what cannot be read.
const PROBE: &str = "probe@example.org";

fn config(broker: &Broker) -> String {
    format!(
        r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[[key]]
name = "names"
jwk = {{ file = "names.jwk" }}
[[stream]]
name = "rows"
input = "{INPUT}"
bundle = "{bundle}"
[stream.alerts]
window_ms = 500
[stream.clients]
enabled = true
[stream.clients.id]
header = "x-client-id"
[[stream.clients.key]]
name = "names"
from = "2020-01-01T00:00:00Z"
"#,
        brokers = broker.address(),
        bundle = root().join("models/shuttle").display(),
    )
}

/// Ten honest clients and, from some time on, the other one.
fn send(producer: &BaseProducer, number: usize) {
    let client = format!("client-{}@example.org", number % 10);
    let probes = number >= 200 && number % 20 == 7;
    let (client, value) = if probes { (PROBE, "no row") } else { (client.as_str(), ROW) };
    let header = Header { key: "x-client-id", value: Some(client) };
    let record = BaseRecord::<(), str>::to(INPUT).payload(value);
    let record = record.headers(OwnedHeaders::new().insert(header));
    producer.send(record.partition(number as i32 % PARTITIONS)).expect("there is room");
    producer.poll(Duration::ZERO);
}

/// What was committed to a topic.
fn read(broker: &Broker, topic: &str, partitions: i32) -> Vec<(Option<Vec<u8>>, Vec<u8>)> {
    let mut client = broker.client();
    client.set("group.id", "reads-all").set("isolation.level", "read_committed");
    let consumer: BaseConsumer =
        client.set("enable.partition.eof", "true").create().expect("a client");
    let mut from = TopicPartitionList::new();
    for partition in 0..partitions {
        from.add_partition_offset(topic, partition, Offset::Beginning).expect("added");
    }
    consumer.assign(&from).expect("assigned");
    let (mut all, mut left) = (vec![], partitions);
    let until = Instant::now() + Duration::from_secs(20);
    while left > 0 && Instant::now() < until {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(m)) => {
                all.push((m.key().map(<[u8]>::to_vec), m.payload().unwrap_or_default().to_vec()))
            }
            Some(Err(_)) => left -= 1,
            None => {}
        }
    }
    all
}

#[test]
fn a_client_that_sends_what_cannot_be_read_is_told_once_by_its_pseudonym() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(INPUT, PARTITIONS, &[]);
    let config = file(&broker, "tripline.toml", &config(&broker));
    file(
        &broker,
        "names.jwk",
        r#"{"kty": "oct", "k": "aHVudGVyMi1vZi10aGlydHktdHdvLWJ5dGVzLS0tLS0"}"#,
    );
    let config = config.to_str().expect("a path in UTF-8");
    let tripline = |arguments: &[&str]| {
        let said =
            Command::new(env!("CARGO_BIN_EXE_tripline")).args(arguments).output().expect("it runs");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    tripline(&["topics", "-c", config, "--apply"]);
    let checked = tripline(&["check", "-c", config]);
    assert!(
        checked.contains("clients are watched by flagged")
            && checked.contains("matched is off")
            && checked.contains("odd-hour is counted"),
        "{checked}"
    );
    let name = tripline(&["client", "-c", config, PROBE]);
    let name = name.split(' ').next().expect("a pseudonym").to_owned();
    println!("{PROBE} is {name}");

    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", config], &log);
    let producer: BaseProducer = broker.client().create().expect("a producer");
    let alerts = || -> Vec<Value> {
        let all = read(&broker, "tripline.alerts", 1);
        let alerts = all.iter().filter_map(|(_, value)| serde_json::from_slice(value).ok());
        alerts.filter(|alert: &Value| alert["kind"] == "access").collect()
    };
    let mut number = 0;
    let mut killed = false;
    wait_until("the alert", Duration::from_secs(90), || {
        for _ in 0..40 {
            send(&producer, number);
            number += 1;
        }
        producer.flush(Duration::from_secs(10)).expect("sent");
        if number >= 320 && !killed {
            killed = true;
            guard.kill();
            guard = Process::tripline(&["run", "-c", config], &log);
        }
        killed && !alerts().is_empty()
    });
    let told = alerts();
    let firing: Vec<&Value> = told.iter().filter(|alert| alert["status"] == "firing").collect();
    assert_eq!(firing.len(), 1, "{told:#?}");
    let (alert, finding) = (firing[0], &firing[0]["evidence"][0]);
    println!("{}", alert["summary"]);
    assert_eq!(alert["severity"], "warning");
    assert_eq!((&finding["pseudonym"], &finding["mark"]), (&name.clone().into(), &"fault".into()));
    assert!(
        alert["next_steps"].to_string().contains("at the gateway, limit the client"),
        "{alert:#}"
    );

    wait_until("the end of the input", Duration::from_secs(60), || {
        let (done, end) = broker.committed_and_end("tripline.rows", INPUT, PARTITIONS);
        done == end && end >= number as i64
    });
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    let visits = read(&broker, "rows.visits", 1);
    let mut seen = BTreeSet::new();
    for (_, value) in &visits {
        if let VisitMessage::Visits(visits) = VisitMessage::from_bytes(value).expect("ours") {
            let of = visits.windows.iter().flat_map(|window| &window.visits);
            for visit in of {
                assert!(seen.insert((visits.partition, visit.offset)), "{visit:?} was told twice");
            }
        }
    }
    assert_eq!(seen.len(), number, "every record is visited once");
    let said = tripline(&["access", "-c", config, "--since", "1h"]);
    println!("{said}");
    assert!(said.lines().count() == 12 && said.contains(&name), "{said}");
    let shown = tripline(&["state", "show", "-c", config]);
    println!("{shown}");
    let of_clients =
        |shown: &str| shown.lines().find(|line| line.contains(" clients ")).map(str::to_owned);
    assert!(of_clients(&shown).is_some_and(|line| line.contains("✓ ")), "{shown}");
    let reset = ["state", "reset", "-c", config, "--stream", "rows", "--clients"];
    let planned = tripline(&reset);
    assert!(planned.contains("stays in the topic of clients"), "{planned}");
    assert!(tripline(&[&reset[..], &["--yes"]].concat()).ends_with("done\n"));
    let again = tripline(&["state", "show", "-c", config]);
    assert!(of_clients(&again).is_some_and(|line| line.contains("✓ ")), "{again}");
    println!("{} pages of clients", read(&broker, "rows.clients", 1).len());
    // Who begins again reads the pages.
    let log = path_in(&broker, "again.log");
    let mut guard = Process::tripline(&["run", "-c", config], &log);
    let log_says = |what: &str| std::fs::read_to_string(&log).is_ok_and(|log| log.contains(what));
    wait_until("the client monitor", Duration::from_secs(60), || {
        log_says("the client monitor reads")
    });
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    for (topic, partitions) in [
        ("rows.visits", 1),
        ("rows.clients", 1),
        ("rows.evidence", 1),
        ("rows.state", PARTITIONS),
        ("tripline.alerts", 1),
    ] {
        for (key, value) in read(&broker, topic, partitions) {
            let all = [key.unwrap_or_default(), value].concat();
            assert!(!all.windows(12).any(|part| part == b"@example.org"), "an id in {topic}");
        }
    }
}
