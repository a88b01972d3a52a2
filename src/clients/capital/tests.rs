use super::*;
use crate::record::Timestamp;

/// Made by `clients_golden.py` of the prototypes: seed 42, 2000 windows of 200 rows of 5000 clients, p₀ .001, one false
/// page a week, 5 of 100 of it, windows of 10 s, 64 entries; three clients are marked in .4 of their rows from window
/// 1000 on.
const GOLDEN: &str = include_str!("golden.csv");

fn splitmix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn capital_and_pages_are_those_of_the_prototype_bit_for_bit() {
    let terms = TableTerms {
        bets: MarkBets::new(0.001, [0.02, 0.1, 0.5]),
        period_ms: 604_800_000,
        share: (5, 100),
        entries_max: 64,
    };
    let (mut state, mut table) = (42, CapitalTable::default());
    let (mut lines, mut pages) = (vec![], vec![]);
    for window in 0..2000 {
        let mut keys: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
        for _ in 0..200 {
            let client = splitmix(&mut state) % 5000;
            let bad = client < 3 && window >= 1000;
            let marked = splitmix(&mut state) % 1000 < if bad { 400 } else { 1 };
            let (rows, of) = keys.entry(client).or_default();
            (*rows, *of) = (*rows + 1, *of + u64::from(marked));
        }
        let found = table.close((Timestamp(window), 10_000), &keys, &terms);
        pages.extend(found.iter().map(|page| format!("page,{window},{},", page.key)));
        if [0, 1, 10, 100, 500, 999].contains(&window) || window % 250 == 249 {
            let (entries, sum) = (table.len(), table.sum());
            lines.push(format!("{window},{entries},{},{sum}", pages.len()));
        }
    }
    let golden: Vec<&str> = GOLDEN.lines().skip(1).collect();
    lines.extend(pages);
    assert_eq!(lines, golden);
}

#[test]
fn a_key_without_a_marked_row_is_not_stored_and_the_largest_stay() {
    let terms = TableTerms {
        bets: MarkBets::on_a_key(0.001),
        period_ms: 604_800_000,
        share: (1, 100),
        entries_max: 2,
    };
    let mut table = CapitalTable::default();
    let keys = [(1, (5, 0)), (2, (1, 1)), (3, (1, 1)), (4, (9, 1)), (5, (2, 2))].into();
    assert_eq!(table.close((Timestamp(0), 10_000), &keys, &terms), []);
    let stored: Vec<u64> = table.entries().map(|(key, _)| key).collect();
    assert_eq!(stored, [2, 5]);
}

/// Windows of 2000 rows of a million clients, some of whom send many: 10^6 rows, a budget of one page in 20 windows.
#[test]
fn clean_clients_page_no_more_often_than_the_budget_says_however_many_they_are() {
    for p0 in [5e-4, 0.02] {
        let terms = TableTerms {
            bets: MarkBets::on_a_key(p0),
            period_ms: 200_000,
            share: (1, 1),
            entries_max: 4096,
        };
        let (mut state, mut table, mut pages) = (7, CapitalTable::default(), 0);
        let mut unit = || splitmix(&mut state) as f64 / 2.0_f64.powi(64);
        for window in 0..500 {
            let mut keys: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
            for _ in 0..2000 {
                let client = 1e6_f64.powf(unit()) as u64;
                let (rows, marked) = keys.entry(client).or_default();
                (*rows, *marked) = (*rows + 1, *marked + u64::from(unit() < p0));
            }
            pages += table.close((Timestamp(window), 10_000), &keys, &terms).len();
        }
        // 25 are expected at most; 99 % of Poisson counts of that mean are below 38.
        assert!(pages <= 37, "{pages} pages at {p0}");
    }
}

/// One row a window among 2000 others, one false page a week.
#[test]
fn a_client_whose_rows_are_marked_pages_after_a_handful_of_them() {
    let rows_until = |p0: f64, is_marked: &dyn Fn(u64) -> bool| {
        let terms = TableTerms {
            bets: MarkBets::on_a_key(p0),
            period_ms: 604_800_000,
            share: (4, 100),
            entries_max: 4096,
        };
        let mut table = CapitalTable::default();
        (1..).find(|&row| {
            let others = (10..1300).map(|client| (client, (1, 0)));
            let keys = others.chain([(1, (1, u64::from(is_marked(row))))]).collect();
            !table.close((Timestamp(row as i64), 10_000), &keys, &terms).is_empty()
        })
    };
    assert!(rows_until(5e-4, &|_| true) <= Some(5));
    assert!(rows_until(0.001, &|_| true) <= Some(6));
    assert!(rows_until(5e-4, &|row| row % 10 == 3) <= Some(140));
    assert!(rows_until(0.02, &|row| row % 10 != 3) <= Some(12));
}
