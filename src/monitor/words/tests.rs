use super::*;
use crate::decide::Policy;
use crate::monitor::{Alert, FiredWatch};
use crate::record::{Feature, Manner, Oddity, Offset, Partition, Probability, Schema, Timestamp};
use crate::watch::{Cells, Exemplar, Exemplars};

fn about(policy: Policy) -> About {
    let values = ["Audi", "BMW"].map(String::from).to_vec();
    let make = Feature::Category { name: "Make".into(), values, impute: None };
    About {
        stream: "cars".into(),
        input: "cars.requests".into(),
        sanitized: "cars.sanitized".into(),
        quarantine: "cars.quarantine".into(),
        dead_letter: "cars.dead-letter".into(),
        baseline: "e".into(),
        bundle: "b".into(),
        policy,
        budget: Probability::new(0.01).unwrap(),
        false_page_ms: 7 * 24 * 3600 * 1000,
        schema: Schema { features: vec![make, Feature::number("Age", 0.0, 120.0)] },
        brokers: "kafka:9092".into(),
        file: "/etc/tripline/tripline.toml".into(),
    }
}

fn enforce(on_flagged: OnFlagged) -> Policy {
    Policy { mode: Mode::Enforce, on_flagged, ..Policy::default() }
}

fn member(watch: &str, feature: &str, measure: &str, typical: f64, seen: f64) -> FiredWatch {
    let (watch, feature, measure) = (watch.into(), feature.into(), measure.into());
    let (psi, chi2, rows) = (0.4, 12.0, 980);
    let (partition, and_above) = (None, false);
    let finding = Finding {
        watch,
        feature,
        measure,
        typical,
        seen,
        psi,
        chi2,
        rows,
        partition,
        and_above,
        client: None,
    };
    let (cause, since) = (Cause::Drift, Timestamp(0));
    FiredWatch { watch: 0, cause, since, finding, inhibited: false, firing: true }
}

/// 180 records with a make that was never seen, 30 with a high age; the first flagged one is neither.
fn oddities() -> (Cells, Exemplars) {
    let odd = |feature, manner| Oddity { feature, manner, with: None };
    let (unseen, high) = (odd(0, Manner::Unseen), odd(1, Manner::High));
    let (low, mut cells, mut exemplars) =
        (odd(1, Manner::Low), Cells::default(), Exemplars::default());
    for (i, oddity) in [unseen; 180].into_iter().chain([high; 30]).chain([low; 2]).enumerate() {
        cells.push(oddity.cell().unwrap());
        let p = if oddity == low { 9_000_000 } else { 100_000 };
        let offset = Offset(9_182_400 + i as i64);
        exemplars.offer(Exemplar { p, partition: Partition(3), offset, oddity });
    }
    (cells, exemplars)
}

fn incident(cause: Cause, members: Vec<FiredWatch>) -> Incident {
    let (oddities, exemplars) = match cause {
        Cause::Attack => oddities(),
        _ => Default::default(),
    };
    let attack = cause == Cause::Attack;
    let of_attack = |n: u64| if attack { n } else { 0 };
    Incident {
        cause,
        dedup_key: "k".into(),
        since: Timestamp(1_795_459_870_123),
        until: Timestamp(1_795_459_990_000),
        counts: Counts {
            rows: 980,
            flagged: of_attack(212),
            corrected: of_attack(12),
            quarantined: of_attack(200),
            faults: if cause == Cause::Quality { 1300 } else { 3 },
            imputed: 0,
            misdated: 0,
            lost: 7,
            outputs_lost: 9,
            other_logs: 2,
        },
        first: Some((Partition(3), Offset(9_182_344))),
        oddities,
        exemplars,
        severe: false,
        told: Default::default(),
        exposed: vec![],
        members,
    }
}

fn flagged() -> Vec<FiredWatch> {
    vec![
        member("flagged-share", "flagged records", "share", 0.01, 0.216),
        member("trigger-recurrence", "label 3, row 0 and column 8 of 9", "share", 0.0004, 0.11),
    ]
}

/// What a person reads of an alert.
fn shown(policy: Policy, cause: Cause, members: Vec<FiredWatch>, status: Status) -> String {
    let alert = Alert::new(&about(policy), &incident(cause, members), status, None);
    let mut lines = vec![
        format!("{} {} {}", alert.severity.to_uppercase(), alert.kind, alert.status.name()),
        alert.summary,
    ];
    lines.extend(alert.typical.iter().map(|one| {
        format!("  {} {}/{} p {}: {}", one.topic, one.partition, one.offset, one.p, one.reason)
    }));
    lines.extend(alert.next_steps.iter().map(|step| format!("  $ {step}")));
    lines.join("\n")
}

#[test]
fn an_alert_of_each_kind_says_what_happened_to_what_how_often_and_what_to_do() {
    let quarantine = enforce(OnFlagged::Quarantine);
    let broken = || vec![member("data-quality", "unreadable records", "share", 0.001, 0.57)];
    let ages = ["Age", "Make", "label", "confidence"];
    let drift = ages.map(|name| member("input-drift", name, "median", 1.5, 3.25)).to_vec();
    let observe = Policy::default();
    let firing = Status::Firing;
    insta::assert_snapshot!(
        [
            shown(quarantine, Cause::Attack, flagged(), firing),
            shown(enforce(OnFlagged::Correct), Cause::Attack, flagged(), Status::Updated),
            shown(observe, Cause::Attack, flagged(), firing),
            shown(quarantine, Cause::Attack, flagged(), Status::Resolved),
            shown(quarantine, Cause::Quality, broken(), firing),
            shown(observe, Cause::Quality, broken(), firing),
            shown(quarantine, Cause::Quality, broken(), Status::Resolved),
            shown(observe, Cause::Drift, drift, firing),
            shown(observe, Cause::NoData, vec![], firing),
            shown(observe, Cause::Stall, vec![], firing),
            shown(observe, Cause::DataLoss, vec![], firing),
        ]
        .join("\n\n")
    );
}

#[test]
fn where_partitions_are_judged_one_by_one_the_words_name_those_that_changed() {
    let of = |number, and_above| {
        let mut member = member("flagged-share", "flagged records", "share", 0.01, 0.216);
        member.finding = member.finding.on(Some(Partition(number)), and_above);
        member
    };
    let incident = incident(Cause::Attack, vec![of(3, false), of(12, true)]);
    let alert = Alert::new(&about(Policy::default()), &incident, Status::Firing, None);
    insta::assert_snapshot!(alert.summary);
}

#[test]
fn the_typical_records_are_those_with_the_commonest_reason_and_not_the_first_one() {
    let incident = incident(Cause::Attack, flagged());
    let alert = Alert::new(&about(Policy::default()), &incident, Status::Firing, None);
    let offsets: Vec<i64> = alert.typical.iter().map(|one| one.offset.0).collect();
    assert_eq!(offsets, [9_182_400, 9_182_401, 9_182_402]);
    assert!(alert.typical.iter().all(|one| one.reason == "Make: never seen"));
    let counted: Vec<_> = alert.reasons.iter().map(|why| (&*why.words, why.records)).collect();
    let expected = [
        ("Make: never seen", 180),
        ("Age: above what is usual", 30),
        ("Age: below what is usual", 2),
    ];
    assert_eq!(counted, expected);
}

#[test]
fn an_alert_reads_back_as_it_was_written() {
    let incident = incident(Cause::Attack, flagged());
    let alert = Alert::new(&about(Policy::default()), &incident, Status::Firing, None);
    let read: Alert = serde_json::from_slice(&alert.to_bytes()).unwrap();
    assert_eq!(read, alert);
}
