use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const WINDOW_MS: u64 = 1000;

fn terms(false_page_ms: u64) -> Terms {
    Terms {
        budget: Probability::new(0.01).unwrap(),
        window_ms: WINDOW_MS,
        false_page_ms,
        keep_firing_for_ms: false_page_ms,
        key: Key::new("baseline", "stream", "flagged-share"),
    }
}

fn counts(rng: &mut ChaCha8Rng, rows: u64, share: f64) -> WindowCounts {
    let flagged = (0..rows).filter(|_| rng.random_bool(share)).count() as u64;
    WindowCounts { rows, flagged }
}

/// Plays `windows` windows of 100 rows with the flagged share that `share` gives each.
fn run(
    watch: &mut FlaggedShare,
    terms: &Terms,
    seed: u64,
    windows: std::ops::Range<i64>,
    share: impl Fn(i64) -> f64,
) -> Vec<(i64, Transition)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut seen = vec![];
    for w in windows {
        let counts = counts(&mut rng, 100, share(w));
        let window = Timestamp(w * WINDOW_MS as i64);
        seen.extend(watch.close(window, counts, terms).map(|t| (w, t)));
    }
    seen
}

fn reference() -> WindowCounts {
    WindowCounts { rows: 3000, flagged: 30 }
}

#[test]
fn a_fifth_of_the_stream_flagged_fires_in_a_window_and_resolves_after_it_ends() {
    let terms = terms(7 * 24 * 3600 * 1000);
    for seed in 0..20 {
        let mut watch = FlaggedShare::new(reference());
        let attacked = |w: i64| if (50..80).contains(&w) { 0.2 } else { 0.01 };
        let seen = run(&mut watch, &terms, seed, 0..200, attacked);
        let [(fired, Transition::Fired { since }), (resolved, Transition::Resolved)] = seen[..]
        else {
            panic!("seed {seed}: {seen:?}")
        };
        assert!((50..=52).contains(&fired), "seed {seed}: fired at {fired}");
        assert!((48..=51).contains(&(since.0 / 1000)), "seed {seed}: since {since:?}");
        assert!((80..100).contains(&resolved), "seed {seed}: resolved at {resolved}");
        assert!(!watch.is_firing());
    }
}

#[test]
fn the_false_pages_of_clean_streams_stay_within_the_budget() {
    // 40 streams of 2,000 windows, one false page allowed per 100 windows: 800 allowed. The
    // reference simulations spend about 65 % of it (conformal indicator, m = 500 and 5000).
    let terms = terms(100 * WINDOW_MS);
    let mut fired = 0;
    for seed in 0..40 {
        let mut watch = FlaggedShare::new(reference());
        for w in 0..2000 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed * 1_000_003 + w as u64);
            let counts = counts(&mut rng, 100, 0.01);
            let window = Timestamp(w * WINDOW_MS as i64);
            if watch.close(window, counts, &terms).is_some() {
                fired += 1;
                // What a false alarm does to the bag is not what is measured here.
                watch.firing = None;
            }
        }
    }
    assert!(fired <= 800, "{fired} false alarms; 800 are allowed");
    assert!(fired > 100, "{fired} of 800: the alarm is asleep");
}

#[test]
fn the_same_counts_give_the_same_state_bit_for_bit_after_a_restart() {
    let terms = terms(3600 * 1000);
    let share = |w: i64| if (30..60).contains(&w) { 0.1 } else { 0.01 };
    let mut whole = FlaggedShare::new(reference());
    run(&mut whole, &terms, 5, 0..40, share);
    let json = serde_json::to_string(&whole).unwrap();
    let mut restored: FlaggedShare = serde_json::from_str(&json).unwrap();
    assert_eq!(whole, restored);
    let after = run(&mut whole, &terms, 9, 40..120, share);
    assert_eq!(after, run(&mut restored, &terms, 9, 40..120, share));
    assert_eq!(whole, restored);
}

#[test]
fn idle_time_alone_never_fires() {
    let terms = terms(1000 * WINDOW_MS);
    let mut watch = FlaggedShare::new(reference());
    for w in 0..50 {
        // One clean row every 10,000 windows: ten periods pass between two rows.
        let window = Timestamp(w * 10_000 * WINDOW_MS as i64);
        let counts = WindowCounts { rows: 1, flagged: 0 };
        assert_eq!(watch.close(window, counts, &terms), None);
    }
}

#[test]
fn late_rows_are_tested_but_buy_no_time() {
    let terms = terms(3600 * 1000);
    let mut watch = FlaggedShare::new(reference());
    let none = WindowCounts { rows: 1000, flagged: 10 };
    assert_eq!(watch.late(Timestamp(0), none, &terms), None);
    assert_eq!(watch.level(), 0.0, "credit without time");
    watch.close(Timestamp(0), none, &terms);
    let attacked = WindowCounts { rows: 1000, flagged: 300 };
    assert!(matches!(watch.late(Timestamp(0), attacked, &terms), Some(Transition::Fired { .. })));
}

#[test]
fn the_start_of_an_attack_is_found_in_small_windows_too_and_it_resolves() {
    // 25 rows per window, a sixth of them flagged for 36 windows: what the demo sends.
    let terms = Terms { keep_firing_for_ms: 3600 * 1000, ..terms(7 * 24 * 3600 * 1000) };
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut watch = FlaggedShare::new(reference());
        let mut seen = vec![];
        for w in 0..120 {
            let share = if (48..84).contains(&w) { 0.16 } else { 0.0125 };
            let window = Timestamp(w * WINDOW_MS as i64);
            let counts = counts(&mut rng, 25, share);
            seen.extend(watch.close(window, counts, &terms).map(|t| (w, t)));
        }
        let [(_, Transition::Fired { since }), (_, Transition::Resolved)] = seen[..] else {
            panic!("seed {seed}: {seen:?}")
        };
        assert!((44..=54).contains(&(since.0 / 1000)), "seed {seed}: since {since:?}");
    }
}
