//! What was written by version 1 of each format is read by every later build, with the same meaning.
//!
//! `tests/frozen/v1` (and `trace-v3`, `bundle-v2`, `bundle-v3`) was written by the code of its day: `FREEZE=1 cargo test --test compatibility`.
//! Today's code must still write it byte for byte (the judge's state: once it has read it). If that fails you changed a format: raise its
//! version, keep the old struct for reading, freeze the new samples in a folder of their own, and
//! say in `docs/compatibility.md` in which order to upgrade. Never freeze the old ones again.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tripline::bundle::{
    self, AnswerKind, Bundle, CleanShare, Digest, Manifest, Member, Provenance, Role, RowsUsed,
    Tensors,
};
use tripline::decide::{Mode, OnFlagged, Policy};
use tripline::deliver::Boot;
use tripline::emit::{ReadReason, ReadTrace, Trace, connect_headers};
use tripline::incident::{About, Alert, Status};
use tripline::pipeline::{Judge, JudgeState, Lane, LaneState, Outcome, Route};
use tripline::record::{
    Action, Fault, Feature, FeatureId, Offset, Partition, Position, Probability, Reasons, Schema,
    Timestamp, Verdict, Window,
};
use tripline::watch::{Counts, Evidence, Key, Message, Presence, Terms, Tick, WindowCounts};

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
    let route = Route::Sanitized;
    Outcome { route, judged, unscored: false, corrected: None, text: "", trace: 0..0 }
}

/// A lane with two windows open, one of each outcome in the first.
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
        lane.settle(position, Timestamp(T0 + 300 * i as i64), outcome);
    }
    lane
}

#[test]
fn a_lane_goes_on_from_state_of_version_1() {
    let bytes = check("lane.json", &lane().to_bytes());
    let read = Lane::restore(&bytes, "e", Partition(2), Offset(45), WINDOW_MS).expect("restored");
    let mut fresh = lane();
    fresh.drain_evidence(&mut vec![]);
    assert_eq!(read, fresh);
    let state = LaneState::read(&bytes, Partition(2)).unwrap();
    assert_eq!((state.epoch(), state.next(), state.windows()), ("e", Offset(45), 2));
    let counts = Counts { rows: 4, flagged: 2, corrected: 1, quarantined: 1, faults: 1 };
    assert_eq!(state.counts(), counts);
}

fn judge() -> Judge {
    let budget = Probability::new(0.01).unwrap();
    let false_page_ms = 7 * 24 * 3600 * 1000;
    let policy =
        Policy { mode: Mode::Enforce, on_flagged: OnFlagged::Quarantine, ..Policy::default() };
    let about = About {
        stream: "s".into(),
        input: "s.requests".into(),
        quarantine: "s.quarantine".into(),
        epoch: "e".into(),
        policy,
        budget,
        false_page_ms,
    };
    let key = Key::new("e", "s", "flagged-share");
    let terms = Terms { budget, window_ms: WINDOW_MS, false_page_ms, hold_ms: 3_600_000, key };
    Judge::new(about, terms, WindowCounts { rows: 3000, flagged: 30 })
}

/// A clean minute, then an attack.
fn messages() -> Vec<Message> {
    let mut messages = vec![
        Message::Tick(Tick { at: Timestamp(T0 + 100_000) }),
        Message::Presence(Presence { partition: Partition(0), quiet: false }),
        Message::Presence(Presence { partition: Partition(1), quiet: true }),
    ];
    for window in 0..75 {
        let flagged = if window < 60 { u64::from(window % 4 == 0) } else { 12 };
        messages.push(Message::Evidence(Evidence {
            epoch: "e".into(),
            partition: Partition(0),
            window: Timestamp(T0 + 1000 * window),
            from: Offset(25 * window),
            to: Offset(25 * window + 26),
            counts: Counts {
                rows: 25,
                flagged,
                corrected: 0,
                quarantined: flagged,
                faults: u64::from(window == 3),
            },
            first_flagged: (flagged > 0).then_some(Offset(25 * window + 7)),
        }));
    }
    messages
}

fn lines(messages: &[Message]) -> Vec<u8> {
    messages.iter().flat_map(|m| [m.to_bytes(), b"\n".to_vec()].concat()).collect()
}

/// The judge of this evidence, and what it said.
fn judged(messages: &[Message]) -> (Judge, Vec<Alert>) {
    let (mut judge, mut alerts) = (judge(), vec![]);
    for message in messages {
        judge.take(judge.next(), message, &mut alerts);
    }
    (judge, alerts)
}

