//! Partitions that are judged one by one: panels, shares and what is told. How soon it rings, and how often for
//! nothing, is in `tests/core/partitions.rs`.

use super::*;

#[test]
fn equal_partitions_draw_differently() {
    let mut monitor = monitoring(true);
    run(&mut monitor, &[tick(10_000_000), presence(0, false), presence(1, false)]);
    for w in 0..10 {
        run(&mut monitor, &[evidence(0, w, w * 100, 100, 2), evidence(1, w, w * 100, 100, 2)]);
    }
    let panels = monitor.state.panels.as_ref().unwrap();
    assert_eq!(panels.len(), 2);
    assert_ne!(panels[&Partition(0)], panels[&Partition(1)]);
}

#[test]
fn what_a_window_buys_is_shared_by_all_partitions_that_were_heard_of() {
    // Capital after one window of one partition, beside others of which only the presence is known.
    let level = |others: i32| {
        let mut monitor = monitoring(true);
        run(&mut monitor, &[tick(10_000_000)]);
        run(&mut monitor, &(1..=others).map(quiet).collect::<Vec<_>>());
        run(&mut monitor, &[evidence(0, 5, 0, 100, 0), quiet(0)]);
        monitor.level()
    };
    let (alone, of_four, of_many) = (level(0), level(3), level(1000));
    assert!(alone > 0.0);
    assert!((alone / of_four - 4.0).abs() < 0.01, "{alone} {of_four}");
    // Those without a panel of their own have one together.
    assert!((alone / of_many - 32.0).abs() < 0.01, "{alone} {of_many}");
}

#[test]
fn partitions_beyond_the_last_panel_share_it_and_are_told_as_such() {
    let mut monitor = monitoring(true);
    let last = monitor.frame.shared_from().unwrap();
    assert_eq!(last, Partition(31));
    run(&mut monitor, &[tick(10_000_000)]);
    let mut alerts = vec![];
    for w in 0..80 {
        let flagged = if w < 60 { 1 } else { 30 };
        for partition in [40, 200] {
            alerts.extend(run(&mut monitor, &[evidence(partition, w, w * 100, 100, flagged)]));
        }
    }
    assert_eq!(monitor.state.panels.as_ref().unwrap().keys().collect::<Vec<_>>(), [&last]);
    assert!(alerts.iter().all(|alert| alert.dedup_key == alerts[0].dedup_key), "{alerts:#?}");
    assert!(alerts[0].summary.contains("on partition 31 or above: "), "{}", alerts[0].summary);
    let sample = alerts[0].samples.as_ref().map(|sample| sample.partition);
    assert_eq!(sample, Some(Partition(40)));
}

#[test]
fn switching_the_option_begins_anew_and_resolves_what_was_open() {
    for (before, after) in [(false, true), (true, false)] {
        let mut old = monitoring(before);
        let firing = run(&mut old, &messages(&attacked(1)[..120], 0, 1000));
        assert_eq!(firing[0].status, Status::Firing);
        let (restored, alerts) = monitoring(after).restore(&old.to_bytes(), old.next()).unwrap();
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].dedup_key, firing[0].dedup_key);
        let said = &alerts[0].summary;
        assert!(said.contains("what is watched was changed"), "{said}");
        assert!(!restored.is_firing() && restored.state.partitions.is_empty());
    }
}

#[test]
fn the_state_of_many_partitions_of_few_signals_fits_what_a_topic_takes() {
    let mut monitor = monitoring(true);
    run(&mut monitor, &[tick(10_000_000), presence(0, false)]);
    let mut most = 0;
    for w in 0..300 {
        // All are attacked, and the first is so far behind that windows stay open.
        let flagged = if w < 100 { 1 } else { 40 };
        for partition in 1..=100 {
            run(&mut monitor, &[evidence(partition, w, w * 100, 100, flagged)]);
        }
        if w % 20 == 0 {
            most = most.max(monitor.to_bytes().len());
        }
    }
    assert!(monitor.is_firing(), "it does not keep what it must");
    assert!((150_000..900_000).contains(&most), "{most} bytes");
}
