//! Commands about the configuration that need no Kafka.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Process, root};

fn tripline(args: &[&str]) -> (String, Option<i32>) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_tripline")).args(args).output().expect("tripline runs");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).expect("UTF-8"), output.status.code())
}

#[test]
fn another_validator_refuses_by_our_schema_what_we_refuse() {
    let (schema, code) = tripline(&["config", "schema"]);
    assert_eq!(code, Some(0), "{schema}");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("schema.json");
    fs::write(&path, schema).expect("a file");
    let example = root().join("config/tripline.toml");
    let mut validator = Process::client("schema.py", &[]);
    let output = validator.arg(path).arg(example).output().expect("schema.py runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_new_configuration_is_the_example_and_is_never_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("tripline.toml");
    let path = path.to_str().expect("UTF-8");
    let (said, code) = tripline(&["init", "-o", path, "--brokers", "kafka:9092"]);
    assert_eq!(code, Some(0), "{said}");
    let text = fs::read_to_string(path).expect("it was written");
    assert!(text.contains("\nbrokers = \"kafka:9092\"\n"), "{text}");
    let (said, code) = tripline(&["init", "-o", path]);
    assert_eq!((code, said.contains("is not overwritten")), (Some(1), true), "{said}");
    assert_eq!(fs::read_to_string(path).expect("still there"), text);
    let (said, code) = tripline(&["init", "-o", path, "--property", "sasl.password=hunter2"]);
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("a secret must not stand in this file") && !said.contains("hunter2"),
        "{said}"
    );
}

/// Copies a bundle's files; the manifest gets a line of its own, so that its digest is another.
fn another_bundle(into: &Path) {
    fs::create_dir_all(into).expect("a directory");
    for entry in fs::read_dir(root().join("models/fashion-mnist")).expect("the bundle") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, into.join(path.file_name().expect("a name"))).expect("a copy");
        }
    }
    let manifest = into.join("manifest.toml");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, format!("# another\n{text}")).expect("a manifest");
}

#[test]
fn two_streams_with_their_own_bundles_and_modes_are_both_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    another_bundle(&dir.path().join("models/second"));
    let path = dir.path().join("tripline.toml");
    let text = format!(
        r#"
instance = "test-0"
[kafka]
brokers = "localhost:9092"
[[stream]]
name = "first"
input = "first.requests"
bundle = "{}"
[[stream]]
name = "second"
input = "second.requests"
bundle = "models/second"
mode = "enforce"
on_flagged = "correct"
budget = "2%"
workers = 2
"#,
        root().join("models/fashion-mnist").display()
    );
    fs::write(&path, text).expect("a file");
    let path = path.to_str().expect("UTF-8");
    let (said, code) = tripline(&["check", "-c", path]);
    println!("{said}");
    assert_eq!(code, Some(0), "{said}");
    let line = |start: &str| {
        let found = said.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("{start}: {said}")).to_owned()
    };
    let (first, second) = (line("✓ stream first: observes"), line("✓ stream second: enforces"));
    assert!(first.ends_with("budget 1%") && second.ends_with("budget 2%"), "{said}");
    let digest = |line: &str| line.split(['(', ')']).nth(1).map(str::to_owned);
    assert_ne!(digest(&first), digest(&second), "{said}");
    // 256 rows of four columns of 784 numbers and three of 10 labels, twice, on three workers:
    // 3 × 2 × 4 × 256 × (3136 + 30) bytes.
    assert!(
        line("✓ memory: ")
            .starts_with("✓ memory: about 19 MiB for batches of single rows; at most "),
        "{said}"
    );

    // A broken bundle of one stream is told, and the other is still looked at.
    fs::remove_file(dir.path().join("models/second/autoencoder.onnx")).expect("removed");
    let (said, code) = tripline(&["check", "-c", path]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("✓ stream first") && said.contains("✕ stream second: bundle"), "{said}");
}
