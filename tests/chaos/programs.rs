//! What runs beside this program, and how each is told what to do: guards, load, checker.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Process, root};
use crate::hostile::{self, VALUE_BYTES_MAX};
use crate::options::Options;

pub const INPUT: &str = "chaos.requests";
pub const STREAM: &str = "chaos";
pub const CALM: &str = "calm";
pub const TURNED: &str = "turned";
/// Where the deployed model answers.
pub const ANSWERS: &str = "chaos.answers";
pub const GROUP: &str = "tripline";
pub const PARTITIONS: usize = 6;
pub const WINDOW_MS: u64 = 1000;
/// The budget before and after the turn, for I13.
pub const BUDGETS: [&str; 2] = ["0.01", "0.05"];
pub const SESSION: Duration = Duration::from_secs(6);
pub const TRANSACTION: Duration = Duration::from_secs(5);

/// A configuration of one guard of `stream`; `more` are lines of the stream's own.
pub fn config(
    options: &Options,
    brokers: &str,
    instance: &str,
    stream: &str,
    bundle: &Path,
    more: &str,
) -> String {
    let mut kafka = String::new();
    if options.group_protocol != "classic" {
        kafka += &format!("group_protocol = \"{}\"\n", options.group_protocol);
    }
    if options.delivery != "exactly_once" {
        kafka += &format!("delivery = \"{}\"\n", options.delivery);
    }
    if options.handovers() {
        // A transaction is open nearly all the time.
        kafka += "commit_interval_ms = 1000\n";
    }
    let limits = if options.hostile {
        format!("value_bytes_max = {VALUE_BYTES_MAX}")
    } else {
        String::new()
    };
    // One stream is enough to show that kills change no count.
    let answers = match stream {
        STREAM => format!(
            "[stream.answers]\ntopic = \"{ANSWERS}\"\nid = {{ header = \"chaos\" }}\nhorizon = \"20s\"\n"
        ),
        _ => String::new(),
    };
    format!(
        r#"
instance = "{instance}"

[kafka]
brokers = "{brokers}"
group = "{GROUP}"
session_timeout_ms = {session}
transaction_timeout_ms = {transaction}
{kafka}
[kafka.properties]
"topic.metadata.refresh.interval.ms" = "2000"
"reconnect.backoff.max.ms" = "1000"

[[stream]]
name = "{stream}"
input = "{INPUT}"
bundle = "{bundle}"
codec = "auto"
mode = "enforce"
on_flagged = "correct"
{limits}
{more}

[stream.alerts]
topic = "{stream}.alerts"
window_ms = {WINDOW_MS}
keep_firing_for = "10s"
{answers}"#,
        session = SESSION.as_millis(),
        transaction = TRANSACTION.as_millis(),
        bundle = bundle.display(),
    )
}

/// `tripline topics --apply`, until the cluster does it.
pub fn apply(program: &Path, config: &Path) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let done = Command::new(program).args(["topics", "--apply", "-c"]).arg(config).output();
        let done = done.expect("tripline runs");
        if done.status.success() {
            return;
        }
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(Instant::now() < deadline, "topics --apply: {said}");
        sleep(Duration::from_millis(500));
    }
}

/// What `tripline check` says the process takes at most.
pub fn bound_mb(program: &Path, config: &Path) -> u64 {
    let done = Command::new(program).args(["check", "-c"]).arg(config).output();
    let said = String::from_utf8_lossy(&done.expect("tripline runs").stdout).into_owned();
    let bound = said.split_once("at most ").and_then(|(_, rest)| rest.split_once(" MiB"));
    bound
        .and_then(|(number, _)| number.parse().ok())
        .unwrap_or_else(|| panic!("no bound in: {said}"))
}

/// The load, until its standard input ends: the run decides how long that is. In `dir` it finds what
/// hostile senders send.
pub fn load(options: &Options, brokers: &str, dir: &Path) -> Process {
    let table = root().join("models/shuttle/slice/held-out.csv");
    let arguments = [
        ("--brokers", brokers.to_owned()),
        ("--topic", INPUT.to_owned()),
        ("--table", table.display().to_string()),
        ("--seed", options.seed.to_string()),
        ("--rate", options.rate.to_string()),
        ("--seconds", "0".to_owned()),
        ("--wave-every", if options.long() { "60" } else { "30" }.to_owned()),
    ];
    let mut command = Process::client("chaos_load.py", &[]);
    command.args(arguments.iter().flat_map(|(name, value)| [*name, value.as_str()]));
    if options.hostile {
        let tricks = dir.join("tricks.jsonl");
        hostile::write_tricks(&tricks);
        command.args(["--hostile", hostile::SHARE, "--tricks"]).arg(tricks);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Process { child: command.spawn().expect("chaos_load.py starts") }
}

/// What the checker says of all three streams.
pub fn check(options: &Options, brokers: &str) -> Result<Value, String> {
    let budgets = BUDGETS.join(",");
    let window = WINDOW_MS.to_string();
    let mut command = Process::client(
        "chaos_check.py",
        &[
            "--brokers",
            brokers,
            "--input",
            INPUT,
            "--group",
            GROUP,
            "--stream",
            STREAM,
            "--calm",
            CALM,
            "--turned",
            TURNED,
            "--budgets",
            &budgets,
            "--window-ms",
            &window,
        ],
    );
    if options.delivery == "at_least_once" {
        command.arg("--at-least-once");
    }
    let output = command.output().map_err(|error| error.to_string())?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(said.trim()).map_err(|error| format!("the checker: {error}: {said}"))
}
