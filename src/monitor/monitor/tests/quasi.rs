//! Days of samples, and the incident of cause privacy.

use super::*;
use crate::monitor::{Cause, Status};
use crate::open::SecretKey;
use crate::privacy::{QuasiPlan, QuasiSpec, RowSubject};
use crate::record::{Feature, Position, Record};
use crate::watch::{Quasi, RowGroups};

/// Windows of a day.
const DAY: i64 = 20;

fn plan() -> QuasiPlan {
    let spec = QuasiSpec {
        sets: vec![vec!["age".into(), "zip".into()]],
        subject: RowSubject::Row,
        key: ("k".into(), SecretKey::new(vec![7; 32])),
        k: 5,
        limit: Probability::new(0.05).unwrap(),
        at: 200,
        every_ms: (DAY * WINDOW_MS) as u64,
    };
    let features = vec![Feature::number("age", 0.0, 2000.0), Feature::number("zip", 0.0, 40.0)];
    QuasiPlan::new(&spec, &Schema { features }).unwrap()
}

fn counting() -> Monitor {
    Monitor::new(Arc::new(Frame { quasi: Some(Arc::new(plan())), ..frame("e") }))
}

/// Samples of `rows`, each a record of its own, in the window `window` of a partition.
fn samples(partition: i32, window: i64, from: i64, rows: &[[f32; 2]]) -> Vec<Message> {
    let plan = plan();
    let day = Timestamp(window / DAY * DAY * WINDOW_MS);
    let (mut groups, partition) = (vec![], Partition(partition));
    for (i, row) in rows.iter().enumerate() {
        let at = Position { partition, offset: Offset(from + i as i64) };
        plan.observe(&Record::bare(at, None), row, 2, &mut groups);
    }
    let rows_of = RowGroups {
        partition,
        from: Offset(from),
        to: Offset(from + rows.len() as i64),
        begins: false,
        rows: groups.into_iter().map(|one| (day, one)).collect(),
    };
    // As they travel.
    let travel = |message: Message| Message::from_bytes(&message.to_bytes()).unwrap();
    rows_of.messages(&plan).into_iter().map(|one| travel(Message::Quasi(one))).collect()
}

/// A window of two partitions with 20 rows each: everybody alike but one in ten, if there are `strangers`.
fn window(window: i64, strangers: bool) -> Vec<Message> {
    let row = |partition: i64, i: i64| match strangers && i % 10 == 0 {
        true => [100.0 + (window * 7 + partition * 31 + i) as f32, 3.0],
        false => [40.0, 7.0],
    };
    let mut messages = vec![];
    for partition in 0..2 {
        let rows: Vec<[f32; 2]> = (0..20).map(|i| row(partition, i)).collect();
        messages.extend(samples(partition as i32, window, window * 20, &rows));
        messages.push(evidence(partition as i32, window, window * 20, 20, 0));
    }
    messages
}

fn privacy(alerts: &[Alert]) -> Vec<&Alert> {
    alerts.iter().filter(|alert| alert.kind == Cause::Privacy.name()).collect()
}

#[test]
fn a_day_with_too_many_rows_in_small_groups_is_told_once_and_over_after_a_better_day() {
    let mut monitor = counting();
    let mut alerts = run(&mut monitor, &[tick(10_000_000)]);
    for w in 0..DAY * 4 {
        alerts.extend(run(&mut monitor, &window(w, w < DAY * 2)));
    }
    let told = privacy(&alerts);
    let statuses: Vec<Status> = told.iter().map(|alert| alert.status).collect();
    assert_eq!(statuses, [Status::Firing, Status::Resolved], "{told:#?}");
    let exposed = &told[0].exposed[0];
    assert_eq!(exposed.features, ["age", "zip"]);
    assert!(exposed.small > 0.05 && exposed.rows >= 700, "{exposed:?}");
    let coarser = exposed.coarser.as_ref().unwrap();
    assert!(coarser.is_enough && coarser.how == "age rounded to 100", "{coarser:?}");
    assert_eq!(told[0].severity, "warning");
    for word in
        ["age, zip with fewer than 5 subjects", "age rounded to 100", "No record was held back"]
    {
        assert!(told[0].summary.contains(word), "{}", told[0].summary);
    }
}

#[test]
fn parts_in_another_order_told_twice_and_restored_between_them_give_the_same_state_and_alert() {
    let windows: Vec<Vec<Message>> = (0..DAY * 2 + 4).map(|w| window(w, true)).collect();
    let hear = |twice: bool, swaps: bool, restores: bool| {
        let mut monitor = counting();
        let mut alerts = run(&mut monitor, &[tick(10_000_000)]);
        for window in &windows {
            // The messages of one partition, then those of the other.
            let (first, second) = window.split_at(window.len() / 2);
            let order = if swaps { [second, first] } else { [first, second] };
            for part in order {
                alerts.extend(run(&mut monitor, part));
                if twice {
                    alerts.extend(run(&mut monitor, part));
                }
                if restores {
                    let next = monitor.next();
                    monitor = counting().restore(&monitor.to_bytes(), next).unwrap().0;
                }
            }
        }
        let told: Vec<Vec<u8>> = privacy(&alerts).iter().map(|alert| alert.to_bytes()).collect();
        (told, monitor.state.quasi)
    };
    let plain = hear(false, false, false);
    assert_eq!(plain.0.len(), 1);
    assert_eq!(hear(true, false, true), plain);
    assert_eq!(hear(false, true, false), plain);
}

#[test]
fn a_day_with_few_rows_is_counted_in_the_next() {
    let mut monitor = counting();
    let mut alerts = run(&mut monitor, &[tick(10_000_000)]);
    // Four rows a day, each another person: 200 rows are there after 50 days, and no more than 30 are added up.
    let few = |day: i64| -> Vec<Message> {
        let rows = [0, 1, 2, 3].map(|i| [500.0 + (day * 4 + i) as f32, 1.0]);
        let mut messages = samples(0, day * DAY, day * 4, &rows);
        messages.push(evidence(0, day * DAY, day * 4, 4, 0));
        messages
    };
    (0..40).for_each(|day| alerts.extend(run(&mut monitor, &few(day))));
    assert_eq!(privacy(&alerts).len(), 0);
    let state = monitor.to_bytes().len();
    assert!(state < 100_000, "{state}");
}

#[test]
fn samples_of_another_plan_are_not_counted() {
    let mut monitor = counting();
    run(&mut monitor, &[tick(10_000_000)]);
    let mut messages = samples(0, 1, 0, &[[1.0, 1.0]]);
    for message in &mut messages {
        if let Message::Quasi(Quasi { plan, .. }) = message {
            *plan = "another".into();
        }
    }
    run(&mut monitor, &messages);
    assert_eq!(monitor.state.quasi, None);
}
