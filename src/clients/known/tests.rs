use std::collections::BTreeSet;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const WINDOW_MS: i64 = 10_000;

fn settings(clients_max: usize) -> KnownSettings {
    KnownSettings {
        clients_max,
        travel_ms: 1_800_000,
        origins: true,
        page_ms: 60_000,
        week_ms: 604_800_000,
    }
}

fn spells(rng: &mut ChaCha8Rng) -> Spells {
    let mut spells = Spells::new();
    for _ in 0..rng.random_range(0..40) {
        let client = (rng.random_range(0..4) << 54) | rng.random_range(0..30);
        spells.entry(client).or_default().add(Some(rng.random_range(0..9)));
    }
    spells
}

/// Windows, one message each, and a tick after each.
fn run(table: &mut KnownClients, log: &[Spells], from: usize, pages: &mut Vec<(Vec<u8>, Vec<u8>)>) {
    for (i, spells) in log.iter().enumerate().skip(from) {
        let start = |i: usize| Timestamp(1_700_000_000_000 + i as i64 * WINDOW_MS);
        table.add(start(i), Offset(i as i64), spells);
        table.tick((start(i), start(i + 1)), start(i + 1), Offset(i as i64 + 1));
        pages.append(&mut table.drain());
    }
}

#[test]
fn from_pages_and_the_windows_since_the_same_table_comes_wherever_it_was_cut() {
    for seed in 0..20 {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let log: Vec<Spells> = (0..60).map(|_| spells(rng)).collect();
        // Pages of 20 clients at most, of thirty: some are forgotten.
        let settings = settings(20 * PAGES);
        let (mut whole, mut all) = (KnownClients::new(settings), vec![]);
        run(&mut whole, &log, 0, &mut all);
        assert!(whole.forgotten() > 0 && whole.len() <= 4 * 20);
        for cut in 1..log.len() {
            let (mut first, mut pages) = (KnownClients::new(settings), vec![]);
            run(&mut first, &log[..cut], 0, &mut pages);
            let low = first.low().map_or(cut, |low| low.0 as usize);
            assert!(low + 7 >= cut, "{low} of {cut}");
            let mut again = KnownClients::new(settings).committed(Offset(cut as i64));
            for (key, bytes) in &pages {
                again.load(key, bytes).unwrap();
            }
            for (i, spells) in log.iter().enumerate().take(cut).skip(low) {
                let at = Timestamp(1_700_000_000_000 + i as i64 * WINDOW_MS);
                again.add(at, Offset(i as i64), spells);
            }
            assert_eq!(again.to_bytes(), first.to_bytes(), "{seed}, cut at {cut}");
            assert_eq!((again.low(), again.rows), (first.low(), first.rows));
            run(&mut again, &log, cut, &mut pages);
            assert_eq!((again.to_bytes(), pages), (whole.to_bytes(), all.clone()), "{seed}, {cut}");
        }
    }
}

#[test]
fn a_page_whose_state_was_not_committed_gives_way_to_the_one_before() {
    let rng = &mut ChaCha8Rng::seed_from_u64(5);
    let log: Vec<Spells> = (0..30).map(|_| spells(rng)).collect();
    let (mut whole, mut pages) = (KnownClients::new(settings(1 << 20)), vec![]);
    run(&mut whole, &log, 0, &mut pages);
    let known = |table: &KnownClients| table.pages.iter().map(ClientPage::next).max();
    for committed in 0..30 {
        let end = Offset(committed);
        let is_ahead = |(_, bytes): &&(Vec<u8>, Vec<u8>)| page(bytes).next() > end;
        let mut log: Vec<&(Vec<u8>, Vec<u8>)> = pages.iter().filter(|p| !is_ahead(p)).collect();
        let mut writing = KnownClients::new(settings(1 << 20)).committed(end);
        log.iter().for_each(|(key, bytes)| writing.load(key, bytes).unwrap());
        // Of each page one more was written, without its state; of each key the last stays.
        let numbers: BTreeSet<_> = pages.iter().map(|(key, _)| &key[..4]).collect();
        let of = |at: &[u8]| pages.iter().filter(is_ahead).find(|(key, _)| key[..4] == *at);
        log.extend(numbers.into_iter().filter_map(of));
        let is_last = |i: usize| log[i + 1..].iter().all(|(key, _)| *key != log[i].0);
        let mut again = KnownClients::new(settings(1 << 20)).committed(end);
        for i in (0..log.len()).filter(|&i| is_last(i)) {
            again.load(&log[i].0, &log[i].1).unwrap();
        }
        assert_eq!(again.to_bytes(), writing.to_bytes(), "{committed}");
        assert!(known(&again) <= Some(end));
    }
    assert!(known(&whole) > Some(Offset(12)));
    assert!(whole.load(b"1024.0", &pages[0].1).is_err());
    assert!(whole.load(b"0001", &pages[0].1).is_err());
    assert!(whole.load(b"0001.1", &pages[0].1[1..]).is_err());
}

fn page(bytes: &[u8]) -> ClientPage {
    ClientPage::read(bytes, false).unwrap()
}

#[test]
fn a_million_clients_are_27_bytes_each_and_some() {
    let mut table = KnownClients::new(settings(1 << 14));
    let mut spells = Spells::new();
    for client in 0..1_u64 << 14 {
        spells.entry(client << 50).or_default().add(Some(client as u16));
    }
    table.add(Timestamp(1_700_000_000_000), Offset(0), &spells);
    table.write_all(Timestamp(1_700_000_010_000), Offset(1));
    let bytes = table.due_bytes();
    assert!(bytes <= 27 * (1 << 14), "{bytes} for {}", table.len());
    assert_eq!((table.len(), table.forgotten(), table.low()), (1 << 14, 0, None));
}
