use super::*;
use crate::decide::{Mode, Policy};
use crate::record::{Manner, Oddity, Offset, Probability, Schema};

const KEEP_FIRING_FOR_MS: i64 = 3_600_000;
const DRIFT: usize = 0;
const ATTACK: usize = 1;

fn about() -> About {
    About {
        stream: "s".into(),
        input: "s.requests".into(),
        sanitized: "s.sanitized".into(),
        quarantine: "s.quarantine".into(),
        dead_letter: "s.dead-letter".into(),
        baseline: "e".into(),
        bundle: "b".into(),
        policy: Policy::default(),
        budget: Probability::new(0.01).unwrap(),
        false_page_ms: 7 * 24 * 3_600_000,
        schema: Schema { features: vec![] },
        brokers: "kafka:9092".into(),
        file: "tripline.toml".into(),
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
        client: None,
    };
    Fired { cause, watch, since: Timestamp(since), finding }
}

/// Ten rows a second since then, up to `until`.
fn rows(until: i64) -> impl Fn(Timestamp, Option<Partition>) -> Past {
    move |since, _| {
        let rows = (until - since.0).max(0) as u64 / 100;
        let counts = Counts { rows, ..Counts::default() };
        Past { counts, ..Past::nothing(Timestamp(until)) }
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
fn a_drift_that_outlasts_its_attack_is_watched_anew_and_comes_back_under_its_own_key() {
    let (mut incidents, mut alerts) = drift_then_attack(1000);
    let ended = incidents.resolve(&about(), (None, ATTACK), &mut alerts);
    assert_eq!(told(&alerts)[3..], [("attack", Status::Resolved)]);
    assert!(Cause::Drift.comes_with(&ended) && !incidents.is_about((None, DRIFT)));
    let until = 2000 + KEEP_FIRING_FOR_MS;
    let drift = vec![fired(Cause::Drift, DRIFT, 1000)];
    incidents.fire(&about(), drift, KEEP_FIRING_FOR_MS, rows(until), &mut alerts);
    assert_eq!(told(&alerts)[4..], [("drift", Status::Updated)]);
    assert_eq!(alerts[4].dedup_key, alerts[0].dedup_key);
    // Ten a second since it began: none is counted twice.
    assert_eq!(alerts[4].counts.rows, until as u64 / 100);
}

#[test]
fn state_with_inhibited_watches_of_an_earlier_build_is_read_and_they_are_forgotten() {
    let (incidents, _) = drift_then_attack(1000);
    let mut state = serde_json::to_value(&incidents).unwrap();
    assert!(state.get("orphans").is_none());
    state["orphans"] = serde_json::json!([{ "fired": { "watch": 3 }, "due": 7 }]);
    assert_eq!(serde_json::from_value::<Incidents>(state).unwrap(), incidents);
}

#[test]
fn a_drift_with_an_incident_of_its_own_is_not_watched_anew_when_an_attack_ends() {
    let (mut incidents, mut alerts) = drift_then_attack(KEEP_FIRING_FOR_MS);
    incidents.resolve(&about(), (None, ATTACK), &mut alerts);
    assert!(incidents.is_about((None, DRIFT)));
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
        incidents.resolve(&about(), place, &mut alerts);
        assert!(incidents.is_open(Cause::Attack), "7 is still there");
    }
    incidents.resolve(&about(), (Some(Partition(7)), ATTACK), &mut alerts);
    assert_eq!(told(&alerts)[1..], [("attack", Status::Resolved)]);
}

const QUALITY: usize = 2;

fn enforcing() -> About {
    let policy = Policy { mode: Mode::Enforce, ..Policy::default() };
    About { policy, ..about() }
}

/// `counts`, whatever time they are asked since.
fn always(counts: Counts, until: i64) -> impl Fn(Timestamp, Option<Partition>) -> Past {
    move |_, _| Past { counts, ..Past::nothing(Timestamp(until)) }
}

fn window(counts: Counts, until: i64) -> Past {
    Past { counts, ..Past::nothing(Timestamp(until)) }
}

#[test]
fn broken_records_that_come_with_an_attack_are_told_within_it_whichever_fires_first() {
    let few = Counts { rows: 800, flagged: 200, faults: 100, ..Counts::default() };
    let (attack, quality) = (fired(Cause::Attack, ATTACK, 0), fired(Cause::Quality, QUALITY, 10));
    for order in [[attack.clone(), quality.clone()], [quality, attack]] {
        let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
        for fired in order {
            let past = always(few, 1000);
            incidents.fire(&enforcing(), vec![fired], KEEP_FIRING_FOR_MS, past, &mut alerts);
        }
        let open: Vec<_> = incidents.open().map(|incident| incident.cause).collect();
        assert_eq!(open, [Cause::Attack], "{:?}", told(&alerts));
        let pages = alerts.iter().filter(|alert| alert.kind == "attack");
        assert_eq!(pages.filter(|alert| alert.status == Status::Firing).count(), 1);
    }
}

#[test]
fn an_outage_does_not_hide_behind_an_attack_and_is_critical_where_verdicts_act() {
    let most = Counts { rows: 100, flagged: 50, faults: 900, ..Counts::default() };
    for (about, severity) in [(enforcing(), "critical"), (about(), "warning")] {
        let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
        let quality = vec![fired(Cause::Quality, QUALITY, 0)];
        incidents.fire(&about, quality, KEEP_FIRING_FOR_MS, always(most, 1000), &mut alerts);
        assert_eq!(alerts[0].severity, severity);
        let attack = vec![fired(Cause::Attack, ATTACK, 10)];
        incidents.fire(&about, attack, KEEP_FIRING_FOR_MS, always(most, 1000), &mut alerts);
        assert_eq!(incidents.is_open(Cause::Quality), severity == "critical");
        let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
        for fired in [fired(Cause::Attack, ATTACK, 0), fired(Cause::Quality, QUALITY, 10)] {
            let past = always(most, 1000);
            incidents.fire(&about, vec![fired], KEEP_FIRING_FOR_MS, past, &mut alerts);
        }
        assert_eq!(incidents.is_open(Cause::Quality), severity == "critical");
    }
}

#[test]
fn an_incident_that_gets_worse_is_told_as_critical_and_stays_so_until_it_ends() {
    let (about, mut incidents, mut alerts) = (enforcing(), Incidents::default(), vec![]);
    let few = Counts { rows: 1000, faults: 100, ..Counts::default() };
    let quality = vec![fired(Cause::Quality, QUALITY, 0)];
    incidents.fire(&about, quality, KEEP_FIRING_FOR_MS, always(few, 1000), &mut alerts);
    assert_eq!(alerts[0].severity, "warning");
    incidents.count(&window(Counts { faults: 1000, ..Counts::default() }, 2000));
    incidents.keep_up(&about, &mut alerts);
    assert_eq!(told(&alerts)[1..], [("quality", Status::Updated)]);
    assert_eq!((&*alerts[1].severity, alerts[1].counts.faults), ("critical", 1100));
    incidents.count(&window(Counts { rows: 100_000, ..Counts::default() }, 3000));
    incidents.resolve(&about, (None, QUALITY), &mut alerts);
    assert_eq!((alerts[2].status, &*alerts[2].severity), (Status::Resolved, "critical"));
}

#[test]
fn counts_are_told_again_if_they_have_doubled_in_a_minute_or_after_a_quarter_of_an_hour() {
    let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
    let some = Counts { rows: 1000, flagged: 100, ..Counts::default() };
    let attack = vec![fired(Cause::Attack, ATTACK, 0)];
    incidents.fire(&about(), attack, KEEP_FIRING_FOR_MS, always(some, 1000), &mut alerts);
    let mut heard = |flagged, until| {
        let before = alerts.len();
        incidents.count(&window(Counts { rows: 100, flagged, ..Counts::default() }, until));
        incidents.keep_up(&about(), &mut alerts);
        alerts[before..].iter().map(|alert| alert.counts.flagged).collect::<Vec<_>>()
    };
    assert_eq!(heard(99, 60_000), [0; 0], "a minute after the first message");
    assert_eq!(heard(0, 61_000), [0; 0]);
    assert_eq!(heard(1, 62_000), [200]);
    assert_eq!(heard(1, 63_000), [0; 0]);
    assert_eq!(heard(0, 62_000 + 900_000), [201]);
    // Nothing new: nothing is told.
    assert_eq!(heard(0, 9_000_000), [0; 0]);
}

/// What is told of an attack that ended and, a minute later, of what fires then.
fn after_the_end(watch: usize, feature: u32) -> Vec<Status> {
    let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
    let past = |feature: u32, until: i64| {
        let oddity = Oddity { feature, manner: Manner::High, with: None };
        move |_: Timestamp, _: Option<Partition>| {
            let mut past = Past::nothing(Timestamp(until));
            past.oddities.push(oddity.cell().unwrap());
            past
        }
    };
    let attack = |watch, since| vec![fired(Cause::Attack, watch, since)];
    let keep = KEEP_FIRING_FOR_MS;
    incidents.fire(&about(), attack(ATTACK, 0), keep, past(0, 1000), &mut alerts);
    incidents.resolve(&about(), (None, ATTACK), &mut alerts);
    incidents.fire(&about(), attack(watch, 61_000), keep, past(feature, 62_000), &mut alerts);
    assert_eq!(alerts[2].dedup_key == alerts[0].dedup_key, alerts[2].status == Status::Updated);
    alerts.iter().map(|alert| alert.status).collect()
}

#[test]
fn an_incident_that_ended_goes_on_only_if_the_same_comes_back() {
    let (firing, resolved) = (Status::Firing, Status::Resolved);
    assert_eq!(after_the_end(ATTACK, 0), [firing, resolved, Status::Updated]);
    // For another reason of one watch; by another watch.
    assert_eq!(after_the_end(ATTACK, 1), [firing, resolved, firing]);
    assert_eq!(after_the_end(QUALITY, 0), [firing, resolved, firing]);
}

#[test]
fn another_partition_that_stands_still_is_another_incident() {
    let (mut incidents, mut alerts) = (Incidents::default(), vec![]);
    for (partition, at) in [(3, 1000), (3, 61_000), (5, 122_000)] {
        let place = (Partition(partition), Offset(7));
        incidents.stall(&about(), Timestamp(at), place, KEEP_FIRING_FOR_MS, &mut alerts);
        incidents.go_on(&about(), Timestamp(at + 1000), &mut alerts);
    }
    let said: Vec<_> = alerts.iter().map(|alert| alert.status).collect();
    let (firing, resolved) = (Status::Firing, Status::Resolved);
    assert_eq!(said, [firing, resolved, Status::Updated, resolved, firing, resolved]);
}
