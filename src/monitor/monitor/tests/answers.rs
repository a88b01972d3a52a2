//! Pairs of own and deployed answers.

use super::*;
use crate::watch::answers::{ANSWER_HUNDREDTHS, DIFFERS, answer_hypotheses, beside_answers};
use crate::watch::{EndpointCounts, JoinCounts, JoinEvidence, JoinWindow};

/// One window a second of 100 pairs.
fn watching() -> Monitor {
    let frame = frame("e");
    let bound = Probability::new(4.6e-4).unwrap();
    let Terms { window_ms, false_page_ms, keep_firing_for_ms, .. } = frame.terms;
    let times = Times { window_ms, false_page_ms, keep_firing_for_ms };
    let answers = Some(Terms::new("e", "s", answer_hypotheses(bound, false), times));
    Monitor::new(Arc::new(Frame { answers, ..frame }))
}

/// 100 rows of pairs in a window, of which `differing` have another label.
fn pairs(window: i64, differing: u32) -> Message {
    let mut cells = Cells::default();
    for row in 0..100 {
        cells.push(DIFFERS.start + usize::from(row < differing));
    }
    let differing = u64::from(differing);
    let counts = JoinCounts { same: 100 - differing, other: differing, ..JoinCounts::default() };
    let first = (differing > 0).then_some((Partition(3), Offset(window * 100)));
    let endpoints = [
        ("default".to_owned(), EndpointCounts { rows: 90, differing: 0 }),
        ("canary".to_owned(), EndpointCounts { rows: 10, differing }),
    ];
    let window = Timestamp(window * WINDOW_MS);
    let windows = vec![JoinWindow { window, counts, cells, endpoints: endpoints.into(), first }];
    let (from, to) = (Offset(window.0), Offset(window.0 + 1));
    Message::Answers(JoinEvidence { from, to, begins: false, windows })
}

fn second(i: i64, differing: u32) -> [Message; 2] {
    [pairs(i, differing), tick((i + 2) * WINDOW_MS)]
}

#[test]
fn another_model_is_tampering_with_a_record_to_look_at_the_endpoint_and_what_to_do() {
    let mut monitor = watching();
    let mut alerts = vec![];
    for i in 1..60 {
        alerts.extend(run(&mut monitor, &second(i, if i < 40 { 0 } else { 8 })));
        if !alerts.is_empty() {
            break;
        }
    }
    let [alert] = &alerts[..] else { panic!("{alerts:#?}") };
    assert_eq!(
        (&*alert.kind, &*alert.severity, alert.status),
        ("tampering", "critical", Status::Firing)
    );
    assert_eq!(alert.atlas, ["AML.T0018", "AML.T0031", "AML.T0010"]);
    let samples = alert.samples.as_ref().unwrap();
    assert_eq!((samples.partition, samples.offset), (Partition(3), Offset(4000)));
    assert_eq!(
        alert.summary,
        "s: the deployed model is not the one that the bundle knows since 1970-01-01T00:00:40Z. answers that \
         differ from the bundle's own model (endpoint canary): 8.0%, usually 0.046%. Its answers go to those who \
         asked: nothing here holds an answer back."
    );
    assert!(alert.next_steps[0].ends_with(" 3/4000"), "{:?}", alert.next_steps);
    assert!(monitor.is_firing());
}

#[test]
fn what_half_precision_changes_pages_nobody_and_a_model_that_is_put_back_ends_the_incident() {
    let mut monitor = watching();
    let few = |i: i64| u32::from(i % 25 == 0);
    for i in 1..400 {
        assert_eq!(run(&mut monitor, &second(i, few(i))), [], "at {i}");
    }
    let begun: Vec<Alert> = (400..410).flat_map(|i| run(&mut monitor, &second(i, 90))).collect();
    assert_eq!(begun.len(), 1, "{begun:#?}");
    let ended: Vec<Alert> =
        (410..8000).flat_map(|i| run(&mut monitor, &second(i, few(i)))).collect();
    let last = ended.last().expect("it is over");
    assert_eq!((&*last.kind, last.status), ("tampering", Status::Resolved));
    assert!(!monitor.is_firing());
}

#[test]
fn a_message_that_is_told_again_and_a_restart_change_nothing() {
    let (mut plain, mut again) = (watching(), watching());
    for i in 1..60 {
        let differing = if i < 40 { 0 } else { 8 };
        let [pairs, tick] = second(i, differing);
        let expected = run(&mut plain, &[pairs.clone(), tick.clone()]);
        let twice = [pairs.clone(), pairs, tick];
        let said = run(&mut again, &twice);
        assert_eq!(said, expected, "at {i}");
        let (bytes, next) = (again.to_bytes(), again.next());
        let (restored, ended) = watching().restore(&bytes, next).unwrap();
        assert_eq!(ended, []);
        again = restored;
    }
    assert!(plain.is_firing());
}

#[test]
fn pairs_of_a_time_that_is_over_or_not_yet_are_counted_in_the_current_window() {
    let mut monitor = watching();
    run(&mut monitor, &second(100, 0));
    let mut alerts = vec![];
    for (i, window) in [3, 1_000_000, 50, 102].into_iter().enumerate() {
        let Message::Answers(mut said) = pairs(window, 8) else { unreachable!() };
        (said.from, said.to) = (Offset(200_000 + i as i64), Offset(200_001 + i as i64));
        alerts.extend(run(&mut monitor, &[Message::Answers(said)]));
    }
    alerts.extend(run(&mut monitor, &[tick(110 * WINDOW_MS)]));
    assert_eq!(alerts.iter().filter(|alert| alert.kind == "tampering").count(), 1, "{alerts:#?}");
    assert_eq!(monitor.judged_until(), Timestamp(110 * WINDOW_MS), "no window is left open");
}

#[test]
fn an_incident_of_answers_that_are_not_watched_any_more_is_over() {
    let mut monitor = watching();
    (1..60).for_each(|i| drop(run(&mut monitor, &second(i, 90))));
    assert!(monitor.is_firing());
    let (next, ended) = super::monitor().restore(&monitor.to_bytes(), monitor.next()).unwrap();
    assert!(!next.is_firing());
    assert_eq!((ended.len(), ended[0].status), (1, Status::Resolved));
    assert!(ended[0].summary.contains("what is watched of answers was changed"), "{ended:?}");
}

#[test]
fn records_and_pairs_share_one_budget() {
    let budget = Probability::new(0.01).unwrap();
    let clean = Flagged { budget, rows: 3000, flagged: 30 };
    let stakes = |of: &[crate::watch::Hypothesis]| of.iter().map(|h| h.stake).sum::<u64>();
    let mut records = hypotheses(&Signals::none(), clean, |_| true);
    let whole = stakes(&records);
    beside_answers(&mut records);
    let pairs = answer_hypotheses(Probability::new(4.6e-4).unwrap(), false);
    assert!(stakes(&records) + stakes(&pairs) <= crate::alarm::STAKE_ONE);
    assert!(stakes(&pairs) * 100 <= crate::alarm::STAKE_ONE * ANSWER_HUNDREDTHS);
    assert!(
        stakes(&records) * 100 >= whole * (100 - ANSWER_HUNDREDTHS) - 100 * records.len() as u64
    );
}
