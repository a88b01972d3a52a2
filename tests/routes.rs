//! Incidents on their way to people: a real Kafka, a real Alertmanager, receivers that are away, choke or
//! hang, and a process that is killed while it tells.
//!
//! Alerts are written to the topic by the tests: what a judge says is tested elsewhere.

mod harness;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(60);
const ALERTS: &str = "tripline.alerts";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A guard with routes.
struct Site {
    broker: Broker,
    config: String,
    admin: u16,
    log: PathBuf,
}

impl Site {
    fn new(routes: &str) -> Self {
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

    fn start(&self) -> Process {
        self.start_another("test-0", self.admin)
    }

    /// Another process of the same fleet.
    fn start_another(&self, instance: &str, admin: u16) -> Process {
        let listen = format!("127.0.0.1:{admin}");
        let variables = [
            ("HOOK_SECRET", SECRET),
            ("TRIPLINE__INSTANCE", instance),
            ("TRIPLINE__ADMIN__LISTEN", &listen),
        ];
        Process::tripline_with(&["run", "-c", &self.config, "--log", "json"], &variables, &self.log)
    }

    fn metrics(&self) -> String {
        get(self.admin, "/metrics").1
    }

    fn metric(&self, name: &str, route: &str) -> f64 {
        metric(self.admin, name, route)
    }

    /// Where the group of `route` goes on, and where the topic ends but for the marker of a transaction.
    fn committed(&self, route: &str) -> (i64, i64) {
        self.broker.committed_and_end(&format!("tripline.route:{route}"), ALERTS, 1)
    }

    /// Writes `value` under `key`.
    fn write(&self, key: &str, value: Option<&str>) {
        let producer: BaseProducer = self.broker.client().create().expect("a producer");
        let record = BaseRecord::to(ALERTS).key(key);
        let record = match value {
            Some(value) => record.payload(value),
            None => record,
        };
        producer.send(record).expect("room");
        producer.flush(Duration::from_secs(20)).expect("delivered");
    }

    /// An alert as a judge writes it.
    fn say(&self, key: &str, status: &str, severity: &str) {
        let alert = json!({
            "version": 1, "dedup_key": key, "status": status, "kind": "flagged-share",
            "severity": severity, "stream": "rows",
            "summary": format!("rows: 212 of 980 records look attacked ({key}, {status})"),
            "since": "2026-11-23T18:51:10Z", "until": "2026-11-23T18:53:10Z",
            "counts": {"rows": 980, "flagged": 212, "corrected": 0, "quarantined": 212, "faults": 3},
            "budget": {"allowed_share": 0.01, "seen_share": 0.216, "false_pages_per_week": 1.0},
            "atlas": ["AML.T0015"], "next_steps": ["kcat -b $BROKERS -C -t rows.requests"],
            "epoch": "e",
        });
        self.write(key, Some(&alert.to_string()));
    }
}

/// The value of a metric of `route`; negative while it is not there.
fn metric(admin: u16, name: &str, route: &str) -> f64 {
    let start = format!("tripline_route_{name}{{route=\"{route}\",");
    let page = get(admin, "/metrics").1;
    let line = page.lines().find(|line| line.starts_with(&start));
    line.map_or(-1.0, |line| line.rsplit_once(' ').expect("a value").1.parse().expect("a number"))
}

/// Status and body of an answer, empty while nobody is there.
fn get(port: u16, path: &str) -> (String, String) {
    let mut said = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = write!(stream, "GET {path} HTTP/1.0\r\nhost: a\r\n\r\n");
        let _ = stream.read_to_string(&mut said);
    }
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_default();
    (head.lines().next().unwrap_or_default().to_owned(), body.to_owned())
}

fn tool(name: &str) -> PathBuf {
    root().join(".tools/alerting/bin").join(name)
}

