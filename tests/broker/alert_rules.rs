//! Each rule of `k8s/monitoring` fires on the real thing: processes in the state that the rule is about, on a real Kafka,
//! scraped once a second, and promtool that evaluates the shipped rules on what they said.
//!
//! Only `for` is shortened: what a rule asks for lasts as long as the scrapes. A process that is well stands beside them and
//! pages nobody. It takes longest of all tests with a broker, so its name comes first: tests begin in the order of names.

mod hand;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use self::hand::Hand;
use crate::harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const SOON: Duration = Duration::from_secs(90);
/// A monitor is late after 120 s and eight windows; `for` comes on top.
const SCRAPES: usize = 165;
/// Instead of minutes.
const FOR: &str = "for: 15s";

/// Their metrics are shown by `tests/broker/cluster.rs`, which takes rights away, by `tests/outages`, which needs three
/// brokers, and by `tests/broker/reload.rs`.
const ELSEWHERE: [&str; 3] =
    ["TriplineRightMissing", "TriplineOutputLost", "TriplineReloadRefused"];

/// A process of a stream of its own.
struct Guard {
    name: &'static str,
    admin: u16,
    process: Process,
    _tail: ShowOnPanic,
}

/// The broker, or a port where nobody is.
#[derive(Clone, Copy)]
enum Door {
    Plain,
    Closed(u16),
}

fn config(
    broker: &Broker,
    (name, instance, stream): (&str, &str, &str),
    door: Door,
    admin: u16,
    more: &str,
) -> String {
    let brokers = match door {
        Door::Plain => broker.address(),
        Door::Closed(port) => format!("127.0.0.1:{port}"),
    };
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
name = "{stream}"
input = "{stream}.requests"
codec = "f32-le"
mode = "enforce"
{more}
"#
    );
    let path = file(broker, &format!("{name}.toml"), &text);
    path.to_str().expect("a path in UTF-8").to_owned()
}

fn bundle(network: Option<&str>, broker: &Broker) -> String {
    let shipped = root().join("models/shuttle");
    let Some(network) = network else { return format!("bundle = \"{}\"", shipped.display()) };
    let mut bundle = tripline::shell::bundle::read(&shipped).expect("a bundle");
    let path = root().join(format!("tests/onnx/{network}.onnx"));
    bundle.networks.insert(tripline::bundle::AUTOENCODER, std::fs::read(path).expect("a network"));
    let dir = path_in(broker, network);
    tripline::shell::bundle::write(&dir, &bundle.into_files()).expect("a place to write");
    format!("bundle = \"{}\"", dir.display())
}

impl Guard {
    fn start(broker: &Broker, name: &'static str, stream: &str, more: &str) -> Self {
        Self::start_by(broker, (name, name, stream), Door::Plain, more)
    }

    /// By a door, under the name of an instance that another may have. Topics are made by the front door.
    fn start_by(
        broker: &Broker,
        (name, instance, stream): (&'static str, &str, &str),
        door: Door,
        more: &str,
    ) -> Self {
        let admin = free_port();
        let log = path_in(broker, &format!("{name}.log"));
        let config = config(broker, (name, instance, stream), Door::Plain, admin, more);
        let topics = ["topics", "-c", &config, "--apply"];
        let applied = Process::tripline(&topics, &log).child.wait().expect("it ends");
        assert!(applied.success(), "{name}");
        let config = self::config(broker, (name, instance, stream), door, admin, more);
        let process = Process::tripline(&["run", "-c", &config], &log);
        Self { name, admin, process, _tail: ShowOnPanic(log) }
    }

    fn scrape(&self) -> String {
        let url = format!("http://127.0.0.1:{}/metrics", self.admin);
        let asked = ureq::get(url).call().ok();
        asked.and_then(|mut said| said.body_mut().read_to_string().ok()).unwrap_or_default()
    }

    fn metric(&self, name: &str) -> f64 {
        let page = self.scrape();
        let of = page.lines().filter(|line| line.starts_with(name));
        of.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
    }

    fn wait_until_it_works(&self, records: f64) {
        wait_until(self.name, SOON, || {
            self.metric("tripline_records_total") >= records
                && self.metric("tripline_monitor_seated") == 1.0
                && self.metric("tripline_partitions_assigned") == 1.0
        });
    }
}

/// Clean rows of the shipped slice.
fn rows() -> Vec<Vec<u8>> {
    let path = root().join("models/shuttle/slice/held-out.csv");
    let text = std::fs::read_to_string(path).expect("the slice");
    let clean = text.lines().filter_map(|line| line.strip_suffix(",normal"));
    let bytes = |row: &str| {
        let numbers = row.split(',').map(|n| n.parse::<f32>().expect("a number"));
        numbers.flat_map(f32::to_le_bytes).collect()
    };
    clean.map(bytes).collect()
}

/// What was scraped: a value per second and series, none where the process did not have it.
type Series = BTreeMap<String, Vec<Option<String>>>;

/// Metrics that a rule stands on.
fn wanted(rules: &str) -> BTreeSet<&str> {
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("tripline_")).collect()
}

