//! What the client monitor says: one incident per cause, in words that name what the gateway can do.

use super::*;
use crate::watch::{ClientFinding, ClientFindings, Keying};

fn clients(findings: &[(Keying, &str, &str, u64)]) -> Message {
    let finding = |&(keying, key, mark, marked): &(Keying, &str, &str, u64)| ClientFinding {
        keying,
        key: key.into(),
        mark: mark.into(),
        rows: marked + 2,
        marked,
        clean_share: 0.001,
        allowed: if mark == "quota" { 1000 } else { 0 },
        since: Timestamp(4000),
        sample: Some((Partition(1), Offset(77))),
    };
    let findings = findings.iter().map(finding).collect();
    Message::Clients(ClientFindings { baseline: "e".into(), window: Timestamp(5000), findings })
}

const HOUR: i64 = 3_600_000;

#[test]
fn a_second_client_joins_the_incident_which_is_over_an_hour_after_the_last_finding() {
    let messages = [
        tick(10_000),
        evidence(0, 4, 0, 100, 1),
        clients(&[(Keying::Client, "9f3c5a7710b24e68", "matched", 12)]),
        tick(20_000),
        clients(&[(Keying::Cell, "0000abcd", "matched", 5)]),
        tick(20_000 + HOUR - 1),
        tick(20_000 + HOUR),
    ];
    let alerts = run(&mut monitor(), &messages);
    let told: Vec<_> = alerts.iter().map(|a| (a.status, &*a.kind, &*a.severity)).collect();
    let expected =
        [Status::Firing, Status::Updated, Status::Resolved].map(|s| (s, "attack", "critical"));
    assert_eq!(told, expected);
    assert!(alerts.iter().all(|alert| alert.dedup_key == alerts[0].dedup_key));
    assert_eq!(
        alerts[1].summary,
        "s: client 9f3c5a7710b24e68: 12 of 14 rows are near-duplicates of other rows, usually at most 0.1%. cell \
         0000abcd: 5 of 7 rows are near-duplicates of other rows, usually at most 0.1%. Since \
         1970-01-01T00:00:04Z. Such rows are counted and not refused, so that nobody learns which are noticed; the \
         gateway can limit who sends them."
    );
    assert_eq!(alerts[0].atlas, ["AML.T0043.001", "AML.T0042"]);
    let steps = alerts[0].next_steps.join("\n");
    assert!(steps.contains("limit the client whose pseudonym is 9f3c5a7710b24e68"), "{steps}");
    assert!(steps.contains("tripline client -c tripline.toml --stream s ID"), "{steps}");
    assert!(steps.contains(" 1/77"), "{steps}");
    let finding = serde_json::to_value(&alerts[1].evidence[1]).unwrap();
    assert_eq!((&finding["keying"], &finding["cell"]), (&"cell".into(), &"0000abcd".into()));
    let read: Finding = serde_json::from_value(finding).unwrap();
    assert_eq!(read, alerts[1].evidence[1]);
    // A finding of another watch has none of this.
    assert_eq!(
        serde_json::to_value(&Finding { client: None, ..read }).unwrap().get("keying"),
        None
    );
}

#[test]
fn unreadable_records_and_quotas_are_a_warning_of_their_own() {
    let messages = [
        tick(10_000),
        clients(&[
            (Keying::Client, "000000000000000a", "fault", 3),
            (Keying::Client, "000000000000000b", "quota", 1001),
            (Keying::Client, "000000000000000a", "flagged", 3),
        ]),
    ];
    let alerts = run(&mut monitor(), &messages);
    let told: Vec<_> = alerts.iter().map(|a| (&*a.kind, &*a.severity, a.evidence.len())).collect();
    assert_eq!(told, [("attack", "critical", 1), ("access", "warning", 2)]);
    let quota = "client 000000000000000b: more than 1000 rows in the time of its quota";
    assert!(alerts[1].summary.contains(quota), "{}", alerts[1].summary);
}

#[test]
fn findings_outlive_a_restart_and_another_bundle() {
    let first = [tick(10_000), clients(&[(Keying::Stream, "", "matched", 40)])];
    let mut monitor = monitor();
    assert_eq!(run(&mut monitor, &first).len(), 1);
    let fresh = Monitor::new(Arc::new(frame("other")));
    let (mut next, ended) = fresh.restore(&monitor.to_bytes(), monitor.next()).unwrap();
    assert_eq!(ended, []);
    assert_eq!(run(&mut next, &[tick(10_000 + HOUR - 1)]), []);
    let over = run(&mut next, &[tick(10_000 + HOUR)]);
    assert_eq!(over.iter().map(|alert| alert.status).collect::<Vec<_>>(), [Status::Resolved]);
}
