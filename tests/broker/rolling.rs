//! A bundle is rolled out on a real Kafka: two processes of one stream monitor by two budgets, and the alarm hears both; a
//! bundle with fewer features is refused.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use crate::turn::turn_of;

const INPUT: &str = "rows.requests";
const SOON: Duration = Duration::from_secs(60);
/// Windows of a second close two later; the rest is commits, ticks and a busy machine. A monitor that does not hear
/// the process never pages.
const PAGED_WITHIN: Duration = Duration::from_secs(60);

/// One process of the stream.
struct Guard {
    process: Process,
    admin: u16,
    _tail: ShowOnPanic,
}

fn config(broker: &Broker, instance: &str, admin: u16, stream: &str) -> String {
    let text = format!(
        r#"
instance = "{instance}"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
transaction_timeout_ms = 5000
[admin]
listen = "127.0.0.1:{admin}"
[[stream]]
name = "rows"
input = "{INPUT}"
codec = "f32-le"
mode = "enforce"
{stream}
[stream.alerts]
window_ms = 1000
"#,
        brokers = broker.address(),
    );
    let path = file(broker, &format!("{instance}.toml"), &text);
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn shuttle(more: &str) -> String {
    format!("bundle = \"{}\"\n{more}", root().join("models/shuttle").display())
}

fn tripline(args: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(env!("CARGO_BIN_EXE_tripline")).args(args).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.code())
}

impl Guard {
    fn start(broker: &Broker, instance: &str, stream: &str) -> Self {
        let admin = free_port();
        let config = config(broker, instance, admin, stream);
        let log = path_in(broker, &format!("{instance}.log"));
        let process = Process::tripline(&["run", "-c", &config], &log);
        Self { process, admin, _tail: ShowOnPanic(log) }
    }

    fn get(&self, page: &str) -> String {
        let asked = ureq::get(format!("http://127.0.0.1:{}{page}", self.admin)).call();
        asked.ok().and_then(|mut said| said.body_mut().read_to_string().ok()).unwrap_or_default()
    }

    /// The sum of a metric's samples whose labels have all of `labels`.
    fn metric(&self, name: &str, labels: &str) -> f64 {
        let page = self.get("/metrics");
        let of = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(labels);
        let value = |line: &str| line.rsplit_once(' ')?.1.parse::<f64>().ok();
        page.lines().filter(of).filter_map(value).sum()
    }

    fn has_the_seat(&self) -> bool {
        self.metric("tripline_monitor_seated", "") == 1.0
    }
}

/// Clean and attacked rows of the shipped slice.
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

/// What was paged.
fn pages(broker: &Broker) -> Vec<Value> {
    let mut client = broker.client();
    client.set("group.id", "reader").set("isolation.level", "read_committed");
    let consumer: BaseConsumer = client.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("tripline.alerts", 0, Offset::Beginning).expect("an offset");
    consumer.assign(&list).expect("assigned");
    let mut alerts: Vec<Value> = vec![];
    while let Some(Ok(message)) = consumer.poll(Duration::from_secs(1)) {
        alerts.push(serde_json::from_slice(message.payload().expect("a value")).expect("JSON"));
    }
    alerts.retain(|alert| alert["status"] == "firing");
    alerts
}

