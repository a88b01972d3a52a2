//! Through a real Kafka, killed again and again: every record leaves exactly once.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Broker, Process, file, path_in, root, wait_until};
use crate::turn::turn;

const PARTITIONS: i32 = 6;
const RECORDS: i64 = 20_000;
const KILLS: i64 = 5;

fn config(broker: &Broker, on_flagged: &str) -> String {
    format!(
        r#"
instance = "test-0"

[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000

[admin]
listen = "127.0.0.1:{admin}"

[[stream]]
name = "fashion"
input = "fashion.requests"
bundle = "{bundle}"
codec = "auto"
mode = "enforce"
on_flagged = "{on_flagged}"
value_bytes_max = 262144
fields = ["/pixels"]

[stream.alerts]
window_ms = 1000
"#,
        brokers = broker.address(),
        admin = crate::harness::free_port(),
        bundle = root().join("models/fashion-mnist").display(),
    )
}

fn tripline(args: &[&str]) -> (String, Option<i32>) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tripline")).args(args).output().expect("tripline runs");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.code())
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// Starts the independent client: real images in every format, a share of them attacked, and
/// `malformed` records among them; it writes down what it sent.
fn produce(broker: &Broker, ledger: &Path, records: i64, malformed: u32, seed: u32) -> Process {
    let slice = root().join("models/fashion-mnist/slice");
    let arguments = [
        ("--brokers", broker.address()),
        ("--topic", "fashion.requests".to_owned()),
        ("--clean", text(&slice.join("clean.u8"))),
        ("--attack", text(&slice.join("trigger.u8"))),
        ("--records", records.to_string()),
        ("--malformed", malformed.to_string()),
        ("--too-large", "262144".to_owned()),
        ("--seed", seed.to_string()),
        ("--ledger", text(ledger)),
    ];
    let mut command = Process::client("produce.py", &[]);
    command.args(arguments.iter().flat_map(|(name, value)| [*name, value.as_str()]));
    Process { child: command.spawn().expect("produce.py starts") }
}

/// What the independent checker says, and whether it is content.
fn check(broker: &Broker, ledger: &Path) -> (Value, bool) {
    let arguments =
        ["--brokers", &broker.address(), "--ledger", &text(ledger), "--stream", "fashion"];
    let output = Process::client("check.py", &arguments).output().expect("check.py runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(said.trim()).unwrap_or_else(|error| {
        panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    (report, output.status.success())
}

#[test]
fn every_record_leaves_exactly_once_though_the_process_is_killed_again_and_again() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic(
        "fashion.requests",
        PARTITIONS,
        &[("message.timestamp.type", "CreateTime"), ("max.message.bytes", "1048588")],
    );
    let config = file(&broker, "tripline.toml", &config(&broker, "quarantine"));
    let config = config.to_str().expect("a path in UTF-8");

    let (said, code) = tripline(&["check", "-c", config, "--connect"]);
    assert_eq!(code, Some(78), "nothing is there yet:\n{said}");
    assert!(said.contains("topic fashion.sanitized does not exist"), "{said}");
    let (said, code) = tripline(&["topics", "-c", config, "--apply"]);
    assert_eq!(code, Some(0), "{said}");
    let (said, code) = tripline(&["check", "-c", config, "--connect"]);
    assert_eq!(code, Some(0), "{said}");

    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let run = || Process::tripline(&["run", "-c", config], &log);
    let committed = || broker.committed_and_end("tripline.fashion", "fashion.requests", PARTITIONS);
    // Killed once before there is anything to read: what was not read must not need state.
    let mut guard = run();
    wait_until("presence in the evidence", Duration::from_secs(60), || {
        broker.committed_and_end("-", "fashion.evidence", 1).1 >= i64::from(PARTITIONS)
    });
    guard.kill();

    // The independent client produces while the guard is killed.
    let ledger = path_in(&broker, "ledger.jsonl");
    let mut produce = produce(&broker, &ledger, RECORDS, 500, 20_261_123);

    let mut guard = run();
    for kill in 1..=KILLS {
        // Somewhere in the middle of work, each time further on.
        let far = RECORDS * kill / (KILLS + 2);
        wait_until("progress before a kill", Duration::from_secs(120), || committed().0 >= far);
        guard.kill();
        let (done, end) = committed();
        assert!(done < RECORDS, "kill {kill} came too late: {done} of {end} were committed");
        guard = run();
    }
    let produced = produce.child.wait().expect("its end");
    assert!(produced.success(), "produce.py: {produced}");
    wait_until("the end of the input", Duration::from_secs(180), || {
        let (done, end) = committed();
        end == RECORDS && done == end
    });

    // One incident fires and resolves; the monitor needs a few windows of quiet to know.
    let checked = || check(&broker, &ledger);
    // Unreadable records are an incident of their own; what is learned in between pages nobody.
    let attack = |report: &Value| -> Vec<Value> {
        let alerts = report["alerts"].as_array().expect("a list of alerts").iter();
        alerts.filter(|alert| alert["kind"] == "attack").cloned().collect()
    };
    let statuses = |report: &Value| -> Vec<String> {
        let said = attack(report).into_iter();
        said.map(|alert| alert["status"].as_str().expect("a status").to_owned()).collect()
    };
    wait_until("a resolved incident", Duration::from_secs(60), || {
        statuses(&checked().0).last().is_some_and(|status| status == "resolved")
    });

    let drained = guard.terminate(Duration::from_secs(20));
    assert_eq!(drained.code(), Some(0), "SIGTERM drains and ends with 0");

    let (report, sound) = checked();
    println!("{report}");
    assert!(sound, "{report}");
    for nothing in [
        "lost",
        "doubled",
        "reordered",
        "bytes_differ",
        "key_differ",
        "headers_differ",
        "timestamp_differ",
        "partition_differ",
        "wrong_reason",
        "malformed_elsewhere",
        "clean_in_dead_letter",
        "unscored",
    ] {
        assert_eq!(report[nothing], 0, "{nothing}: {report}");
    }
    // Killed partitions bring some of the attack late: the incident opens again, and pages nobody.
    let said = statuses(&report);
    assert_eq!(said.iter().filter(|status| *status == "firing").count(), 1, "{report}");
    assert_eq!((said[0].as_str(), said.last().map(String::as_str)), ("firing", Some("resolved")));
    let attack = attack(&report);
    assert!(attack.iter().all(|alert| alert["dedup_key"] == attack[0]["dedup_key"]), "{report}");
    assert_eq!(report["counts"]["dead-letter"], 500, "{report}");
    // Alerts are CloudEvents, as their SDK reads them.
    let events: Vec<&Value> = attack.iter().map(|alert| &alert["event"]).collect();
    assert_eq!(events[0]["type"], "dev.tripline.incident.firing", "{report}");
    let last = events.last().expect("two at least");
    assert_eq!(last["type"], "dev.tripline.incident.resolved", "{report}");
    assert_eq!(events[0]["source"], "/tripline/fashion", "{report}");
    assert_eq!(events[0]["subject"], attack[0]["dedup_key"], "{report}");
    assert_ne!(events[0]["id"], last["id"], "{report}");
}

#[test]
fn corrected_records_leave_in_their_own_format_with_their_own_key_and_headers() {
    let _turn = turn();
    let broker = Broker::start();
    broker.create_topic("fashion.requests", 2, &[("message.timestamp.type", "CreateTime")]);
    let config = text(&file(&broker, "tripline.toml", &config(&broker, "correct")));
    let (said, code) = tripline(&["topics", "-c", &config, "--apply"]);
    assert_eq!(code, Some(0), "{said}");
    let ledger = path_in(&broker, "ledger.jsonl");
    let mut produce = produce(&broker, &ledger, 2000, 50, 7);
    assert!(produce.child.wait().expect("its end").success());
    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", &config], &log);
    wait_until("the end of the input", Duration::from_secs(120), || {
        broker.committed_and_end("tripline.fashion", "fashion.requests", 2) == (2000, 2000)
    });
    assert_eq!(guard.terminate(Duration::from_secs(20)).code(), Some(0));
    let (report, sound) = check(&broker, &ledger);
    assert!(sound, "{report}");
    let attacked = report["attack_corrected"].as_u64().expect("a count");
    assert!(attacked >= 50, "only {attacked} attacked records were corrected: {report}");
    assert_eq!(report["unscored"], 0, "{report}");
}
