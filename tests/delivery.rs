//! Through a real Kafka, killed again and again: every record leaves exactly once.

mod harness;

use std::process::Command;
use std::time::Duration;

use harness::{Broker, Process, file, path_in, root, wait_until};
use serde_json::Value;

const PARTITIONS: i32 = 6;
const RECORDS: i64 = 20_000;
const KILLS: i64 = 5;

fn config(broker: &Broker) -> String {
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
codec = "json"
mode = "enforce"
on_flagged = "quarantine"
value_bytes_max = 262144

[stream.json]
pointers = ["/pixels"]

[stream.alerts]
window_ms = 1000
"#,
        brokers = broker.address(),
        admin = harness::free_port(),
        bundle = root().join("models/fashion-mnist").display(),
    )
}

fn tripline(args: &[&str]) -> (String, Option<i32>) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tripline")).args(args).output().expect("tripline runs");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.code())
}

#[test]
fn every_record_leaves_exactly_once_though_the_process_is_killed_again_and_again() {
    let broker = Broker::start();
    broker.create_topic(
        "fashion.requests",
        PARTITIONS,
        &[("message.timestamp.type", "CreateTime"), ("max.message.bytes", "1048588")],
    );
    let config = file(&broker, "tripline.toml", &config(&broker));
    let config = config.to_str().expect("a path in UTF-8");

    let (said, code) = tripline(&["check", "-c", config, "--connect"]);
    assert_eq!(code, Some(78), "nothing is there yet:\n{said}");
    assert!(said.contains("topic fashion.sanitized does not exist"), "{said}");
    let (said, code) = tripline(&["topics", "-c", config, "--apply"]);
    assert_eq!(code, Some(0), "{said}");
    let (said, code) = tripline(&["check", "-c", config, "--connect"]);
    assert_eq!(code, Some(0), "{said}");

    let log = path_in(&broker, "tripline.log");
    let _tail = harness::ShowOnPanic(log.clone());
    let run = || Process::tripline(&["run", "-c", config], &log);
    let committed = || broker.committed_and_end("tripline.fashion", "fashion.requests", PARTITIONS);
    // Killed once before there is anything to read: what was not read must not need state.
    let mut guard = run();
    wait_until("presence in the evidence", Duration::from_secs(60), || {
        broker.committed_and_end("-", "fashion.evidence", 1).1 >= i64::from(PARTITIONS)
    });
    guard.kill();

    // The independent client produces while the guard is killed.
    let slice = root().join("models/fashion-mnist/slice");
    let ledger = path_in(&broker, "ledger.jsonl");
    let address = broker.address();
    let argument = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    let mut produce = Process::client(
        "produce.py",
        &[
            "--brokers",
            &address,
            "--topic",
            "fashion.requests",
            "--clean",
            &argument(&slice.join("clean.u8")),
            "--attack",
            &argument(&slice.join("trigger.u8")),
            "--records",
            &RECORDS.to_string(),
            "--malformed",
            "500",
            "--too-large",
            "262144",
            "--seed",
            "20261123",
            "--ledger",
            &argument(&ledger),
        ],
    );
    let mut produce = Process { child: produce.spawn().expect("produce.py starts") };

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

    // One incident fires and resolves; the judge needs a few windows of quiet to know.
    let checked = || {
        let output = Process::client(
            "check.py",
            &["--brokers", &address, "--ledger", &argument(&ledger), "--stream", "fashion"],
        )
        .output()
        .expect("check.py runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let report: Value = serde_json::from_str(text.trim()).unwrap_or_else(|error| {
            panic!("{error}: {text}\n{}", String::from_utf8_lossy(&output.stderr))
        });
        (report, output.status.success(), text)
    };
    let statuses = |report: &Value| -> Vec<String> {
        let alerts = report["alerts"].as_array().expect("a list of alerts");
        alerts.iter().map(|alert| alert["status"].as_str().expect("a status").to_owned()).collect()
    };
    wait_until("a resolved incident", Duration::from_secs(60), || {
        statuses(&checked().0).last().is_some_and(|status| status == "resolved")
    });

    let drained = guard.terminate(Duration::from_secs(20));
    assert_eq!(drained.code(), Some(0), "SIGTERM drains and ends with 0");

    let (report, sound, text) = checked();
    println!("{text}");
    assert!(sound, "{text}");
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
        assert_eq!(report[nothing], 0, "{nothing}: {text}");
    }
    assert_eq!(statuses(&report), ["firing", "resolved"], "{text}");
    assert_eq!(report["alerts"][0]["dedup_key"], report["alerts"][1]["dedup_key"]);
    assert_eq!(report["counts"]["dead-letter"], 500, "{text}");
}
