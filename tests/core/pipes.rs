//! Commands whose reader goes away (`tripline check | head`), or whose output cannot be written.

use std::fs::File;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::harness::{Process, root};

/// Runs `tripline` with standard output and standard error going to these.
fn tripline(args: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.args(args).current_dir(root()).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
    command.output().expect("tripline runs")
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

/// Commands that print much, and the exit code they have.
const COMMANDS: [(&[&str], i32); 6] = [
    (&["check"], 0),
    (&["check", "-c", "tests/core/pipes.rs"], 78),
    (&["config", "reference"], 0),
    (&["config", "schema"], 0),
    (&["topics", "--print"], 0),
    (&["simulate", "--seed", "1"], 0),
];

#[test]
fn a_command_whose_reader_has_gone_ends_as_it_would_have() {
    for (args, code) in COMMANDS {
        let read = tripline(args, Stdio::piped(), Stdio::piped());
        let said = String::from_utf8_lossy(&read.stderr).into_owned();
        assert_eq!(read.status.code(), Some(code), "{args:?}: {said}");
        let unread = tripline(args, closed(), Stdio::piped());
        let said = String::from_utf8_lossy(&unread.stderr).into_owned();
        assert_eq!(unread.status.code(), Some(code), "{args:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("Broken pipe"), "{args:?}: {said}");
        // `2>&1 | head`
        let unread = tripline(args, closed(), closed());
        assert_eq!(unread.status.code(), Some(code), "{args:?}, nobody reads its errors");
    }
}

#[test]
fn a_guard_whose_log_nobody_reads_goes_on() {
    // It writes a line whenever the brokers do not answer, and waits for them.
    let place = tempfile::tempdir().expect("a directory");
    let config = place.path().join("tripline.toml");
    let text = format!(
        "instance = \"t\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[[stream]]\nname = \"s\"\n\
         input = \"i\"\nbundle = \"{}\"\n",
        root().join("models/shuttle").display()
    );
    std::fs::write(&config, text).expect("a file");
    let config = config.to_str().expect("UTF-8");
    let mut command = Command::new(env!("CARGO_BIN_EXE_tripline"));
    command.args(["run", "-c", config]).current_dir(root()).stdin(Stdio::null());
    let child = command.stdout(closed()).stderr(closed()).spawn().expect("tripline starts");
    let mut guard = Process { child };
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(guard.child.try_wait().expect("a status"), None, "it ended by itself");
    assert!(guard.terminate(Duration::from_secs(30)).success());
}

#[test]
fn what_cannot_be_written_for_want_of_space_is_an_error() {
    let full = || File::options().write(true).open("/dev/full").expect("a device").into();
    let ended = tripline(&["config", "schema"], full(), Stdio::piped());
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.starts_with("error: standard output: ") && !said.contains("panicked"), "{said}");
}
