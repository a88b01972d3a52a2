//! `tripline demo`, the binary: what it catches of real attacks, and that it loses nothing. It brings its own broker, and
//! takes turns with the others: beside them it falls behind its own clock, and its incidents come and go.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::LazyLock;
use std::thread;

use serde_json::Value;

use crate::turn::turn_of;

const RECORDS: u64 = 6000;

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
fn the_attack_who_searches_and_another_model_are_three_incidents_and_nothing_else_pages() {
    let _turn = turn_of("demo");
    for report in &*RUNS {
        let alerts = report["alerts"].as_array().unwrap();
        let firing = |kind: &str| -> Vec<&Value> {
            alerts.iter().filter(|a| a["status"] == "firing" && a["kind"] == kind).collect()
        };
        let all = alerts.iter().filter(|alert| alert["status"] == "firing").count();
        // On a slow machine the client monitor may be later than the join.
        let (attacks, tampered) = (firing("attack"), firing("tampering"));
        let ([attack, search], [tampering]) = (&attacks[..], &tampered[..]) else {
            panic!("not two attacks and a tampered model: {report}");
        };
        assert_eq!(all, 3, "{report}");
        let names = |incident: &Value| -> BTreeSet<&str> {
            let of = alerts.iter().filter(|alert| alert["dedup_key"] == incident["dedup_key"]);
            let names = of.flat_map(|alert| alert["pseudonyms"].as_array().expect("a list"));
            names.filter_map(Value::as_str).collect()
        };
        assert!(names(attack).is_empty() && names(tampering).is_empty(), "{report}");
        let searchers = report["searchers"].as_object().expect("accounts by pseudonym");
        let searchers: BTreeSet<&str> = searchers.keys().map(String::as_str).collect();
        let named = names(search);
        assert!(!named.is_empty() && named.is_subset(&searchers), "{report}");
        // The first one is over, the model is still the other one. Of the accounts, which have stopped, it depends on how
        // slow the machine is.
        let resolved = alerts.iter().filter(|alert| alert["status"] == "resolved");
        let resolved: BTreeSet<_> = resolved.filter_map(|a| a["dedup_key"].as_str()).collect();
        let key = |incident: &Value| incident["dedup_key"].as_str().expect("a key").to_owned();
        assert!(resolved.contains(&*key(attack)), "{report}");
        assert!(!resolved.contains(&*key(tampering)), "{report}");
    }
}

#[test]
fn the_model_answers_each_image_that_is_sent_on_and_a_fifth_of_the_others_labels_are_exchanged() {
    let _turn = turn_of("demo");
    let report = &RUNS[0];
    assert_eq!(report["answers"]["n"], report["sanitized"]);
    let of_other = 0.08 * RECORDS as f64;
    let share = number(report, "/answers/exchanged") / of_other;
    assert!((0.1..0.3).contains(&share), "{report}");
}

#[test]
fn the_same_seed_gives_the_same_counts() {
    let _turn = turn_of("demo");
    let same = [
        "suspects",
        "clean_flagged_share",
        "sanitized",
        "quarantined",
        "dead_lettered",
        "answers",
        "searchers",
    ];
    for key in same {
        assert_eq!(RUNS[0][key], RUNS[1][key], "{key}");
    }
}
