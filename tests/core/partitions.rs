//! What scoring partitions one by one sees sooner, and that it costs no more false alarms.

#[path = "../../benches/evidence/partitions.rs"]
mod bench;

use std::ops::Range;

use bench::{all, delay, delays, false_alarms, some};
use tripline::record::Partition;

const CHANGED: Range<usize> = 3..4;

#[test]
fn a_change_of_one_of_twelve_partitions_is_seen_by_its_own_panel_and_not_by_a_merged_one() {
    let (apart, named) = delays(8, true, &(CHANGED, 0.05));
    assert_eq!((apart.len(), named), (8, 8), "{apart:?}");
    assert!(apart[0] > 0 && apart[7] < 60, "{apart:?}");
    let (merged, _) = delays(8, false, &(CHANGED, 0.05));
    // Those not found come last.
    assert!(merged.get(4).is_none_or(|&median| median > 3 * apart[4]), "{merged:?} {apart:?}");
}

#[test]
fn clean_partitions_ring_no_more_often_than_the_one_budget_allows_though_they_come_and_go() {
    for told in [all as fn(i64, i64) -> bool, some] {
        let alarms = false_alarms(2, true, told);
        // Poisson's upper 99 % bound of 40.
        assert!(alarms <= 56, "{alarms} alarms, 40 are allowed");
    }
}

#[test]
fn the_sample_is_a_record_of_the_partition_that_changed() {
    let (_, alert) = delay(1, true, &(CHANGED, 0.3)).expect("it is found");
    assert_eq!(alert.samples.map(|sample| sample.partition), Some(Partition(3)));
}
