//! Accounts that others use: from new origins, in odd hours, while their owner is elsewhere.

use super::*;
use crate::clients::mark;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: u64 = 7 * DAY_MS as u64;

/// What is found when these rows come one after the other: when, whose, from where. A tick comes before each.
pub(super) fn feed(
    rows: &[(i64, u64, u16)],
    (window_ms, period_ms): (u64, u64),
) -> (Vec<(WindowStart, ClientFinding)>, ClientMonitor) {
    let clean = CleanMarks { flagged: 0.01, ..CleanMarks::default() };
    let known = Some(KnownSettings {
        clients_max: 1 << 20,
        travel_ms: HOUR_MS / 2,
        origins: true,
        page_ms: 60_000,
        week_ms: 7 * DAY_MS,
    });
    let settings = ClientSettings {
        horizon_rows: 1000,
        entries_max: 4096,
        quota: None,
        accept: vec![],
        known,
    };
    let terms = ClientTerms::new("b1", (window_ms, period_ms), (&clean, 0), settings).watching(
        "s",
        3_600_000,
        (false, false),
    );
    let (mut monitor, mut told) = (ClientMonitor::new(Arc::new(terms)), vec![]);
    let mut offset = 0;
    let mut take = |monitor: &mut ClientMonitor, message: VisitMessage| {
        monitor.take(Offset(offset), &message.to_bytes()).unwrap();
        monitor.drain_pages();
        offset += 1;
    };
    for (sent, &(at, client, origin)) in (0..).zip(rows) {
        let visit = RowVisit {
            offset: sent,
            client: Some(ClientName(client)),
            origin: Some(origin),
            ..RowVisit::default()
        };
        let window = Timestamp(at - at % window_ms as i64);
        take(&mut monitor, VisitMessage::Tick(window));
        let visits = Visits {
            baseline: "b1".into(),
            partition: Partition(0),
            from: Offset(sent),
            to: Offset(sent + 1),
            begins: sent == 0,
            head: window,
            read_out: false,
            windows: vec![VisitWindow { window, visits: vec![visit] }],
        };
        take(&mut monitor, VisitMessage::Visits(visits));
    }
    take(&mut monitor, VisitMessage::Tick(Timestamp(4_000_000_000_000)));
    monitor.drain(&mut told);
    (findings(&told), monitor)
}

/// A hundred and one clients for 24 days; `rows` says when of a day, and from where.
fn found(rows: impl Fn(i64, u64) -> Vec<(i64, u16)>) -> Vec<ClientFinding> {
    let mut all = vec![];
    for day in 0..24 {
        for client in 0..101 {
            let of = rows(day, client).into_iter();
            let begin = 1_699_920_000_000 + day * DAY_MS;
            all.extend(of.map(|(at, origin)| (begin + at, client, origin)));
        }
    }
    all.sort_unstable();
    let (found, _) = feed(&all, (10_000, WEEK_MS));
    let is_habit = |f: &ClientFinding| mark(&f.mark).is_some_and(|mark| mark.habit().is_some());
    found.into_iter().map(|(_, finding)| finding).filter(is_habit).collect()
}

const NINE: i64 = 9 * HOUR_MS;

/// Everybody comes at nine, from home.
fn settled(client: u64) -> Vec<(i64, u16)> {
    (0..4).map(|i| (NINE + client as i64 * 20_000 + i * 600_000, client as u16)).collect()
}

#[test]
fn an_account_that_is_used_from_new_origins_at_night_is_told_and_one_new_origin_is_not() {
    assert_eq!(found(|_, client| settled(client)), []);
    let one = |day, client| match (day, client) {
        (20, 100) => vec![(NINE, 7001)],
        _ => settled(client),
    };
    assert_eq!(found(one), []);
    let taken = |day, client| match (day, client) {
        (20.., 100) => {
            let of_others = |i: i64| (i * HOUR_MS, 7000 + (day * 24 + i) as u16);
            settled(client).into_iter().chain((0..6).map(of_others)).collect()
        }
        _ => settled(client),
    };
    let found = found(taken);
    for mark in ["new-origin", "odd-hour"] {
        let finding = found.iter().find(|finding| finding.mark == mark);
        let finding = finding.unwrap_or_else(|| panic!("no {mark} in {found:?}"));
        println!("{mark}: {} of {} at {}", finding.marked, finding.rows, finding.clean_share);
        assert!(finding.marked <= 6 && finding.sample.is_some(), "{finding:?}");
    }
    assert!(found.iter().all(|finding| finding.key == "0000000000000064"), "{found:?}");
}

#[test]
fn two_who_use_one_account_at_the_same_time_travel() {
    let shared = |day, client| match (day, client) {
        (20.., 100) => {
            let other = |i: i64| (NINE + 2_060_000 + i * 610_000, 7000 + (day * 24 + i) as u16);
            settled(client).into_iter().chain((0..3).map(other)).collect()
        }
        _ => settled(client),
    };
    let found = found(shared);
    assert!(found.iter().any(|finding| finding.mark == "travel"), "{found:?}");
}
