//! A real log of who came, when and from where: false pages beside those that the budget allows, and three attacks put into it.
//!
//! It is not shipped. `tests/clients/changelogs.py /usr/share/doc > log.csv` makes one of the changelogs of a Debian
//! machine: who made a version of a package, when, in which time zone. Figures are in `docs/clients.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::habits::feed;
use super::*;

/// Where the log is: lines of `seconds,client,origin`, in order of time.
const LOG: &str = "TRIPLINE_ACCESS_LOG";

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const WINDOW_MS: u64 = HOUR_MS as u64;

type Rows = Vec<(i64, u64, u16)>;

/// Bits of a pseudonym are all alike; those of a running number are not.
fn spread(number: i64) -> u64 {
    (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[expect(clippy::disallowed_methods, reason = "the log is not ours to ship")]
fn log() -> Rows {
    let path = std::env::var_os(LOG).unwrap_or_else(|| panic!("{LOG} names no file"));
    let text = std::fs::read_to_string(path).expect("a file");
    let row = |line: &str| {
        let mut cells = line.split(',');
        let mut cell = || cells.next().expect("three cells").parse::<i64>().expect("a number");
        let (seconds, client, origin) = (cell(), cell(), cell());
        (seconds * 1000, spread(client), (spread(origin) >> 48) as u16)
    };
    text.lines().map(row).collect()
}

/// How often each mark and each watch was told. What is told again while it lasts is one.
fn told(found: &[(WindowStart, ClientFinding)]) -> BTreeMap<&str, usize> {
    let mut pages = BTreeSet::new();
    let mut told = BTreeMap::new();
    for (window, finding) in found {
        let of_stream = finding.keying == Keying::Stream;
        let at = if of_stream { finding.since } else { *window };
        if pages.insert((&finding.mark, &finding.key, at)) {
            *told.entry(&*finding.mark).or_insert(0) += 1;
        }
    }
    told
}

/// The busiest client of the last quarter of the rows, and when it came in the middle of that.
fn victim(rows: &Rows) -> (u64, i64) {
    let late = &rows[rows.len() * 3 / 4..];
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    late.iter().for_each(|(_, client, _)| *counts.entry(*client).or_default() += 1);
    let (&client, _) = counts.iter().max_by_key(|(client, n)| (**n, **client)).expect("some came");
    let own: Vec<i64> = late.iter().filter(|row| row.1 == client).map(|row| row.0).collect();
    (client, own[own.len() / 2])
}

/// What of `more`, put into `rows`, is found: by mark, injected rows until then, marked ones and trials.
fn inject(rows: &Rows, client: u64, more: &Rows) -> Vec<(String, usize, u64, u64)> {
    let began = more.iter().map(|row| row.0).min().expect("some");
    let mut all: Rows = rows.iter().chain(more).copied().collect();
    all.sort_unstable();
    let (found, _) = feed(&all, (WINDOW_MS, 7 * DAY_MS as u64));
    let own = ClientName(client).to_string();
    let mut first: BTreeMap<String, (usize, u64, u64)> = BTreeMap::new();
    for (window, finding) in found {
        if window.0 < began - HOUR_MS || finding.key != own && finding.keying != Keying::Stream {
            continue;
        }
        let came = more.iter().filter(|row| row.0 < window.0 + HOUR_MS).count();
        first.entry(finding.mark).or_insert((came, finding.marked, finding.rows));
    }
    first.into_iter().map(|(mark, (came, marked, rows))| (mark, came, marked, rows)).collect()
}

#[test]
#[ignore = "needs a log of access, which is not shipped: TRIPLINE_ACCESS_LOG"]
fn a_real_log_pages_within_its_budget_and_attacks_in_it_are_found() {
    let rows = log();
    let mut report = String::new();
    for (name, period_ms) in [("a week", 7 * DAY_MS as u64), ("a day", DAY_MS as u64)] {
        let (found, monitor) = feed(&rows, (WINDOW_MS, period_ms));
        let windows: BTreeSet<i64> = rows.iter().map(|row| row.0 / HOUR_MS).collect();
        let bought = (windows.len() as u64 * WINDOW_MS.min(period_ms / 500)) as f64;
        let allowed = 0.05 * bought / period_ms as f64;
        let clients = monitor.known().map(KnownClients::len);
        let _ = writeln!(
            report,
            "one page {name}: {} rows, {clients:?} clients, {} windows; allowed {allowed:.2}; told {:?}; {:?}",
            rows.len(),
            windows.len(),
            told(&found),
            monitor.state.habits,
        );
        // Of what is allowed twice as many would be chance in one of a hundred logs.
        let pages: usize = told(&found).values().sum();
        assert!(pages as f64 <= 2.0 * allowed + 2.0, "{report}");
    }
    let (client, middle) = victim(&rows);
    // Others use its account, every two hours for two days, each time from another place.
    let taken = |i: i64| (middle + i * 2 * HOUR_MS, client, 40_000 + i as u16);
    let takeover = inject(&rows, client, &(1..=24).map(taken).collect());
    // Shortly after its own rows somebody else uses it elsewhere.
    let own = rows.iter().filter(|row| row.1 == client && row.0 >= middle).take(24).enumerate();
    let beside = |(i, row): (usize, &(i64, u64, u16))| (row.0 + 60_000, client, 50_000 + i as u16);
    let travel = inject(&rows, client, &own.map(beside).collect());
    let sybil = |i: i64| (middle + i * 60_000, spread(i + 1_000_000), 7);
    let sybils = inject(&rows, 0, &(0..400).map(sybil).collect());
    for (name, found) in [("takeover", &takeover), ("travel", &travel), ("sybils", &sybils)] {
        let _ = writeln!(report, "{name} (mark, injected rows until told, marked, of): {found:?}");
    }
    println!("{report}");
    assert!([takeover, travel, sybils].iter().all(|found| !found.is_empty()), "{report}");
}