fn note(series: &mut Series, guard: &Guard, wanted: &BTreeSet<&str>, second: usize) {
    let page = guard.scrape();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, value)) = line.rsplit_once(' ') else { continue };
        let (family, labels) = name.split_once('{').unwrap_or((name, "}"));
        if !wanted.contains(family) {
            continue;
        }
        let comma = if labels == "}" { "" } else { "," };
        let name = format!("{family}{{instance=\"{}\"{comma}{labels}", guard.name);
        let values = series.entry(name).or_default();
        values.resize(second, None);
        values.push(Some(value.to_owned()));
    }
}

/// As promtool reads it: what a scrape lacks that the one before had is stale.
fn values(scraped: &[Option<String>]) -> String {
    let mut text = String::new();
    let mut before = false;
    for value in scraped.iter().chain([&None]).take(SCRAPES) {
        let word = match value {
            Some(value) => value,
            None if before => "stale",
            None => "_",
        };
        before = value.is_some();
        let _ = write!(text, "{word} ");
    }
    text
}

/// Whether each of these rules fired with these labels.
fn fired(expected: &[(&str, &str)], well: &str) -> String {
    let mut text = String::new();
    for (rule, labels) in expected {
        let _ = write!(
            text,
            "      - expr: 'count(max_over_time(ALERTS{{alertname=\"{rule}\",alertstate=\"firing\"{labels}}}[5m])) > bool 0'\n        \
             eval_time: {SCRAPES}s\n        exp_samples: [{{labels: '{{}}', value: 1}}]\n"
        );
    }
    let _ = write!(
        text,
        "      - expr: 'max_over_time(ALERTS{{stream=\"{well}\"}}[5m])'\n        eval_time: {SCRAPES}s\n        exp_samples: []\n"
    );
    text
}

