use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::bundle::{Member, Role};
use crate::decide::Policy;
use crate::monitor::Status;
use crate::record::{Feature, Probability};
use crate::watch::{
    Cells, Counts, Flagged, GONE_AFTER_MS, LAG_MS, Tally, Tick, Times, Window, hypotheses,
};

mod anew;
mod answers;
mod bundles;
mod clients;
mod lineage;
mod loss;
mod partitions;
mod quasi;
mod size;
mod time;

pub(super) use time::closed;

const WINDOW_MS: i64 = 1000;

fn frame(baseline: &str) -> Frame {
    let budget = Probability::new(0.01).unwrap();
    let false_page_ms = 7 * 24 * 3600 * 1000;
    let about = About {
        stream: "s".into(),
        input: "s.requests".into(),
        sanitized: "s.sanitized".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: baseline.into(),
        bundle: "b".into(),
        policy: Policy::default(),
        budget,
        false_page_ms,
        schema: Schema { features: vec![] },
        brokers: "kafka:9092".into(),
        file: "tripline.toml".into(),
    };
    let times = Times { window_ms: WINDOW_MS as u64, false_page_ms, keep_firing_for_ms: 3_600_000 };
    let signals = Signals::none();
    let clean = Flagged { budget, rows: 3000, flagged: 30 };
    let terms = Terms::new("e", "s", hypotheses(&signals, clean, |_| true), times);
    Frame {
        about,
        terms,
        answers: None,
        signals,
        schema: Schema { features: vec![] },
        no_data_ms: None,
        per_partition: false,
        quasi: None,
        lineage: None,
    }
}

fn monitor() -> Monitor {
    monitoring(false)
}

fn monitoring(per_partition: bool) -> Monitor {
    Monitor::new(Arc::new(Frame { per_partition, ..frame("e") }))
}

fn evidence(partition: i32, window: i64, from: i64, rows: u64, flagged: u64) -> Message {
    let counts = Counts { rows, flagged, quarantined: flagged, ..Counts::default() };
    said(partition, window, from, rows, counts)
}

fn said(partition: i32, window: i64, from: i64, records: u64, counts: Counts) -> Message {
    Message::Evidence(Evidence {
        baseline: "e".into(),
        partition: Partition(partition),
        from: Offset(from),
        to: Offset(from + records as i64),
        begins: false,
        head: None,
        read_out: false,
        windows: vec![Window {
            window: Timestamp(window * WINDOW_MS),
            tally: Tally { counts, ..Tally::default() },
            first_flagged: (counts.flagged > 0).then_some(Offset(from)),
            exemplars: Default::default(),
        }],
    })
}

fn tick(at: i64) -> Message {
    Message::Tick(Tick { at: Timestamp(at) })
}

fn presence(partition: i32, quiet: bool) -> Message {
    Message::Presence(Presence { partition: Partition(partition), quiet })
}

fn quiet(partition: i32) -> Message {
    presence(partition, true)
}

fn run(monitor: &mut Monitor, messages: &[Message]) -> Vec<Alert> {
    let mut alerts = vec![];
    for message in messages {
        monitor.take(monitor.next(), message, &mut alerts);
    }
    alerts
}

/// A stream of 100 rows per second, attacked between seconds 100 and 130: per second, the rows
/// flagged of each of four partitions.
fn attacked(seed: u64) -> Vec<[u64; 4]> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let share = |second: usize| if (100..130).contains(&second) { 0.2 } else { 0.01 };
    let mut flagged = |second| (0..25).filter(|_| rng.random_bool(share(second))).count() as u64;
    (0..300).map(|second| [(); 4].map(|()| flagged(second))).collect()
}

/// Its evidence, with partitions taking turns in `order` and every `chunks`-th part told twice.
fn messages(seconds: &[[u64; 4]], order: u64, repeat: usize) -> Vec<Message> {
    let mut rng = ChaCha8Rng::seed_from_u64(order);
    let mut all = vec![tick(10_000_000)];
    for (second, flagged) in seconds.iter().enumerate() {
        let mut partitions = [0, 1, 2, 3];
        for i in (1..4).rev() {
            partitions.swap(i, rng.random_range(0..=i));
        }
        for p in partitions {
            let message = evidence(p as i32, second as i64, second as i64 * 25, 25, flagged[p]);
            if second % repeat == 0 {
                all.push(message.clone());
            }
            all.push(message);
        }
    }
    // Nothing more to read: the last windows close.
    all.extend((0..4).map(quiet));
    all
}

