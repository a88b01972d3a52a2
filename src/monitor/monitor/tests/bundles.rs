//! Two bundles at work on one stream: what is told, what it costs, and what goes on when the monitor changes too.

use super::*;
use crate::watch::{Baseline, Stall, Usual};

/// Another bundle, whose workers flag one clean row in twenty.
const OTHER: &str = "other";
const OTHER_SHARE: f64 = 0.05;

fn reference() -> Message {
    let (baseline, budget) = (OTHER.into(), OTHER_SHARE);
    Message::Reference(Baseline { baseline, budget, rows: 3000, flagged: 150 })
}

/// Equal counts, by workers of `baseline`.
fn by(baseline: &str, message: Message) -> Message {
    match message {
        Message::Evidence(evidence) => {
            Message::Evidence(Evidence { baseline: baseline.into(), ..evidence })
        }
        message => message,
    }
}

/// A monitor of `baseline`, of which one page is allowed in `every` windows.
fn allowing(baseline: &str, every: u64) -> Monitor {
    let share = if baseline == OTHER { OTHER_SHARE } else { 0.01 };
    let budget = Probability::new(share).unwrap();
    let mut frame = frame(baseline);
    let false_page_ms = every * WINDOW_MS as u64;
    let keep_firing_for_ms = 50 * WINDOW_MS as u64;
    let times = Times { window_ms: WINDOW_MS as u64, false_page_ms, keep_firing_for_ms };
    let clean = Flagged { budget, rows: 3000, flagged: (3000.0 * share) as u64 };
    frame.terms = Terms::new(baseline, "s", hypotheses(&Signals::none(), clean, |_| true), times);
    Monitor::new(Arc::new(frame))
}

/// The first page of a stream of two partitions with 100 rows per window each; from window 100 on the worker of
/// partition 1, whose bundle is `baseline`, flags 40 of its 100. In windows after 100.
fn delay(baseline: &str, told: bool, seed: u64) -> i64 {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut monitor = monitor();
    run(&mut monitor, &[tick(10_000_000), presence(0, false), presence(1, false)]);
    if told {
        run(&mut monitor, &[reference()]);
    }
    for w in 0..400 {
        let mut of = |share| (0..100).filter(|_| rng.random_bool(share)).count() as u64;
        let usual = if baseline == OTHER { OTHER_SHARE } else { 0.01 };
        let flagged = (of(0.01), of(if w < 100 { usual } else { 0.4 }));
        let said = [
            evidence(0, w, w * 100, 100, flagged.0),
            by(baseline, evidence(1, w, w * 100, 100, flagged.1)),
        ];
        if let Some(alert) = run(&mut monitor, &said).first() {
            assert_eq!((alert.kind.as_str(), alert.status), ("attack", Status::Firing));
            return w - 100;
        }
    }
    panic!("seed {seed}: nobody was paged");
}

#[test]
fn an_attack_through_the_process_of_another_bundle_pages_as_soon_as_through_our_own() {
    for seed in 0..50 {
        let own = delay("e", true, seed);
        assert!((0..=3).contains(&own), "seed {seed}: {own} windows");
        for told in [true, false] {
            let other = delay(OTHER, told, seed);
            // Of a bundle that nobody told of the bound is wider.
            let most = own + i64::from(!told);
            assert!((0..=most).contains(&other), "seed {seed}, {told}: {other} windows, not {own}");
        }
    }
}