#[test]
fn an_attack_through_the_process_whose_budget_the_monitor_does_not_have_pages_within_seconds() {
    let _turn = turn_of("rolling");
    let broker = Broker::start();
    broker.create_topic(INPUT, 2, &[]);
    let first = config(&broker, "setup", free_port(), &shuttle(""));
    assert_eq!(tripline(&["topics", "-c", &first, "--apply"]).1, Some(0));
    let guards = [
        Guard::start(&broker, "before", &shuttle("")),
        Guard::start(&broker, "after", &shuttle("budget = \"2%\"")),
    ];
    wait_until("both to have a partition, and one to monitor", SOON, || {
        let served = guards.iter().all(|g| g.metric("tripline_partitions_assigned", "") == 1.0);
        served && guards.iter().filter(|guard| guard.has_the_seat()).count() == 1
    });
    let (clean, attacks) = rows();
    let producer: BaseProducer = broker.client().create().expect("a producer");
    let mut sent = 0;
    // Twenty records in each partition every 100 ms; of `attacked` forty in a hundred are attacks.
    let mut send = |attacked: Option<i32>| {
        for _ in 0..20 {
            for partition in 0..2 {
                sent += 1;
                let value = match Some(partition) == attacked && sent % 5 < 2 {
                    true => &attacks[sent % attacks.len()],
                    false => &clean[sent % clean.len()],
                };
                let record = BaseRecord::to(INPUT).partition(partition).key("k").payload(value);
                producer.send(record.timestamp(now())).expect("room");
            }
        }
        producer.flush(Duration::from_secs(20)).expect("delivered");
        std::thread::sleep(Duration::from_millis(100));
    };
    (0..80).for_each(|_| send(None));
    assert_eq!(pages(&broker).len(), 0, "clean traffic pages");
    let monitor = guards.iter().position(Guard::has_the_seat).expect("somebody monitors");
    let other = &guards[1 - monitor];
    // Whose partition 0 is shows in who counts what is sent there.
    let count = |guard: &Guard| guard.metric("tripline_records_total", "");
    let (ours, all) = (count(other), guards.iter().map(count).sum::<f64>());
    for row in clean.iter().take(20) {
        let record = BaseRecord::to(INPUT).partition(0).key("k").payload(row);
        producer.send(record.timestamp(now())).expect("room");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");
    wait_until("them to be counted", SOON, || guards.iter().map(count).sum::<f64>() >= all + 20.0);
    let partition = i32::from(count(other) == ours);
    let began = Instant::now();
    let mut said = vec![];
    while said.is_empty() {
        assert!(began.elapsed() < PAGED_WITHIN, "nobody was paged");
        (0..5).for_each(|_| send(Some(partition)));
        said = pages(&broker);
    }
    println!("paged after {:?}", began.elapsed());
    assert_eq!(said[0]["kind"], "attack", "{said:#?}");
    let found = said[0]["evidence"].as_array().expect("findings");
    let of_others = |finding: &Value| finding["feature"] == "flagged records of another bundle";
    assert!(found.iter().any(of_others), "{said:#?}");
    assert!(guards[monitor].has_the_seat(), "somebody else monitors now");
    assert!(guards[monitor].metric("tripline_evidence_counts_total", "bundle=\"other\"") > 0.0);
    let ready = guards[monitor].get("/ready");
    assert!(ready.starts_with("ready\n"), "{ready}");
    assert!(ready.contains("told by workers of another bundle or budget"), "{ready}");
    for mut guard in guards {
        assert!(guard.process.terminate(Duration::from_secs(20)).success());
    }
}

/// A bundle of the shipped slice without its last feature.
fn narrower(broker: &Broker) -> PathBuf {
    let data = root().join("models/shuttle/slice/held-out.csv");
    let to = path_in(broker, "narrow");
    let (said, code) = tripline(&[
        "fit",
        "--data",
        data.to_str().expect("a path in UTF-8"),
        "--label",
        "label",
        "--ignore",
        "x8",
        "--epochs-max",
        "1",
        "--budget",
        "5%",
        "--name",
        "narrow",
        "--out",
        to.to_str().expect("a path in UTF-8"),
    ]);
    assert_eq!(code, Some(0), "{said}");
    to
}

#[test]
fn a_bundle_with_fewer_features_than_the_one_before_is_refused_until_that_is_accepted() {
    let _turn = turn_of("rolling");
    let broker = Broker::start();
    broker.create_topic(INPUT, 1, &[]);
    let first = config(&broker, "setup", free_port(), &shuttle(""));
    assert_eq!(tripline(&["topics", "-c", &first, "--apply"]).1, Some(0));
    let narrow = format!("bundle = \"{}\"", narrower(&broker).display());
    let narrow_config = config(&broker, "narrow", free_port(), &narrow);
    let check = || tripline(&["check", "-c", &narrow_config, "--connect"]);
    let (said, _) = check();
    assert!(!said.contains("the one before had"), "nothing was monitored before: {said}");

    let mut guard = Guard::start(&broker, "wide", &shuttle(""));
    wait_until("it to monitor", SOON, || guard.has_the_seat());
    let commits = "tripline_transactions_total";
    wait_until("its monitor to commit", SOON, || {
        guard.metric(commits, "thread=\"monitor\",result=\"committed\"") > 0.0
    });
    assert!(guard.process.terminate(Duration::from_secs(20)).success());

    for (said, code) in [check(), tripline(&["run", "-c", &narrow_config])] {
        assert!(code != Some(0), "{said}");
        assert!(said.contains("its bundle has 8 features, the one before had 9"), "{said}");
        assert!(said.contains("it lacks \"x8\"; "), "{said}");
        assert!(said.contains("`accept_fewer_features = true` in its [[stream]]"), "{said}");
    }
    let mut guard =
        Guard::start(&broker, "told", &format!("{narrow}\naccept_fewer_features = true"));
    wait_until("it to monitor", SOON, || guard.has_the_seat());
    assert!(guard.process.terminate(Duration::from_secs(20)).success());
}
