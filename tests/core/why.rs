//! `tripline why` without Kafka: decisions are made again, bit for bit, and what was changed in between is named.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tripline::bundle::FILES;
use tripline::config::{Config, Stream};
use tripline::deliver::Scorer as _;
use tripline::emit::TRACE;
use tripline::model::Runtime;
use tripline::record::{Offset, OwnedRecord, Partition, Position, Record, Stamp, Timestamp};
use tripline::shell::run::Prepared;
use tripline::shell::scorer::StreamScorer;
use tripline::shell::trial::Trial;
use tripline::shell::why::{DecisionReport, WhyError, decision};

const PIXELS: usize = 784;

fn models() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models")
}

/// A stream of a shipped bundle, with these keys.
fn stream(bundle: &str, keys: &str) -> (Stream, StreamScorer) {
    let text = format!(
        "instance = \"w\"\n[kafka]\nbrokers = \"127.0.0.1:1\"\n[[stream]]\nname = \"s\"\ninput = \"in\"\n\
         bundle = \"{}\"\nmode = \"enforce\"\n{keys}\n",
        models().join(bundle).display()
    );
    let config = Config::read(Path::new("t.toml"), &text, [], &|_| Err("no secrets".to_owned()))
        .expect("a configuration");
    let stream = config.streams.into_iter().next().expect("a stream");
    let runtime = Runtime::load(None).expect("scripts/setup puts ONNX Runtime there");
    let prepared = Prepared::new(&runtime, &Trial::none(), &stream, None).expect("it is sound");
    (stream, prepared.into_scorer().0)
}

fn at(i: usize) -> Position {
    Position { partition: Partition(1), offset: Offset(i as i64) }
}

fn record(value: &[u8]) -> OwnedRecord {
    let stamp = Stamp::of_sender(Timestamp(1_795_000_000_000));
    OwnedRecord { stamp, key: None, headers: vec![], value: Some(value.to_vec()) }
}

fn images(file: &str, n: usize) -> Vec<OwnedRecord> {
    let bytes = std::fs::read(models().join("fashion-mnist/slice").join(file)).expect("the slice");
    bytes.chunks_exact(PIXELS).take(n).map(record).collect()
}

/// Records as they leave: scored in batches, with the trace header, corrected where they are.
fn left(scorer: &mut StreamScorer, records: &[OwnedRecord]) -> Vec<OwnedRecord> {
    let mut left = vec![];
    for (b, batch) in records.chunks(256).enumerate() {
        let batch: Vec<_> = batch.iter().enumerate().map(|(i, r)| r.at(at(256 * b + i))).collect();
        scorer.score(&batch).expect("it scores");
        for (record, outcome) in batch.iter().zip(scorer.outcomes()) {
            let trace = scorer.traces()[outcome.trace.clone()].to_vec();
            let corrected = outcome.corrected.clone();
            let value = corrected.map(|range| scorer.corrected()[range].to_vec());
            let own = Record::to_owned(*record);
            let headers = vec![(TRACE.as_bytes().to_vec(), Some(trace))];
            left.push(OwnedRecord { headers, value: value.or(own.value), ..own });
        }
    }
    left
}

#[test]
fn a_thousand_verdicts_come_out_again_bit_for_bit_one_by_one() {
    let (stream, mut scorer) = stream("fashion-mnist", "codec = \"u8\"\non_flagged = \"correct\"");
    let files = [("clean.u8", 600), ("pgd.u8", 200), ("trigger.u8", 200)];
    let records: Vec<_> = files.iter().flat_map(|&(file, n)| images(file, n)).collect();
    assert_eq!(records.len(), 1000);
    let left = left(&mut scorer, &records);
    let (mut flagged, mut changed) = (0, 0);
    for (i, (record, left)) in records.iter().zip(&left).enumerate() {
        let told = decision(&stream, &mut scorer, (at(i), record), Some(left))
            .expect("it comes out again");
        assert!(told.repeated);
        flagged += usize::from(told.decision != "pass");
        changed += usize::from(!told.changes.is_empty());
    }
    println!("{flagged} of 1000 flagged, {changed} corrected");
    assert!(flagged > 300 && changed > 0, "{flagged} flagged, {changed} corrected");
}

fn rows() -> (Vec<OwnedRecord>, Vec<OwnedRecord>) {
    let text = std::fs::read_to_string(models().join("shuttle/slice/held-out.csv")).expect("rows");
    let (clean, attacks): (Vec<&str>, Vec<&str>) =
        text.lines().skip(1).partition(|line| line.ends_with(",normal"));
    let record = |line: &&str| {
        let row = line.rsplit_once(',').expect("a label").0;
        record(format!("[{row}]").as_bytes())
    };
    (clean.iter().map(record).collect(), attacks.iter().map(record).collect())
}

