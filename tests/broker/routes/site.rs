//! A guard with routes, and what it shows of them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::json;

use crate::harness::{Broker, Process, file, free_port, path_in, root};

/// What a test waits at most for what comes at once.
pub const SOON: Duration = Duration::from_secs(240);
pub const ALERTS: &str = "tripline.alerts";
pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A guard with routes.
pub struct Site {
    pub broker: Broker,
    config: String,
    pub admin: u16,
    pub log: PathBuf,
}

impl Site {
    pub fn new(routes: &str) -> Self {
        let broker = Broker::start();
        broker.create_topic("rows.requests", 1, &[]);
        let admin = free_port();
        let text = format!(
            r#"
instance = "test-0"
[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000
[admin]
listen = "127.0.0.1:{admin}"
[[stream]]
name = "rows"
input = "rows.requests"
bundle = "{bundle}"
codec = "f32-le"
{routes}
"#,
            brokers = broker.address(),
            bundle = root().join("models/shuttle").display(),
        );
        let path = file(&broker, "tripline.toml", &text);
        let config = path.to_str().expect("a path in UTF-8").to_owned();
        let site = Self { config, admin, log: path_in(&broker, "tripline.log"), broker };
        let mut topics = Command::new(env!("CARGO_BIN_EXE_tripline"));
        let topics = topics.args(["topics", "--apply", "-c", &site.config]);
        let output = topics.env("HOOK_SECRET", SECRET).output().expect("it runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        site
    }

    pub fn start(&self) -> Process {
        self.start_another("test-0", self.admin)
    }

    /// Another process of the same fleet.
    pub fn start_another(&self, instance: &str, admin: u16) -> Process {
        let listen = format!("127.0.0.1:{admin}");
        let variables = [
            ("HOOK_SECRET", SECRET),
            ("TRIPLINE__INSTANCE", instance),
            ("TRIPLINE__ADMIN__LISTEN", &listen),
        ];
        Process::tripline_with(&["run", "-c", &self.config, "--log", "json"], &variables, &self.log)
    }

    pub fn metrics(&self) -> String {
        get(self.admin, "/metrics").1
    }

    pub fn metric(&self, name: &str, route: &str) -> f64 {
        metric(self.admin, name, route)
    }

    /// Where the group of `route` goes on, and where the topic ends but for the marker of a transaction.
    pub fn committed(&self, route: &str) -> (i64, i64) {
        self.broker.committed_and_end(&format!("tripline.route:{route}"), ALERTS, 1)
    }

    /// Writes `value` under `key`.
    pub fn write(&self, key: &str, value: Option<&str>) {
        let producer: BaseProducer = self.broker.client().create().expect("a producer");
        let record = BaseRecord::to(ALERTS).key(key);
        let record = match value {
            Some(value) => record.payload(value),
            None => record,
        };
        producer.send(record).expect("room");
        producer.flush(Duration::from_secs(20)).expect("delivered");
    }

    /// An alert as a monitor writes it.
    pub fn say(&self, key: &str, status: &str, severity: &str) {
        let alert = json!({
            "version": 1, "dedup_key": key, "status": status, "kind": "flagged-share",
            "severity": severity, "stream": "rows",
            "summary": format!("rows: 212 of 980 records look attacked ({key}, {status})"),
            "since": "2026-11-23T18:51:10Z", "until": "2026-11-23T18:53:10Z",
            "counts": {"rows": 980, "flagged": 212, "corrected": 0, "quarantined": 212, "faults": 3},
            "budget": {"allowed_share": 0.01, "seen_share": 0.216, "false_pages_per_week": 1.0},
            "atlas": ["AML.T0015"], "next_steps": ["kcat -b $BROKERS -C -t rows.requests"],
            "baseline": "e",
        });
        self.write(key, Some(&alert.to_string()));
    }
}

/// The value of a metric of `route`; negative while it is not there.
pub fn metric(admin: u16, name: &str, route: &str) -> f64 {
    let start = format!("tripline_route_{name}{{route=\"{route}\",");
    let page = get(admin, "/metrics").1;
    let line = page.lines().find(|line| line.starts_with(&start));
    line.map_or(-1.0, |line| line.rsplit_once(' ').expect("a value").1.parse().expect("a number"))
}

/// Status and body of an answer, empty while nobody is there.
pub fn get(port: u16, path: &str) -> (String, String) {
    let mut said = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = write!(stream, "GET {path} HTTP/1.0\r\nhost: a\r\n\r\n");
        let _ = stream.read_to_string(&mut said);
    }
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_default();
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}
