//! Partitions that are judged one by one: what that sees sooner, and that it costs no more false alarms.

use std::ops::Range;

use super::*;

const PARTITIONS: usize = 12;
/// Rows of a partition in a window.
const ROWS: u64 = 100;
const CHANGED: Range<usize> = 3..4;

/// Windows of twelve partitions, one in a hundred rows flagged; from window `from` on `share` of those of
/// the `changed` ones.
fn stream(
    seed: u64,
    windows: i64,
    from: i64,
    (changed, share): (Range<usize>, f64),
) -> Vec<Message> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut all = vec![tick(i64::from(u32::MAX))];
    all.extend((0..PARTITIONS as i32).map(|partition| presence(partition, false)));
    for w in 0..windows {
        for p in 0..PARTITIONS {
            let share = if changed.contains(&p) && w >= from { share } else { 0.01 };
            let flagged = (0..ROWS).filter(|_| rng.random_bool(share)).count() as u64;
            let imputed = (0..ROWS).filter(|_| rng.random_bool(0.02)).count() as u64;
            let counts = Counts { rows: ROWS, flagged, imputed, ..Counts::default() };
            all.push(said(p as i32, w, w * ROWS as i64, ROWS, counts));
        }
    }
    all.extend((0..PARTITIONS as i32).map(quiet));
    all
}

/// Windows from the change to the page, and what it says; none if there is no page in time.
fn delay(seed: u64, per_partition: bool, change: (Range<usize>, f64)) -> Option<(i64, Alert)> {
    const FROM: i64 = 200;
    let mut judge = judging(per_partition);
    let (mut alerts, mut window) = (vec![], 0);
    for message in stream(seed, 1200, FROM, change) {
        if let Message::Evidence(evidence) = &message {
            window = evidence.windows[0].window.0 / WINDOW_MS;
        }
        judge.take(judge.next(), &message, &mut alerts);
        if !alerts.is_empty() {
            break;
        }
    }
    // Windows close two later.
    alerts.pop().map(|alert| (window - 2 - FROM + 1, alert))
}

/// Sorted delays of those that were found, and how many named nothing but the changed partition.
fn delays(seeds: u64, per_partition: bool, change: &(Range<usize>, f64)) -> (Vec<i64>, usize) {
    let found: Vec<_> =
        (0..seeds).filter_map(|seed| delay(seed, per_partition, change.clone())).collect();
    let changed = |partition: Partition| change.0.contains(&(partition.0 as usize));
    let right = |finding: &Finding| finding.partition.is_some_and(changed);
    let only = |alert: &Alert| alert.evidence.iter().all(right);
    let named = found.iter().filter(|(_, alert)| only(alert)).count();
    let mut delays: Vec<i64> = found.into_iter().map(|(delay, _)| delay).collect();
    delays.sort_unstable();
    (delays, named)
}

#[test]
fn a_change_of_one_of_twelve_partitions_is_seen_by_its_own_panel_and_not_by_a_merged_one() {
    let (apart, named) = delays(8, true, &(CHANGED, 0.05));
    assert_eq!((apart.len(), named), (8, 8), "{apart:?}");
    assert!(apart[0] > 0 && apart[7] < 60, "{apart:?}");
    let (merged, _) = delays(8, false, &(CHANGED, 0.05));
    // Those not found come last.
    assert!(merged.get(4).is_none_or(|&median| median > 3 * apart[4]), "{merged:?} {apart:?}");
}

/// `cargo test --lib judge::tests::partitions -- --ignored --nocapture`: the table of docs/evidence.md.
#[test]
#[ignore = "a measurement"]
fn how_soon_a_change_of_one_of_twelve_partitions_is_seen() {
    let one = [0.02, 0.03, 0.05, 0.1, 0.3].map(|share| (CHANGED, share));
    let all = [0.015, 0.02, 0.05].map(|share| (0..PARTITIONS, share));
    for change in one.into_iter().chain(all) {
        for per_partition in [true, false] {
            let (delays, named) = delays(60, per_partition, &change);
            let at = |part: f64| delays.get((part * 60.0) as usize);
            println!(
                "{change:?}, per partition {per_partition}: {} of 60 found, median {:?}, 90 % {:?}, \
                 {named} named right",
                delays.len(),
                at(0.5),
                at(0.9),
            );
        }
    }
}

/// Messages of `streams` clean streams in which 20 false alarms each are allowed; of their messages only
/// those that are `told`, by partition and window.
fn false_alarms(streams: u64, per_partition: bool, told: fn(i64, i64) -> bool) -> usize {
    const PERIODS: i64 = 20;
    const PERIOD: i64 = 500;
    let mut alarms = 0;
    for seed in 0..streams {
        let mut frame = Frame { per_partition, ..frame("e") };
        let length = WINDOW_MS as u64;
        frame.terms.false_page_ms = PERIOD as u64 * length;
        // What rang rests no longer than it must, and rings again.
        frame.terms.hold_ms = 20 * length;
        let mut messages = stream(seed, PERIODS * PERIOD, 0, (0..0, 0.0));
        messages.retain(|message| match message {
            Message::Evidence(Evidence { partition, windows, .. }) => {
                told(partition.0.into(), windows[0].window.0 / WINDOW_MS)
            }
            Message::Presence(presence) => presence.quiet || told(presence.partition.0.into(), 0),
            _ => true,
        });
        let alerts = run(&mut Judge::new(Arc::new(frame)), &messages);
        alarms += alerts.iter().filter(|alert| alert.status != Status::Resolved).count();
    }
    alarms
}

