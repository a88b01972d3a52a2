//! The commands, as a person calls them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tripline::record::{Offset, Partition, Timestamp};
use tripline::score::Guard;
use tripline::shell::run;
use tripline::watch::{Counts, Evidence, Message, Presence, Tally, Tick, Window};

use super::{CleanRows, WINDOW_MS, root, stream, text};

/// Values of an evidence topic, a line each: `attacks` records more are flagged from window 20 on.
fn evidence(guard: &Guard, windows: i64, attacks: u64, seed: u64) -> String {
    let (clean, mut chance) = (CleanRows::new(guard.signals()), ChaCha20Rng::seed_from_u64(seed));
    let (mut lines, mut offsets) = (vec![], [0; 2]);
    for i in 0..windows {
        // A window without a record, which is sealed too.
        if i != 3 {
            for (partition, next) in (0..).zip(&mut offsets) {
                let attacks = if i >= 20 { attacks } else { 0 };
                let tally = clean.draw(100, attacks, &mut chance);
                let from = *next;
                *next += 100;
                lines.push(Message::Evidence(Evidence {
                    baseline: guard.baseline().to_owned(),
                    partition: Partition(partition),
                    from: Offset(from),
                    to: Offset(from + 100),
                    begins: from == 0,
                    head: None,
                    read_out: false,
                    windows: vec![Window { tally, ..Window::empty(Timestamp(i * WINDOW_MS)) }],
                }));
            }
        }
        lines.push(Message::Tick(Tick { at: Timestamp((i + 1) * WINDOW_MS) }));
    }
    for partition in [Partition(0), Partition(1)] {
        lines.push(Message::Presence(Presence { partition, quiet: true }));
    }
    let lines = lines.iter().map(|line| String::from_utf8(line.to_bytes()).expect("JSON"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A folder with everything that a federation of three sites and two trustees needs.
struct Field {
    dir: tempfile::TempDir,
}

impl Field {
    fn new(windows: i64) -> Self {
        let field = Self { dir: tempfile::tempdir().expect("a directory") };
        fs::create_dir(field.dir.path().join("exchange")).expect("a folder");
        field.write("tripline.toml", &text("shuttle"));
        let mut federation = field.good(&["init", "shops", "-c", "tripline.toml"]);
        for site in ["a", "b", "c"] {
            federation += &field.good(&["keygen", "site", site, "--key", &format!("{site}.key")]);
        }
        for trustee in ["t", "u"] {
            let key = format!("{trustee}.key");
            federation += &field.good(&["keygen", "trustee", trustee, "--key", &key]);
        }
        field.write("federation.toml", &federation);
        let (_, guard) = run::guard(&stream("shuttle")).expect("the bundle is sound");
        for (seed, site) in (0..).zip(["a", "b", "c"]) {
            field.write(&format!("{site}.jsonl"), &evidence(&guard, windows, 8, seed));
        }
        field
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("a file");
    }

    fn federate(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
        command.arg("federate").args(arguments).current_dir(self.dir.path());
        command.output().expect("it runs")
    }

    /// What a command that succeeds prints.
    fn good(&self, arguments: &[&str]) -> String {
        let output = self.federate(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// What a command that is refused says.
    fn bad(&self, arguments: &[&str]) -> String {
        let output = self.federate(arguments);
        assert!(!output.status.success(), "{arguments:?} succeeded");
        [output.stdout, output.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .concat()
    }

    fn seal(&self) {
        for site in ["a", "b", "c"] {
            let (key, lines) = (format!("{site}.key"), format!("{site}.jsonl"));
            let rest = ["--key", &key, "--evidence", &lines, "-c", "tripline.toml", "exchange"];
            self.good(&[&["site"], &rest[..]].concat());
        }
    }

    fn open(&self, trustee: &str) {
        self.good(&["open", "--key", &format!("{trustee}.key"), "exchange"]);
    }

    fn monitor(&self) -> String {
        self.good(&["monitor", "-c", "tripline.toml", "--state", "state.json", "exchange"])
    }

    /// What all sites counted in a window, from their evidence: counts of records, then cells.
    fn plaintext(&self, window: i64, cells: usize) -> Vec<u32> {
        let mut sum = Tally::default();
        for site in ["a", "b", "c"] {
            let text = fs::read_to_string(self.dir.path().join(format!("{site}.jsonl")));
            for line in text.expect("evidence").lines() {
                if let Ok(Message::Evidence(said)) = Message::from_bytes(line.as_bytes()) {
                    let of = said.windows.iter().filter(|of| of.window == Timestamp(window));
                    of.for_each(|of| sum.add(&of.tally));
                }
            }
        }
        let Counts { rows, flagged, quarantined, .. } = sum.counts;
        let counts = [rows, flagged, 0, quarantined, 0, 0, 0].map(|count| count as u32);
        [counts.to_vec(), sum.cells.slice(0, cells)].concat()
    }

    fn files(&self, end: &str) -> Vec<String> {
        let folder = fs::read_dir(self.dir.path().join("exchange")).expect("the folder");
        let names = folder.map(|entry| entry.expect("a name").file_name());
        let mut names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.retain(|name| name.ends_with(end));
        names.sort();
        names
    }
}

#[test]
fn commands_lead_from_nothing_to_an_alert_of_the_sum_and_refuse_what_is_wrong() {
    let field = Field::new(30);
    field.seal();
    let tallies = field.files(".tally");
    assert_eq!(tallies.len(), 3 * 30, "windows without a record are sealed too: {tallies:?}");
    field.seal();
    assert_eq!(field.files("").len(), 90, "nothing is sealed twice, and no part is left behind");
    field.good(&["sum", "exchange"]);
    assert_eq!(field.files(".sum").len(), 30);
    field.open("t");
    assert_eq!(field.monitor(), "", "one trustee opens nothing");
    field.open("u");
    let said = field.monitor();
    assert!(said.starts_with("firing shops: "), "{said}");
    assert!(said.contains("look attacked"), "{said}");
    assert_eq!(field.monitor(), "", "an alert is told once");
    let verified = field.good(&["verify", "exchange"]);
    assert!(verified.ends_with("30 windows whole, 0 wait, 0 records refused\n"), "{verified}");

    // Somebody who shares no code with us opens the same.
    let window = field.files(".sum")[7].replace(".sum", "");
    let script = root().join("tests/clients/federation.py");
    let mut python = Command::new("python3");
    python.arg(script).args(["exchange", &window, "t.key", "u.key"]);
    let output = python.current_dir(field.dir.path()).output().expect("python3 is there");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let opened: Vec<u32> = serde_json::from_slice(&output.stdout).expect("numbers");
    assert_eq!(opened, field.plaintext(window.parse().expect("a number"), opened.len() - 7));

    // A sum over other sites of a window that was opened.
    let exchange = field.dir.path().join("exchange");
    let window = &field.files(".sum")[0];
    fs::remove_file(exchange.join(window)).expect("it was there");
    let share = window.replace(".sum", ".t.share");
    fs::remove_file(exchange.join(&share)).expect("it was there");
    field.good(&["sum", "exchange"]);
    field.open("t");
    fs::remove_file(exchange.join(window)).expect("it was there");
    fs::remove_file(exchange.join(&share)).expect("it was there");
    // The site sends another record for the window.
    fs::remove_file(exchange.join(window.replace(".sum", ".a.tally"))).expect("it was there");
    field.seal();
    field.good(&["sum", "exchange"]);
    let refused = field.bad(&["open", "--key", "t.key", "exchange"]);
    assert!(refused.contains("[opened-before]"), "{refused}");
    let refused = field.bad(&["verify", "exchange"]);
    assert!(refused.contains(".u.share") && refused.contains("[other-sum]"), "{refused}");

    // A record that somebody changed, and one under another name.
    let second = &field.files(".sum")[1];
    let record = exchange.join(second.replace(".sum", ".b.tally"));
    let mut bytes = fs::read(&record).expect("a record");
    bytes[500] ^= 1;
    fs::write(&record, &bytes).expect("a record");
    fs::copy(
        exchange.join(second.replace(".sum", ".a.tally")),
        exchange.join(second.replace(".sum", ".c.tally")),
    )
    .expect("a record");
    let refused = field.bad(&["verify", "exchange"]);
    for name in ["[signature]", "[misnamed]", "[other-contribution]"] {
        assert!(refused.contains(name), "{name}: {refused}");
    }
    // The wrong key.
    assert!(field.bad(&["open", "--key", "a.key", "exchange"]).contains("a trustee is wanted"));
}

/// The first command writes 40 minutes of three shops; the last one checks 40 windows of 3 sites, 2 trustees.
#[test]
fn commands_of_the_page_work_as_they_stand() {
    let page = fs::read_to_string(root().join("docs/federation.md")).expect("the page");
    let blocks =
        page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().expect("an end"));
    let script: String = blocks.collect();
    assert_eq!(script.matches("tripline ").count(), 15, "{script}");
    let dir = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(root().join("models"), dir.path().join("models")).expect("a link");
    let program = Path::new(env!("CARGO_BIN_EXE_tripline")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).current_dir(dir.path()).env("PATH", path);
    let output = shell.output().expect("bash is there");
    let (told, said) = (output.stdout, output.stderr);
    let (told, said) = (String::from_utf8_lossy(&told), String::from_utf8_lossy(&said));
    assert!(output.status.success(), "{said}");
    assert!(told.contains("firing high-street: "), "{told}{said}");
    assert!(told.contains("records look attacked"), "{told}");
    assert!(told.ends_with("40 windows whole, 0 wait, 0 records refused\n"), "{told}");
}

/// One run, with real rows of the bundle's slice.
#[test]
fn the_demo_shows_a_campaign_that_pages_together_and_at_no_site_alone() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    let output =
        command.args(["demo", "federation"]).current_dir(root()).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(told.matches("no alert").count(), 3, "{told}");
    assert!(told.contains("alert in minute"), "{told}");
}

#[test]
fn the_public_lines_of_a_key_that_is_there_are_printed_again() {
    let field = Field { dir: tempfile::tempdir().expect("a directory") };
    let made = field.good(&["keygen", "site", "a", "--key", "a.key"]);
    assert_eq!(field.good(&["keygen", "--show", "--key", "a.key"]), made);
    let made = field.good(&["keygen", "trustee", "t", "--key", "t.key"]);
    let shown = field.good(&["keygen", "--show", "--key", "t.key"]);
    // The proof is another one each time.
    let but_proof = |lines: &str| lines.lines().filter(|l| !l.starts_with("proof")).count();
    assert_eq!(but_proof(&shown), 4, "{shown}");
    assert_eq!(shown.split("proof").next(), made.split("proof").next());
}
