//! A fault storm through a real Kafka: 100,000 records that nobody can read are one incident, bounded
//! memory, and 100,000 dead letters.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::harness::{Broker, Process, file, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 3;
const BAD: usize = 100_000;
const GOOD: usize = 2000;

fn rows() -> Vec<String> {
    let path = root().join("models/shuttle/slice/held-out.csv");
    let text = std::fs::read_to_string(path).expect("the slice");
    let clean = text.lines().skip(1).filter(|line| line.ends_with(",normal"));
    clean.map(|line| format!("[{}]", line.rsplit_once(',').expect("a label").0)).collect()
}

fn send(producer: &BaseProducer, values: impl Iterator<Item = String>) {
    for (i, value) in values.enumerate() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        loop {
            let record = BaseRecord::<(), String>::to("shuttle.requests")
                .partition(i as i32 % PARTITIONS)
                .timestamp(now.as_millis() as i64)
                .payload(&value);
            if producer.send(record).is_ok() {
                break;
            }
            producer.poll(Duration::from_millis(10));
        }
    }
    producer.flush(Duration::from_secs(60)).expect("all are sent");
}

/// Every committed value of a topic, with its headers.
fn read(broker: &Broker, topic: &str, partitions: i32) -> Vec<(Vec<u8>, BTreeMap<String, String>)> {
    let mut client = broker.client();
    client.set("group.id", "storm").set("isolation.level", "read_committed");
    client.set("enable.partition.eof", "true");
    let consumer: BaseConsumer = client.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a beginning");
    }
    consumer.assign(&list).expect("assigned");
    let (mut found, mut left, end) = (vec![], partitions, Instant::now() + Duration::from_secs(60));
    while left > 0 {
        assert!(Instant::now() < end, "{topic}: not to the end");
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                use rdkafka::message::Headers as _;
                let headers = message.headers().map(|all| {
                    let text = |bytes: Option<&[u8]>| {
                        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                    };
                    all.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
                });
                found.push((
                    message.payload().unwrap_or_default().to_vec(),
                    headers.unwrap_or_default(),
                ));
            }
            Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
            _ => {}
        }
    }
    found
}

fn metric(admin: u16, name: &str) -> f64 {
    let page = ureq::get(format!("http://127.0.0.1:{admin}/metrics")).call().expect("an answer");
    let page = page.into_body().read_to_string().expect("text");
    let value = page.lines().find(|line| line.starts_with(name)).expect(name);
    value.rsplit(' ').next().expect("a value").parse().expect("a number")
}

#[test]
fn a_hundred_thousand_unreadable_records_are_one_incident_and_all_come_out_as_dead_letters() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("shuttle.requests", PARTITIONS, &[]);
    let admin = crate::harness::free_port();
    let config = format!(
        r#"
instance = "storm"

[kafka]
brokers = "{brokers}"

[admin]
listen = "127.0.0.1:{admin}"

[[stream]]
name = "shuttle"
input = "shuttle.requests"
bundle = "{bundle}"
codec = "json"
mode = "enforce"

[stream.alerts]
window_ms = 500
false_pages = "1/hour"
"#,
        brokers = broker.address(),
        bundle = root().join("models/shuttle").display(),
    );
    let config = file(&broker, "tripline.toml", &config);
    let config = config.to_str().expect("a path in UTF-8");
    let applied =
        Process::tripline(&["topics", "-c", config, "--apply"], &path_in(&broker, "t.log"))
            .child
            .wait()
            .expect("it ends");
    assert!(applied.success());
    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", config], &log);

    let producer: BaseProducer = broker.client().create().expect("a producer");
    let rows = rows();
    let good = || rows.iter().cycle().take(GOOD).cloned();
    // Some windows of sound records, the storm, and some more.
    for _ in 0..4 {
        send(&producer, good().take(GOOD / 4));
        std::thread::sleep(Duration::from_millis(500));
    }
    let kinds = ["[1, 2", "{\"a\":1}", "", "[1,2,3]", "[1,2,3,4,5,6,7,8,\"x\"]"];
    send(&producer, (0..BAD).map(|i| kinds[i % kinds.len()].to_owned()));
    let declared = metric(admin, "tripline_memory_declared_bytes");
    let mut resident: f64 = 0.0;
    wait_until("everything is read", Duration::from_secs(180), || {
        resident = resident.max(metric(admin, "process_resident_memory_bytes"));
        let (committed, end) =
            broker.committed_and_end("tripline.shuttle", "shuttle.requests", PARTITIONS);
        committed == end
    });
    for _ in 0..4 {
        send(&producer, good().take(GOOD / 4));
        std::thread::sleep(Duration::from_millis(500));
    }
    let alerts = || -> Vec<Value> {
        let all = read(&broker, "tripline.alerts", 1).into_iter();
        all.map(|(value, _)| serde_json::from_slice(&value).expect("JSON")).collect()
    };
    wait_until("an incident", Duration::from_secs(60), || !alerts().is_empty());
    wait_until("everything is read", Duration::from_secs(60), || {
        let (committed, end) =
            broker.committed_and_end("tripline.shuttle", "shuttle.requests", PARTITIONS);
        committed == end
    });
    std::thread::sleep(Duration::from_secs(3));
    assert!(guard.terminate(Duration::from_secs(30)).success());

    let said = alerts();
    let incidents: BTreeSet<&str> =
        said.iter().map(|alert| alert["dedup_key"].as_str().expect("a key")).collect();
    assert_eq!(incidents.len(), 1, "{said:#?}");
    let pages = said.iter().filter(|alert| alert["status"] == "firing").count();
    assert_eq!((pages, said[0]["kind"].as_str()), (1, Some("quality")), "{said:#?}");
    let summary = said[0]["summary"].as_str().expect("words");
    assert!(summary.contains("unreadable records"), "{summary}");

    let dead = read(&broker, "shuttle.dead-letter", PARTITIONS);
    let places: BTreeSet<(String, String)> = dead
        .iter()
        .map(|(_, headers)| {
            let of = |name: &str| headers[&format!("__connect.errors.{name}")].clone();
            (of("partition"), of("offset"))
        })
        .collect();
    assert_eq!((dead.len(), places.len()), (BAD, BAD));
    let kept = dead.iter().all(|(value, _)| kinds.iter().any(|kind| kind.as_bytes() == value));
    assert!(kept, "a dead letter has other bytes than its record");
    assert_eq!(
        read(&broker, "shuttle.sanitized", PARTITIONS).len()
            + read(&broker, "shuttle.quarantine", PARTITIONS).len(),
        2 * GOOD
    );
    assert!(resident < declared, "{resident} bytes resident, {declared} declared");
}
