//! Real serializers, a real schema registry, a real Kafka: what they frame is read, what passes is
//! not touched, what is corrected they read again, and a registry that is gone loses nothing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Broker, Process, ShowOnPanic, file, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 3;
const RECORDS: i64 = 600;

/// Apicurio on the loopback interface; what it knows is in its directory.
struct Registry {
    process: Process,
    port: u16,
}

impl Registry {
    fn start(broker: &Broker, port: u16) -> Self {
        let mut command = Command::new(root().join("scripts/registry/registry"));
        command.arg("run").arg("--dir").arg(path_in(broker, "registry"));
        let child = command.args(["--port", &port.to_string()]).stderr(Stdio::null()).spawn();
        let child = child.expect("scripts/registry/registry starts; run scripts/setup test first");
        let registry = Self { process: Process { child }, port };
        wait_until("the registry serves", Duration::from_secs(120), || {
            let answer = ureq::get(format!("{}/subjects", registry.url())).call();
            answer.is_ok_and(|answer| answer.status() == 200)
        });
        registry
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/apis/ccompat/v7", self.port)
    }
}

/// One stream of payments, protected.
struct Payments<'a> {
    broker: &'a Broker,
    registry: String,
    stream: &'static str,
    config: String,
}

impl<'a> Payments<'a> {
    fn new(
        broker: &'a Broker,
        registry: &Registry,
        stream: &'static str,
        bundle: &Path,
        on_guard_failure: &str,
    ) -> Self {
        let text = format!(
            r#"
instance = "test-{stream}"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[registry]
url = "{registry}"
timeout_ms = 1000
[[stream]]
name = "{stream}"
input = "{stream}.requests"
bundle = "{bundle}"
codec = "confluent"
fields = ["/x0", "/x1", "/x2", "/x3", "/x4", "/x5"]
mode = "enforce"
on_flagged = "correct"
on_guard_failure = "{on_guard_failure}"
"#,
            brokers = broker.address(),
            registry = registry.url(),
            bundle = bundle.display(),
        );
        let config = file(broker, &format!("{stream}.toml"), &text);
        let config = config.to_str().expect("a path in UTF-8").to_owned();
        broker.create_topic(&format!("{stream}.requests"), PARTITIONS, &[]);
        let applied = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(["topics", "-c", &config, "--apply"])
            .output()
            .expect("tripline runs");
        assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
        Self { broker, registry: registry.url(), stream, config }
    }

    fn run(&self) -> Process {
        Process::tripline(&["run", "-c", &self.config], &self.log())
    }

