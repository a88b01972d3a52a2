use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const LENGTH: i64 = 1000;
const T0: i64 = 1_795_000_000_000;

fn date(clock: &mut Clock, at: i64) -> Dated {
    clock.date(Stamp::of_sender(Timestamp(at)), LENGTH as u64)
}

/// Windows of `stamps`, and how many were misdated.
fn dated(stamps: &[i64]) -> (Vec<i64>, usize) {
    let mut clock = Clock::default();
    let all: Vec<Dated> = stamps.iter().map(|&at| date(&mut clock, at)).collect();
    let misdated = all.iter().filter(|dated| dated.misdated).count();
    (all.into_iter().map(|dated| dated.window.0).collect(), misdated)
}

fn own(at: i64) -> i64 {
    at - at % LENGTH
}

#[test]
fn records_in_order_count_in_the_window_of_their_own_stamp_however_far_apart_they_are() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for apart in [0, 1, 40, 999, 5000, 60_000, 3_600_000, 86_400_000] {
        let stamps: Vec<i64> = (0..2000).map(|i| T0 + i * apart).collect();
        let (windows, misdated) = dated(&stamps);
        // The first records do not say how far apart they are.
        let elsewhere = stamps.iter().zip(&windows).skip(5).filter(|(at, w)| own(**at) != **w);
        assert_eq!((elsewhere.count(), misdated), (0, 0), "{apart} ms apart");

        // Apart by chance: a few count a window or two before their own.
        let mut at = T0;
        let mut random = || {
            at += rng.random_range(0..=2 * apart);
            at
        };
        let stamps: Vec<i64> = (0..2000).map(|_| random()).collect();
        let (windows, misdated) = dated(&stamps);
        let elsewhere = stamps.iter().zip(&windows).filter(|(at, w)| own(**at) != **w).count();
        assert!(elsewhere <= 40 && misdated == 0, "{apart} ms apart: {elsewhere}, {misdated}");
    }
}

#[test]
fn records_of_clocks_less_than_a_window_apart_count_in_their_own_windows() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let stamps: Vec<i64> = (0..5000).map(|i| T0 + 10 * i - rng.random_range(0..LENGTH)).collect();
    let (windows, misdated) = dated(&stamps);
    let elsewhere = stamps.iter().zip(&windows).filter(|(at, w)| own(**at) != **w).count();
    assert_eq!((elsewhere, misdated), (0, 0));
}

#[test]
fn clocks_minutes_apart_move_no_record_further_than_they_are_apart_and_none_is_misdated() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let clocks = [0, -2 * 60_000, 60_000, -1000, -4 * 60_000];
    let stamp = |i: i64, rng: &mut ChaCha8Rng| T0 + 10 * i + clocks[rng.random_range(0..5)];
    let stamps: Vec<i64> = (0..5000).map(|i| stamp(i, &mut rng)).collect();
    let (windows, misdated) = dated(&stamps);
    assert_eq!(misdated, 0);
    for (i, window) in (0..).zip(windows) {
        assert!((window - (T0 + 10 * i)).abs() <= 5 * 60_000, "record {i} in {window}");
    }
}

#[test]
fn after_a_gap_thirty_one_records_count_before_it_and_none_is_misdated() {
    let stamps: Vec<i64> =
        (0..200).map(|i| T0 + 20 * i + i64::from(i >= 100) * 28_800_000).collect();
    let (windows, misdated) = dated(&stamps);
    let early = windows[100..].iter().filter(|&&window| window < T0 + 28_000_000).count();
    assert_eq!((early, misdated), (31, 0));
}

