//! What an operator sees and does, on a real Kafka: metrics that move with the records, a partition
//! whose state is poisoned, its reset, a new budget while an incident is open, the monitor's reset.

mod site;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tripline::emit::ReadTrace;

use self::site::{Site, Source};
use crate::harness::{Broker, Process, ShowOnPanic, file, free_port, path_in, root, wait_until};
use crate::turn::turn;

const INPUT: &str = "rows.requests";
const PARTITIONS: i32 = 3;
const WINDOW_MS: i64 = 1000;
const SOON: Duration = Duration::from_secs(240);

/// Clean and attacked rows of the shipped slice, as the stream carries them.
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

#[test]
fn an_operator_sees_what_is_wrong_resets_it_and_nothing_is_lost() {
    let _turn = turn();
    let mut site = Site::new();
    let _tail = ShowOnPanic(site.log.clone());
    let rows = rows();
    let (clean, attacks) = &rows;

    // Metrics move with what is committed.
    let mut guard = site.start();
    // One attack among 61 rows is no incident yet.
    for partition in 0..PARTITIONS {
        let attacked = if partition == 0 { &attacks[..1] } else { &clean[20..21] };
        let first = [&clean[..24], attacked, &vec![b"no row".to_vec(); 3]].concat();
        site.send(partition, now(), 50, &first);
    }
    site.wait_for_commits(84);
    let line = |name: &str, labels: &str, n: i64| format!("{name}{{stream=\"rows\"{labels}}} {n}");
    let lag = |p| line("tripline_consumer_lag_records", &format!(",partition=\"{p}\""), 0);
    site.wait_for_metrics(&[
        line("tripline_records_total", ",output=\"dead-letter\"", 9),
        line("tripline_faults_total", ",fault=\"unreadable\"", 9),
        line("tripline_partitions_held", "", 0),
        lag(0),
        lag(1),
        lag(2),
    ]);
    let page = site.get("/metrics");
    let value = |name: &str| -> f64 {
        let values = page.lines().filter(|line| line.starts_with(name));
        values.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
    };
    assert_eq!(value("tripline_records_total{"), 84.0, "{page}");
    assert_eq!(value("tripline_faults_total{"), 9.0, "{page}");
    let quarantined = value("tripline_records_total{stream=\"rows\",output=\"quarantine\"}");
    assert_eq!(value("tripline_flagged_records_total{"), quarantined, "{page}");
    assert!(quarantined >= 1.0, "{page}");

    // State is shown, and not touched while somebody works.
    let shown = site.show();
    assert_eq!(shown["members"].as_array().map(Vec::len), Some(2), "{shown:#}");
    for partition in shown["partitions"].as_array().expect("a list") {
        assert_eq!(partition["problem"], Value::Null, "{shown:#}");
        assert_eq!(partition["committed"], 28, "{shown:#}");
        assert_eq!(partition["covered"], 28, "{shown:#}");
        assert_eq!(partition["crash_loop"]["starts"], 1, "{shown:#}");
        assert_eq!(partition["baseline"], shown["baseline"], "{shown:#}");
    }
    let reset = |site: &Site, which: &[&str]| {
        site.tripline(&[&["state", "reset", "--stream", "rows"], which].concat())
    };
    let (said, code) = reset(&site, &["--yes"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("group tripline.rows has members: tripline.test-0.rows.worker-0"),
        "{said}"
    );
    assert!(guard.terminate(Duration::from_secs(20)).success());

    // Somebody writes nonsense over one partition's state and deletes another's.
    let producer = site.producer();
    let lane = BaseRecord::<[u8], [u8]>::to("rows.state").key(b"lane");
    producer.send(lane.partition(1).payload(b"{\"version\":5}")).expect("room");
    let lane = BaseRecord::<[u8], [u8]>::to("rows.state").key(b"lane");
    producer.send(lane.partition(2)).expect("room");
    producer.flush(Duration::from_secs(20)).expect("delivered");
    let mut guard = site.start();
    for partition in 0..PARTITIONS {
        site.send(partition, now(), 50, &clean[..10]);
    }
    site.wait_for_commits(94);
    wait_until("both to be named", SOON, || {
        let said = site.get("/ready");
        [1, 2].iter().all(|p| {
            said.contains(&format!("held still: stream rows: partition {p}: "))
                && said.contains(&format!("`tripline state reset --stream rows --partition {p}`"))
        })
    });
    assert!(site.get("/ready").starts_with("HTTP/1.1 200"), "the third partition is served");
    let held = |p| line("tripline_partition_held", &format!(",partition=\"{p}\""), 1);
    site.wait_for_metrics(&[held(1), held(2), line("tripline_partitions_held", "", 2)]);
    wait_until("both to be logged as errors", SOON, || {
        let log = std::fs::read_to_string(&site.log).expect("a log");
        [1, 2].iter().all(|p| log.contains(&format!("partition {p} is paused")))
    });
    assert!(guard.terminate(Duration::from_secs(20)).success());
    logs_are_json_and_name_what_is_held(&site.log);

    // Nothing is done before it is said, and what is said is done.
    let (said, code) = reset(&site, &["--partition", "1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("partition 1: goes on at offset 28, which the group committed"),
        "{said}"
    );
    assert!(
        said.contains("nothing is known of what it forgets: partition 1: cannot read"),
        "{said}"
    );
    assert!(said.ends_with("nothing is done yet: add --yes\n"), "{said}");
    assert!(site.show()["partitions"][1]["problem"].is_string());
    for partition in ["1", "2"] {
        let (said, code) = reset(&site, &["--partition", partition, "--yes"]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.ends_with("done\n"), "{said}");
    }
    let (said, code) = reset(&site, &["--partition", "3"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("topic rows.requests has no partition 3; it has 3"), "{said}");
    let shown = site.show();
    assert!(shown["partitions"][1]["problem"].is_null(), "{shown:#}");
    assert!(shown["partitions"][2]["problem"].is_null(), "{shown:#}");

    // The stream goes on.
    let mut guard = site.start();
    site.wait_for_commits(114);

    // An attack that is open goes on under a new budget; so do offsets.
    site.attack(&rows, now() - 30_000);
    let more = site.attack_until_the_share_rings(&rows);
    assert!(guard.terminate(Duration::from_secs(20)).success());
    site.configure("budget = 0.02");
    let (said, code) = site.tripline(&["state", "show"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("signals are watched anew at the next start"), "{said}");
    assert!(said.contains(" fires, "), "{said}");
    let before = site.show()["monitor"]["baseline"].clone();
    let mut guard = site.start();
    wait_until("the new budget", SOON, || site.show()["monitor"]["baseline"] != before);
    let (shown, alerts) = (site.show(), site.alerts());
    let key = &alerts[0]["dedup_key"];
    assert_eq!(&shown["monitor"]["firing"][0]["dedup_key"], key, "{shown:#}\n{alerts:#?}");
    assert_eq!(site.alerts().len(), 1, "{:#?}", site.alerts());

    // A reset of the monitor ends it, and says so.
    assert!(guard.terminate(Duration::from_secs(20)).success());
    site.wait_until_nobody_is_a_member();
    let (said, code) = reset(&site, &["--monitor", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let alerts = site.alerts();
    assert!(
        said.contains(&format!("incident {} is firing", alerts[0]["dedup_key"].as_str().unwrap()))
    );
    assert_eq!(alerts.len(), 2, "{alerts:#?}");
    let last = &alerts[1];
    assert_eq!(last["status"], "resolved", "{alerts:#?}");
    assert_eq!(last["dedup_key"], alerts[0]["dedup_key"]);
    let summary = last["summary"].as_str().expect("a text");
    assert!(summary.contains("the monitor's state was reset"), "{summary}");
    let mut guard = site.start();
    site.attack(&rows, now() - 30_000);
    site.wait_for_commits(114 + 2 * 1500 + more as i64);
    stayed_below_what_was_declared(&guard, &site.get("/metrics"));
    assert!(guard.terminate(Duration::from_secs(20)).success());

    // Every record left once, whatever was reset meanwhile.
    let topics = ["rows.sanitized", "rows.quarantine", "rows.dead-letter"].map(|t| (t, PARTITIONS));
    let mut times: BTreeMap<Source, u32> = BTreeMap::new();
    for (_, source) in site.read(&topics) {
        *times.entry(source.expect("a trace")).or_default() += 1;
    }
    assert_eq!(times.len(), 114 + 2 * 1500 + more);
    assert!(times.values().all(|&n| n == 1), "doubled");
}

/// The most that was ever resident against what `run` checked at its start.
fn stayed_below_what_was_declared(guard: &Process, page: &str) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", guard.child.id()));
    let status = status.expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    let name = "tripline_memory_declared_bytes ";
    let declared = page.lines().find_map(|line| line.strip_prefix(name)).expect("it is declared");
    let declared: u64 = declared.parse().expect("a number");
    println!("peak {} MiB, declared {} MiB", peak >> 10, declared >> 20);
    assert!(peak << 10 <= declared, "{peak} KiB were resident, {declared} bytes declared");
}

/// What a person needs to find a held partition in a log that a machine collects.
fn logs_are_json_and_name_what_is_held(log: &Path) {
    let text = std::fs::read_to_string(log).expect("a log");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    for line in &lines {
        for member in ["timestamp", "level", "target", "fields"] {
            assert!(!line[member].is_null(), "{member} is missing in {line}");
        }
    }
    let held: Vec<&Value> = lines
        .iter()
        .filter(|line| line["level"] == "ERROR" && line.to_string().contains("state reset"))
        .collect();
    assert!(held.len() >= 2, "two held partitions, and {held:#?}");
}
