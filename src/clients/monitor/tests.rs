mod access_log;
mod habits;

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::clients::{
    CleanMarks, ClientName, ClientSettings, KnownSettings, PRINTS, RowPrints, RowVisit, VisitWindow,
};
use crate::watch::{ClientFinding, ClientFindings, Keying};

const WINDOW_MS: i64 = 1000;
const PARTITIONS: i32 = 3;

fn terms(horizon_rows: usize) -> Arc<ClientTerms> {
    let clean = CleanMarks { flagged: 0.01, confidence: None, matched: Some(0.001) };
    let quota = Some((60, 3_600_000));
    let known = Some(KnownSettings {
        clients_max: 50 * 1024,
        travel_ms: 5 * WINDOW_MS,
        origins: true,
        page_ms: 4 * WINDOW_MS,
        week_ms: 10 * WINDOW_MS,
    });
    let settings = ClientSettings { horizon_rows, entries_max: 64, quota, accept: vec![], known };
    Arc::new(ClientTerms::new("b1", (WINDOW_MS as u64, 3_600_000), (&clean, 4), settings))
}

/// A record of one row: when, and what a worker sees of it.
#[derive(Clone)]
struct Sent {
    at: i64,
    visit: RowVisit,
}

/// Clean rows of many clients, of which none is near another; and, from the middle on, near-duplicates of one client, and
/// of one cell by a new client each.
fn world(rng: &mut ChaCha8Rng) -> Vec<Vec<Sent>> {
    let partition = |p: i32, rng: &mut ChaCha8Rng| {
        let row = |i: i64, rng: &mut ChaCha8Rng| {
            let at = i * 137 + rng.random_range(0..100);
            let kind = if i < 150 { 0 } else { rng.random_range(0..12) };
            let mut prints = Box::new([0; PRINTS]);
            let fresh = rng.random_range(1..1_u64 << 40);
            let base = if kind == 1 || kind == 2 { kind } else { fresh };
            prints.iter_mut().for_each(|print| *print = base);
            let client = match kind {
                1 => 7,
                2 => rng.random(),
                3 => 9,
                _ => rng.random_range(100..5000),
            };
            let cell = if kind == 2 { 3 } else { rng.random_range(10..900) };
            let marks = if rng.random_bool(0.003) || kind == 3 { 2 } else { 0 };
            let visit = RowVisit {
                offset: i,
                client: Some(ClientName(client)),
                origin: Some(rng.random_range(0..6)),
                marks,
                cell: Some(cell),
                hash: rng.random(),
                prints: Some(RowPrints(prints)),
            };
            Sent { at, visit: RowVisit { offset: i + 1000 * i64::from(p), ..visit } }
        };
        (0..400).map(|i| row(i, rng)).collect()
    };
    (0..PARTITIONS).map(|p| partition(p, rng)).collect()
}

/// The topic as workers may write it: offsets cut anywhere, partitions at about the same time in any order, some of it told
/// twice, under two baselines.
fn topic(world: &[Vec<Sent>], rng: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    // The clock is never behind what was sent.
    let (mut next, mut latest) = (vec![0; world.len()], 1);
    let mut log: Vec<VisitMessage> = (0..PARTITIONS)
        .map(|p| VisitMessage::Presence(Presence { partition: Partition(p), quiet: false }))
        .collect();
    log.push(VisitMessage::Tick(Timestamp(1)));
    loop {
        let time = |p: usize| world[p].get(next[p]).map(|sent| sent.at);
        let Some(first) = (0..world.len()).filter_map(time).min() else { break };
        let near: Vec<usize> = (0..world.len())
            .filter(|&p| time(p).is_some_and(|at| at <= first + 2 * WINDOW_MS))
            .collect();
        let p = near[rng.random_range(0..near.len())];
        let (from, to) = (next[p], (next[p] + rng.random_range(1..30)).min(world[p].len()));
        let mut windows: BTreeMap<i64, Vec<RowVisit>> = BTreeMap::new();
        for sent in &world[p][from..to] {
            windows.entry(sent.at - sent.at % WINDOW_MS).or_default().push(sent.visit.clone());
        }
        let last = world[p][to - 1].at;
        latest = latest.max(last);
        let visits = Visits {
            baseline: "b1".into(),
            partition: Partition(p as i32),
            from: Offset(from as i64),
            to: Offset(to as i64),
            begins: from == 0,
            head: Timestamp(last - last % WINDOW_MS),
            read_out: false,
            windows: windows
                .into_iter()
                .map(|(window, visits)| VisitWindow { window: Timestamp(window), visits })
                .collect(),
        };
        if from > 0 && rng.random_bool(0.1) {
            let again = Visits { from: Offset(from as i64 - 1), ..visits.clone() };
            log.push(VisitMessage::Visits(visits));
            log.push(VisitMessage::Visits(again));
        } else {
            log.push(VisitMessage::Visits(visits));
        }
        next[p] = to;
        if rng.random_bool(0.3) {
            log.push(VisitMessage::Tick(Timestamp(latest)));
        }
    }
    for p in 0..PARTITIONS {
        log.push(VisitMessage::Presence(Presence { partition: Partition(p), quiet: true }));
    }
    log.push(VisitMessage::Tick(Timestamp(10_000_000)));
    log.iter().map(VisitMessage::to_bytes).collect()
}

