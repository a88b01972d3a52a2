//! Tables through a real Kafka: two streams in one process, each with its own bundle and mode.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Broker, Process, file, path_in, root};
use crate::turn::turn;

fn bundle(name: &str) -> PathBuf {
    root().join("models").join(name)
}

fn config(broker: &Broker) -> String {
    format!(
        r#"
instance = "test-0"

[kafka]
brokers = "{brokers}"
session_timeout_ms = 6000

[[stream]]
name = "shuttle"
input = "shuttle.requests"
bundle = "{shuttle}"
codec = "auto"
mode = "enforce"

[[stream]]
name = "nsl-kdd"
input = "nsl-kdd.requests"
bundle = "{nsl_kdd}"
codec = "auto"
mode = "observe"

[[stream]]
name = "batches"
input = "batches.requests"
bundle = "{shuttle}"
codec = "kserve-v1"
mode = "enforce"
"#,
        brokers = broker.address(),
        shuttle = bundle("shuttle").display(),
        nsl_kdd = bundle("nsl-kdd").display(),
    )
}

/// What the independent client counted, and whether every record came out once with its bytes.
fn send(broker: &Broker, stream: &str, table: &Path, more: &[&str]) -> (Value, bool) {
    let (brokers, table) = (broker.address(), table.to_str().expect("a path in UTF-8"));
    let arguments = ["--brokers", &brokers, "--stream", stream, "--table", table];
    let output = Process::client("tables.py", &arguments).args(more).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(said.trim()).unwrap_or_else(|error| {
        panic!("{error}: {said}\n{}", String::from_utf8_lossy(&output.stderr))
    });
    println!("{stream}: {report}");
    (report, output.status.success())
}

/// The clean share lies in the interval that the bundle's calibration promises, and attacks score
/// higher.
fn check(name: &str, report: &Value, auroc_min: f64) {
    let manifest = tripline::shell::bundle::read(&bundle(name)).expect("a bundle").manifest;
    let count = |key: &str| report[key].as_u64().expect("a count") as usize;
    let m = manifest.provenance.rows.merged as usize;
    let (low, high) =
        tripline::fit::data::budget::flagged_interval(manifest.budget, m, count("clean"));
    let flagged = count("clean_flagged");
    assert!((low..=high).contains(&flagged), "{name}: {flagged}, not {low} to {high}: {report}");
    let auroc = report["auroc"].as_f64().expect("a share");
    assert!(auroc >= auroc_min, "{name}: AUROC {auroc}");
    assert_eq!(count("clean_refused"), 0, "{name}: {report}");
}

#[test]
fn two_tables_in_one_process_keep_their_budget_and_every_record() {
    let _turn = turn();
    let broker = Broker::start();
    for (stream, partitions) in [("shuttle", 3), ("nsl-kdd", 2), ("batches", 1)] {
        broker.create_topic(&format!("{stream}.requests"), partitions, &[]);
    }
    let config = file(&broker, "tripline.toml", &config(&broker));
    let config = config.to_str().expect("a path in UTF-8");
    let applied = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .args(["topics", "-c", config, "--apply"])
        .output()
        .expect("tripline runs");
    assert!(applied.status.success(), "{}", String::from_utf8_lossy(&applied.stderr));
    let log = path_in(&broker, "tripline.log");
    let _tail = crate::harness::ShowOnPanic(log.clone());
    let mut guard = Process::tripline(&["run", "-c", config], &log);

    let table = bundle("shuttle").join("slice/held-out.csv");
    let (report, whole) = send(&broker, "shuttle", &table, &["--form", "array"]);
    assert!(whole, "{report}");
    check("shuttle", &report, 0.95);

    let table = bundle("nsl-kdd").join("slice/held-out.csv");
    let words = "protocol_type,service,flag";
    let (report, whole) = send(&broker, "nsl-kdd", &table, &["--form", "object", "--words", words]);
    assert!(whole, "{report}");
    check("nsl-kdd", &report, 0.9);

    // The same rows in requests of five: a record is flagged no more often than a row.
    let table = bundle("shuttle").join("slice/held-out.csv");
    let (report, whole) = send(&broker, "batches", &table, &["--form", "v1", "--batch", "5"]);
    assert!(whole, "{report}");
    check("shuttle", &report, 0.95);

    let ended = guard.terminate(Duration::from_secs(30));
    assert!(ended.success(), "{ended}");
}