#[test]
fn an_attack_is_one_incident_that_fires_and_resolves() {
    for seed in 0..10 {
        let alerts = run(&mut monitor(), &messages(&attacked(seed), 0, 1000));
        assert!(alerts.iter().all(|alert| alert.dedup_key == alerts[0].dedup_key));
        let is_news = |alert: &&Alert| alert.status != Status::Updated;
        let seen: Vec<_> = alerts.iter().filter(is_news).map(|alert| alert.status).collect();
        assert_eq!(seen, [Status::Firing, Status::Resolved], "seed {seed}: {alerts:#?}");
        let flagged: Vec<u64> = alerts.iter().map(|alert| alert.counts.flagged).collect();
        assert!(flagged.is_sorted() && flagged.last() > Some(&400), "{flagged:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn alerts_do_not_depend_on_the_order_of_lanes_repeats_or_restarts(
        seed in 0_u64..5,
        order: u64,
        repeat in 1_usize..50,
        restart_every in 1_usize..200,
        per_partition: bool,
        bundles: bool,
    ) {
        let monitor = || monitoring(per_partition);
        let seconds = attacked(seed);
        // Workers of another bundle may tell of two partitions.
        let messages = |seconds: &[[u64; 4]], order, repeat| -> Vec<Message> {
            let other = |message| match message {
                Message::Evidence(said) if bundles && said.partition.0 > 1 => {
                    Message::Evidence(Evidence { baseline: "other".into(), ..said })
                }
                message => message,
            };
            messages(seconds, order, repeat).into_iter().map(other).collect()
        };
        let expected = run(&mut monitor(), &messages(&seconds, 0, 1000));
        prop_assert!(expected.len() >= 2);
        let mut alerts = vec![];
        let mut running = monitor();
        for (i, message) in messages(&seconds, order, repeat).iter().enumerate() {
            running.take(running.next(), message, &mut alerts);
            if i % restart_every == 0 {
                let (restored, said) =
                    monitor().restore(&running.to_bytes(), running.next()).unwrap();
                prop_assert!(said.is_empty());
                running = restored;
            }
        }
        prop_assert_eq!(alerts, expected);
    }

    /// One lane or four: the merged counts are the same, so everything after them is.
    #[test]
    fn alerts_do_not_depend_on_how_the_stream_is_split(seed in 0_u64..5) {
        let seconds = attacked(seed);
        let four = run(&mut monitor(), &messages(&seconds, 0, 1000));
        let mut merged = vec![tick(10_000_000)];
        for (second, flagged) in seconds.iter().enumerate() {
            let total = flagged.iter().sum();
            merged.push(evidence(0, second as i64, second as i64 * 100, 100, total));
        }
        merged.push(quiet(0));
        let one = run(&mut monitor(), &merged);
        let told = |alerts: &[Alert]| -> Vec<_> {
            alerts.iter().map(|a| (a.summary.clone(), a.counts)).collect()
        };
        prop_assert_eq!(told(&one), told(&four));
    }
}

#[test]
fn a_partition_that_is_behind_holds_windows_open_until_it_is_quiet_or_gone() {
    let start = [tick(1_000_000), presence(0, false), presence(1, false)];
    let ahead = [evidence(1, 4, 0, 10, 0), evidence(1, 500, 10, 10, 0)];
    let frontier = |last: &[Message]| {
        let mut monitor = monitor();
        run(&mut monitor, &start);
        run(&mut monitor, &ahead);
        run(&mut monitor, last);
        monitor.state.frontier
    };
    // Partition 0 was taken over but has said nothing yet: nothing may close.
    assert_eq!(frontier(&[]), Timestamp(0));
    // A window's last records may still come after the next one's first.
    assert_eq!(frontier(&[evidence(0, 5, 0, 10, 10)]), Timestamp(0));
    assert_eq!(frontier(&[evidence(0, 6, 0, 10, 10)]), Timestamp(5000));
    assert_eq!(frontier(&[quiet(0)]), Timestamp(5000), "window 500 is still open");
    assert_eq!(frontier(&[quiet(0), quiet(1)]), Timestamp(501 * WINDOW_MS));
    assert_eq!(frontier(&[tick(1_000_000 + GONE_AFTER_MS - 1)]), Timestamp(0));
    assert_eq!(frontier(&[tick(1_000_000 + GONE_AFTER_MS)]), Timestamp(501 * WINDOW_MS));
}

#[test]
fn late_evidence_counts_in_the_current_window_and_can_fire() {
    let mut monitor = monitor();
    run(&mut monitor, &[tick(10_000_000)]);
    let quiet: Vec<_> = (0..40).map(|w| evidence(0, w, w * 100, 100, 1)).collect();
    assert_eq!(run(&mut monitor, &quiet), []);
    assert_eq!(monitor.state.frontier, Timestamp(38_000));
    // A partition nobody had heard of, far behind.
    run(&mut monitor, &[evidence(1, 3, 0, 30, 30)]);
    assert_eq!(monitor.state.windows[&Timestamp(38_000)].tally.counts.flagged, 31);
    let alerts = run(&mut monitor, &[self::quiet(1), self::quiet(0)]);
    assert_eq!(alerts.len(), 1, "{alerts:#?}");
    assert_eq!(alerts[0].since, "1970-01-01T00:00:38Z");
}

#[test]
fn made_up_timestamps_and_partitions_far_behind_do_not_make_the_state_grow_without_bound() {
    for per_partition in [false, true] {
        let mut monitor = monitoring(per_partition);
        time::begin();
        run(&mut monitor, &[tick(10_000_000), presence(1, false)]);
        let mut wild = ChaCha8Rng::seed_from_u64(3);
        for i in 0..20_000 {
            // Partition 0 races ahead of partition 1, among records with made-up times in the future.
            let window =
                if i % 2 == 0 { i / 2 } else { wild.random_range(1_000_000..200_000_000_000) };
            run(&mut monitor, &[evidence(0, window, i, 1, 0)]);
        }
        assert_eq!(time::counted(&monitor), 20_000, "what there is no room for counts elsewhere");
        let bytes = monitor.to_bytes().len();
        assert!(bytes < 1_000_000, "{bytes} bytes do not fit the state topic");
        // It still monitors: what is past is closed, what is behind is late but heard.
        assert!(monitor.state.frontier > Timestamp(0));
        let attack = evidence(1, 9_990, 0, 1000, 500);
        assert_eq!(run(&mut monitor, &[attack, quiet(1), quiet(0)]).len(), 1);
    }
}

#[test]
fn records_from_the_future_wait_for_the_clock() {
    let mut monitor = monitor();
    run(
        &mut monitor,
        &[tick(10 * WINDOW_MS), evidence(0, 1000, 0, 10, 0), evidence(0, 1001, 10, 1, 0)],
    );
    assert_eq!(monitor.state.frontier, Timestamp(0), "it does not tick meanwhile");
    run(&mut monitor, &[tick(1001 * WINDOW_MS)]);
    assert_eq!(monitor.state.frontier, Timestamp(1001 * WINDOW_MS));
}

#[test]
fn a_storm_of_unreadable_records_is_one_incident_that_is_not_an_attack() {
    let mut monitor = monitor();
    run(&mut monitor, &[tick(10_000_000)]);
    let second = |w: i64, faults: u64| {
        let (rows, flagged) = (1000 - faults, (1000 - faults) / 100);
        said(0, w, w * 1000, 1000, Counts { rows, flagged, faults, ..Counts::default() })
    };
    let mut alerts = run(&mut monitor, &(0..50).map(|w| second(w, 0)).collect::<Vec<_>>());
    alerts.extend(run(&mut monitor, &(50..150).map(|w| second(w, 990)).collect::<Vec<_>>()));
    let seen: Vec<_> = alerts.iter().map(|alert| (alert.kind.as_str(), alert.status)).collect();
    let (firing, updated) = (("quality", Status::Firing), ("quality", Status::Updated));
    // A minute after the first message there are more than twice as many.
    assert_eq!(seen, [firing, updated], "{alerts:#?}");
    assert!(
        alerts[0].summary.contains("unreadable records: 99.0%, usually 0.1%"),
        "{}",
        alerts[0].summary
    );
    let ended = run(&mut monitor, &(150..9000).map(|w| second(w, 0)).collect::<Vec<_>>());
    assert_eq!(ended.iter().map(|alert| alert.status).collect::<Vec<_>>(), [Status::Resolved]);
    assert_eq!(ended[0].counts.faults, 99_000);
}

#[test]
fn no_data_is_told_by_the_clock_and_ends_with_the_next_record() {
    let mut monitor = Monitor::new(Arc::new(Frame { no_data_ms: Some(60_000), ..frame("e") }));
    let mut alerts = run(&mut monitor, &[tick(1_000_000), tick(2_000_000)]);
    assert_eq!(alerts, [], "nothing was ever heard");
    alerts = run(&mut monitor, &[evidence(0, 2000, 0, 10, 0), tick(2_059_000)]);
    assert_eq!(alerts, []);
    alerts = run(&mut monitor, &[tick(2_060_000), tick(2_070_000), evidence(0, 2070, 10, 1, 0)]);
    let seen: Vec<_> = alerts.iter().map(|alert| (alert.kind.as_str(), alert.status)).collect();
    assert_eq!(seen, [("no-data", Status::Firing), ("no-data", Status::Resolved)]);
}

#[test]
fn offsets_that_were_moved_back_on_purpose_are_counted_again_and_repeats_are_not() {
    let mut monitor = monitor();
    let first = evidence(0, 1, 0, 10, 0);
    run(&mut monitor, &[tick(10_000_000), first.clone(), first.clone(), evidence(0, 1, 5, 3, 0)]);
    let rows = |monitor: &Monitor| monitor.state.windows[&Timestamp(1000)].tally.counts.rows;
    assert_eq!(rows(&monitor), 10);
    let Message::Evidence(again) = first else { unreachable!() };
    let again = Message::Evidence(Evidence { begins: true, to: Offset(4), ..again });
    run(&mut monitor, &[again.clone(), again]);
    assert_eq!(rows(&monitor), 20);
}