/// Pages as they were written, and the bytes of the table at the end.
type Pages = (Vec<(Vec<u8>, Vec<u8>)>, Vec<u8>);

/// What is found in `log`, read by monitors that begin again with chance `restarts` before a message.
fn found(log: &[Vec<u8>], horizon: usize, restarts: f64, rng: &mut ChaCha8Rng) -> Vec<Message> {
    found_with_pages(log, horizon, restarts, rng).0
}

fn found_with_pages(
    log: &[Vec<u8>],
    horizon: usize,
    restarts: f64,
    rng: &mut ChaCha8Rng,
) -> (Vec<Message>, Pages) {
    let fresh = ClientMonitor::new(terms(horizon));
    let (mut monitor, mut told) = (fresh.clone(), vec![]);
    let mut written: Option<(Offset, Offset, Vec<u8>)> = None;
    let mut pages: Vec<(Vec<u8>, Vec<u8>)> = vec![];
    for (offset, value) in log.iter().enumerate() {
        if rng.random_bool(restarts) {
            if let Some((next, low, bytes)) = &written {
                monitor = fresh.restore(*next, *low, bytes).expect("it was written");
                for (key, value) in &pages {
                    monitor.load_page(key, value).unwrap();
                }
                for again in low.0..next.0 {
                    monitor.take(Offset(again), &log[again as usize]).unwrap();
                }
            } else {
                monitor = fresh.clone();
            }
            // What was read and not committed is read once more.
            for again in monitor.next().0..offset as i64 {
                monitor.take(Offset(again), &log[again as usize]).unwrap();
            }
            assert_eq!(monitor.next(), Offset(offset as i64));
        }
        let mut new = vec![];
        monitor.take(Offset(offset as i64), value).unwrap();
        monitor.drain(&mut new);
        if !new.is_empty() || rng.random_bool(0.2) {
            written = Some((monitor.next(), monitor.low(), monitor.to_bytes()));
            pages.append(&mut monitor.drain_pages());
        }
        told.append(&mut new);
    }
    pages.append(&mut monitor.drain_pages());
    let table = monitor.known().expect("clients have names").to_bytes();
    (told, (pages, table))
}

fn findings(told: &[Message]) -> Vec<(WindowStart, ClientFinding)> {
    let each = told.iter().flat_map(|message| match message {
        Message::Clients(ClientFindings { window, findings, .. }) => {
            findings.iter().map(|finding| (*window, finding.clone())).collect()
        }
        _ => vec![],
    });
    // In which window a quota is told hangs on when somebody ticked: it is a rule, and no bet.
    each.filter(|(_, finding)| finding.mark != QUOTA).collect()
}

#[test]
fn however_visits_were_cut_mixed_doubled_and_read_again_the_findings_are_the_same() {
    for seed in 0..12 {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let world = world(rng);
        let horizon = [50, 400, 5000][seed as usize % 3];
        let first = findings(&found(&topic(&world, rng), horizon, 0.0, rng));
        let has = |keying, key: &str, mark: &str| {
            first.iter().any(|(_, f)| f.keying == keying && f.key == key && f.mark == mark)
        };
        assert!(has(Keying::Client, "0000000000000007", "matched"), "{seed}: {first:?}");
        assert!(has(Keying::Client, "0000000000000009", "flagged"), "{seed}");
        assert!(has(Keying::Cell, "00000003", "matched"), "{seed}");
        assert!(has(Keying::Stream, "", "matched"), "{seed}");
        for _ in 0..4 {
            let log = topic(&world, rng);
            let again = findings(&found(&log, horizon, 0.0, rng));
            assert_eq!(again, first, "{seed}");
            let restarted = findings(&found(&log, horizon, 0.05, rng));
            assert_eq!(restarted, first, "{seed}: restarted");
        }
    }
}

#[test]
fn whoever_begins_again_writes_the_same_pages_and_knows_the_same_clients() {
    for seed in 0..8 {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let log = topic(&world(rng), rng);
        let (_, whole) = found_with_pages(&log, 400, 0.0, rng);
        assert!(whole.0.len() > 20, "{seed}: {} pages", whole.0.len());
        for _ in 0..6 {
            let (_, again) = found_with_pages(&log, [50, 5000][seed as usize % 2], 0.1, rng);
            assert_eq!(again.0.len(), whole.0.len(), "{seed}");
            assert!(again == whole, "{seed}: other pages");
        }
    }
}

