//! What an incident brings along is watched anew when it is over.

use super::*;

/// A second of 1,000 records: shares that are flagged and that cannot be read.
fn second(at: i64, flagged: f64, faults: f64) -> Message {
    let faults = (1000.0 * faults) as u64;
    let rows = 1000 - faults;
    let counts =
        Counts { rows, flagged: (rows as f64 * flagged) as u64, faults, ..Counts::default() };
    said(0, at, at * 1000, 1000, counts)
}

/// An attack that brings unreadable records along, from second 100 to 130; after it this share of them stays. What was told,
/// without updates.
fn told(after: f64) -> Vec<(String, Status)> {
    let mut monitor = monitor();
    run(&mut monitor, &[tick(100_000_000)]);
    let usual = (0..100).map(|at| second(at, 0.01, 0.0));
    let attack = (100..130).map(|at| second(at, 0.3, 0.2));
    let later = (130..400).map(|at| second(at, 0.01, after));
    let alerts = run(&mut monitor, &usual.chain(attack).chain(later).collect::<Vec<_>>());
    let news = alerts.iter().filter(|alert| alert.status != Status::Updated);
    news.map(|alert| (alert.kind.clone(), alert.status)).collect()
}

#[test]
fn what_an_attack_brought_along_and_took_with_it_pages_nobody() {
    let attack = |status| ("attack".to_owned(), status);
    assert_eq!(told(0.0), [attack(Status::Firing), attack(Status::Resolved)]);
}

#[test]
fn what_stays_after_an_attack_has_an_incident_of_its_own_as_soon_as_it_shows_again() {
    let [attack, quality] = ["attack", "quality"].map(str::to_owned);
    // Within minutes: `keep_firing_for` is an hour here.
    let expected =
        [(attack.clone(), Status::Firing), (attack, Status::Resolved), (quality, Status::Firing)];
    assert_eq!(told(0.2), expected);
}
