//! What a build wrote is read by later builds with the same meaning, or refused by its version.
//!
//! `tests/frozen` was written by the code of its day: `FREEZE=1 cargo test --test core compatibility::`.
//! Today's code must still write it byte for byte (the monitor's state: once it has read it). If that fails you changed a format: raise its
//! version, keep the old struct for reading, freeze the new samples in a folder of their own, and
//! say in `docs/compatibility.md` in which order to upgrade. Never freeze the old ones again.

mod bundles;
mod schema;

mod messages;

use self::messages::{
    heard, judged, judging_of, lines, messages, messages_of_version_4, messages_of_version_5,
    monitor, scoring,
};
use std::path::PathBuf;
use std::sync::Arc;

use tripline::decide::{Mode, OnFlagged, Policy};
use tripline::deliver::CrashLoopGuard;
use tripline::emit::{ReadReason, ReadTrace, Trace, connect_headers};
use tripline::monitor::{About, Alert, Status};
use tripline::monitor::{Frame, Monitor, MonitorState};
use tripline::record::{
    Action, Extent, Fault, Feature, FeatureId, Offset, Partition, Position, Probability, Reasons,
    Rectangle, Schema, Stamp, Timestamp, Verdict,
};
use tripline::score::{Departure, Destination, Lane, Outcome};
use tripline::watch::{
    Baseline, Cells, Counts, Evidence, Flagged, Message, Presence, Signals, Tally, Terms, Tick,
    Times, Window as Counted, hypotheses,
};

const WINDOW_MS: u64 = 1000;
const T0: i64 = 1_795_000_000_000;

fn frozen(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/v1").join(name)
}

/// Writes a sample that is not there yet, if told to.
fn freeze(name: &str, today: &[u8]) {
    let path = frozen(name);
    if std::env::var_os("FREEZE").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, today).unwrap();
    }
}