#[test]
fn a_restart_reads_again_what_the_horizon_holds_and_not_more() {
    let rng = &mut ChaCha8Rng::seed_from_u64(77);
    let world = world(rng);
    let log = topic(&world, rng);
    let mut monitor = ClientMonitor::new(terms(50));
    for (offset, value) in log.iter().enumerate() {
        monitor.take(Offset(offset as i64), value).unwrap();
        assert!(monitor.low() <= monitor.next());
    }
    assert!(monitor.low().0 > log.len() as i64 / 2, "{:?} of {}", monitor.low(), log.len());
    let restored = ClientMonitor::new(terms(50));
    let restored = restored.restore(monitor.next(), monitor.low(), &monitor.to_bytes()).unwrap();
    assert_eq!(restored.to_bytes(), monitor.to_bytes());
    assert!(ClientMonitor::new(terms(50)).restore(Offset(0), Offset(0), b"x").is_err());
}

#[test]
fn what_is_late_and_what_is_ahead_of_the_clock_counts_in_the_current_window_also_after_a_restart() {
    let visits = |partition, from: i64, window: i64, head: i64| {
        let mut prints = Box::new([0; PRINTS]);
        prints.iter_mut().for_each(|print| *print = 5);
        let visit = RowVisit {
            hash: from as u32,
            prints: Some(RowPrints(prints)),
            offset: from,
            ..RowVisit::default()
        };
        VisitMessage::Visits(Visits {
            baseline: "b1".into(),
            partition: Partition(partition),
            from: Offset(from),
            to: Offset(from + 1),
            begins: from == 0,
            head: Timestamp(head),
            read_out: false,
            windows: vec![VisitWindow { window: Timestamp(window), visits: vec![visit] }],
        })
        .to_bytes()
    };
    let tick = |at| VisitMessage::Tick(Timestamp(at)).to_bytes();
    let log = [
        tick(1_000_000),
        visits(0, 0, 1_000_000, 1_000_000),
        visits(0, 1, 1_005_000, 1_005_000),
        tick(1_008_000),
        // Late: its window has closed.
        visits(0, 2, 1_000_000, 1_006_000),
        // Ahead of the clock.
        visits(0, 3, 9_000_000, 1_006_000),
        tick(1_009_000),
        visits(0, 4, 1_007_000, 1_007_000),
        tick(1_200_000),
    ];
    let read = |mut monitor: ClientMonitor, from: i64| {
        for offset in from..log.len() as i64 {
            monitor.take(Offset(offset), &log[offset as usize]).unwrap();
        }
        monitor.close_memory();
        (monitor.state.clone(), monitor.memory.horizon_from(), monitor.memory.low())
    };
    let whole = read(ClientMonitor::new(terms(1000)), 0);
    assert_eq!(whole.0.moved.len(), 2);
    for cut in 1..=log.len() as i64 {
        let mut monitor = ClientMonitor::new(terms(1000));
        for offset in 0..cut {
            monitor.take(Offset(offset), &log[offset as usize]).unwrap();
        }
        let (next, low) = (monitor.next(), monitor.low());
        let again =
            ClientMonitor::new(terms(1000)).restore(next, low, &monitor.to_bytes()).unwrap();
        assert_eq!(read(again, low.0), whole, "cut at {cut}");
    }
}

#[test]
fn a_quota_is_a_rule_and_who_is_accepted_is_not_told() {
    let rows = |n| {
        (0..n).map(|i| RowVisit { client: Some(ClientName(7)), offset: i, ..RowVisit::default() })
    };
    let visits = |from: i64, n: i64| {
        VisitMessage::Visits(Visits {
            baseline: "b1".into(),
            partition: Partition(0),
            from: Offset(from),
            to: Offset(from + n),
            begins: from == 0,
            head: Timestamp(1000 + from * 1000),
            read_out: false,
            windows: vec![VisitWindow { window: Timestamp(1000), visits: rows(n).collect() }],
        })
        .to_bytes()
    };
    let tick = |at| VisitMessage::Tick(Timestamp(at)).to_bytes();
    let told = |terms: Arc<ClientTerms>| {
        let (mut monitor, mut told) = (ClientMonitor::new(terms), vec![]);
        for (offset, value) in
            [tick(1), visits(0, 60), tick(2), visits(60, 9), tick(500_000)].iter().enumerate()
        {
            monitor.take(Offset(offset as i64), value).unwrap();
        }
        monitor.drain(&mut told);
        told
    };
    let told_of = told(terms(1000));
    let [Message::Clients(ClientFindings { findings, .. })] = &told_of[..] else {
        panic!("{told_of:?}")
    };
    assert_eq!((findings[0].mark.as_str(), findings[0].rows, findings[0].allowed), (QUOTA, 61, 60));
    let mut accepting = (*terms(1000)).clone();
    accepting.settings.accept = vec![(ClientName(7), Timestamp(2000))];
    assert_eq!(told(Arc::new(accepting)), []);
}