#[test]
fn evidence_of_version_1_leads_to_the_same_state_and_alerts() {
    let bytes = check("evidence.jsonl", &lines(&messages()));
    let text = String::from_utf8(bytes).unwrap();
    let read: Vec<Message> =
        text.lines().map(|line| Message::from_bytes(line.as_bytes()).unwrap()).collect();
    assert_eq!(read, messages());
    let (judge, alerts) = judged(&read);
    let firing = alerts.first().expect("it fires");
    check("alert-firing.json", &firing.to_bytes());
    // Its logarithms may differ in the last bit between machines: all else is in the alert.
    assert_eq!(judge.next(), Offset(78));
}

#[test]
fn a_judge_goes_on_from_state_of_version_1_with_its_incident() {
    let (whole, alerts) = judged(&messages());
    freeze("judge.json", &whole.to_bytes());
    let bytes = std::fs::read(frozen("judge.json")).expect("a sample");
    let (read, said) = judge().restore(&bytes, whole.next()).expect("restored");
    // Nothing is left out, nothing added, nothing named otherwise.
    assert_eq!((read.to_bytes(), said.len()), (bytes.clone(), 0));
    let state = JudgeState::read(&bytes).unwrap();
    assert_eq!((state.epoch(), state.next()), ("e", Offset(78)));
    assert_eq!(state.incident().unwrap().dedup_key, alerts[0].dedup_key);
}

#[test]
fn alerts_of_version_1_are_read_with_every_field() {
    let (judge, alerts) = judged(&messages());
    let bytes = check("alert-firing.json", &alerts[0].to_bytes());
    let read: Alert = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(read, alerts[0]);
    assert_eq!((read.version, read.status), (1, Status::Firing));
    let state = JudgeState::read(&judge.to_bytes()).unwrap();
    let resolved = judge.end(&state, "the bundle or the budget was changed").unwrap();
    let bytes = check("alert-resolved.json", &resolved.to_bytes());
    let read: Alert = serde_json::from_slice(&bytes).unwrap();
    assert_eq!((read.status, &read.dedup_key), (Status::Resolved, &alerts[0].dedup_key));
}

#[test]
fn a_boot_record_of_version_1_still_counts() {
    let mut boot = Boot::take_over(None, Offset(45), 0);
    for _ in 0..2 {
        boot = Boot::take_over(Some(&boot.to_bytes()), Offset(45), 0);
    }
    boot.begin_alone();
    let bytes = check("boot.json", &boot.to_bytes());
    let next = Boot::take_over(Some(&bytes), Offset(45), 0);
    assert!(next.careful(Offset(45)) && !next.is_spent());
    assert_eq!(next.to_string(), "starts at 45: 4, alone with its record: 1");
}

#[test]
fn a_trace_header_of_version_2_is_read_with_every_field() {
    let bytes = std::fs::read(frozen("trace.bin")).expect("a sample");
    let reason = |feature, share| ReadReason { feature, share, seen_typical: None };
    let expected = ReadTrace {
        flagged: true,
        source: Position { partition: Partition(3), offset: Offset(9_182_344) },
        p: 0.0009765625,
        merged: 12.5,
        rows: 3,
        row: 1,
        scores: vec![0.5, 7.25],
        shares: vec![],
        reasons: vec![reason(FeatureId(1), 0.75), reason(FeatureId(2), 0.25)],
        window: None,
    };
    assert_eq!(ReadTrace::unpack(&bytes), Some(expected));
}

