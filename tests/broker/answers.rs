//! The deployed model's answers, through a real Kafka: a pair of topics as KServe's logger writes them.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Broker, Process, ShowOnPanic, file, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 2;

fn config(broker: &Broker) -> String {
    format!(
        r#"
instance = "test-0"
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
horizon = "12s"
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

#[test]
fn each_answer_is_joined_once_missing_and_doubled_ones_are_counted_and_exchanged_labels_are_tampering()
 {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("fashion.requests", PARTITIONS, &[]);
    broker.create_topic("fashion.responses", 3, &[]);
    let config = file(&broker, "tripline.toml", &config(&broker));
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

    client(&broker, "produce", &["--name", "b", "--records", "600", "--exchange"]);
    let mut alerts = Value::Null;
    wait_until("the tampered model to be told", Duration::from_secs(30), || {
        alerts = client(&broker, "alerts", &[]);
        alerts.get("tampering").is_some()
    });
    assert_eq!(alerts["tampering"]["severity"], "critical");
    assert_eq!(alerts["tampering"]["atlas"][0], "AML.T0018");
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
}