fn all(_: i64, _: i64) -> bool {
    true
}

/// One partition more every 500 windows, and every third stretch of 50 of each is silent.
fn some(partition: i64, window: i64) -> bool {
    window >= 500 * partition && (window / 50 + partition) % 3 != 2
}

#[test]
fn clean_partitions_ring_no_more_often_than_the_one_budget_allows_though_they_come_and_go() {
    for told in [all as fn(i64, i64) -> bool, some] {
        let alarms = false_alarms(2, true, told);
        // Poisson's upper 99 % bound of 40.
        assert!(alarms <= 56, "{alarms} alarms, 40 are allowed");
    }
}

/// As above, for docs/evidence.md.
#[test]
#[ignore = "a measurement"]
fn how_often_clean_partitions_ring() {
    for (how, per_partition, told) in [
        ("merged", false, all as fn(i64, i64) -> bool),
        ("by partition", true, all),
        ("by partition, which come and go", true, some),
    ] {
        let alarms = false_alarms(50, per_partition, told);
        println!("{how}: {alarms} alarms, 1000 are allowed");
        assert!(alarms <= 1074, "the 99 % bound");
    }
}

#[test]
fn equal_partitions_draw_differently() {
    let mut judge = judging(true);
    run(&mut judge, &[tick(10_000_000), presence(0, false), presence(1, false)]);
    for w in 0..10 {
        run(&mut judge, &[evidence(0, w, w * 100, 100, 2), evidence(1, w, w * 100, 100, 2)]);
    }
    let panels = judge.state.panels.as_ref().unwrap();
    assert_eq!(panels.len(), 2);
    assert_ne!(panels[&Partition(0)], panels[&Partition(1)]);
}

#[test]
fn what_a_window_buys_is_shared_by_all_partitions_that_were_heard_of() {
    // Capital after one window of one partition, beside others of which only the presence is known.
    let level = |others: i32| {
        let mut judge = judging(true);
        run(&mut judge, &[tick(10_000_000)]);
        run(&mut judge, &(1..=others).map(quiet).collect::<Vec<_>>());
        run(&mut judge, &[evidence(0, 5, 0, 100, 0), quiet(0)]);
        judge.level()
    };
    let (alone, of_four, of_many) = (level(0), level(3), level(1000));
    assert!(alone > 0.0);
    assert!((alone / of_four - 4.0).abs() < 0.01, "{alone} {of_four}");
    // Those without a panel of their own have one together.
    assert!((alone / of_many - 32.0).abs() < 0.01, "{alone} {of_many}");
}

#[test]
fn partitions_beyond_the_last_panel_share_it_and_are_told_as_such() {
    let mut judge = judging(true);
    let last = judge.frame.shared_from().unwrap();
    assert_eq!(last, Partition(31));
    run(&mut judge, &[tick(10_000_000)]);
    let mut alerts = vec![];
    for w in 0..80 {
        let flagged = if w < 60 { 1 } else { 30 };
        for partition in [40, 200] {
            alerts.extend(run(&mut judge, &[evidence(partition, w, w * 100, 100, flagged)]));
        }
    }
    assert_eq!(judge.state.panels.as_ref().unwrap().keys().collect::<Vec<_>>(), [&last]);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert!(alerts[0].summary.contains("on partition 31 or above: "), "{}", alerts[0].summary);
    let sample = alerts[0].samples.as_ref().map(|sample| sample.partition);
    assert_eq!(sample, Some(Partition(40)));
}

#[test]
fn the_sample_is_a_record_of_the_partition_that_changed() {
    let (_, alert) = delay(1, true, (CHANGED, 0.3)).expect("it is found");
    assert_eq!(alert.samples.map(|sample| sample.partition), Some(Partition(CHANGED.start as i32)));
}

#[test]
fn switching_the_option_begins_anew_and_resolves_what_was_open() {
    for (before, after) in [(false, true), (true, false)] {
        let mut old = judging(before);
        let firing = run(&mut old, &messages(&attacked(1)[..120], 0, 1000));
        assert_eq!(firing[0].status, Status::Firing);
        let (restored, alerts) = judging(after).restore(&old.to_bytes(), old.next()).unwrap();
        assert_eq!(alerts.len(), 1);
        assert_eq!(alerts[0].dedup_key, firing[0].dedup_key);
        let said = &alerts[0].summary;
        assert!(said.contains("what is watched was changed"), "{said}");
        assert!(!restored.is_firing() && restored.state.partitions.is_empty());
    }
}

#[test]
fn the_state_of_many_partitions_of_few_signals_fits_what_a_topic_takes() {
    let mut judge = judging(true);
    run(&mut judge, &[tick(10_000_000), presence(0, false)]);
    let mut most = 0;
    for w in 0..300 {
        // All are attacked, and the first is so far behind that windows stay open.
        let flagged = if w < 100 { 1 } else { 40 };
        for partition in 1..=100 {
            run(&mut judge, &[evidence(partition, w, w * 100, 100, flagged)]);
        }
        if w % 20 == 0 {
            most = most.max(judge.to_bytes().len());
        }
    }
    assert!(judge.is_firing(), "it does not keep what it must");
    assert!((150_000..900_000).contains(&most), "{most} bytes");
}