/// A real one, on the loopback interface, with its data in `target/tmp`.
struct Alertmanager {
    _process: Process,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Alertmanager {
    fn start() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let (config, port) = (dir.path().join("alertmanager.yml"), free_port());
        std::fs::write(&config, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
            .expect("a file");
        let child = Command::new(tool("alertmanager"))
            .current_dir(root().join(".tools/alerting"))
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--cluster.listen-address=", "--log.level=error"])
            .stderr(Stdio::inherit())
            .spawn()
            .expect("alertmanager starts; run scripts/setup test first");
        let alertmanager = Self { _process: Process { child }, port, _dir: dir };
        wait_until("Alertmanager", SOON, || get(port, "/-/ready").0.contains(" 200 "));
        alertmanager
    }

    /// What fires, by key and severity.
    fn active(&self) -> BTreeMap<(String, String), Value> {
        let (_, body) = get(self.port, "/api/v2/alerts?active=true");
        let alerts: Vec<Value> = serde_json::from_str(&body).unwrap_or_default();
        let label =
            |alert: &Value, name: &str| alert["labels"][name].as_str().unwrap_or("").to_owned();
        let named = alerts.into_iter();
        named.map(|a| ((label(&a, "dedup_key"), label(&a, "severity")), a)).collect()
    }

    /// Waits until exactly these fire.
    fn wait_for(&self, expected: &[(&str, &str)]) {
        let expected: Vec<_> =
            expected.iter().map(|(k, s)| ((*k).to_owned(), (*s).to_owned())).collect();
        let started = Instant::now();
        while self.active().keys().cloned().collect::<Vec<_>>() != expected {
            assert!(started.elapsed() < SOON, "not {expected:?}: {:#?}", self.active());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the alert of `key` is said again, and what it says then.
    fn wait_for_more(&self, key: (&str, &str), than: &Value) -> Value {
        let key = (key.0.to_owned(), key.1.to_owned());
        let mut now = Value::Null;
        let later = |now: &Value, field: &str| now[field].as_str() > than[field].as_str();
        wait_until("the alert to be said again", SOON, || {
            now = self.active().remove(&key).unwrap_or_default();
            later(&now, "endsAt") && later(&now, "updatedAt")
        });
        now
    }
}

/// A request that somebody made.
#[derive(Clone, Debug)]
struct Request {
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// Key and status of the alert in it.
    fn says(&self) -> (String, String) {
        let alert: Value = serde_json::from_slice(&self.body).expect("an alert");
        let text = |name: &str| alert[name].as_str().expect("a text").to_owned();
        (text("dedup_key"), text("status"))
    }

    fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }
}

/// A receiver on the loopback interface.
struct Hook {
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Hook {
    /// `answer` says with which status, if at all, the request of this number is answered.
    fn listen(port: u16, answer: impl Fn(usize, &Request) -> Option<u16> + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let heard = requests.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            let mut unanswered = vec![];
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let number = heard.lock().expect("no panic").len();
                let status = answer(number, &request);
                heard.lock().expect("no panic").push(request);
                let mut stream = stream;
                match status {
                    Some(status) => {
                        let _ = write!(
                            stream,
                            "HTTP/1.1 {status} said\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                        );
                    }
                    None => unanswered.push(stream),
                }
            }
        });
        Self { requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("no panic").clone()
    }

    fn wait_for(&self, n: usize) -> Vec<Request> {
        let started = Instant::now();
        while self.requests().len() < n {
            assert!(started.elapsed() < SOON, "{n} requests: {:#?}", self.requests());
            std::thread::sleep(Duration::from_millis(50));
        }
        self.requests()
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut headers, mut line) = (BTreeMap::new(), String::new());
    reader.read_line(&mut line).ok()?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    Some(Request { headers, body })
}

/// Holds every signature against an implementation that is not ours.
fn check_signatures(requests: &[Request]) {
    let line = |request: &Request| {
        let body = STANDARD.encode(&request.body);
        format!("{}\n", json!({"headers": request.headers, "body": body}))
    };
    let lines: String = requests.iter().map(line).collect();
    let mut script = Process::client("webhook.py", &[SECRET]);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), requests.len());
}

/// `promtool check metrics`, which also looks at names and help.
fn check_metrics(page: &str) {
    let mut promtool = Command::new(tool("promtool"));
    let promtool = promtool.args(["check", "metrics"]).stdin(Stdio::piped());
    let promtool = promtool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = promtool.spawn().expect("promtool starts; run scripts/setup test first");
    child.stdin.take().expect("piped").write_all(page.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}\n{page}");
}