#[test]
fn every_rule_fires_on_processes_in_the_state_that_it_is_about_and_none_on_one_that_is_well() {
    let _turn = turn();
    let broker = Broker::start();
    let hand = Hand::new(&broker);
    // A broker of its own. Where a partition takes no marker, the broker forgets the markers of other transactions that
    // went in the same request: their producers wait for ever.
    let stuck = Broker::start();
    let stuck_hand = Hand::new(&stuck);
    stuck_hand.input("stuck", 1);
    let streams = [
        "well",
        "broken",
        "held",
        "open",
        "gone",
        "routed",
        "unread",
        "lost",
        "away",
        "forbidden",
        "twin",
    ];
    streams.iter().for_each(|stream| hand.input(stream, 1));
    hand.input("two", 2);
    let shipped = bundle(None, &broker);
    let windows = "[stream.alerts]\nwindow_ms = 1000";
    let told = |name: &str, to: u16| {
        format!(
            "{shipped}\n{windows}\ntopic = \"{name}.alerts\"\n[[route]]\nname = \"{name}\"\nkind = \"webhook\"\n\
             url = \"http://127.0.0.1:{to}/\"\n"
        )
    };
    let plain = format!("{shipped}\n{windows}");
    let seen = format!("{plain}\n[stream.clients]\nenabled = true");
    let nobody = free_port();
    // Its networks are tried at its start. A busy machine has no time for that, so the others begin later.
    let slow = bundle(Some("slow"), &broker);
    let impatient = "on_guard_failure = \"open\"\nguard_timeout_ms = 20\nrows_max = 4";
    let open = Guard::start(&broker, "open", "open", &format!("{slow}\n{impatient}"));
    wait_until("the slow networks to be taken", SOON, || !open.scrape().is_empty());
    let mut guards = vec![
        Guard::start(&broker, "well", "well", &plain),
        Guard::start(&broker, "broken", "broken", &plain),
        Guard::start(&broker, "held", "held", &seen),
        Guard::start(&broker, "gone", "gone", &plain),
        Guard::start(&broker, "routed", "routed", &told("routed", nobody)),
        Guard::start(&broker, "unread", "unread", &told("unread", nobody)),
        Guard::start(&broker, "lost", "lost", &plain),
        Guard::start(&broker, "twin", "twin", &plain),
    ];
    guards.push(Guard::start(&stuck, "stuck", "stuck", &plain));
    for guard in &guards {
        let hand = if guard.name == "stuck" { &stuck_hand } else { &hand };
        hand.send(guard.name, 50);
        guard.wait_until_it_works(50.0);
    }
    guards.push(open);
    // State that a worker and a monitor cannot read: they meet it at their next start.
    let held = guards.iter_mut().find(|guard| guard.name == "held").expect("it runs");
    assert!(held.process.terminate(Duration::from_secs(20)).success());
    hand.put("held.state", "lane", b"?");
    hand.put("held.state", "monitor", b"?");
    hand.put("held.state", "clients", b"?");
    hand.producer.flush(Duration::from_secs(20)).expect("delivered");
    *held = Guard::start(&broker, "held", "held", &seen);
    // Records that are deleted while nobody reads.
    let lost = guards.iter_mut().find(|guard| guard.name == "lost").expect("it runs");
    assert!(lost.process.terminate(Duration::from_secs(20)).success());
    hand.send("lost", 50);
    hand.delete_below("lost.requests", 80);
    *lost = Guard::start(&broker, "lost", "lost", &plain);
    let by = |name, instance, door| Guard::start_by(&broker, (name, instance, name), door, &plain);
    guards.push(by("away", "away", Door::Closed(nobody)));
    let twin = ("twin-b", "twin", "twin");
    guards.push(Guard::start_by(&broker, twin, Door::Plain, &plain));
    guards.push(Guard::start(&broker, "two", "two", &plain));
    guards.push(Guard::start(
        &broker,
        "two-b",
        "two",
        &format!("{shipped}\nbudget = \"2%\"\n{windows}"),
    ));
    // One that ends, and is scraped no more.
    let mut gone_for_good = Guard::start(&broker, "absent", "well", &plain);
    wait_until("all to answer", SOON, || guards.iter().all(|guard| !guard.scrape().is_empty()));

    let rules = root().join("k8s/monitoring/tripline.rules.yml");
    let rules = std::fs::read_to_string(rules).expect("the rules");
    let wanted = wanted(&rules);
    let (mut series, mut absent) = (Series::new(), Series::new());
    let began = Instant::now();
    for second in 0..SCRAPES {
        match second {
            3 => {
                gone_for_good.process.kill();
                // Not even the marker that ends a transaction.
                stuck_hand.limit("stuck.evidence", "1");
                // Markers, and no record of ours.
                hand.limit("broken.evidence", "100");
                hand.send("broken", 10);
                hand.delete("gone.requests");
                hand.delete("unread.alerts");
                hand.put("two.evidence", "k", b"?");
                hand.put("routed.alerts", "k", b"?");
                let alert = root().join("tests/frozen/v3/alert-firing.json");
                hand.put("routed.alerts", "a", &std::fs::read(alert).expect("a sample"));
                stuck_hand.send("stuck", 1500);
            }
            _ if second % 3 == 0 => {
                hand.send("well", 5);
                hand.send("open", 2);
                let rows = hand.rows.iter().take(10).enumerate();
                for (i, row) in rows {
                    let record = BaseRecord::<(), _>::to("two.requests");
                    let record = record.partition(i as i32 % 2).payload(row);
                    hand.producer.send(record).expect("room");
                }
                hand.producer.flush(Duration::from_secs(20)).expect("delivered");
            }
            _ => {}
        }
        guards.iter().for_each(|guard| note(&mut series, guard, &wanted, second));
        note(&mut absent, &gone_for_good, &wanted, second);
        let next = Duration::from_secs(second as u64 + 1);
        std::thread::sleep(next.saturating_sub(began.elapsed()));
    }

    let expected = [
        ("TriplineBrokersUnreachable", ""),
        ("TriplineStandsBack", ",stream=\"twin\""),
        ("TriplineInputLost", ",stream=\"lost\""),
        ("TriplineNoPartition", ",stream=\"gone\""),
        ("TriplineLagging", ",stream=\"stuck\""),
        ("TriplineNothingCommitted", ",stream=\"stuck\""),
        ("TriplinePartitionStalled", ",stream=\"stuck\",partition=\"0\""),
        ("TriplineTransactionsAborted", ",stream=\"broken\""),
        ("TriplineAlarmBehind", ",stream=\"stuck\""),
        ("TriplinePartitionsHeld", ",stream=\"held\""),
        ("TriplineNoMonitor", ",stream=\"held\""),
        ("TriplineNoFollower", ",stream=\"held\",follower=\"clients\""),
        ("TriplineUnscored", ",stream=\"open\""),
        ("TriplineTwoBundles", ",stream=\"two\""),
        ("TriplineEvidenceUnreadable", ",stream=\"two\""),
        ("TriplineRouteFailing", ",route=\"routed\""),
        ("TriplineRouteRefused", ",route=\"routed\""),
        ("TriplineRouteUnread", ",route=\"unread\""),
    ];
    let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
    let shown = expected.iter().map(|(rule, _)| *rule).chain(["TriplineAbsent"]);
    let shown: BTreeSet<&str> = shown.chain(ELSEWHERE).collect();
    assert_eq!(shown, names.collect(), "a rule that is not shown to fire");

    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let short = |line: &str| match line.trim_start().starts_with("for: ") {
        true => format!("        {FOR}\n"),
        false => format!("{line}\n"),
    };
    let short: String = rules.lines().map(short).collect();
    std::fs::write(dir.path().join("rules.yml"), short).expect("a file");
    let group = |name: &str, series: &Series, checks: String| {
        let mut text = format!("  - name: {name}\n    interval: 1s\n    input_series:\n");
        for (series, scraped) in series {
            let _ = writeln!(text, "      - {{series: '{series}', values: '{}'}}", values(scraped));
        }
        text + "    promql_expr_test:\n" + &checks
    };
    let tests = format!(
        "rule_files: [rules.yml]\nevaluation_interval: 1s\ntests:\n{}{}",
        group("what is wrong", &series, fired(&expected, "well")),
        group("what is gone", &absent, fired(&[("TriplineAbsent", "")], "none")),
    );
    let path = dir.path().join("test.yml");
    std::fs::write(&path, &tests).expect("a file");
    let promtool = root().join(".tools/alerting/bin/promtool");
    let output = Command::new(promtool).args(["test", "rules"]).arg(&path).output();
    let output = output.expect("promtool starts; run scripts/setup test first");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if !output.status.success() {
        let kept = std::env::temp_dir().join("tripline-rules-test.yml");
        let _ = std::fs::write(&kept, &tests);
        panic!("{said}\nthe scrapes are in {}", kept.display());
    }
}
