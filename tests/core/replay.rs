//! `tripline replay`: recorded traffic through a configuration, and through another one.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Shuttle rows as `kcat -J` would have recorded them, one in 100 ms over two partitions; from the
/// `attacked`th on every third is an attack.
fn recording(attacked: usize) -> String {
    let path = root().join("models/shuttle/slice/held-out.csv");
    let text = std::fs::read_to_string(path).expect("the slice");
    let (clean, attacks): (Vec<&str>, Vec<&str>) =
        text.lines().skip(1).partition(|line| line.ends_with(",normal"));
    let mut lines = String::new();
    for i in 0..1500 {
        let from = if i >= attacked && i % 3 == 0 { &attacks } else { &clean };
        let row = from[i % from.len()].rsplit_once(',').expect("a label").0;
        let (partition, offset, ts) = (i % 2, i / 2, 1_795_000_000_000_u64 + 100 * i as u64);
        let payload = serde_json::json!(format!("[{row}]"));
        writeln!(
            lines,
            r#"{{"topic":"t","partition":{partition},"offset":{offset},"ts":{ts},"payload":{payload}}}"#
        )
        .expect("text");
    }
    lines
}

fn config(budget: &str) -> String {
    format!(
        "instance = \"r\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[[stream]]\nname = \"shuttle\"\n\
         input = \"shuttle.requests\"\nbundle = \"{}\"\nbudget = \"{budget}\"\nmode = \"enforce\"\n\
         [stream.alerts]\nwindow_ms = 1000\n",
        root().join("models/shuttle").display()
    )
}

fn replay(dir: &Path, arguments: &[&str]) -> (String, bool) {
    let config = dir.join("a.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.args(["replay", "-c"]).arg(config).args(arguments);
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&text).into_owned(), output.status.success())
}

#[test]
fn a_recording_says_what_would_be_flagged_which_incidents_there_would_be_and_how_often_they_page() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: String| std::fs::write(dir.path().join(name), text).expect(name);
    write("a.toml", config("1%"));
    write("b.toml", config("10%"));
    write("attack.jsonl", recording(900));
    write("calm.jsonl", recording(usize::MAX));
    let place = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();

    let (said, fine) = replay(dir.path(), &["--from", &place("attack.jsonl")]);
    assert!(fine, "{said}");
    assert!(said.contains("stream shuttle: 1500 records over 0.0 hours"), "{said}");
    // The drift that an attack brings may be seen before it: the attack then ends that warning.
    let count = |what: &str| said.lines().filter(|line| line.contains(what)).count();
    let (pages, warnings) = (count("  firing "), count("it came with attack incident"));
    assert!(pages - warnings == 1 && warnings <= 1, "{said}");
    let attack = |line: &&str| line.starts_with("  firing ") && line.contains("look attacked");
    assert_eq!(said.lines().filter(attack).count(), 1, "{said}");
    assert!(said.contains("at most 1.00 a week would be false"), "{said}");
    assert!(said.contains("firing 2026-11-18T"), "{said}");

    let (said, fine) = replay(dir.path(), &["--from", &place("calm.jsonl")]);
    assert!(fine && said.contains("  0 pages, 0.0 a week"), "{said}");

    let apart = config("1%") + "per_partition = true\n";
    std::fs::write(dir.path().join("a.toml"), apart).expect("a.toml");
    let (said, fine) = replay(dir.path(), &["--from", &place("attack.jsonl")]);
    assert!(fine, "{said}");
    let attack = said.lines().find(|line| line.contains("look attacked")).expect("an attack");
    assert!(attack.contains(" on partition 0: ") || attack.contains(" on partition 1: "), "{said}");
    write("a.toml", config("1%"));

    let against = ["--from", &place("calm.jsonl"), "--against", &place("b.toml"), "--show", "2"];
    let (said, fine) = replay(dir.path(), &against);
    assert!(fine, "{said}");
    let differ = said.lines().find_map(|line| line.strip_suffix(" records differ"));
    let differ: usize = differ.expect("how many differ").parse().expect("a number");
    assert!((50..300).contains(&differ), "{said}");
    assert!(said.contains(": pass, against quarantine"), "{said}");
    assert!(said.contains("more: --show"), "{said}");

    write("bad.jsonl", "{\"partition\":0}\n".into());
    let (said, fine) = replay(dir.path(), &["--from", &place("bad.jsonl")]);
    assert!(!fine && said.contains("bad.jsonl, line 1: "), "{said}");
}