/// What fires, is said again, changes and is over in Alertmanager, while the other receiver is away for
/// a minute and this process is killed in it: 65 s of outage pass while the rest is tested, and the
/// other tests of this file run beside it.
#[test]
fn alertmanager_has_each_incident_once_while_another_receiver_is_away_and_misses_nothing() {
    const AWAY: Duration = Duration::from_secs(65);
    let (alertmanager, hook) = (Alertmanager::start(), free_port());
    let site = Site::new(&format!(
        r#"
[[route]]
name = "pager"
kind = "alertmanager"
url = "http://127.0.0.1:{}"
resend_ms = 1000
[[route]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:{hook}/incidents?key=c4n4ry"
secret = {{ env = "HOOK_SECRET" }}
[[route]]
"#,
        alertmanager.port
    ));
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    let begun = |route| site.metric("partitions_assigned", route) >= 1.0;
    wait_until("the routes", SOON, || ["pager", "hook", "log"].into_iter().all(begun));

    // Once, with everything that a person needs.
    site.say("a", "firing", "critical");
    alertmanager.wait_for(&[("a", "critical")]);
    let first = alertmanager.active().pop_first().expect("it fires").1;
    assert_eq!(first["labels"]["alertname"], "TriplineIncident", "{first:#}");
    assert_eq!(first["labels"]["stream"], "rows", "{first:#}");
    assert_eq!(first["startsAt"], "2026-11-23T18:51:10.000Z", "{first:#}");
    let summary = first["annotations"]["summary"].as_str().expect("a summary");
    assert!(summary.starts_with("rows: 212 of 980 records"), "{first:#}");
    assert!(
        first["annotations"]["next_steps"].as_str().is_some_and(|s| s.contains("kcat")),
        "{first:#}"
    );

    // The other receiver does not answer, and that is seen; nothing stops for it.
    wait_until("a failure", SOON, || site.metric("failing", "hook") == 1.0);
    let away_since = Instant::now();
    assert_eq!(site.metric("pending_alerts", "hook"), 1.0);
    assert_eq!(site.metric("failing", "pager"), 0.0);
    assert_eq!(site.metric("sent_total", "log"), 1.0);
    assert!(get(site.admin, "/ready").0.contains(" 200 "));
    check_metrics(&site.metrics());

    // It is said again, and stays one alert.
    let second = alertmanager.wait_for_more(("a", "critical"), &first);
    let third = alertmanager.wait_for_more(("a", "critical"), &second);
    assert_eq!(third["fingerprint"], first["fingerprint"]);
    assert_eq!(third["startsAt"], first["startsAt"]);
    assert_eq!(alertmanager.active().len(), 1);

    // Another severity is another alert there: the first one ends. What is no alert is passed over.
    site.write("junk", Some("\u{0}[{\"status\":"));
    site.write("nothing", None);
    site.say("a", "updated", "warning");
    alertmanager.wait_for(&[("a", "warning")]);
    site.say("b", "firing", "critical");
    alertmanager.wait_for(&[("a", "warning"), ("b", "critical")]);
    assert_eq!(site.metric("unreadable_total", "pager"), 1.0);
    assert_eq!(site.metric("open_incidents", "pager"), 2.0);
    site.say("a", "resolved", "warning");
    alertmanager.wait_for(&[("b", "critical")]);

    // Killed and started again, it knows what fires, before anybody says it.
    guard.kill();
    let before = alertmanager.active().pop_first().expect("b fires").1;
    let mut guard = site.start();
    wait_until("b is open again", SOON, || site.metric("open_incidents", "pager") == 1.0);
    alertmanager.wait_for_more(("b", "critical"), &before);
    site.say("b", "resolved", "critical");
    alertmanager.wait_for(&[]);
    assert_eq!(site.metric("open_incidents", "pager"), 0.0);

    // A minute is over. The receiver comes, and hears everything in its order, signed.
    wait_until("the routes", SOON, || {
        begun("hook") && site.metric("pending_alerts", "hook") == 5.0
    });
    std::thread::sleep(AWAY.saturating_sub(away_since.elapsed()));
    check_metrics(&site.metrics());
    assert!(get(site.admin, "/ready").0.contains(" 200 "));
    let hook = Hook::listen(hook, |_, _| Some(204));
    let requests = hook.wait_for(5);
    println!("the receiver was away for {:?}", away_since.elapsed());
    let says: Vec<_> = requests.iter().map(Request::says).collect();
    let said =
        [("a", "firing"), ("a", "updated"), ("b", "firing"), ("a", "resolved"), ("b", "resolved")];
    assert_eq!(says, said.map(|(key, status)| (key.to_owned(), status.to_owned())));
    check_signatures(&requests);
    wait_until("its commit", SOON, || site.committed("hook") == (7, 7));
    wait_until("all to be well", SOON, || site.metric("failing", "hook") == 0.0);
    assert_eq!(
        (site.metric("sent_total", "hook"), site.metric("pending_alerts", "hook")),
        (5.0, 0.0)
    );
    assert!(site.metric("last_success_timestamp_seconds", "hook") > 1e9);
    check_metrics(&site.metrics());
    assert!(guard.terminate(Duration::from_secs(20)).success());
    assert_eq!(hook.requests().len(), 5, "each once");

    let log = std::fs::read_to_string(&site.log).expect("a log");
    assert!(
        log.contains("the receiver takes nothing") && log.contains("the receiver answers again")
    );
    let lines =
        log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let told = lines.filter(|line| line["target"] == "tripline::shell::routes::log");
    let told: Vec<Value> = told.map(|line| line["fields"]["incident"].clone()).collect();
    assert_eq!(told, ["a", "a", "b", "a", "b"], "a line per change");
    for secret in [SECRET, &SECRET[6..], "c4n4ry"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// The receiver has it, the group does not know: whoever comes next says it again.
#[test]
fn what_was_sent_and_not_committed_is_sent_again_under_the_same_id() {
    let port = free_port();
    let site = Site::new(&format!(
        r#"
[[route]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret = {{ env = "HOOK_SECRET" }}
timeout_ms = 30000
"#
    ));
    let _tail = ShowOnPanic(site.log.clone());
    // A new route tells what fires, and not what is over.
    site.say("past", "firing", "critical");
    site.say("past", "resolved", "critical");
    site.say("a", "firing", "critical");
    let hook = Hook::listen(port, |number, request| match (number, request.says().1.as_str()) {
        // Heard, and never answered.
        (0 | 2, _) => None,
        (3, _) => Some(503),
        (_, "updated") => Some(422),
        _ => Some(200),
    });

    let mut guard = site.start();
    let first = hook.wait_for(1).remove(0);
    assert_eq!(first.says(), ("a".into(), "firing".into()));
    guard.kill();
    assert_eq!(site.committed("hook").0, 2);

    let mut guard = site.start();
    let again = hook.wait_for(2).remove(1);
    assert_eq!((again.id(), &again.body), (first.id(), &first.body));
    assert_ne!(again.headers["webhook-signature"], "");
    wait_until("the commit", SOON, || site.committed("hook").0 == 3);

    // A receiver that hangs does not keep the process from ending.
    site.say("a", "updated", "critical");
    hook.wait_for(3);
    let asked = Instant::now();
    assert!(guard.terminate(Duration::from_secs(20)).success());
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    println!("ended after {took:?} with a request of up to 30 s on its way");

    // Busy once; then one alert is refused for good, which stops nothing behind it.
    site.say("a", "resolved", "critical");
    let mut guard = site.start();
    let all = hook.wait_for(6);
    let says: Vec<String> = all.iter().map(|request| request.says().1).collect();
    assert_eq!(says, ["firing", "firing", "updated", "updated", "updated", "resolved"]);
    assert_eq!((all[3].id(), all[4].id()), (all[2].id(), all[2].id()));
    check_signatures(&all);
    wait_until("the commit", SOON, || site.committed("hook") == (5, 5));
    assert_eq!(site.metric("refused_total", "hook"), 1.0);
    assert_eq!(site.metric("failed_total", "hook"), 2.0);
    let log = std::fs::read_to_string(&site.log).expect("a log");
    assert!(log.contains("refused for good"), "{log}");

    // Of two processes one tells, and nothing more of what was told; the other goes on when it is killed.
    assert!(guard.terminate(Duration::from_secs(20)).success());
    let mut fleet = [0, 1].map(|number| {
        let admin = free_port();
        (admin, site.start_another(&format!("fleet-{number}"), admin))
    });
    let ports = fleet.each_ref().map(|(admin, _)| *admin);
    let tells = |port| metric(port, "partitions_assigned", "hook") == 1.0;
    let stands_by = |port| metric(port, "partitions_assigned", "hook") == 0.0;
    wait_until("one of two", SOON, || {
        let [a, b] = ports;
        tells(a) && stands_by(b) || tells(b) && stands_by(a)
    });
    site.say("b", "firing", "critical");
    let last = hook.wait_for(7);
    assert_eq!(last[6].says(), ("b".into(), "firing".into()));
    wait_until("the commit", SOON, || site.committed("hook") == (6, 6));
    fleet.iter_mut().find(|(port, _)| tells(*port)).expect("one tells").1.kill();
    site.say("b", "resolved", "critical");
    let last = hook.wait_for(8);
    assert_eq!(last[7].says(), ("b".into(), "resolved".into()));
    assert_eq!(hook.requests().len(), 8, "each once");
}

/// More alerts than are kept in memory: reading stops, and goes on where it was.
#[test]
fn more_alerts_than_fit_in_memory_wait_in_the_topic_and_keep_their_order() {
    const KEYS: usize = 50;
    const ALL: usize = 2500;
    let port = free_port();
    let site = Site::new(&format!(
        r#"
[[route]]
name = "hook"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
"#
    ));
    let _tail = ShowOnPanic(site.log.clone());
    let mut guard = site.start();
    wait_until("the route", SOON, || site.metric("partitions_assigned", "hook") == 1.0);
    let producer: BaseProducer = site.broker.client().create().expect("a producer");
    for number in 0..ALL {
        let key = format!("k{}", number % KEYS);
        let value = json!({"status": "updated", "stream": "rows", "number": number, "until": format!("{number:05}")});
        let value = value.to_string();
        producer.send(BaseRecord::to(ALERTS).key(&key).payload(&value)).expect("room");
    }
    producer.flush(Duration::from_secs(20)).expect("delivered");
    wait_until("what fits", SOON, || site.metric("pending_alerts", "hook") >= 1000.0);
    std::thread::sleep(Duration::from_secs(2));
    let waiting = site.metric("pending_alerts", "hook");
    assert!(waiting <= 1100.0, "{waiting}");
    let hook = Hook::listen(port, |_, _| Some(200));
    wait_until("all of them", 2 * SOON, || hook.requests().len() >= ALL);
    wait_until("the commit", SOON, || site.committed("hook") == (ALL as i64, ALL as i64));
    let numbers: Vec<u64> = hook
        .requests()
        .iter()
        .map(|request| {
            let alert: Value = serde_json::from_slice(&request.body).expect("an alert");
            alert["number"].as_u64().expect("a number")
        })
        .collect();
    assert_eq!(numbers, (0..ALL as u64).collect::<Vec<_>>());
    assert!(guard.terminate(Duration::from_secs(20)).success());
}

/// Every block of `language` in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence)
        .skip(1)
        .filter_map(|rest| Some(rest.split_once("```")?.0.to_owned()))
        .collect()
}

#[test]
fn what_the_page_on_alerts_shows_is_taken_by_alertmanager() {
    let page = std::fs::read_to_string(root().join("docs/alerts.md")).expect("the page");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let shown = blocks(&page, "yaml");
    assert!(shown.iter().any(|block| block.contains("pagerduty_configs")), "{page}");
    for (i, block) in shown.iter().enumerate() {
        let path = dir.path().join(format!("{i}.yml"));
        std::fs::write(&path, block).expect("a file");
        let output = Command::new(tool("amtool")).arg("check-config").arg(&path).output();
        let output = output.expect("amtool starts; run scripts/setup test first");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{said}\n{block}");
    }
}

#[test]
fn the_rules_about_the_guard_itself_fire_when_they_should() {
    let rules = root().join("k8s/monitoring");
    let mut said = String::new();
    for (what, file) in [("check", "tripline.rules.yml"), ("test", "tripline.rules.test.yml")] {
        let mut promtool = Command::new(tool("promtool"));
        let output = promtool.current_dir(&rules).args([what, "rules", file]).output();
        let output = output.expect("promtool starts; run scripts/setup test first");
        let text = [output.stdout, output.stderr].concat();
        let _ = write!(said, "{}", String::from_utf8_lossy(&text));
        assert!(output.status.success(), "{said}");
    }
    // No rule stands on a metric that there is not.
    let text = std::fs::read_to_string(rules.join("tripline.rules.yml")).expect("the rules");
    let source = std::fs::read_to_string(root().join("src/shell/metrics.rs")).expect("the source");
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let metrics: Vec<&str> = words.filter(|word| word.starts_with("tripline_")).collect();
    assert!(metrics.len() > 5, "{metrics:?}");
    for metric in metrics {
        let family = metric.trim_end_matches("_bucket").trim_end_matches("_count");
        assert!(source.contains(&format!("\"{family}\"")), "{metric} is no metric of ours");
    }
}
