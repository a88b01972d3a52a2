//! What a stream hides, through a real Kafka: 10,000 records with a canary in every field, key and header that must
//! not be seen, and the deployed model's answers, which name it too. A client that is not ours reads every topic back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::audit::make_audit_keys;
use crate::harness::{Broker, Process, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 3;
const RECORDS: i64 = 10_000;

fn config(broker: &Broker, admin: u16) -> String {
    format!(
        r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[admin]
listen = "127.0.0.1:{admin}"
[audit]
topic = "tripline.audit"
sign_key = {{ file = "audit.pem" }}
public_key = "audit.pub.pem"
[[key]]
name = "team"
jwk = {{ file = "team.jwk" }}
[[key]]
name = "names-1"
jwk = {{ file = "names.jwk" }}
[[stream]]
name = "private"
input = "private.requests"
bundle = "{bundle}"
mode = "enforce"
[[stream.output]]
of = "sanitized"
drop = ["/customer/name"]
trace = "shares"
record_key = "pseudonym"
key = "names-1"
drop_headers = ["x-user", "x-origin"]
[[stream.output.step]]
field = "/customer/id"
do = "pseudonym"
key = "names-1"
[[stream.output.step]]
field = "/customer/card"
do = "mask"
keep_last = 4
[[stream.output.step]]
field = "/notes/*/text"
do = "null"
[[stream.output]]
of = "quarantine"
encrypt_to = "team"
trace = "none"
record_key = "pseudonym"
key = "names-1"
keep_headers = ["traceparent"]
[[stream.output]]
of = "dead_letter"
encrypt_to = "team"
record_key = "pseudonym"
key = "names-1"
drop_headers = ["x-user", "x-origin"]
[stream.clients]
enabled = true
origin = "x-origin"
[stream.clients.id]
header = "x-user"
[[stream.clients.key]]
name = "names-1"
from = "2026-01-01T00:00:00Z"
[stream.answers]
topic = "private.answers"
request_id = {{ header = "x-user" }}
id = {{ header = "x-user" }}
horizon = "10s"
key = "names-1"
[stream.privacy]
sets = [["x0", "x4", "x6"]]
subject = "header:x-user"
key = "names-1"
[stream.lineage]
topic = "tripline.lineage"
every = "1s"
"#,
        brokers = broker.address(),
        bundle = root().join("models/shuttle").display(),
    )
}

fn client(what: &str, arguments: &[&str]) -> (Value, bool) {
    let output = Process::client("privacy.py", &[what]).args(arguments).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(said.trim()).unwrap_or_else(|error| {
        panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    println!("{what}: {report}");
    (report, output.status.success())
}

/// What a command says, all of it, into a file.
fn said_by(broker: &Broker, name: &str, arguments: &[&str], config: &str) -> PathBuf {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    let done = command.args(arguments).args(["-c", config]).output().expect("tripline runs");
    let said = [done.stdout, done.stderr].concat();
    file(broker, name, &String::from_utf8_lossy(&said))
}

pub fn metrics(admin: u16) -> String {
    let mut said = String::new();
    let mut stream = TcpStream::connect(("127.0.0.1", admin)).expect("it listens");
    let request = "GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("sent");
    stream.read_to_string(&mut said).expect("read");
    said
}

#[test]
fn what_is_dropped_masked_or_sealed_is_in_no_topic_header_log_or_metric_and_joserfc_opens_it() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("private.requests", PARTITIONS, &[]);
    broker.create_topic("private.answers", 1, &[]);
    let admin = free_port();
    let config = file(&broker, "tripline.toml", &config(&broker, admin));
    let folder = config.parent().and_then(|path| path.to_str()).expect("UTF-8").to_owned();
    let config = config.to_str().expect("a path in UTF-8");
    let place = ["--folder", &folder];
    assert!(client("keys", &place).1);
    make_audit_keys(&broker);
    let applied = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["topics", "-c", config, "--apply"])
        .output()
        .expect("tripline runs");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));

    let table = root().join("models/shuttle/slice/held-out.csv");
    let (brokers, table) = (broker.address(), table.to_str().expect("UTF-8").to_owned());
    let what = ["--brokers", &brokers, "--table", &table];
    assert!(client("produce", &[&place[..], &what].concat()).1);

    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let loud = [("RUST_LOG", "trace,rdkafka=debug")];
    let mut guard = Process::tripline_with(&["run", "-c", config], &loud, &log);
    wait_until("the end of the input", Duration::from_secs(180), || {
        let done = broker.committed_and_end("tripline.private", "private.requests", PARTITIONS);
        done == (RECORDS, RECORDS)
    });
    wait_until("what follows from the records", Duration::from_secs(60), || {
        let end = |topic| broker.committed_and_end("privacy", topic, 1).1;
        let (visits, pages) = (end("private.visits"), end("private.clients"));
        let answered = broker.committed_and_end("tripline.private.answers", "private.answers", 1);
        let are_read = answered.0 == answered.1 && answered.1 > 0;
        visits > 0 && pages > 0 && end("tripline.lineage") > 2 && are_read
    });
    let seen = file(&broker, "metrics.txt", &metrics(admin));
    assert_eq!(guard.terminate(Duration::from_secs(30)).code(), Some(0));
    // Whoever asks for a decision sees values, and nobody else by that: it is in the audit log.
    let why = said_by(&broker, "why", &["why", "private.requests", "0", "0"], config);
    assert!(std::fs::read_to_string(why).expect("a decision").contains("stream private"));
    let [checked, access, audit] = [
        ("check.txt", &["check", "--connect"][..]),
        ("access.csv", &["access"]),
        ("audit.txt", &["audit", "show"]),
    ]
    .map(|(name, arguments)| said_by(&broker, name, arguments, config));

    let texts = [&log, &seen, &checked, &access, &audit];
    let texts = texts.map(|path| path.to_str().expect("UTF-8").to_owned());
    let texts: Vec<&str> = texts.iter().flat_map(|path| ["--text", path]).collect();
    let (report, fine) = client("check", &[&place[..], &what, &texts].concat());
    assert!(fine, "{report}");
    let counts = |name: &str| report["counts"][name].as_i64().unwrap_or(0);
    // Each way out was taken, or the test would prove nothing.
    for (name, least) in [
        ("sanitized row", 5000),
        ("quarantine row", 100),
        ("dead-letter unreadable", 200),
        ("dead-letter hidden", 20),
        ("dead-letter outside", 200),
        ("tripline.log", 1000),
        ("metrics.txt", 1000),
        ("check.txt", 1000),
        // A line for each of the clients that are printed.
        ("access.csv", 50_000),
        ("audit.txt", 1000),
    ] {
        assert!(counts(name) >= least, "{name}: {report}");
    }
    for topic in ["private.visits", "private.clients", "private.evidence", "private.state"]
        .into_iter()
        .chain(["private.join", "tripline.lineage", "tripline.audit"])
    {
        assert!(report["read"][topic].as_i64().unwrap_or(0) > 0, "{topic}: {report}");
    }
    let sealed = counts("opened");
    let audit = std::fs::read_to_string(audit).expect("the log");
    let used = audit.lines().find(|line| line.contains("audit.key-use")).expect("keys were used");
    let told = format!("\"stream private, key team\":\"opened 0, sealed {sealed}\"");
    assert!(used.contains(&told), "{sealed}: {used}");
    assert!(audit.lines().any(|line| line.contains("audit.why")), "{audit}");
    assert_eq!(sealed + counts("sanitized row"), RECORDS, "{report}");
}
