//! Whether a sender can talk an alarm out of sight by the timestamps of his records: lanes and monitor as they are,
//! on streams of which an attacker writes 27 % and chooses the stamps. Time is simulated, seeds are fixed.
//!
//!     cargo test --test core timestamps:: -- --nocapture      # prints the table of docs/evidence.md

mod stream;

use stream::{LENGTH_MS, Scene, Stamps, run};

const SEEDS: u64 = 12;

/// Milliseconds from the first attack record to the page, sorted; those that never came last.
fn delays(scene: &Scene) -> Vec<i64> {
    let mut delays: Vec<i64> =
        (0..SEEDS).map(|seed| run(scene, seed).attack_after_ms.unwrap_or(i64::MAX)).collect();
    delays.sort_unstable();
    delays
}

/// What was told: kind and status of every alert.
fn told(scene: &Scene, seed: u64) -> Vec<String> {
    let alerts = run(scene, seed).alerts;
    alerts.iter().map(|alert| format!("{} {}", alert.kind, alert.status.name())).collect()
}

/// No attack, for ten minutes.
fn clean() -> Scene {
    Scene { attack_at_ms: i64::MAX, until_ms: 600_000, ..Scene::attacked() }
}

fn median(sorted: &[i64]) -> i64 {
    sorted[sorted.len() / 2]
}

#[test]
fn whatever_stamps_an_attacker_writes_the_page_comes_within_one_and_a_half_of_the_honest_delay() {
    for partitions in [1, 4] {
        let scene = |stamps| Scene { stamps, partitions, ..Scene::attacked() };
        let honest = delays(&scene(Stamps::Honest));
        for stamps in Stamps::ALL {
            let found = delays(&scene(stamps));
            let (middle, worst) = (median(&found), found[found.len() - 1]);
            println!("{partitions} partitions, {stamps:?}: median {middle} ms, worst {worst} ms");
            for (what, delay, honest) in
                [("median", middle, median(&honest)), ("worst", worst, honest[honest.len() - 1])]
            {
                assert!(
                    delay * 2 <= honest * 3,
                    "{partitions} partitions, {stamps:?}: {what} {delay} ms, honest {honest} ms"
                );
            }
        }
    }
}

#[test]
fn where_most_stamps_are_the_attackers_the_page_still_comes() {
    for stamps in Stamps::ALL {
        let scene = Scene { stamps, share: 0.7, ..Scene::attacked() };
        let found = delays(&scene);
        println!(
            "70 %, {stamps:?}: median {} ms, worst {} ms",
            median(&found),
            found[found.len() - 1]
        );
        assert!(found[found.len() - 1] <= 15 * LENGTH_MS, "{stamps:?}: {found:?}");
    }
}

#[test]
fn clean_streams_page_nobody_though_clocks_are_apart_or_time_has_gaps_or_a_backlog_is_read() {
    let scenes = [
        ("producers a second apart", Scene { apart_ms: 1000, ..clean() }),
        ("four minutes apart", Scene { apart_ms: 240_000, ..clean() }),
        ("partitions an hour apart", Scene { partitions_apart_ms: 1_200_000, ..clean() }),
        ("a gap of eight hours", Scene { gap: Some((300_000, 28_800_000)), ..clean() }),
        ("a backlog of a day", Scene { backlog: Some((86_400_000, 50)), ..clean() }),
    ];
    for (name, scene) in scenes {
        for seed in 0..4 {
            assert_eq!(told(&scene, seed), Vec::<String>::new(), "{name}, seed {seed}");
        }
    }
}

#[test]
fn an_attack_in_a_backlog_is_dated_by_the_stamps_as_it_is_in_a_live_stream() {
    let live = Scene { partitions: 2, ..Scene::attacked() };
    let read_later = Scene { backlog: Some((86_400_000, 50)), ..live.clone() };
    for seed in 0..4 {
        let [live, later] = [&live, &read_later].map(|scene| {
            let fired = run(scene, seed).alerts.into_iter().next().expect("it is found");
            (fired.kind, fired.since)
        });
        assert_eq!(live, later, "seed {seed}");
    }
}

#[test]
fn many_implausible_stamps_of_records_that_are_not_flagged_are_an_incident_of_quality() {
    for stamps in [Stamps::Ahead, Stamps::Spread, Stamps::Old, Stamps::Missing, Stamps::Largest] {
        let scene = Scene { stamps, flagged: 0.01, ..Scene::attacked() };
        assert_eq!(told(&scene, 1), ["quality firing"], "{stamps:?}");
    }
}
