use super::*;
use crate::record::Partition;

/// Two workers and a monitor of one stream; nobody has begun.
pub fn roster() -> Roster {
    let stream = Stream {
        name: "fashion".into(),
        present: Arc::new(Mutex::new(Present {
            bundle: "ab".repeat(32),
            baseline: "0123456789abcdef".into(),
            revision: "fedcba9876543210".into(),
        })),
        workers: vec![Arc::default(), Arc::default()],
        monitor: Arc::default(),
        followers: vec![],
        window: Duration::from_secs(10),
    };
    let routes = vec![Arc::new(Counters::new("pager", "alertmanager"))];
    let (memory, patience) = (Memory::default(), PATIENCE_MIN);
    let (reach, reloads) = Default::default();
    Roster { streams: vec![stream], routes, spans: None, memory, reach, reloads, patience }
}

#[test]
fn what_is_not_ready_is_named_with_what_it_waits_for() {
    let roster = roster();
    let [stream] = &roster.streams[..] else { unreachable!() };
    let now = Timestamp(1_000_000);
    stream.workers[0].beat(now);
    stream.monitor.beat(Timestamp(now.0 - 130_000));
    stream.monitor.join();
    let patience = Duration::from_secs(120);
    assert_eq!(
        roster.unready(now, patience),
        [
            "stream fashion: worker-1 has not begun",
            "stream fashion: monitor did not come around for 130 s; it may take 120 s",
            "stream fashion: worker-0 has not joined its group yet",
        ]
    );
    assert_eq!(roster.stuck(now, patience).len(), 2);
}

#[test]
fn who_stands_back_is_not_ready_and_neither_is_anybody_without_brokers() {
    let roster = roster();
    let [stream] = &roster.streams[..] else { unreachable!() };
    let now = Timestamp(1_000_000);
    for (_, thread) in stream.threads() {
        thread.beat(now);
        thread.join();
    }
    assert_eq!(roster.unready(now, roster.patience), [""; 0]);
    stream.workers[0].wait_to_join("no answer in time");
    stream.workers[1].rebalanced(3, false);
    stream.workers[1].stand_back(Timestamp(now.0 - 7_000), "a@b has its id");
    roster.reach.is_silent(Timestamp(now.0 - 9_000), "no broker can be reached");
    assert_eq!(
        roster.unready(now, roster.patience),
        [
            "no broker has answered for 9 s: no broker can be reached; they are asked again until one \
             does",
            "stream fashion: worker-0 has not joined its group yet: no answer in time",
            "stream fashion: worker-1 stands back for 7 s: a@b has its id; it looks again by itself",
        ]
    );
    assert_eq!(roster.stuck(now, roster.patience), [""; 0], "a restart would not help");
    let idle = roster.without_partition();
    assert_eq!(idle.len(), 1, "who stands back has none because it wants none: {idle:?}");
    stream.workers[1].stand_ready();
    assert_eq!(Progress::get(&stream.workers[1].partitions), 0);
}

#[test]
fn held_partitions_are_named_with_their_reasons_and_the_rest_are_counted() {
    let roster = roster();
    let workers = &roster.streams[0].workers;
    workers[0].held(3);
    workers[0].hold(Partition(4), "its state is gone");
    assert_eq!(
        roster.held(),
        [
            "stream fashion: partition 4: its state is gone",
            "stream fashion: 2 partitions more; the log says why",
        ]
    );
}

#[test]
fn an_alarm_that_does_not_see_is_told_with_the_reason_and_one_that_stands_by_is_not() {
    let roster = roster();
    let [Stream { monitor, .. }] = &roster.streams[..] else { unreachable!() };
    let begun = Timestamp(1_000_000);
    assert_eq!(roster.blind(begun), [""; 0], "it stands by");
    monitor.hold(Partition(0), "its state is gone");
    assert_eq!(roster.blind(begun), ["stream fashion: its state is gone"]);
    assert_eq!(roster.held(), [""; 0], "no record waits for a monitor");
    monitor.held(0);
    monitor.alarm.sit(true, begun);
    monitor.alarm.trouble(Some("not authorized"));
    assert_eq!(roster.blind(Timestamp(begun.0 + 200_000)), [""; 0]);
    assert_eq!(
        roster.blind(Timestamp(begun.0 + 201_000)),
        ["stream fashion: nothing was judged for 201 s: not authorized"]
    );
    monitor.alarm.judged(Timestamp(begun.0 + 200_000));
    assert_eq!(roster.blind(Timestamp(begun.0 + 201_000)), [""; 0]);
    (0..100).for_each(|_| monitor.alarm.heard(false));
    let said = roster.blind(Timestamp(begun.0 + 201_000));
    assert!(said[0].contains("79 % of the evidence is told by workers of another"), "{said:?}");
}

#[test]
fn a_follower_that_waits_says_why() {
    let mut roster = roster();
    let thread = Arc::<Progress>::default();
    roster.streams[0].followers = vec![("join", thread.clone())];
    thread.hold(Partition(0), "its state is version 9");
    assert_eq!(roster.blind(Timestamp(1)), ["stream fashion: join: its state is version 9"]);
    thread.disown();
    assert_eq!(roster.blind(Timestamp(1)), [""; 0], "it stands by");
}
