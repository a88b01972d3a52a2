use super::*;
use crate::decide::Policy;
use crate::record::Probability;

const KEEP_FIRING_FOR_MS: i64 = 3_600_000;
const DRIFT: usize = 0;
const ATTACK: usize = 1;

fn about() -> About {
    About {
        stream: "s".into(),
        input: "s.requests".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: "e".into(),
        bundle: "b".into(),
        policy: Policy::default(),
        budget: Probability::new(0.01).unwrap(),
        false_page_ms: 7 * 24 * 3_600_000,
    }
}

fn fired(cause: Cause, watch: usize, since: i64) -> Fired {
    let finding = Finding {
        watch: cause.name().into(),
        feature: format!("watch {watch}"),
        measure: "share".into(),
        typical: 0.01,
        seen: 0.5,
        psi: 1.0,
        chi2: 1.0,
        rows: 100,
        partition: None,
        and_above: false,
    };
    Fired { cause, watch, since: Timestamp(since), finding }
}

/// Ten rows a second since then, up to `until`.
fn rows(until: i64) -> impl Fn(Timestamp, Option<Partition>) -> Past {
    move |since, _| {
        let rows = (until - since.0).max(0) as u64 / 100;
        let counts = Counts { rows, ..Counts::default() };
        Past { counts, until: Timestamp(until), first: None }
    }
}

/// What was said of which cause, in order.
fn told(alerts: &[Alert]) -> Vec<(&str, Status)> {
    alerts.iter().map(|alert| (alert.kind.as_str(), alert.status)).collect()
}

/// A drift since 0, and an attack `later` than that.
fn drift_then_attack(later: i64) -> (Incidents, Vec<Alert>) {
    let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
    let drift = vec![fired(Cause::Drift, DRIFT, 0)];
    incidents.fire(&about(), drift, KEEP_FIRING_FOR_MS, rows(1000), &mut alerts);
    let attack = vec![fired(Cause::Attack, ATTACK, later)];
    incidents.fire(&about(), attack, KEEP_FIRING_FOR_MS, rows(later + 1000), &mut alerts);
    (incidents, alerts)
}

#[test]
fn a_drift_seen_shortly_before_its_attack_ends_with_the_attacks_key_and_is_told_within_it() {
    let (incidents, alerts) = drift_then_attack(KEEP_FIRING_FOR_MS - 1);
    let (firing, resolved) = (Status::Firing, Status::Resolved);
    let expected = [("drift", firing), ("attack", firing), ("drift", resolved)];
    assert_eq!(told(&alerts), expected);
    assert_eq!(alerts[0].dedup_key, alerts[2].dedup_key);
    let note = format!("it came with attack incident {}", alerts[1].dedup_key);
    assert!(alerts[2].summary.contains(&note), "{}", alerts[2].summary);
    let inhibited: Vec<_> = alerts[1].inhibited.iter().map(|f| f.feature.as_str()).collect();
    assert_eq!(inhibited, ["watch 0"]);
    assert!(!incidents.is_open(Cause::Drift));
}

#[test]
fn a_drift_that_is_older_than_hold_stays_an_incident_beside_the_attack() {
    let (incidents, alerts) = drift_then_attack(KEEP_FIRING_FOR_MS);
    assert_eq!(told(&alerts), [("drift", Status::Firing), ("attack", Status::Firing)]);
    assert!(alerts[1].inhibited.is_empty());
    assert!(incidents.is_open(Cause::Drift) && incidents.is_open(Cause::Attack));
}

#[test]
fn a_drift_that_outlasts_its_attack_comes_back_under_its_own_key() {
    let (mut incidents, mut alerts) = drift_then_attack(1000);
    incidents.resolve(&about(), (None, ATTACK), KEEP_FIRING_FOR_MS, &mut alerts);
    assert_eq!(told(&alerts)[3..], [("attack", Status::Resolved)]);
    let until = 2000 + KEEP_FIRING_FOR_MS;
    assert_eq!(incidents.due(Timestamp(until - 1)), []);
    let due = incidents.due(Timestamp(until));
    incidents.fire(&about(), due, KEEP_FIRING_FOR_MS, rows(until), &mut alerts);
    assert_eq!(told(&alerts)[4..], [("drift", Status::Updated)]);
    assert_eq!(alerts[4].dedup_key, alerts[0].dedup_key);
    // Ten a second since it began: none is counted twice.
    assert_eq!(alerts[4].counts.rows, until as u64 / 100);
}

#[test]
fn a_drift_that_ends_with_its_attack_is_not_heard_of_again() {
    let (mut incidents, mut alerts) = drift_then_attack(1000);
    incidents.resolve(&about(), (None, DRIFT), KEEP_FIRING_FOR_MS, &mut alerts);
    incidents.resolve(&about(), (None, ATTACK), KEEP_FIRING_FOR_MS, &mut alerts);
    assert_eq!(told(&alerts)[3..], [("attack", Status::Resolved)]);
    assert_eq!(incidents.due(Timestamp(i64::MAX)), []);
}

#[test]
fn one_incident_holds_a_watch_of_several_partitions_and_ends_with_the_last_of_them() {
    let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
    let on = |partition| {
        let fired = fired(Cause::Attack, ATTACK, 0);
        let finding = fired.finding.on(Some(Partition(partition)), false);
        Fired { finding, ..fired }
    };
    incidents.fire(&about(), vec![on(7), on(3)], KEEP_FIRING_FOR_MS, rows(1000), &mut alerts);
    assert_eq!(told(&alerts), [("attack", Status::Firing)]);
    let named: Vec<_> = alerts[0].evidence.iter().map(|finding| finding.partition).collect();
    assert_eq!(named, [Some(Partition(3)), Some(Partition(7))]);
    for partition in [3, 5] {
        let place = (Some(Partition(partition)), ATTACK);
        incidents.resolve(&about(), place, KEEP_FIRING_FOR_MS, &mut alerts);
        assert!(incidents.is_open(Cause::Attack), "7 is still there");
    }
    incidents.resolve(&about(), (Some(Partition(7)), ATTACK), KEEP_FIRING_FOR_MS, &mut alerts);
    assert_eq!(told(&alerts)[1..], [("attack", Status::Resolved)]);
}
