use proptest::prelude::*;

use super::*;
use crate::record::{Fault, Reasons, Verdict};

const WINDOW_MS: u64 = 1000;

fn outcome(kind: u8) -> Outcome {
    let verdict = |action| Ok(Verdict { action, p: 0.5, score: 0.0, reasons: Reasons::NONE });
    let judged = match kind {
        0 => verdict(Action::Pass),
        1 => verdict(Action::Correct),
        2 => verdict(Action::Quarantine),
        _ => Err(Fault::NullValue),
    };
    Outcome::of(judged)
}

fn settle(lane: &mut Lane, offset: i64, timestamp: i64, kind: u8) {
    let position = Position { partition: lane.partition(), offset: Offset(offset) };
    lane.settle(position, Timestamp(timestamp), &outcome(kind));
}

/// Sums what the judge would merge: the last message per window and first offset.
fn totals(evidence: &[Evidence]) -> std::collections::BTreeMap<i64, Counts> {
    let mut last = std::collections::BTreeMap::new();
    for e in evidence {
        last.insert((e.window.0, e.from), e.counts);
    }
    let mut sums = std::collections::BTreeMap::new();
    for ((window, _), counts) in last {
        sums.entry(window).or_insert(Counts::default()).add(&counts);
    }
    sums
}

proptest! {
    /// Commits and restarts anywhere lose nothing, double nothing, and leave the same state.
    #[test]
    fn commits_and_restarts_change_neither_state_nor_merged_counts(
        records in prop::collection::vec((0_i64..20_000, 0_u8..4, 0_u8..10), 1..200),
    ) {
        let partition = Partition(2);
        let mut whole = Lane::new("e", partition, Offset(0), WINDOW_MS);
        let mut cut = whole.clone();
        let (mut whole_said, mut cut_said) = (vec![], vec![]);
        for (offset, &(timestamp, kind, what)) in records.iter().enumerate() {
            settle(&mut whole, offset as i64, timestamp, kind);
            settle(&mut cut, offset as i64, timestamp, kind);
            if what < 3 {
                cut.drain_evidence(&mut cut_said);
            }
            if what == 0 {
                cut = Lane::restore(&cut.to_bytes(), "e", partition, cut.next(), WINDOW_MS).unwrap();
            }
        }
        whole.drain_evidence(&mut whole_said);
        cut.drain_evidence(&mut cut_said);
        prop_assert_eq!(whole.to_bytes(), cut.to_bytes());
        let mut naive = std::collections::BTreeMap::new();
        for &(timestamp, kind, _) in &records {
            let counts: &mut Counts = naive.entry(timestamp - timestamp % 1000).or_default();
            counts.rows += u64::from(kind < 3);
            counts.flagged += u64::from(kind == 1 || kind == 2);
            counts.corrected += u64::from(kind == 1);
            counts.quarantined += u64::from(kind == 2);
            counts.faults += u64::from(kind == 3);
        }
        prop_assert_eq!(&totals(&whole_said), &naive);
        prop_assert_eq!(&totals(&cut_said), &naive);
    }
}

#[test]
fn state_that_ends_before_what_the_group_committed_is_refused_and_one_that_ends_after_goes_on() {
    let mut lane = Lane::new("e", Partition(1), Offset(5), WINDOW_MS);
    settle(&mut lane, 7, 0, 0);
    let restore = |committed| {
        Lane::restore(&lane.to_bytes(), "e", Partition(1), Offset(committed), WINDOW_MS)
    };
    for committed in [5, 7, 8] {
        assert_eq!(restore(committed).expect("accepted").next(), Offset(8), "{committed}");
    }
    let message = restore(9).expect_err("accepted").to_string();
    assert!(message.contains("covers offsets below 8"), "{message}");
    assert!(message.contains("move this one back to 8"), "{message}");
}

#[test]
fn state_of_another_epoch_keeps_the_offset_and_forgets_the_counts() {
    let mut lane = Lane::new("old", Partition(1), Offset(5), WINDOW_MS);
    settle(&mut lane, 5, 0, 2);
    let lane = Lane::restore(&lane.to_bytes(), "new", Partition(1), Offset(6), WINDOW_MS).unwrap();
    assert_eq!(lane, Lane::new("new", Partition(1), Offset(6), WINDOW_MS));
}

#[test]
fn no_timestamp_that_a_producer_can_write_overflows_a_window() {
    let mut lane = Lane::new("e", Partition(0), Offset(0), WINDOW_MS);
    for (offset, timestamp) in [i64::MIN, -1, 0, i64::MAX].into_iter().enumerate() {
        settle(&mut lane, offset as i64, timestamp, 0);
    }
    let mut said = vec![];
    lane.drain_evidence(&mut said);
    let windows: Vec<_> = said.iter().map(|evidence| evidence.window.0).collect();
    assert_eq!(windows, [0, 253_402_300_799_000]);
}

#[test]
fn a_stream_of_wild_timestamps_keeps_the_state_small() {
    let mut lane = Lane::new("e", Partition(0), Offset(0), WINDOW_MS);
    for i in 0..1000 {
        settle(&mut lane, i, (i * 7_919_000) % 1_000_003_000, 0);
        lane.drain_evidence(&mut vec![]);
    }
    assert!(lane.to_bytes().len() < 1000, "{} bytes", lane.to_bytes().len());
}