/// Pages of a clean stream of three partitions, of which two bundles have some; which, and which one monitors, changes
/// every 100 windows.
fn clean_pages(every: u64, windows: i64, seed: u64) -> usize {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut monitor, mut pages) = (allowing("e", every), 0);
    let mut bundles = ["e", "e", OTHER];
    run(&mut monitor, &[tick(1_000_000_000), reference()]);
    for w in 0..windows {
        if w % 100 == 99 {
            bundles = [(); 3].map(|()| if rng.random() { "e" } else { OTHER });
            let next = allowing(if rng.random() { "e" } else { OTHER }, every);
            monitor = next.restore(&monitor.to_bytes(), monitor.next()).unwrap().0;
        }
        for (partition, baseline) in bundles.into_iter().enumerate() {
            let share = if baseline == OTHER { OTHER_SHARE } else { 0.01 };
            let flagged = (0..30).filter(|_| rng.random_bool(share)).count() as u64;
            let alerts = run(
                &mut monitor,
                &[by(baseline, evidence(partition as i32, w, w * 30, 30, flagged))],
            );
            pages += alerts.iter().filter(|alert| alert.status == Status::Firing).count();
        }
    }
    pages
}

#[test]
fn clean_traffic_under_two_bundles_keeps_the_budget_whichever_process_monitors() {
    let (every, windows, streams) = (1000, 2500, 24);
    let pages: usize = (0..streams).map(|seed| clean_pages(every, windows, seed)).sum();
    let allowed = streams as usize * windows as usize / every as usize;
    println!("{pages} pages of {allowed} allowed");
    assert!(pages <= allowed, "{pages} pages, {allowed} are allowed");
    assert!(allowed >= 60, "too short to tell");
}

#[test]
fn the_bound_of_another_bundle_is_beyond_what_another_sample_of_clean_rows_would_have() {
    // By hand: 0.05 + 4 · sqrt(0.05033 / 3000) is 0.0663843; the next millionth counts.
    assert_eq!(Usual::new(0.05, 3000, 150).share(), 0.066_385);
    // The budget counts if fewer are flagged, the rows if there are more.
    assert_eq!(Usual::new(0.05, 3000, 10), Usual::new(0.05, 3000, 150));
    assert!(Usual::new(0.01, 3000, 150) == Usual::new(0.05, 3000, 150));
    assert_eq!(Usual::new(1.0, 0, 0).share(), 1.0);
}

#[test]
fn a_partition_of_another_bundle_holds_windows_open_no_longer_than_our_own() {
    let frontier = |baseline: &str| {
        let mut monitor = monitor();
        run(&mut monitor, &[tick(1_000_000), presence(0, false), presence(1, false)]);
        for w in 0..50 {
            run(
                &mut monitor,
                &[evidence(0, w, w * 10, 10, 0), by(baseline, evidence(1, w, w * 10, 10, 0))],
            );
        }
        monitor.state.frontier
    };
    assert_eq!(frontier(OTHER), frontier("e"));
    assert_eq!(frontier("e"), Timestamp(48 * WINDOW_MS));
}

/// 100 rows a window of one partition.
fn windows(baseline: &str, range: std::ops::Range<i64>, flagged: u64) -> Vec<Message> {
    range.map(|w| by(baseline, evidence(0, w, w * 100, 100, flagged))).collect()
}

#[test]
fn an_attack_that_goes_on_under_a_new_bundle_stays_one_incident_and_ends_with_the_attack() {
    for per_partition in [false, true] {
        let frame = |baseline| Arc::new(Frame { per_partition, ..allowing_frame(baseline) });
        let mut old = Monitor::new(frame("e"));
        run(&mut old, &[tick(10_000_000)]);
        let mut alerts = run(&mut old, &windows("e", 0..60, 1));
        alerts.extend(run(&mut old, &windows("e", 60..70, 40)));
        let (mut new, said) =
            Monitor::new(frame(OTHER)).restore(&old.to_bytes(), old.next()).unwrap();
        assert_eq!(said, []);
        // Rows of the old bundle are still heard, then those of the new one.
        alerts.extend(run(&mut new, &windows("e", 70..75, 40)));
        assert!(new.is_firing());
        alerts.extend(run(&mut new, &windows(OTHER, 75..85, 40)));
        assert!(new.is_firing());
        alerts.extend(run(&mut new, &windows(OTHER, 85..600, 5)));
        assert!(!new.is_firing());
        let fired = alerts.iter().filter(|alert| alert.status == Status::Firing).count();
        let ended = alerts.iter().filter(|alert| alert.status == Status::Resolved).count();
        assert_eq!((fired, ended), (1, 1), "{alerts:#?}");
        assert!(alerts.iter().all(|alert| alert.dedup_key == alerts[0].dedup_key));
    }
}

