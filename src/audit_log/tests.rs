use std::collections::BTreeMap;

use openssl::pkey::{Id, PKey};
use proptest::prelude::*;

use super::digest::EntryDigest;
use super::verify::walk;
use super::*;
use crate::record::Timestamp;

const ORIGIN: &str = "tripline/tripline/audit";

/// What another implementation of signed notes (golang.org/x/mod/sumdb/note) signs with the key of these tests.
const BY_GO: &str = include_str!("tests/note_by_go.txt");

fn private() -> Vec<u8> {
    let key = PKey::private_key_from_raw_bytes(&[7; 32], Id::ED25519).unwrap();
    key.private_key_to_pem_pkcs8().unwrap()
}

fn verifier() -> AuditVerifier {
    AuditVerifier::from_pem(&private()).unwrap()
}

fn deed(n: u64) -> Deed {
    let who = DeedActor { principal: "kafka:ops".into(), host: "h".into(), instance: "a".into() };
    let details = BTreeMap::from([("n".to_owned(), n.to_string())]);
    let (what, outcome) = (DeedKind::Why, DeedOutcome::Begun);
    Deed { who, what, subject: "s.quarantine/0/7".into(), outcome, details }
}

/// Key and value of each record.
type Records = Vec<(&'static [u8], Vec<u8>)>;

/// A log of so many entries, with its checkpoints.
fn log(entries: u64) -> Records {
    let signer = AuditSigner::from_pem(&private()).unwrap();
    let (mut chain, mut records) = (Chain::default(), vec![]);
    for n in 0..entries {
        let entry = chain.append(ORIGIN, Timestamp(1_795_000_000_000 + n as i64), deed(n));
        records.push((ENTRY_KEY, entry));
        if chain.entries.is_multiple_of(CHECKPOINT_EVERY) {
            let note = signer.sign(&Checkpoint { origin: ORIGIN.into(), chain });
            records.push((CHECKPOINT_KEY, note.into_bytes()));
        }
    }
    records
}

fn check(records: &[(&[u8], Vec<u8>)]) -> AuditReport {
    let stored = records.iter().enumerate();
    let stored =
        stored.map(|(at, (key, value))| Stored { offset: at as i64, key, value: value.as_slice() });
    verify(stored, ORIGIN, Some(&verifier()), None)
}

#[test]
fn a_log_that_nobody_touched_holds() {
    let report = check(&log(2500));
    assert_eq!((report.found, report.checkpoints, report.above), (0, 2, 500));
    assert_eq!(report.chain.entries, 2500);
    assert_eq!(check(&[]), AuditReport::default());
}

#[test]
fn every_deletion_swap_and_edit_of_ten_thousand_entries_is_found() {
    let records = log(10_000);
    assert_eq!(check(&records).found, 0);
    // Around each record: the rest of the log is the same, and is checked above.
    let verifier = verifier();
    let found = |part: &Records| {
        let (first, rest) = part.split_first().unwrap();
        let stored = rest.iter().map(|(key, value)| Stored { offset: 0, key, value });
        walk(Chain::after(&first.1).unwrap(), stored, ORIGIN, Some(&verifier), None).found
    };
    for at in 2..records.len() {
        let first = if records[at - 1].0 == ENTRY_KEY { at - 1 } else { at - 2 };
        // A part that ends where a checkpoint is due has it.
        let end = (at + 4).min(records.len());
        let due = records.get(end).is_some_and(|(key, _)| *key == CHECKPOINT_KEY);
        let around = first..end + usize::from(due);
        let at = at - first;
        let part = records[around.clone()].to_vec();
        assert_eq!(found(&part), 0, "{around:?}");
        let mut without = part.clone();
        without.remove(at);
        assert!(found(&without) > 0, "record {at} of {around:?} was taken out");
        if at + 1 < part.len() {
            let mut swapped = part.clone();
            swapped.swap(at, at + 1);
            assert!(found(&swapped) > 0, "record {at} of {around:?} and the next were exchanged");
        }
        let mut edited = part;
        let value = &mut edited[at].1;
        let spot = around.start * 31 % value.len();
        value[spot] ^= 1;
        assert!(found(&edited) > 0, "byte {spot} of record {at} of {around:?} was changed");
    }
}

#[test]
fn what_is_missing_at_either_end_is_found() {
    let records = log(2000);
    assert!(check(&records[1..]).found > 0);
    // The last checkpoint is due.
    assert!(check(&records[..records.len() - 1]).found > 0);
    // What stands above no checkpoint may be cut off unseen, unless somebody kept one.
    let kept = records.last().unwrap().1.clone();
    let kept = verifier().read(&kept, ORIGIN).unwrap();
    let cut = &records[..1500];
    assert_eq!(check(cut).found, 0);
    let stored = cut.iter().enumerate();
    let stored = stored.map(|(at, (key, value))| Stored { offset: at as i64, key, value });
    let report = verify(stored, ORIGIN, Some(&verifier()), Some(&kept));
    assert_eq!(report.found, 1);
    assert!(report.findings[0].what.contains("is of 2000"), "{:?}", report.findings);
}

#[test]
fn a_log_that_is_written_anew_without_the_key_is_found() {
    let mut other = Chain::default();
    let mut records = log(1000);
    for (n, (key, value)) in records.iter_mut().enumerate() {
        if *key == ENTRY_KEY {
            *value = other.append(ORIGIN, Timestamp(n as i64), deed(9));
        }
    }
    assert_eq!(check(&records).found, 1);
}

#[test]
fn a_checkpoint_is_read_by_other_programs_and_theirs_by_us() {
    let chain = Chain { entries: 1000, last: EntryDigest([9; 32]) };
    let ours = Checkpoint { origin: ORIGIN.into(), chain };
    assert_eq!(AuditSigner::from_pem(&private()).unwrap().sign(&ours), BY_GO);
    assert_eq!(verifier().read(BY_GO.as_bytes(), ORIGIN), Ok(ours));
    let forged = BY_GO.replace("1000", "1001");
    assert_eq!(verifier().read(forged.as_bytes(), ORIGIN), Err(CheckpointError::Forged));
    let elsewhere = verifier().read(BY_GO.as_bytes(), "tripline/other/audit");
    assert!(matches!(elsewhere, Err(CheckpointError::Origin { .. })));
}

#[test]
fn an_entry_reads_as_it_was_written_and_is_a_cloud_event() {
    let mut chain = Chain::default();
    let first = chain.append(ORIGIN, Timestamp(1_795_000_000_123), deed(0));
    let text = String::from_utf8(first.clone()).unwrap();
    assert!(
        text.starts_with(r#"{"specversion":"1.0","id":"0","source":"tripline/tripline/audit","#)
    );
    assert!(
        text.contains(r#""type":"io.tripline.audit.why","time":"2026-11-18T11:06:40.123Z""#),
        "{text}"
    );
    let entry = AuditEntry::from_bytes(&first).unwrap();
    assert_eq!((entry.seq, entry.deed), (0, deed(0)));
    assert_eq!(Chain::after(&first).unwrap(), chain);
}

#[test]
fn a_long_word_is_cut_and_many_details_are_left_out() {
    let mut long = deed(0);
    long.subject = "\u{1}".repeat(100_000);
    let details = (0..1000).map(|n| (format!("{n}"), "\u{1}".repeat(1000)));
    long.details = details.collect();
    let mut chain = Chain::default();
    let bytes = chain.append(ORIGIN, Timestamp(0), long);
    assert!(bytes.len() <= ENTRY_BYTES_MAX, "{}", bytes.len());
    assert!(AuditEntry::from_bytes(&bytes).is_ok());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0..40_usize) {
        let _ = AuditEntry::from_bytes(&bytes);
        let _ = verifier().read(&bytes, ORIGIN);
        let mut note = BY_GO.as_bytes().to_vec();
        let from = at.min(note.len());
        note.splice(from..from, bytes);
        let _ = verifier().read(&note, ORIGIN);
    }
}
