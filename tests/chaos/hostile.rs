//! What a hostile run has beside the others: topics that refuse, a bundle whose network answers NaN for one
//! number, and the tricks of the readers' table. The numbers are those of `tests/clients/hostile.py`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::cluster::Cluster;
use crate::harness::{Process, root};
use crate::options::Options;
use crate::tricks;

/// Of all records.
pub const SHARE: &str = "0.1";
pub const VALUE_BYTES_MAX: u64 = 600_000;
const INPUT_BYTES_MAX: u64 = 2_000_000;
const SANITIZED_BYTES_MAX: u64 = 100_000;
const HELD_BYTES_MAX: u64 = 400_000;
const BEFORE_MAX_MS: u64 = 86_400_000;
const AFTER_MAX_MS: u64 = 3_600_000;

/// The input takes whatever is sent, and keeps it.
pub fn input_settings(options: &Options) -> Vec<(&'static str, String)> {
    if !options.hostile {
        return vec![];
    }
    vec![
        ("max.message.bytes", INPUT_BYTES_MAX.to_string()),
        ("message.timestamp.before.max.ms", i64::MAX.to_string()),
        ("message.timestamp.after.max.ms", i64::MAX.to_string()),
        ("retention.ms", "-1".to_owned()),
    ]
}

/// Makes the outputs of `stream` take less than the input, before `tripline topics` makes them as they
/// should be.
pub fn create_outputs(options: &Options, cluster: &Cluster, stream: &str, partitions: usize) {
    if !options.hostile {
        return;
    }
    let sanitized = [
        ("max.message.bytes", SANITIZED_BYTES_MAX.to_string()),
        ("message.timestamp.before.max.ms", BEFORE_MAX_MS.to_string()),
        ("message.timestamp.after.max.ms", AFTER_MAX_MS.to_string()),
        ("retention.ms", "-1".to_owned()),
    ];
    let held = [
        ("max.message.bytes", HELD_BYTES_MAX.to_string()),
        ("message.timestamp.type", "LogAppendTime".to_owned()),
    ];
    cluster.create_topic(&format!("{stream}.sanitized"), partitions, &sanitized);
    for topic in ["quarantine", "dead-letter"] {
        cluster.create_topic(&format!("{stream}.{topic}"), partitions, &held);
    }
}

/// The bundle of every guard of the run: with a model of its own, beside which answers are held.
pub fn bundle(options: &Options, dir: &Path) -> PathBuf {
    let (shipped, answering) = (root().join("models/shuttle"), dir.join("answering"));
    let table = shipped.join("slice/held-out.csv");
    let make = |program: &str, arguments: &[&PathBuf]| {
        let made = Process::client(program, &[]).args(arguments).status();
        assert!(made.is_ok_and(|status| status.success()), "{program} makes a bundle");
    };
    make("answering.py", &[&shipped, &table, &answering]);
    if !options.hostile {
        return answering;
    }
    let sick = dir.join("bundle");
    make("sick.py", &[&answering, &sick]);
    sick
}

/// Writes every record of the readers' table to `path`, a JSON object a line.
pub fn write_tricks(path: &Path) {
    let mut lines = String::new();
    for trick in tricks::all() {
        for record in &trick.records {
            let value = STANDARD.encode(&record.value);
            let line = json!({"codec": trick.codec, "headers": record.headers, "value": value});
            writeln!(lines, "{line}").expect("memory");
        }
    }
    std::fs::write(path, lines).expect("a file");
}