#[test]
fn a_trace_header_of_version_3_is_read_with_every_field() {
    let window = Window { corner: FeatureId(1), height: 3, width: 2, share: 0.5 };
    let trace = Trace {
        flagged: true,
        corrected: true,
        fault: false,
        observed: false,
        unscored: false,
        source: Position { partition: Partition(3), offset: Offset(9_182_344) },
        bundle: *b"\x01\x02\x03\x04\x05\x06\x07\x08",
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
    let reason = |feature, share, both| ReadReason { feature, share, seen_typical: Some(both) };
    let read = ReadTrace::unpack(&check("../trace-v3/trace.bin", &today)).expect("read");
    let expected = ReadTrace {
        flagged: true,
        source: trace.source,
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
        for (name, value) in connect_headers("s.requests", source, "s", &fault) {
            text += &format!("{name}: {value}\n");
        }
    }
    check("dead-letter.txt", text.as_bytes());
}

fn small_bundle() -> Bundle {
    let mut tensors = Tensors::default();
    tensors.put("a", &[2], vec![1.0, f32::MIN_POSITIVE]);
    let digest = Digest([7; 32]);
    let manifest = Manifest {
        version: 1,
        name: "small".into(),
        budget: Probability::new(0.01).unwrap(),
        labels: 3,
        answer: Some(AnswerKind::Logits),
        triggers: None,
        schema: Schema {
            features: vec![Feature::number("a", 0.0, 1.0), Feature::number("b", -2.5, 2.5)],
        },
        detectors: vec![
            Member { kind: "reconstruction".into(), weight: 1.0, role: Role::Attack },
            Member { kind: "mahalanobis".into(), weight: 0.5, role: Role::Attack },
        ],
        clean: CleanShare { rows: 10, flagged: 1 },
        provenance: Provenance {
            data_sha256: digest,
            guarded_model_sha256: Some(digest),
            seed: 7,
            tripline: "0.1.0".into(),
            onnxruntime: "1.24".into(),
            rows: RowsUsed { train: 1, validation: 2, ranks: 3, merged: 4, test: 5 },
            epochs: 6,
            train_loss: 0.5,
            validation_loss: 0.25,
        },
        files: BTreeMap::new(),
    };
    Bundle {
        manifest,
        digest,
        autoencoder: b"autoencoder".to_vec(),
        guarded_model: Some(b"model".to_vec()),
        restorer: None,
        likelihood: None,
        tensors,
    }
}

#[test]
fn a_bundle_of_version_1_is_read_with_every_key() {
    let names = [bundle::MANIFEST, bundle::AUTOENCODER, bundle::GUARDED_MODEL, bundle::TENSORS];
    let today = small_bundle().into_files();
    let files = names.map(|name| (name.to_owned(), check(&format!("bundle/{name}"), &today[name])));
    let read = Bundle::from_files(files.into_iter().collect()).expect("read");
    let expected = small_bundle();
    assert_eq!(read.tensors, expected.tensors);
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, expected.manifest);
}

#[test]
fn a_bundle_of_version_2_is_read_with_every_key() {
    let sample = || {
        let mut bundle = small_bundle();
        bundle.manifest.version = 2;
        bundle.manifest.detectors[1].role = Role::Trigger;
        bundle.restorer = Some(b"restorer".to_vec());
        bundle.likelihood = Some(b"likelihood".to_vec());
        bundle
    };
    let today = sample().into_files();
    let frozen = |name: &String| check(&format!("../bundle-v2/{name}"), &today[name]);
    let files = today.keys().map(|name| (name.clone(), frozen(name))).collect();
    let (read, expected) = (Bundle::from_files(files).expect("read"), sample());
    assert_eq!((read.restorer, read.likelihood), (expected.restorer, expected.likelihood));
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, expected.manifest);
}

#[test]
fn a_bundle_of_version_3_is_read_with_every_key() {
    let sample = || {
        let mut bundle = small_bundle();
        bundle.manifest.version = 3;
        bundle.manifest.triggers = Some(0.1);
        bundle.manifest.detectors[0].role = Role::Both;
        bundle.manifest.detectors[1].role = Role::Trigger;
        bundle
    };
    let today = sample().into_files();
    let frozen = |name: &String| check(&format!("../bundle-v3/{name}"), &today[name]);
    let files = today.keys().map(|name| (name.clone(), frozen(name))).collect();
    let read = Bundle::from_files(files).expect("read");
    assert_eq!(Manifest { files: BTreeMap::new(), ..read.manifest }, sample().manifest);
}

/// What meets state of a version that it does not know must not touch it.
#[test]
fn state_of_a_newer_version_is_refused_and_the_refusal_says_which_build_to_run() {
    let newer = |name: &str| {
        let text = std::fs::read_to_string(frozen(name)).unwrap();
        text.replacen("\"version\":1", "\"version\":2", 1).into_bytes()
    };
    let lane = Lane::restore(&newer("lane.json"), "e", Partition(2), Offset(45), WINDOW_MS);
    let judge = judge().restore(&newer("judge.json"), Offset(78)).map(|_| ());
    for said in [lane.unwrap_err().to_string(), judge.unwrap_err().to_string()] {
        assert!(
            said.contains("version 2; this build reads 1 to 1: run the build that wrote it"),
            "{said}"
        );
    }
}
