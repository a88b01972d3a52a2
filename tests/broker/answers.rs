//! The deployed model's answers, through a real Kafka: a pair of topics as KServe's logger writes them.

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use crate::privacy::metrics;
use crate::turn::turn;

const PARTITIONS: i32 = 2;
const ANSWER_PARTITIONS: i32 = 3;

fn config(broker: &Broker, admin: u16) -> String {
    format!(
        r#"
instance = "test-0"
[admin]
listen = "127.0.0.1:{admin}"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[[stream]]
name = "fashion"
input = "fashion.requests"
bundle = "{bundle}"
codec = "u8"
[stream.alerts]
window_ms = 500
[stream.answers]
topic = "fashion.responses"
horizon = "40s"
id = {{ header = "ce-id" }}
"#,
        brokers = broker.address(),
        bundle = root().join("models/fashion-mnist").display(),
    )
}

fn client(broker: &Broker, what: &str, arguments: &[&str]) -> Value {
    let bundle = root().join("models/fashion-mnist");
    let (images, model) = (bundle.join("slice/clean.u8"), bundle.join("protected-model.onnx"));
    let [images, model] = [&images, &model].map(|path| path.to_str().expect("UTF-8"));
    let all = [what, "--brokers", &broker.address(), "--images", images, "--model", model];
    let mut client = Process::client("answers.py", &all);
    let output = client.args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let report =
        serde_json::from_str(said.trim()).unwrap_or_else(|e| panic!("{e}: {said}\n{errors}"));
    println!("{what}: {report}");
    assert!(output.status.success(), "{report}\n{errors}");
    report
}

fn consumer(broker: &Broker) -> BaseConsumer {
    let mut client = broker.client();
    client.set("group.id", "tripline.fashion.answers");
    client.create().expect("a consumer")
}

/// Where each partition of the answers topic ends.
fn ends(broker: &Broker) -> Vec<i64> {
    let (consumer, topic) = (consumer(broker), "fashion.responses");
    let end = |p| consumer.fetch_watermarks(topic, p, Duration::from_secs(20));
    (0..ANSWER_PARTITIONS).map(|p| end(p).expect("watermarks").1).collect()
}

fn at(offsets: impl IntoIterator<Item = i64>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in (0..).zip(offsets) {
        let offset = Offset::Offset(offset);
        list.add_partition_offset("fashion.responses", partition, offset).expect("an offset");
    }
    list
}

/// By hand, while nobody is in the group.
fn commit_zero(broker: &Broker) {
    let zero = at([0; ANSWER_PARTITIONS as usize]);
    consumer(broker).commit(&zero, CommitMode::Sync).expect("committed");
}

fn delete_answers(broker: &Broker) {
    let admin: AdminClient<DefaultClientContext> = broker.client().create().expect("a client");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (all, options) = (at(ends(broker)), AdminOptions::new());
    let done = runtime.block_on(admin.delete_records(&all, &options)).expect("an answer");
    done.elements().iter().for_each(|element| element.error().expect("deleted"));
}

#[test]
fn each_answer_is_joined_once_missing_and_doubled_ones_are_counted_and_exchanged_labels_are_tampering()
 {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("fashion.requests", PARTITIONS, &[]);
    broker.create_topic("fashion.responses", ANSWER_PARTITIONS, &[]);
    let admin = free_port();
    let config = file(&broker, "tripline.toml", &config(&broker, admin));
    let config = config.to_str().expect("a path in UTF-8");
    let tripline = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        let done = command.args(arguments).output().expect("tripline runs");
        let said = [done.stdout, done.stderr].concat();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&said));
    };
    tripline(&["topics", "-c", config, "--apply"]);
    tripline(&["check", "-c", config, "--connect"]);
    let log = path_in(&broker, "tripline.log");
    let _tail = ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", config], &log);
    wait_until("all to be ready", Duration::from_secs(60), || {
        ureq::get(format!("http://127.0.0.1:{admin}/ready")).call().is_ok()
    });

    let sent = client(&broker, "produce", &["--name", "a", "--records", "3000"]);
    let expected = |name: &str| sent[name].as_u64().expect("a count");
    let mut counts = Value::Null;
    let counted = |counts: &Value, name: &str| counts[name].as_u64().unwrap_or(0);
    wait_until("every record to be answered or given up", Duration::from_secs(60), || {
        counts = client(&broker, "count", &[]);
        counted(&counts, "unanswered") >= expected("unanswered")
            && counted(&counts, "orphan") >= expected("orphan")
    });
    let pairs = counted(&counts, "same") + counted(&counts, "other");
    assert_eq!(pairs, expected("pairs"), "{counts}");
    for name in ["unanswered", "doubled", "orphan"] {
        assert_eq!(counted(&counts, name), expected(name), "{name}: {counts}");
    }
    for name in ["misshapen", "late", "given_up"] {
        assert_eq!(counted(&counts, name), 0, "{name}: {counts}");
    }
    // Two runtimes, one model: of rows whose own model is sure none differs.
    assert!(counted(&counts, "other") <= 1, "{counts}");
    assert_eq!(counted(&counts, "rows of default"), pairs, "{counts}");
    let alerts = client(&broker, "alerts", &[]);
    assert!(alerts.get("tampering").is_none(), "{alerts}");

    // A coordinator forgets: without a state every answer would be read again, and be `doubled` or `late`.
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    commit_zero(&broker);
    let mut guard = Process::tripline(&["run", "-c", config], &log);
    let more = client(&broker, "produce", &["--name", "b", "--records", "600", "--exchange"]);
    let mut alerts = Value::Null;
    wait_until("the tampered model to be told", Duration::from_secs(30), || {
        alerts = client(&broker, "alerts", &[]);
        alerts.get("tampering").is_some()
    });
    assert_eq!(alerts["tampering"]["severity"], "critical");
    assert_eq!(alerts["tampering"]["atlas"][0], "AML.T0018");
    let doubled = expected("doubled") + more["doubled"].as_u64().expect("a count");
    wait_until("every half to be counted", Duration::from_secs(30), || {
        counts = client(&broker, "count", &[]);
        counted(&counts, "doubled") >= doubled
    });
    assert_eq!((counted(&counts, "doubled"), counted(&counts, "late")), (doubled, 0), "{counts}");
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));

    // Deleted before anybody read them.
    let there = || ends(&broker).iter().sum::<i64>();
    let before = there();
    client(&broker, "produce", &["--name", "c", "--records", "300"]);
    let unread = there() - before;
    delete_answers(&broker);
    let mut guard = Process::tripline(&["run", "-c", config], &log);
    let line = format!("tripline_answers_lost_total{{stream=\"fashion\"}} {unread}\n");
    wait_until("the loss to be said", Duration::from_secs(30), || {
        TcpStream::connect(("127.0.0.1", admin)).is_ok() && metrics(admin).contains(&line)
    });
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
}
