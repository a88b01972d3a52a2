//! The record path with the shipped bundle and real images: which records are flagged, which pass, and what is kept of them.

mod setup;

use self::setup::{Left, RecordPath, mixed, raw, slice};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tripline::bundle::{AUTOENCODER, Bundle, PROTECTED_MODEL};
use tripline::codec::{self, Fields, Format};
use tripline::decide::{Mode, OnFlagged, OnGuardFailure, Policy};
use tripline::model::{Networks, Runtime};
use tripline::record::{
    Action, Fault, Offset, OwnedRecord, Partition, Position, Record, Stamp, Timestamp,
};
use tripline::score::{Batch, Destination, Guard, Outcome};

const PIXELS: usize = 784;
const ENFORCE: Policy = Policy {
    mode: Mode::Enforce,
    on_flagged: OnFlagged::Quarantine,
    on_guard_failure: OnGuardFailure::Closed,
};

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/fashion-mnist")
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::load(None).expect("scripts/setup puts ONNX Runtime there"))
}

fn bundle() -> Bundle {
    tripline::shell::bundle::read(&model()).expect("the shipped bundle is sound")
}

fn record(content_type: Option<&str>, value: Option<Vec<u8>>) -> OwnedRecord {
    let headers = content_type.map(|said| (b"content-type".to_vec(), Some(said.into())));
    let stamp = Stamp::of_sender(Timestamp(-1));
    OwnedRecord { stamp, key: None, headers: headers.into_iter().collect(), value }
}

/// What raw pixels say they are.
const U8: Option<&str> = Some("application/x-u8");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn how_the_stream_is_cut_into_batches_changes_no_bit_of_any_outcome(seed: u64) {
        let records = mixed(seed, 120);
        for on_flagged in [OnFlagged::Correct, OnFlagged::Quarantine] {
            let mut path = RecordPath::new(Policy { on_flagged, ..ENFORCE });
            let whole = path.run(&records, std::iter::once(0..records.len()));
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut cuts = vec![];
            let mut start = 0;
            while start < records.len() {
                let end = (start + rng.random_range(1..40)).min(records.len());
                cuts.push(start..end);
                start = end;
            }
            let cut = path.run(&records, cuts.into_iter());
            prop_assert_eq!(&whole, &cut);
        }
    }
}

#[test]
fn triggers_and_perturbations_are_flagged_and_clean_images_within_the_budget() {
    let mut path = RecordPath::new(ENFORCE);
    let mut share = |name: &str| {
        let left = path.run_whole(&raw(slice(name)));
        let flagged = left.iter().filter(|left| left.flagged()).count();
        println!("{name}: {flagged} of {} flagged", left.len());
        (flagged, left.len())
    };
    let (flagged, n) = share("trigger.u8");
    assert!(flagged as f64 >= 0.95 * n as f64, "triggers: {flagged} of {n}");
    let (flagged, n) = share("pgd.u8");
    assert!(flagged as f64 >= 0.95 * n as f64, "PGD: {flagged} of {n}");

    // Rows that neither the bundle nor the protected model ever saw.
    let manifest = bundle().manifest;
    let (flagged, n) = share("clean.u8");
    let m = manifest.provenance.rows.merged as usize;
    let (low, high) = tripline::fit::data::budget::flagged_interval(manifest.budget, m, n);
    assert!((low..=high).contains(&flagged), "{flagged} of {n}; 99 % of bundles: {low} to {high}");
}

#[test]
fn the_clean_share_that_fit_measured_is_within_its_interval() {
    let manifest = bundle().manifest;
    let (rows, merged) = (manifest.clean.rows as usize, manifest.provenance.rows.merged as usize);
    let (low, high) = tripline::fit::data::budget::flagged_interval(manifest.budget, merged, rows);
    let flagged = manifest.clean.flagged as usize;
    assert!((low..=high).contains(&flagged), "{flagged} of {rows}; expected {low} to {high}");
}