/// The frozen bytes, after making sure that today's code writes the same.
fn check(name: &str, today: &[u8]) -> Vec<u8> {
    freeze(name, today);
    let frozen = std::fs::read(frozen(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(
        frozen == today,
        "version 1 of {name} is written otherwise now:\n{}\n{}",
        String::from_utf8_lossy(&frozen),
        String::from_utf8_lossy(today),
    );
    frozen
}

fn outcome(judged: Result<Action, Fault>) -> Outcome {
    let verdict = |action| Verdict { action, p: 0.5, score: 0.0, reasons: Reasons::NONE };
    let judged = judged.map(verdict);
    let destination = Destination::Sanitized;
    let (corrected, trace, cells) = (None, 0..0, 0..0);
    Outcome {
        destination,
        judged,
        unscored: false,
        not_input: false,
        imputed: false,
        corrected,
        changed: 0,
        departure: Departure::default(),
        text: "",
        trace,
        reason: 0..0,
        oddity: None,
        cells,
        visits: 0..0,
        answer: 0..0,
        groups: 0..0,
    }
}

/// A lane that has counted one of each outcome, in two windows.
fn lane() -> Lane {
    let mut lane = Lane::new("e", Partition(2), Offset(40), WINDOW_MS);
    let outcomes = [
        outcome(Ok(Action::Pass)),
        outcome(Ok(Action::Correct)),
        outcome(Ok(Action::Quarantine)),
        outcome(Err(Fault::NullValue)),
        outcome(Ok(Action::Pass)),
    ];
    for (i, outcome) in outcomes.iter().enumerate() {
        let position = Position { partition: Partition(2), offset: Offset(40 + i as i64) };
        let stamp = Stamp::of_sender(Timestamp(T0 + 300 * i as i64));
        lane.count(position, stamp, outcome, &[2, 5, 300]);
    }
    lane
}

#[test]
fn a_lane_goes_on_from_state_of_version_5_and_knows_which_log_it_read() {
    let extent = |topic: &str, end| Extent {
        topic: Some(topic.to_owned()),
        start: Offset(3),
        end: Offset(end),
        leader_epoch: Some(7),
    };
    let mut lane = lane().of_log(extent("0ZoAyOBhTlS7dPyQyxzqyA", 60));
    lane.look_output("s.sanitized", extent("cbsRfmYWRGCCF2xmlPIfsw", 90));
    let bytes = check("../v5/lane.json", &lane.to_bytes());
    let read = Lane::restore(&bytes, "e", Partition(2), Offset(45), WINDOW_MS).expect("restored");
    assert_eq!((read.log(), read.output("s.sanitized")), (lane.log(), lane.output("s.sanitized")));
    assert_eq!(read.clock(), lane.clock());
}

#[test]
fn evidence_of_version_4_leads_to_the_same_alert() {
    let bytes = check("../v4/evidence.jsonl", &lines(&messages_of_version_4()));
    let text = String::from_utf8(bytes).unwrap();
    let read: Vec<Message> =
        text.lines().map(|line| Message::from_bytes(line.as_bytes()).unwrap()).collect();
    assert_eq!(read, messages_of_version_4());
    let (firing, before) = (&judged(&read).1[0], &judged(&messages()).1[0]);
    assert_eq!((&firing.dedup_key, &firing.since), (&before.dedup_key, &before.since));
}

#[test]
fn a_monitor_goes_on_from_state_of_version_5_and_writes_its_own() {
    let schema = Schema { features: vec![Feature::number("age", 0.0, 120.0)] };
    let monitor = || judging_of(schema.clone(), false);
    let (whole, _) = heard(monitor(), &messages_of_version_5());
    let bytes = std::fs::read(frozen("../v5/monitor.json")).unwrap();
    let (read, said) = monitor().restore(&bytes, whole.next()).expect("restored");
    assert_eq!((read.next(), read.baseline(), said.len()), (whole.next(), "e", 0));
    let keys = |monitor: &Monitor| -> Vec<String> {
        let state = MonitorState::read(&monitor.to_bytes()).unwrap();
        state.incidents().map(|incident| incident.dedup_key.clone()).collect()
    };
    assert_eq!(keys(&read), keys(&whole));
}

#[test]
fn a_monitor_goes_on_from_state_of_version_6_with_what_it_knows_of_another_bundle() {
    let schema = Schema { features: vec![Feature::number("age", 0.0, 120.0)] };
    let monitor = || judging_of(schema.clone(), false);
    let (whole, alerts) = heard(monitor(), &messages_of_version_5());
    let bytes = check("../v6/monitor.json", &whole.to_bytes());
    let (read, said) = monitor().restore(&bytes, whole.next()).expect("restored");
    // Nothing is left out, nothing added, nothing named otherwise.
    assert_eq!((read.to_bytes(), said.len()), (bytes.clone(), 0));
    let state = MonitorState::read(&bytes).unwrap();
    assert_eq!((state.baseline(), state.next()), ("e", whole.next()));
    assert_eq!(state.features(), ["age"]);
    assert_eq!(state.incidents().next().unwrap().dedup_key, alerts[0].dedup_key);
}

#[test]
fn what_a_worker_tells_of_its_bundle_is_written_as_in_version_5_of_the_monitors_state() {
    let said = &messages_of_version_5()[3];
    let bytes = check("../v5/reference.json", &said.to_bytes());
    assert_eq!(&Message::from_bytes(&bytes).unwrap(), said);
}

#[test]
fn alerts_of_version_3_are_read_with_every_field() {
    let (monitor, alerts) = judged(&messages());
    let read = told_as_before("alert-firing.json", &alerts[0]);
    assert_eq!((read.version, read.status), (3, Status::Firing));
    let state = MonitorState::read(&monitor.to_bytes()).unwrap();
    let resolved = &monitor.end(&state, "the bundle or the budget was changed")[0];
    let read = told_as_before("alert-resolved.json", resolved);
    assert_eq!((read.status, &read.dedup_key), (Status::Resolved, &alerts[0].dedup_key));
}

/// The frozen alert, after making sure that today's says the same: texts for people may be worded otherwise, and
/// members may have come.
fn told_as_before(name: &str, today: &Alert) -> Alert {
    let bytes = std::fs::read(frozen("../v3").join(name)).unwrap();
    let members = |bytes: &[u8]| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_slice(bytes).unwrap()
    };
    let now = members(&today.to_bytes());
    for (member, value) in members(&bytes) {
        let is_text = ["summary", "next_steps"].contains(&&*member);
        assert!(is_text || now.get(&member) == Some(&value), "{name}: {member}");
    }
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn a_crash_loop_record_of_version_1_still_counts() {
    let mut crash_loop = CrashLoopGuard::take_over(None, Offset(45), 0);
    for _ in 0..2 {
        crash_loop = CrashLoopGuard::take_over(Some(&crash_loop.to_bytes()), Offset(45), 0);
    }
    crash_loop.begin_alone();
    let bytes = check("crash_loop.json", &crash_loop.to_bytes());
    let next = CrashLoopGuard::take_over(Some(&bytes), Offset(45), 0);
    assert!(next.careful(Offset(45)) && !next.is_spent());
    assert_eq!(next.to_string(), "starts at 45: 4, alone with its record: 1");
}

#[test]
fn a_trace_header_of_version_4_is_read_with_every_field() {
    let window = Rectangle { corner: FeatureId(1), height: 3, width: 2, share: 0.5 };
    let trace = Trace {
        flagged: true,
        corrected: true,
        fault: false,
        observed: false,
        unscored: false,
        source: Position { partition: Partition(3), offset: Offset(9_182_344) },
        bundle: *b"\x01\x02\x03\x04\x05\x06\x07\x08",
        revision: *b"\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
        p: 0.0009765625,
        merged: 12.5,
        rows: 3,
        row: 1,
        scores: &[0.5, 7.25],
        shares: &[0.2, 0.8],
        reasons: Reasons::of_parts([0.0, 3.0, 1.0].into_iter())
            .within(window)
            .against(&[0.0, 1.0, 0.75], &[0.0, 0.125, 0.25]),
    };
    let mut today = vec![];
    trace.pack(&mut today);
    let reason = |feature, share, (seen, typical)| ReadReason { feature, share, seen, typical };
    let read = ReadTrace::unpack(&check("../trace-v4/trace.bin", &today)).expect("read");
    let expected = ReadTrace {
        flagged: true,
        source: trace.source,
        bundle: trace.bundle,
        revision: trace.revision,
        p: 0.0009765625,
        merged: 12.5,
        rows: 3,
        row: 1,
        scores: vec![0.5, 7.25],
        shares: vec![0.2, 0.8],
        reasons: vec![
            reason(FeatureId(1), 0.75, (1.0, 0.125)),
            reason(FeatureId(2), 0.25, (0.75, 0.25)),
        ],
        named: vec![],
        window: Some(window),
    };
    assert_eq!(read, expected);
}

#[test]
fn the_headers_of_a_dead_letter_keep_their_names_and_texts() {
    let source = Position { partition: Partition(3), offset: Offset(258) };
    let faults = [
        Fault::NullValue,
        Fault::TooLarge { bytes: 2, bytes_max: 1 },
        Fault::UnknownFormat,
        Fault::Unreadable { at: 7 },
        Fault::WrongArity { got: 1, expected: 2 },
        Fault::TooManyRows { rows: 2, rows_max: 1 },
        Fault::WrongType { feature: FeatureId(4) },
        Fault::NotFinite { feature: FeatureId(4) },
        Fault::Missing { feature: FeatureId(4) },
        Fault::OutOfBounds { feature: FeatureId(4), value: 2.0 },
        Fault::UnknownSchema,
        Fault::Undeliverable { bytes: 3 },
        Fault::Crash,
    ];
    let mut text = String::new();
    for fault in faults {
        for (name, value) in connect_headers("s.requests", source, "s", &fault, fault.to_string()) {
            text += &format!("{name}: {value}\n");
        }
    }
    check("dead-letter.txt", text.as_bytes());
}

/// What meets state of a version that it does not know must not touch it.
#[test]
fn state_of_a_newer_version_is_refused_and_the_refusal_says_which_build_to_run() {
    let newer = |name: &str, version: u32| {
        let text = std::fs::read_to_string(frozen(name)).unwrap();
        let (from, to) = (version.to_string(), (version + 1).to_string());
        text.replacen(&format!("\"version\":{from}"), &format!("\"version\":{to}"), 1).into_bytes()
    };
    let lane = newer("../v5/lane.json", 5);
    let lane = Lane::restore(&lane, "e", Partition(2), Offset(45), WINDOW_MS);
    let monitor = monitor().restore(&newer("../v6/monitor.json", 6), Offset(78)).map(|_| ());
    for (said, version) in
        [(lane.unwrap_err().to_string(), 5), (monitor.unwrap_err().to_string(), 6)]
    {
        let newer = version + 1;
        let expected =
            format!("version {newer}; this build reads {version}: run the build that wrote it");
        assert!(said.contains(&expected), "{said}");
    }
}