fn allowing_frame(baseline: &str) -> Frame {
    Frame::clone(&allowing(baseline, 604_800).frame)
}

#[test]
fn what_another_bundle_flagged_is_over_once_it_is_gone_and_our_own_rows_are_clean() {
    let mut monitor = allowing("e", 604_800);
    run(&mut monitor, &[tick(10_000_000), reference()]);
    run(&mut monitor, &windows(OTHER, 0..60, 5));
    let firing = run(&mut monitor, &windows(OTHER, 60..70, 60));
    assert_eq!(firing[0].status, Status::Firing);
    let said = firing[0].evidence[0].words();
    assert_eq!(said, "flagged records of another bundle: 60.0%, usually 6.6%");
    let over = run(&mut monitor, &windows("e", 70..600, 1));
    assert_eq!(over.iter().map(|alert| alert.status).collect::<Vec<_>>(), [Status::Resolved]);
}

#[test]
fn no_data_and_partitions_that_stand_still_go_on_under_a_new_bundle() {
    let of =
        |baseline| Monitor::new(Arc::new(Frame { no_data_ms: Some(60_000), ..frame(baseline) }));
    let mut old = of("e");
    let stall = |over| Message::Stall(Stall { partition: Partition(3), at: Offset(7), over });
    let mut alerts = run(
        &mut old,
        &[tick(1_000_000), evidence(0, 999, 0, 10, 0), stall(false), tick(1_070_000)],
    );
    let (mut new, said) = of(OTHER).restore(&old.to_bytes(), old.next()).unwrap();
    assert_eq!(said, []);
    alerts.extend(run(&mut new, &[tick(1_080_000), by(OTHER, evidence(0, 1080, 10, 10, 0))]));
    alerts.extend(run(&mut new, &[stall(true)]));
    let seen: Vec<_> = alerts.iter().map(|alert| (alert.kind.as_str(), alert.status)).collect();
    let expected = [
        ("stall", Status::Firing),
        ("no-data", Status::Firing),
        ("no-data", Status::Resolved),
        ("stall", Status::Resolved),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn what_a_signal_said_is_resolved_under_a_new_bundle_and_says_why() {
    let mut old = monitor();
    run(&mut old, &[tick(10_000_000)]);
    run(&mut old, &windows("e", 0..60, 1));
    let firing = run(&mut old, &windows("e", 60..70, 40));
    // As if a watch of signals had fired, which stands before those of records.
    let mut state = serde_json::to_value(&old.state).unwrap();
    let panel = state["panel"]["states"].as_array_mut().unwrap();
    panel.insert(0, panel[0].clone());
    panel[1].as_object_mut().unwrap().remove("firing");
    state["baseline"] = "e".into();
    let bytes = serde_json::to_vec(&state).unwrap();
    let (restored, alerts) =
        Monitor::new(Arc::new(frame("another"))).restore(&bytes, old.next()).unwrap();
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!((alerts[0].status, &alerts[0].dedup_key), (Status::Resolved, &firing[0].dedup_key));
    assert!(alerts[0].summary.contains("the bundle or the budget was changed"));
    assert!(!restored.is_firing());
}

#[test]
fn bundles_that_come_and_go_do_not_make_the_state_grow() {
    let mut monitor = monitor();
    run(&mut monitor, &[tick(10_000_000)]);
    for n in 0..1000 {
        let reference =
            Baseline { baseline: format!("{n}"), budget: 0.01, rows: 3000, flagged: n % 30 };
        run(&mut monitor, &[tick(10_000_000 + n as i64), Message::Reference(reference)]);
    }
    assert_eq!(monitor.state.bundles.len(), 8);
    assert!(monitor.state.bundles.contains_key("e") && monitor.state.bundles.contains_key("999"));
}