#[test]
fn a_corrected_record_reads_in_its_own_format_and_is_not_flagged_again() {
    let records = mixed(11, 400);
    let mut path = RecordPath::new(Policy { on_flagged: OnFlagged::Correct, ..ENFORCE });
    let left = path.run_whole(&records);
    let corrected: Vec<_> =
        records.iter().zip(&left).filter(|(_, l)| l.corrected.is_some()).collect();
    assert!(corrected.len() > 50, "only {} of 400 were corrected", corrected.len());
    let delivered: Vec<OwnedRecord> = corrected
        .iter()
        .map(|(record, left)| OwnedRecord { value: left.corrected.clone(), ..(*record).clone() })
        .collect();
    for ((_, first), again) in corrected.iter().zip(path.run_whole(&delivered)) {
        assert_eq!(first.outcome.text, "correct");
        assert_eq!(
            (again.outcome.text, again.outcome.destination),
            ("pass", Destination::Sanitized)
        );
    }
    // What a JSON record says beside its pixels stays.
    let is_json = |record: &OwnedRecord| record.header("content-type") == Some(b"application/json");
    for (record, left) in corrected.iter().filter(|(record, _)| is_json(record)) {
        let ends = |bytes: &[u8]| (bytes[..21].to_vec(), bytes[bytes.len() - 3..].to_vec());
        let (before, after) = (record.value.as_ref().expect("a value"), left.corrected.as_ref());
        assert_eq!(ends(before), ends(after.expect("corrected")));
    }
    let held = left.iter().filter(|l| l.outcome.text == "quarantine").count();
    println!(
        "{} corrected, {held} held back because their correction was flagged",
        corrected.len()
    );
}

/// `n` records of `rows` clean images each, from images that the bundle never saw; in every
/// `attacked`-th, the last image has a trigger.
fn of_several_rows(n: usize, rows: usize, attacked: Option<usize>) -> Vec<OwnedRecord> {
    let (clean, triggers) = (slice("clean.u8"), slice("trigger.u8"));
    let record = |i: usize| {
        let mut images: Vec<_> = (0..rows).map(|j| &clean[(i * rows + j) % clean.len()]).collect();
        if attacked.is_some_and(|every| i.is_multiple_of(every)) {
            images[rows - 1] = &triggers[i % triggers.len()];
        }
        let value: Vec<u8> = images.into_iter().flatten().copied().collect();
        record(U8, Some(value))
    };
    (0..n).map(record).collect()
}

#[test]
fn records_of_several_rows_are_flagged_no_more_often_than_single_ones() {
    let mut path = RecordPath::new(ENFORCE);
    let rows_max = path.guard.decider().rows_max();
    // Beyond `rows_max` ranks do not reach, and the tail of the calibration is extrapolated.
    // The floors are those of one fit: how far out the tail of a calibration lies is chance. This bundle's
    // is far out (at .125 % one of 5,000 clean rows is flagged and 72 % of the triggers, another seed's
    // fit flags seven and 96 %).
    for (rows, floor) in [(2, 95), (8, 65), (40, 10), (160, 8)] {
        // Every image once.
        let n = 2000 / rows;
        let left = path.run_whole(&of_several_rows(n, rows, None));
        let flagged = left.iter().filter(|left| left.flagged()).count();
        println!("{rows} rows: {flagged} of {n} clean records flagged (ranks alone to {rows_max})");
        let manifest = bundle().manifest;
        let m = manifest.provenance.rows.merged as usize;
        let (_, high) = tripline::fit::data::budget::flagged_interval(manifest.budget, m, n);
        assert!(flagged <= high, "{rows} rows: {flagged} of {n} clean records; at most {high}");

        let left = path.run_whole(&of_several_rows(100, rows, Some(1)));
        let caught = left.iter().filter(|left| left.flagged()).count();
        println!("{rows} rows: {caught} of 100 records with one triggered row flagged");
        assert!(caught >= floor, "{rows} rows: {caught} of 100 records with one trigger");
    }
}

#[test]
fn of_several_rows_only_the_attacked_one_is_corrected() {
    let records = of_several_rows(60, 5, Some(2));
    let mut path = RecordPath::new(Policy { on_flagged: OnFlagged::Correct, ..ENFORCE });
    let left = path.run_whole(&records);
    let mut corrected = 0;
    for (i, (record, left)) in records.iter().zip(&left).enumerate() {
        let (Some(bytes), Some(before)) = (&left.corrected, &record.value) else { continue };
        if !i.is_multiple_of(2) {
            continue;
        }
        assert_eq!(bytes.len(), before.len());
        assert_eq!(bytes[..4 * PIXELS], before[..4 * PIXELS], "record {i}: a clean row changed");
        assert_ne!(bytes[4 * PIXELS..], before[4 * PIXELS..], "record {i}");
        let trace = tripline::emit::ReadTrace::unpack(&left.trace).expect("a trace");
        assert_eq!((trace.rows, trace.row), (5, 4), "record {i}");
        corrected += 1;
    }
    println!("{corrected} of 30 attacked records corrected");
    assert!(corrected >= 20, "{corrected} of 30");
}