    /// What `check --connect` says.
    fn checked(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_tripline"))
            .args(["check", "-c", &self.config, "--connect"])
            .output()
            .expect("tripline runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn log(&self) -> std::path::PathBuf {
        path_in(self.broker, &format!("{}.log", self.stream))
    }

    fn client(&self, command: &str, more: &[&str]) -> String {
        let (brokers, topic) = (self.broker.address(), format!("{}.requests", self.stream));
        let ledger = path_in(self.broker, &format!("{}.jsonl", self.stream));
        let ledger = ledger.to_str().expect("a path in UTF-8");
        let shared = ["--brokers", &brokers, "--registry", &self.registry, "--topic", &topic];
        let mut client = Process::client("registry.py", &[command]);
        let output = client.args(shared).args(["--ledger", ledger]).args(more).output();
        let output = output.expect("registry.py runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "registry.py {command}: {said}");
        String::from_utf8(output.stdout).expect("JSON in UTF-8")
    }

    fn produce(&self, first: i64, records: i64, unknown: i64) {
        let [first, records, unknown] = [first, records, unknown].map(|n| n.to_string());
        let more = ["--first", &first, "--records", &records, "--unknown", &unknown];
        self.client("produce", &more);
    }

    fn check(&self) -> Value {
        let said = self.client("check", &["--stream", self.stream]);
        let report: Value = serde_json::from_str(&said).expect("a report");
        println!("{}: {report}", self.stream);
        for nothing in [
            "lost",
            "doubled",
            "reordered",
            "bytes_differ",
            "values_differ",
            "corrected_the_same",
            "corrected_elsewhere",
            "frame_differ",
        ] {
            assert_eq!(count(&report, nothing), 0, "{nothing}: {report}");
        }
        report
    }

    fn committed(&self) -> i64 {
        let (group, topic) =
            (format!("tripline.{}", self.stream), format!("{}.requests", self.stream));
        self.broker.committed_and_end(&group, &topic, PARTITIONS).0
    }

    fn wait_for(&self, records: i64) {
        let what = format!("{records} records of {}", self.stream);
        wait_until(&what, Duration::from_secs(120), || self.committed() == records);
    }
}

fn count(report: &Value, name: &str) -> i64 {
    report.get(name).map_or(0, |n| n.as_i64().expect("a count"))
}

fn sum(report: &Value, of: impl Fn(&str) -> bool) -> i64 {
    let counts = report.as_object().expect("a report");
    counts.keys().filter(|name| of(name)).map(|name| count(report, name)).sum()
}

/// A bundle for six numbers near a plane.
fn fitted(broker: &Broker) -> std::path::PathBuf {
    let rows = path_in(broker, "rows.npy");
    let made = Process::client("registry.py", &["rows", rows.to_str().expect("UTF-8")]).status();
    assert!(made.expect("registry.py runs").success());
    let bundle = path_in(broker, "bundle");
    let fit = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["fit", "--name", "payments", "--budget", "5%", "--data"])
        .args([&rows, Path::new("--out"), &bundle])
        .output()
        .expect("tripline runs");
    assert!(fit.status.success(), "{}", String::from_utf8_lossy(&fit.stderr));
    bundle
}

#[test]
fn what_real_serializers_wrote_passes_untouched_or_corrected_and_waits_for_its_registry() {
    let _turn = turn();
    let broker = Broker::start();
    let registry = Registry::start(&broker, crate::harness::free_port());
    let port = registry.port;
    let bundle = fitted(&broker);
    let closed = Payments::new(&broker, &registry, "closed", &bundle, "closed");
    let open = Payments::new(&broker, &registry, "open", &bundle, "open");
    let _tails = [ShowOnPanic(closed.log()), ShowOnPanic(open.log())];

    assert!(closed.checked().contains("✓ http"), "{}", closed.checked());

    // All three languages, and ids that nobody knows.
    let mut guard = closed.run();
    closed.produce(0, RECORDS, 30);
    closed.wait_for(RECORDS);
    let report = closed.check();
    assert_eq!(count(&report, "unknown dead-letter:unknown-schema"), 30, "{report}");
    assert_eq!(sum(&report, |name| name.contains("dead-letter")), 30, "{report}");
    for format in ["avro", "protobuf", "json"] {
        assert!(count(&report, &format!("corrected {format}")) >= 20, "{format}: {report}");
    }
    let (passed, clean) =
        (count(&report, "clean pass"), sum(&report, |name| name.starts_with("clean ")));
    assert!(passed * 10 >= clean * 9, "the budget is 5%: {report}");

    // Both streams begin with no schema known and no registry there.
    assert_eq!(guard.terminate(Duration::from_secs(20)).code(), Some(0));
    closed.produce(RECORDS, RECORDS, 0);
    open.produce(0, RECORDS, 0);
    let mut registry = registry;
    registry.process.kill();
    let said = closed.checked();
    // The other one: it corrects a table.
    assert!(said.contains("✕ http") && said.contains("2 problems"), "{said}");
    let mut waiting = closed.run();
    let mut passing = open.run();
    open.wait_for(RECORDS);
    std::thread::sleep(Duration::from_secs(8)); // longer than a session
    assert_eq!(closed.committed(), RECORDS, "nothing passes unread");
    assert!(waiting.child.try_wait().expect("a status").is_none(), "it waits, it does not end");
    let registry = Registry::start(&broker, port);
    closed.wait_for(2 * RECORDS);

    let report = closed.check();
    assert_eq!(sum(&report, |name| name.contains("unscored")), 0, "{report}");
    assert_eq!(count(&report, "records"), 2 * RECORDS);
    let report = open.check();
    assert_eq!(sum(&report, |name| name.contains("unscored")), RECORDS, "{report}");
    for guard in [&mut waiting, &mut passing] {
        assert_eq!(guard.terminate(Duration::from_secs(20)).code(), Some(0));
    }
    drop(registry);
}
