//! `tripline demo`, the binary: what it catches of real attacks, and that it loses nothing. It brings its own broker, and
//! takes turns with the others: beside them it falls behind its own clock, and its incident comes and goes.

use std::process::Command;
use std::sync::LazyLock;
use std::thread;

use serde_json::Value;

use crate::turn::turn_of;

const RECORDS: u64 = 3000;

/// Two runs with the same seed.
static RUNS: LazyLock<[Value; 2]> = LazyLock::new(|| {
    thread::scope(|scope| {
        [scope.spawn(run), scope.spawn(run)].map(|run| run.join().expect("the demo ends well"))
    })
});

fn run() -> Value {
    let out = tempfile::tempdir().unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_tripline"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["demo", "--json", "--seed", "7", "--records", &RECORDS.to_string(), "--out"])
        .arg(out.path())
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}:\n{errors}", ended.status);
    assert!(out.path().join("caught.png").is_file(), "no picture:\n{errors}");
    serde_json::from_slice(&ended.stdout).expect("one JSON object and nothing else")
}

fn number(report: &Value, pointer: &str) -> f64 {
    let found = report.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number {pointer} in {report}"))
}

#[test]
fn every_record_leaves_once_by_one_of_three_ways() {
    let _turn = turn_of("demo");
    for report in &*RUNS {
        let routes = ["/sanitized", "/quarantined", "/dead_lettered"];
        let out: f64 = routes.iter().map(|route| number(report, route)).sum();
        assert_eq!(number(report, "/records_in"), RECORDS as f64);
        assert_eq!(out, RECORDS as f64, "{report}");
    }
}

#[test]
fn triggers_and_much_of_pgd_are_held_back_and_clean_images_are_not() {
    let _turn = turn_of("demo");
    let report = &RUNS[0];
    for suspect in ["/suspects/trigger/n", "/suspects/pgd/n"] {
        assert!(number(report, suspect) >= 90.0, "too few to say: {report}");
    }
    assert!(number(report, "/suspects/trigger/flagged_share") >= 0.95, "{report}");
    assert!(number(report, "/suspects/pgd/flagged_share") >= 0.25, "{report}");
    assert!(number(report, "/clean_flagged_share") <= 0.02, "{report}");
}

#[test]
fn the_attack_is_one_incident_that_fires_and_resolves() {
    let _turn = turn_of("demo");
    for report in &*RUNS {
        let alerts = report["alerts"].as_array().unwrap();
        // What is learned of it in between pages nobody.
        let told = alerts.iter().filter(|alert| alert["status"] != "updated");
        let statuses: Vec<_> = told.map(|alert| &alert["status"]).collect();
        assert_eq!(statuses, ["firing", "resolved"], "{report}");
        assert!(
            alerts.iter().all(|alert| alert["dedup_key"] == alerts[0]["dedup_key"]),
            "{report}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_counts() {
    let _turn = turn_of("demo");
    let same = ["suspects", "clean_flagged_share", "sanitized", "quarantined", "dead_lettered"];
    for key in same {
        assert_eq!(RUNS[0][key], RUNS[1][key], "{key}");
    }
}