#[test]
fn the_trace_of_a_flagged_record_says_who_spoke_and_what_is_typical_and_of_another_nothing() {
    let mut windows = 0;
    for left in RecordPath::new(ENFORCE).run_whole(&mixed(5, 300)) {
        let trace = tripline::emit::ReadTrace::unpack(&left.trace).expect("a trace");
        if !trace.flagged {
            assert_eq!((trace.shares.len(), trace.reasons.len(), trace.window), (0, 0, None));
            continue;
        }
        assert!(left.trace.len() <= 200, "{} bytes", left.trace.len());
        let whole: f32 = trace.shares.iter().sum();
        assert!((whole - 1.0).abs() < 0.01, "{:?}", trace.shares);
        assert_eq!(trace.shares.len(), trace.scores.len());
        for reason in &trace.reasons {
            let (seen, typical) = (reason.seen, reason.typical);
            assert!((0.0..=1.0).contains(&seen) && (0.0..=1.0).contains(&typical));
        }
        // The shipped bundle's first detector is the one that looks at windows, alone beside a sum.
        let [local, ..] = trace.shares[..] else { panic!("no detector") };
        let window = trace.window.is_some();
        assert!(!window || local > 0.0, "{:?}", trace.shares);
        assert!(window || local < 0.5, "{:?}", trace.shares);
        windows += usize::from(window);
    }
    assert!(windows >= 4, "{windows} windows");
}

#[test]
fn observe_mode_delivers_everything_untouched_and_says_what_it_would_have_done() {
    let records = mixed(5, 300);
    let observed = RecordPath::new(Policy::default()).run_whole(&records);
    let enforced = RecordPath::new(ENFORCE).run_whole(&records);
    assert!(enforced.iter().any(|left| left.outcome.destination == Destination::Quarantine));
    assert!(enforced.iter().any(|left| left.outcome.destination == Destination::DeadLetter));
    for (observed, enforced) in observed.iter().zip(&enforced) {
        assert_eq!(
            (observed.outcome.destination, &observed.corrected),
            (Destination::Sanitized, &None)
        );
        match enforced.outcome.text {
            "pass" => assert_eq!(observed.outcome.text, "pass"),
            text => assert_eq!(observed.outcome.text, format!("would-{text}")),
        }
    }
}

#[test]
fn each_fault_has_its_name_and_its_neighbours_in_the_batch_are_scored() {
    let mut path = RecordPath::new(ENFORCE);
    let good = slice("clean.u8").remove(0);
    type Faulty = (Option<&'static str>, Option<Vec<u8>>, &'static str);
    let faulty: [Faulty; 8] = [
        (None, None, "null-value"),
        (None, Some(vec![0; (1 << 17) + 1]), "too-large"),
        (Some("text/csv"), Some(good.clone()), "unknown-format"),
        (Some("application/json"), Some(b"{\"pixels\": [1, 2".to_vec()), "unreadable"),
        (Some("application/x-u8"), Some(b"{\"pixels\": [1, 2]}".to_vec()), "ambiguous"),
        (Some("application/x-u8"), Some(vec![0; 783]), "wrong-arity"),
        (
            Some("application/x-f32-le"),
            Some(f32::INFINITY.to_le_bytes().repeat(PIXELS)),
            "not-finite",
        ),
        (Some("application/x-f32-le"), Some(1.5_f32.to_le_bytes().repeat(PIXELS)), "out-of-bounds"),
    ];
    // What an image alone cannot have: words, gaps, many rows in few bytes, a registry; and what
    // only delivery knows.
    let elsewhere = [
        "too-many-rows",
        "wrong-type",
        "missing",
        "unknown-schema",
        "undeliverable",
        "crash",
        "too-many-headers",
        "unscorable",
        "refused-timestamp",
        "refused-record",
        "step-failed",
        "not-sealed",
        "unknown-key",
        "undecryptable",
    ];
    let mut names = [faulty.each_ref().map(|f| f.2).as_slice(), &elsewhere].concat();
    names.sort_by_key(|name| Fault::NAMES.iter().position(|known| known == name));
    assert_eq!(names, Fault::NAMES, "every fault is here or named");
    let alone = path.run_whole(&raw(vec![good.clone()]));
    for (content_type, value, name) in faulty {
        let bad = record(content_type, value);
        let fine = record(U8, Some(good.clone()));
        let left = path.run_whole(&[fine.clone(), bad, fine]);
        assert_eq!(left[1].outcome.text, format!("dead-letter:{name}"));
        assert_eq!(left[1].outcome.destination, Destination::DeadLetter);
        assert_eq!(left[0].outcome.judged, alone[0].outcome.judged, "{name}");
        assert_eq!(left[2].outcome.judged, alone[0].outcome.judged, "{name}");
    }
}