/// What 27 % of the records of an attacker's making do to where honest ones count, 10 ms apart.
fn shifted(seed: u64, attack: impl Fn(i64, &mut ChaCha8Rng) -> i64) -> (f64, f64, f64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut clock = Clock::default();
    let (mut honest, mut moved, mut attacks, mut hidden, mut misdated) = (0, 0, 0, 0, 0);
    for i in 0..20_000 {
        let now = T0 + 10 * i;
        let attacked = rng.random_bool(0.27);
        let at = if attacked { attack(now, &mut rng) } else { now };
        let dated = date(&mut clock, at);
        let far = (dated.window.0 - now).abs() > 2 * LENGTH;
        *(if attacked { &mut attacks } else { &mut honest }) += 1;
        *(if attacked { &mut hidden } else { &mut moved }) += i32::from(far);
        misdated += i32::from(dated.misdated);
    }
    let share = |of, all| f64::from(of) / f64::from(all);
    (share(moved, honest), share(hidden, attacks), share(misdated, attacks))
}

type Attack = fn(i64, &mut ChaCha8Rng) -> i64;

#[test]
fn stamps_of_a_fourth_of_the_records_move_less_than_one_in_a_hundred_out_of_sight() {
    let attacks: [(&str, Attack); 6] = [
        ("50 minutes ahead", |now, _| now + 3_000_000),
        ("an hour old", |now, _| now - 3_600_000),
        ("spread over an hour", |now, rng| now + rng.random_range(0..3_600_000)),
        ("1970", |_, rng| rng.random_range(0..1000)),
        ("none", |_, _| -1),
        ("the largest", |_, _| i64::MAX),
    ];
    for (name, attack) in attacks {
        let (moved, hidden, misdated) = shifted(5, attack);
        println!("{name}: {moved:.4} of honest, {hidden:.4} of attacks, misdated {misdated:.3}");
        assert!(moved < 0.01 && hidden < 0.02, "{name}: {moved} {hidden}");
        assert!((0.85..=1.01).contains(&misdated), "{name}: {misdated}");
    }
}

#[test]
fn no_honest_time_is_lost_for_long_after_a_burst_that_is_most_of_its_neighbours() {
    for at in [i64::MAX, T0 + 3_000_000, 0] {
        let mut clock = Clock::default();
        for i in 0..100 {
            date(&mut clock, T0 + i);
        }
        for _ in 0..70 {
            date(&mut clock, at);
        }
        assert_eq!(clock.head().0, own(at.clamp(0, TIMESTAMP_MAX)));
        let back = (0..100).position(|i| date(&mut clock, T0 + 200 + i).window.0 == T0);
        assert_eq!(back, Some(31), "{at}");
    }
}

#[test]
fn a_stamp_of_the_brokers_is_believed_at_once() {
    let mut clock = Clock::default();
    for i in 0..100 {
        date(&mut clock, T0 + i);
    }
    let later = Stamp::of_broker(Timestamp(T0 + 86_400_000));
    assert_eq!(clock.date(later, LENGTH as u64).window.0, T0 + 86_400_000);
    assert_eq!(clock.stamps, [T0 + 86_400_000], "it has no other neighbour");
}

proptest! {
    /// Between records that go back, nothing counts before the window before the head.
    #[test]
    fn no_record_counts_earlier_than_its_head_promised(
        steps in prop::collection::vec(prop_oneof![0_i64..5000, -400_000_i64..400_000, any::<i64>()], 1..300),
    ) {
        let (mut clock, mut at) = (Clock::default(), T0);
        for step in steps {
            at = at.saturating_add(step);
            let before = clock.head().0;
            let Dated { window, .. } = date(&mut clock, at);
            let went_back = clock.head().0 < before;
            prop_assert!(went_back || window.0 >= before - LENGTH);
            prop_assert!((clock.head().0 - LENGTH..=clock.head().0).contains(&window.0));
            prop_assert!((0..=TIMESTAMP_MAX).contains(&window.0));
            // And goes on from what was written as if nothing had happened.
            let text = serde_json::to_string(&clock).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Clock>(&text).unwrap(), &clock);
        }
    }

    #[test]
    fn no_written_clock_panics(head: i64, stamps in prop::collection::vec(any::<i64>(), 0..100), at: i64) {
        let mut clock = Clock::from(Written { head, stamps });
        date(&mut clock, at);
        prop_assert!(clock.stamps.len() <= NEIGHBOURS);
    }
}
