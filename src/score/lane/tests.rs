use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::record::{Fault, Reasons, Timestamp, Verdict};
use crate::watch::Tally;

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

fn counted(lane: &mut Lane, offset: i64, timestamp: i64, kind: u8) {
    let position = Position { partition: lane.partition(), offset: Offset(offset) };
    lane.count(
        position,
        Stamp::of_sender(Timestamp(timestamp)),
        &outcome(kind),
        &[u16::from(kind), 70],
    );
}

/// Sums of what was said, by window; the messages must follow one another.
fn totals(evidence: &[Evidence]) -> BTreeMap<i64, Tally> {
    assert!(
        evidence.windows(2).all(|pair| pair[0].to <= pair[1].from && pair[0].from < pair[0].to)
    );
    let mut sums: BTreeMap<i64, Tally> = BTreeMap::new();
    for window in evidence.iter().flat_map(|evidence| &evidence.windows) {
        sums.entry(window.window.0).or_default().add(&window.tally);
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
            counted(&mut whole, offset as i64, timestamp, kind);
            counted(&mut cut, offset as i64, timestamp, kind);
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
        let (mut naive, mut clock): (BTreeMap<i64, Tally>, Clock) = Default::default();
        for &(timestamp, kind, _) in &records {
            let dated = clock.date(Stamp::of_sender(Timestamp(timestamp)), WINDOW_MS);
            let tally = naive.entry(dated.window.0).or_default();
            tally.counts.misdated += u64::from(dated.misdated);
            tally.cells.push(kind.into());
            tally.cells.push(70);
            let counts = &mut tally.counts;
            counts.rows += u64::from(kind < 3);
            counts.flagged += u64::from(kind == 1 || kind == 2);
            counts.corrected += u64::from(kind == 1);
            counts.quarantined += u64::from(kind == 2);
            counts.faults += u64::from(kind == 3);
        }
        prop_assert_eq!(&totals(&whole_said), &naive);
        prop_assert_eq!(&totals(&cut_said), &naive);
        let counted = naive.values().map(|tally| tally.counts.rows + tally.counts.faults).sum::<u64>();
        prop_assert_eq!(counted, records.len() as u64);
    }
}

#[test]
fn state_that_ends_before_what_the_group_committed_is_refused_and_one_that_ends_after_goes_on() {
    let mut lane = Lane::new("e", Partition(1), Offset(5), WINDOW_MS);
    counted(&mut lane, 7, 0, 0);
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
fn state_of_another_baseline_keeps_the_offset_and_the_time() {
    let mut lane = Lane::new("old", Partition(1), Offset(5), WINDOW_MS);
    counted(&mut lane, 5, 7000, 2);
    let read = Lane::restore(&lane.to_bytes(), "new", Partition(1), Offset(6), WINDOW_MS).unwrap();
    assert_eq!(read, Lane::new("new", Partition(1), Offset(6), WINDOW_MS).at(lane.clock().clone()));
    assert_eq!(read.clock().head(), Timestamp(7000));
}

#[test]
fn evidence_says_what_time_it_was_where_it_ends() {
    let mut lane = Lane::new("e", Partition(0), Offset(0), WINDOW_MS);
    let mut said = vec![];
    for offset in 0..100 {
        // One in three stamps is an hour ahead.
        let ahead = if offset % 3 == 1 { 3_600_000 } else { 0 };
        counted(&mut lane, offset, 70_000 + offset * 100 + ahead, 0);
        lane.drain_evidence(&mut said);
    }
    let heads: Vec<_> = [0, 49, 99].map(|at| said[at].head.unwrap().0).into();
    assert_eq!(heads, [70_000, 74_000, 79_000]);
}

#[test]
fn no_timestamp_that_a_producer_can_write_overflows_a_window() {
    for timestamp in [i64::MIN, -1, 0, i64::MAX] {
        let mut lane = Lane::new("e", Partition(0), Offset(0), WINDOW_MS);
        (0..40).for_each(|offset| counted(&mut lane, offset, timestamp, 0));
        let mut said = vec![];
        lane.drain_evidence(&mut said);
        let windows: Vec<_> = totals(&said).into_keys().collect();
        assert_eq!(windows, [if timestamp > 0 { 253_402_300_799_000 } else { 0 }]);
    }
}

#[test]
fn a_backlog_of_few_records_a_window_makes_more_messages_not_larger_ones() {
    let mut lane = Lane::new("e", Partition(0), Offset(0), WINDOW_MS);
    for i in 0..1000 {
        counted(&mut lane, i, i * 7_919_000, 0);
    }
    let mut said = vec![];
    lane.drain_evidence(&mut said);
    assert!(said.len() > 100, "{} messages", said.len());
    assert!(said.iter().all(|evidence| evidence.windows.len() <= WINDOWS_MAX));
    totals(&said);
}
