//! What a window costs, beside what was asked: at most 0.4 s of CPU per site and 1.2 s per trustee for 5,000 cells.

use std::time::Duration;

use super::*;

/// CPU time of this thread, as Linux tells it: others that use the machine do not count.
fn cpu() -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux has it");
    let first = told.split_ascii_whitespace().next().expect("nanoseconds");
    Duration::from_nanos(first.parse().expect("a number"))
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> (T, Duration) {
    let began = cpu();
    let done = work();
    let took = cpu() - began;
    println!("{what}: {:.0} ms", took.as_secs_f64() * 1e3);
    (done, took)
}

/// `cargo test --release --lib federate::tests::costs -- --ignored --nocapture`
#[test]
#[ignore = "it measures"]
fn a_window_of_5_000_cells_costs_a_site_less_than_400_ms_and_a_trustee_less_than_1200() {
    let mut world = World::new(3, 3, 5000);
    let (logarithms, _) = timed("table of logarithms, once", Logarithms::new);
    let told = tally(1, 5000);
    let (first, site) = timed("site: encrypt, prove, sign", || world.seal(0, 1, &told));
    let records: Vec<_> = [1, 2].map(|i| world.seal(i, 1, &tally(i as u64 + 1, 5000))).into();
    let records = [vec![first], records].concat();
    println!("record: {} bytes", records[0].len());
    let (contributions, checked) = timed("check the records of 3 sites", || {
        records.iter().map(|record| world.read(record)).collect::<Vec<_>>()
    });
    let (sum, added) =
        timed("add", || SummedWindow::of(&world.federation, &contributions).unwrap());
    let (again, compared) = timed("compute the sum again", || {
        SummedWindow::read(&world.federation, sum.to_bytes(), &contributions).unwrap()
    });
    let (record, share) = timed("trustee: share, prove", || world.share(0, &again));
    let (_, verified) =
        timed("check a share", || TrusteeShare::read(&world.federation, &again, &record).unwrap());
    let shares = world.shares(&again);
    let (opened, open) = timed("open, given checked shares", || {
        again.open(&world.federation, &shares, &logarithms).unwrap()
    });
    assert_eq!(opened.counts.rows, 600);
    let trustee = checked + compared + share;
    println!("site {site:?}, sum {:?}, trustee {trustee:?}", checked + added);
    println!("monitor {:?}", checked + compared + 3 * verified + open);
    assert!(site < Duration::from_millis(400), "{site:?}");
    assert!(trustee < Duration::from_millis(1200), "{trustee:?}");
}