/// An autoencoder of one layer that is not fit for use.
fn broken_networks(w: ndarray::Array2<f32>, b: f32) -> Networks {
    use tripline::fit::graph::layers::{Activation, Layer};

    let layer = Layer { w, b: vec![b; PIXELS], activation: Activation::Linear };
    let onnx = tripline::fit::graph::export::onnx(None, &[layer]).expect("a small file");
    let bundle = bundle();
    let onnx = |file: &str| match file {
        AUTOENCODER => Some(onnx.as_slice()),
        PROTECTED_MODEL => bundle.network(PROTECTED_MODEL),
        _ => None,
    };
    Networks::new(runtime(), PIXELS, bundle.manifest.answer, onnx).expect("it loads")
}

#[test]
fn a_record_that_cannot_be_scored_leaves_its_neighbours_scored() {
    // Infinite only where the first two pixels are both bright.
    let mut w = ndarray::Array2::zeros((PIXELS, PIXELS));
    w[(0, 0)] = f32::MAX;
    w[(0, 1)] = f32::MAX;
    let mut path = RecordPath::new(Policy { on_guard_failure: OnGuardFailure::Open, ..ENFORCE });
    path.networks = broken_networks(w, 0.0);
    let mut records = raw(slice("clean.u8"));
    records.truncate(20);
    records[7].value.as_mut().expect("an image")[..2].fill(255);
    let together = path.run_whole(&records);
    let faulty: Vec<usize> =
        (0..records.len()).filter(|&i| together[i].outcome.judged.is_err()).collect();
    assert_eq!(faulty, [7]);
    let outcome = &together[7].outcome;
    assert_eq!(
        (outcome.destination, outcome.text),
        (Destination::Quarantine, "quarantine:unscorable")
    );
    let alone = path.run(&records, (0..records.len()).map(|i| i..i + 1));
    assert_eq!(together, alone);

    // It is the record's doing, whatever is done when the guard fails.
    path.guard = RecordPath::new(ENFORCE).guard;
    // It is another revision, and the trace says so.
    let but_trace = |left: Vec<Left>| -> Vec<Left> {
        left.into_iter().map(|left| Left { trace: vec![], ..left }).collect()
    };
    assert_eq!(but_trace(path.run_whole(&records)), but_trace(together));
}

#[test]
fn a_guard_that_cannot_score_lets_all_pass_or_nothing_as_its_policy_says() {
    let mut records = raw(slice("clean.u8"));
    records.truncate(3);
    records.push(record(None, None));
    let broken = |on_guard_failure| {
        let mut path = RecordPath::new(Policy { on_guard_failure, ..ENFORCE });
        let all = ndarray::Array2::from_elem((PIXELS, PIXELS), f32::MAX);
        path.networks = broken_networks(all, f32::MAX);
        path
    };
    let left = broken(OnGuardFailure::Open).run_whole(&records);
    let said: Vec<_> =
        left.iter().map(|left| (left.outcome.text, left.outcome.destination)).collect();
    let passed = ("unscored", Destination::Sanitized);
    let dead = ("dead-letter:null-value", Destination::DeadLetter);
    assert_eq!(said, [passed, passed, passed, dead]);

    let mut path = broken(OnGuardFailure::Closed);
    let position = Position { partition: Partition(0), offset: Offset(0) };
    let value = records[0].value.as_deref();
    let record = Record::bare(position, value);
    let failed = path.batch.score(&path.guard, &mut path.networks, &[record]);
    let message = failed.expect_err("it must not pass").to_string();
    assert!(message.contains("not finite"), "{message}");
}