#[test]
fn with_the_change_that_is_named_the_record_passes() {
    let (stream, mut scorer) = stream("shuttle", "");
    let (clean, attacks) = rows();
    let (mut flagged, mut found, mut most) = (0, 0, 0);
    for record in attacks.iter().take(200) {
        let told = decision(&stream, &mut scorer, (at(0), record), None).expect("a decision");
        if told.decision == "pass" || told.fault.is_some() {
            continue;
        }
        flagged += 1;
        assert!(!told.reasons.is_empty(), "{told:#?}");
        let Some(changes) = told.would_pass_if else { continue };
        found += 1;
        most = most.max(changes.len());
        let value = String::from_utf8(record.value.clone().expect("a value")).expect("text");
        let mut row: Vec<f64> = serde_json::from_str(&value).expect("a row");
        let names: Vec<String> =
            scorer.guard().schema().features.iter().map(|f| f.name().to_owned()).collect();
        for change in &changes {
            let column = names.iter().position(|name| *name == change.feature).expect("a feature");
            row[column] = change.to.parse().expect("a number");
        }
        let value = serde_json::to_vec(&row).expect("a row");
        let again = decision(&stream, &mut scorer, (at(0), &self::record(&value)), None);
        assert_eq!(again.expect("a decision").decision, "pass", "{changes:?}");
    }
    println!("{found} of {flagged} flagged rows would pass with at most {most} changes");
    assert!(flagged > 100 && 10 * found >= 9 * flagged, "{found} of {flagged}");
    let told = decision(&stream, &mut scorer, (at(0), &clean[0]), None).expect("a decision");
    assert_eq!((told.decision, told.would_pass_if), ("pass", Some(vec![])));
}

fn why_not(told: Result<DecisionReport, WhyError>) -> String {
    match told {
        Err(error @ WhyError::Differs(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn another_bundle_budget_or_record_is_named_and_not_explained_away() {
    let (stream_of, mut scorer) = stream("shuttle", "");
    let (clean, attacks) = rows();
    let left = left(&mut scorer, &attacks[..1]);
    let mut ask =
        |record: &OwnedRecord| decision(&stream_of, &mut scorer, (at(0), record), Some(&left[0]));
    ask(&attacks[0]).expect("it is the record");
    let said = why_not(ask(&clean[0]));
    assert!(said.contains("the record in the input topic is another one"), "{said}");

    let (stream_of, mut other) = stream("shuttle", "budget = \"2%\"");
    let said = why_not(decision(&stream_of, &mut other, (at(0), &attacks[0]), Some(&left[0])));
    assert!(said.contains("another budget, mode"), "{said}");

    let (stream_of, mut other) = stream("nsl-kdd", "");
    let said = why_not(decision(&stream_of, &mut other, (at(0), &attacks[0]), Some(&left[0])));
    assert!(said.contains("let `bundle` point at the one that decided"), "{said}");
}

#[test]
fn a_decision_names_the_key_that_signed_the_bundle() {
    let place = tempfile::tempdir().expect("a folder");
    let (dir, signing) =
        (place.path().join("shuttle"), models().join("../tests/frozen/model-signing"));
    std::fs::create_dir(&dir).expect("a folder");
    for file in FILES {
        let file = models().join("shuttle").join(file);
        if file.exists() {
            std::fs::copy(&file, dir.join(file.file_name().expect("a name"))).expect("copied");
        }
    }
    let signature = place.path().join("shuttle.sig");
    std::fs::copy(signing.join("shuttle.sig"), &signature).expect("copied");
    let key = format!("bundle_key = \"{}\"", signing.join("signer.pem").display());
    let (stream_of, mut signed) = stream(dir.to_str().expect("UTF-8"), &key);
    let (clean, _) = rows();
    let told = decision(&stream_of, &mut signed, (at(0), &clean[0]), None).expect("a decision");
    // Python's `model_signing` wrote it.
    let signature = std::fs::read(signature).expect("it is there");
    let signature: serde_json::Value = serde_json::from_slice(&signature).expect("JSON");
    let hint = &signature["verificationMaterial"]["publicKey"]["hint"];
    assert_eq!(told.bundle.signed_by.as_deref(), hint.as_str());
    assert!(hint.is_string());

    let (stream_of, mut unsigned) = stream("shuttle", "");
    let told = decision(&stream_of, &mut unsigned, (at(0), &clean[0]), None).expect("a decision");
    assert_eq!(told.bundle.signed_by, None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_bit_of_a_trace_can_be_flipped_unnoticed(byte in 0_usize..120, bit in 0_u8..8) {
        let (stream, mut scorer) = stream("shuttle", "");
        let (_, attacks) = rows();
        let mut left = left(&mut scorer, &attacks[..1]);
        let header = left[0].headers[0].1.as_mut().expect("a trace");
        let byte = byte % header.len();
        header[byte] ^= 1 << bit;
        prop_assert!(decision(&stream, &mut scorer, (at(0), &attacks[0]), Some(&left[0])).is_err());
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_fault() {
    let (stream, mut scorer) = stream("shuttle", "");
    let record = record(b"[1, 2]");
    let left = left(&mut scorer, std::slice::from_ref(&record));
    let told =
        decision(&stream, &mut scorer, (at(0), &record), Some(&left[0])).expect("a decision");
    assert_eq!(told.decision, "dead-letter:wrong-arity");
    assert!(told.fault.is_some() && told.would_pass_if.is_none() && told.p.is_none());
}
