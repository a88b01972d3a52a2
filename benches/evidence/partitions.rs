//! Streams of twelve partitions, judged one by one or merged: how soon a change is told, and how often nothing
//! is. The bench prints it, `tests/core/partitions.rs` demands a part of it.

use std::ops::Range;
use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tripline::decide::Policy;
use tripline::monitor::{About, Alert, Finding, Status};
use tripline::monitor::{Frame, Monitor};
use tripline::record::{Offset, Partition, Probability, Schema, Timestamp};
use tripline::watch::{
    Counts, Evidence, Flagged, Message, Presence, Signals, Tally, Terms, Tick, Times, Window,
    hypotheses,
};

pub const PARTITIONS: usize = 12;
const WINDOW_MS: i64 = 1000;
/// Rows of a partition in a window.
const ROWS: u64 = 100;
const WEEK_MS: u64 = 7 * 24 * 3_600_000;

/// Partitions that change, and the share of their rows that is flagged then.
pub type Change = (Range<usize>, f64);

fn monitor(per_partition: bool, false_page_ms: u64, keep_firing_for_ms: u64) -> Monitor {
    let budget = Probability::new(0.01).expect("a share");
    let about = About {
        stream: "s".into(),
        input: "s.requests".into(),
        sanitized: "s.sanitized".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: "e".into(),
        bundle: "b".into(),
        policy: Policy::default(),
        budget,
        false_page_ms,
        schema: Schema { features: vec![] },
        brokers: "kafka:9092".into(),
        file: "tripline.toml".into(),
    };
    let times = Times { window_ms: WINDOW_MS as u64, false_page_ms, keep_firing_for_ms };
    let signals = Signals::none();
    let clean = Flagged { budget, rows: 3000, flagged: 30 };
    let terms = Terms::new("e", "s", hypotheses(&signals, clean, |_| true), times);
    let schema = Schema { features: vec![] };
    Monitor::new(Arc::new(Frame {
        about,
        terms,
        answers: None,
        signals,
        schema,
        no_data_ms: None,
        per_partition,
        quasi: None,
        lineage: None,
    }))
}

/// Windows of all partitions, one in a hundred rows flagged; from window `from` on as `change` says.
fn stream(seed: u64, windows: i64, from: i64, (changed, share): &Change) -> Vec<Message> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let presence =
        |p: usize, quiet| Message::Presence(Presence { partition: Partition(p as i32), quiet });
    let mut all = vec![Message::Tick(Tick { at: Timestamp(u32::MAX.into()) })];
    all.extend((0..PARTITIONS).map(|p| presence(p, false)));
    for w in 0..windows {
        for p in 0..PARTITIONS {
            let share = if changed.contains(&p) && w >= from { *share } else { 0.01 };
            let flagged = (0..ROWS).filter(|_| rng.random_bool(share)).count() as u64;
            let imputed = (0..ROWS).filter(|_| rng.random_bool(0.02)).count() as u64;
            let counts =
                Counts { rows: ROWS, flagged, quarantined: flagged, imputed, ..Counts::default() };
            let offset = Offset(w * ROWS as i64);
            all.push(Message::Evidence(Evidence {
                baseline: "e".into(),
                partition: Partition(p as i32),
                from: offset,
                to: Offset(offset.0 + ROWS as i64),
                begins: false,
                head: None,
                read_out: false,
                windows: vec![Window {
                    window: Timestamp(w * WINDOW_MS),
                    tally: Tally { counts, ..Tally::default() },
                    first_flagged: (flagged > 0).then_some(offset),
                    exemplars: Default::default(),
                }],
            }));
        }
    }
    all.extend((0..PARTITIONS).map(|p| presence(p, true)));
    all
}

/// Windows from the change to the page, and what it says; none if there is no page in time.
pub fn delay(seed: u64, per_partition: bool, change: &Change) -> Option<(i64, Alert)> {
    const FROM: i64 = 200;
    let mut monitor = monitor(per_partition, WEEK_MS, 3_600_000);
    let (mut alerts, mut window) = (vec![], 0);
    for message in stream(seed, 1200, FROM, change) {
        if let Message::Evidence(evidence) = &message {
            window = evidence.windows[0].window.0 / WINDOW_MS;
        }
        monitor.take(monitor.next(), &message, &mut alerts);
        if !alerts.is_empty() {
            break;
        }
    }
    // Windows close two later.
    alerts.pop().map(|alert| (window - 2 - FROM + 1, alert))
}

/// Sorted delays of those that were found, and how many named nothing but changed partitions.
pub fn delays(seeds: u64, per_partition: bool, change: &Change) -> (Vec<i64>, usize) {
    let found: Vec<_> = (0..seeds).filter_map(|seed| delay(seed, per_partition, change)).collect();
    let changed = |partition: Partition| change.0.contains(&(partition.0 as usize));
    let right = |finding: &Finding| finding.partition.is_some_and(changed);
    let only = |alert: &Alert| alert.evidence.iter().all(right);
    let named = found.iter().filter(|(_, alert)| only(alert)).count();
    let mut delays: Vec<i64> = found.into_iter().map(|(delay, _)| delay).collect();
    delays.sort_unstable();
    (delays, named)
}

/// Alarms in `streams` clean streams in which 20 false ones each are allowed; of their messages only those
/// are heard that are `told`, by partition and window.
pub fn false_alarms(streams: u64, per_partition: bool, told: fn(i64, i64) -> bool) -> usize {
    const PERIODS: i64 = 20;
    const PERIOD: i64 = 500;
    let mut alarms = 0;
    for seed in 0..streams {
        let mut messages = stream(seed, PERIODS * PERIOD, 0, &(0..0, 0.0));
        messages.retain(|message| match message {
            Message::Evidence(Evidence { partition, windows, .. }) => {
                told(partition.0.into(), windows[0].window.0 / WINDOW_MS)
            }
            Message::Presence(presence) => presence.quiet || told(presence.partition.0.into(), 0),
            _ => true,
        });
        let length = WINDOW_MS as u64;
        // What rang rests no longer than it must, and rings again.
        let mut monitor = monitor(per_partition, PERIOD as u64 * length, 20 * length);
        let mut alerts = vec![];
        for message in messages {
            monitor.take(monitor.next(), &message, &mut alerts);
        }
        alarms += alerts.iter().filter(|alert| alert.status != Status::Resolved).count();
    }
    alarms
}

/// Every partition has all windows.
pub fn all(_: i64, _: i64) -> bool {
    true
}

/// One partition more every 500 windows, and every third stretch of 50 of each is silent.
pub fn some(partition: i64, window: i64) -> bool {
    window >= 500 * partition && (window / 50 + partition) % 3 != 2
}
