use super::partitions::PARTITIONS_MAX;
use super::*;
use crate::record::{Offset, Reasons, Verdict};

pub(in crate::deliver) fn outcome(
    destination: Destination,
    judged: Result<Action, Fault>,
) -> Outcome {
    let verdict = |action| Verdict { action, p: 0.5, score: 0.0, reasons: Reasons::NONE };
    let judged = judged.map(verdict);
    let (corrected, trace, cells) = (None, 0..0, 0..0);
    let (unscored, imputed, text) = (false, false, "");
    let not_input = false;
    let (reason, oddity) = (0..0, None);
    let departure = crate::score::Departure::default();
    Outcome {
        destination,
        judged,
        unscored,
        not_input,
        imputed,
        corrected,
        changed: 0,
        departure,
        text,
        trace,
        reason,
        oddity,
        cells,
        visits: 0..0,
        answer: 0..0,
        groups: 0..0,
    }
}

fn counts(progress: &Progress) -> Vec<u64> {
    progress.counted().map(Progress::get).collect()
}

#[test]
fn records_count_once_they_are_committed_and_those_given_up_never() {
    let progress = Progress::default();
    let outcomes = [
        outcome(Destination::Sanitized, Ok(Action::Pass)),
        outcome(Destination::Sanitized, Ok(Action::Correct)),
        outcome(Destination::Quarantine, Ok(Action::Quarantine)),
        outcome(Destination::DeadLetter, Err(Fault::UnknownFormat)),
        Outcome { unscored: true, ..outcome(Destination::Sanitized, Ok(Action::Pass)) },
    ];
    progress.sent(&outcomes);
    assert_eq!(counts(&progress).iter().sum::<u64>(), 0, "not committed yet");
    progress.gave_up(true);
    progress.committed(Duration::ZERO);
    assert_eq!(counts(&progress).iter().sum::<u64>(), 0, "given up");
    progress.sent(&outcomes[..3]);
    progress.sent(&outcomes[3..]);
    progress.committed(Duration::ZERO);
    assert_eq!(counts(&progress)[..5], [3, 1, 1, 2, 1]);
    let at = Fault::NAMES.iter().position(|&name| name == "unknown-format").unwrap();
    assert_eq!(Progress::get(&progress.faults[at]), 1);
    assert_eq!(counts(&progress)[5..].iter().sum::<u64>(), 1);
}

#[test]
fn reasons_and_lags_stay_bounded_whatever_they_are_told() {
    let progress = Progress::default();
    for partition in 0..2 * PARTITIONS_MAX as i32 {
        progress.hold(Partition(partition), &"é".repeat(1000));
        progress.ends(Partition(partition), Offset(9), None);
        progress.stands(Partition(partition), Offset(8));
    }
    assert_eq!((progress.reasons().len(), progress.lags().len()), (4096, 4096));
    assert!(progress.reasons()[0].1.len() <= REASON_BYTES_MAX);
    assert_eq!(progress.lags()[0], (Partition(0), 1));
    // It is somebody else's now, of whom the group knows how far he is.
    progress.release(Partition(1));
    assert_eq!((progress.reasons().len(), progress.lags().len()), (4095, 4095));
    progress.ends(Partition(1), Offset(9), Some(Offset(4)));
    assert_eq!(progress.lags()[1], (Partition(1), 5));
    progress.held(0);
    assert!(progress.reasons().is_empty());
}

#[test]
fn a_thread_that_never_came_around_is_not_alive() {
    let (progress, patience) = (Progress::default(), Duration::from_secs(120));
    assert!(!progress.is_alive(Timestamp(5), patience));
    progress.beat(Timestamp(1_000_000));
    assert!(progress.is_alive(Timestamp(1_120_000), patience));
    assert!(!progress.is_alive(Timestamp(1_120_001), patience));
    // A clock that was set back is no reason to restart.
    assert!(progress.is_alive(Timestamp(5), patience));
    assert!(!progress.is_ready(Timestamp(5), patience), "it has not joined");
}
