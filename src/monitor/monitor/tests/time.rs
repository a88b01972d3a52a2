//! What stamps say of time, and what the clock lets them: no sequence of them holds a window open, and every row
//! is counted once.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::*;

thread_local! {
    /// Records in the windows that were closed on this thread.
    static CLOSED: Cell<u64> = const { Cell::new(0) };
}

/// Begins to count what is heard on this thread.
pub fn begin() {
    CLOSED.set(0);
}

/// Records that were counted since, in closed windows and in those that `monitor` has open.
pub fn counted(monitor: &Monitor) -> u64 {
    let open = monitor.state.windows.values().map(|open| open.tally.counts);
    CLOSED.get() + open.map(|counts| counts.rows + counts.faults).sum::<u64>()
}

pub fn closed(counts: &Counts) {
    CLOSED.set(CLOSED.get() + counts.rows + counts.faults);
}

/// Evidence of a partition that is at `head`.
fn at(head: i64, read_out: bool, message: Message) -> Message {
    let Message::Evidence(evidence) = message else { unreachable!() };
    let head = Some(Timestamp(head * WINDOW_MS));
    Message::Evidence(Evidence { head, read_out, ..evidence })
}

#[test]
fn what_is_ahead_of_the_clock_counts_in_the_current_window_when_it_ticks_and_is_misdated() {
    let mut monitor = monitor();
    let now = evidence(0, 99, 0, 50, 0);
    run(
        &mut monitor,
        &[tick(100_000), at(100, true, now), at(900, true, evidence(1, 900, 0, 30, 3))],
    );
    assert!(monitor.state.windows.contains_key(&Timestamp(900_000)), "the tick may be late");
    run(&mut monitor, &[tick(100_500)]);
    let counted: Vec<_> =
        monitor.state.windows.iter().map(|(at, open)| (at.0, open.tally.counts)).collect();
    // Partition 0 is at 100: up to 98 all is complete.
    let misdated =
        Counts { rows: 30, flagged: 3, quarantined: 3, misdated: 30, ..Counts::default() };
    assert_eq!(counted[1..], [], "{counted:?}");
    assert_eq!(counted[0], (99_000, Counts { rows: 80, ..misdated }));
}

#[test]
fn a_partition_with_old_stamps_that_is_read_to_its_end_is_not_waited_for() {
    let frontier = |read_out, drip: fn(i64) -> i64| {
        let mut monitor = monitor();
        for now in 5000..5100 {
            let live = at(now, true, evidence(0, now, now * 100, 100, 1));
            let old = at(drip(now), read_out, evidence(1, drip(now), now, 1, 0));
            run(&mut monitor, &[tick(now * WINDOW_MS), live, old]);
        }
        monitor.state.frontier.0 / WINDOW_MS
    };
    // Whether its stamps stand still, keep their distance or come nearer.
    for drip in [|_| 4000, |now| now - 1000, |now| 4000 + (now - 5000) * 2, |_| 0] {
        assert_eq!(frontier(true, drip), 5098);
    }
    // If it may be behind, it is waited for while it comes nearer, and for a minute else.
    assert_eq!(frontier(false, |now| 4000 + (now - 5000) * 2), 4197);
    assert_eq!(frontier(false, |_| 4000), 5098);
    assert_eq!(frontier(false, |now| now - 1000), 5098);
    // A clock that is a little behind has its windows in time.
    assert_eq!(frontier(true, |now| now - 8), 5090);
}

#[test]
fn a_page_on_a_stream_is_not_held_up_by_what_another_partition_says_of_time() {
    let page = |old: fn(i64) -> i64| {
        let mut monitor = monitor();
        for now in 5000..5200 {
            let flagged = if now < 5100 { 1 } else { 20 };
            let live = at(now, true, evidence(0, now, now * 100, 100, flagged));
            let old = at(old(now), true, evidence(1, old(now), now, 1, 0));
            if !run(&mut monitor, &[tick(now * WINDOW_MS), live, old]).is_empty() {
                return now - 5100;
            }
        }
        i64::MAX
    };
    let honest = page(|now| now);
    for old in [|_| 0, |_| 4000, |now| now - 3600, |now| now + 3000, |_| 200_000_000] {
        assert!(page(old) <= honest, "{} windows, {honest} with honest time", page(old));
    }
}

/// Something that the evidence topic may hold; `from` is set when it is known.
fn any_message() -> impl Strategy<Value = Message> {
    let window =
        prop_oneof![0_i64..40, 100_i64..130, 1_000_000_i64..1_000_600, Just(253_402_300_799)];
    let said = (0..4_i32, window.clone(), window, 0..50_u64, 0..50_u64, any::<bool>());
    let evidence = said.prop_map(|(partition, window, head, rows, flagged, read_out)| {
        at(head, read_out, self::evidence(partition, window, 0, rows + flagged, flagged))
    });
    prop_oneof![
        8 => evidence,
        2 => (0..400_i64).prop_map(|half| tick(half * WINDOW_MS / 2)),
        1 => (0..4_i32, any::<bool>()).prop_map(|(partition, quiet)| presence(partition, quiet)),
    ]
}

proptest! {
    #[test]
    fn every_row_is_counted_once_whatever_stamps_and_clock_say(
        messages in prop::collection::vec(any_message(), 1..300),
        per_partition: bool,
    ) {
        let (mut monitor, mut sent, mut next) = (monitoring(per_partition), 0, 0);
        begin();
        for mut message in messages {
            if let Message::Evidence(evidence) = &mut message {
                let records = evidence.windows[0].tally.counts.rows;
                (evidence.from, evidence.to) = (Offset(next), Offset(next + records as i64 + 1));
                (sent, next) = (sent + records, next + records as i64 + 1);
            }
            run(&mut monitor, &[message]);
            prop_assert_eq!(counted(&monitor), sent);
        }
    }

    /// Where workers say that they have read to the end: by the clock, from when it was both open and over.
    #[test]
    fn no_sequence_of_stamps_holds_a_window_open(
        messages in prop::collection::vec(any_message(), 1..300),
    ) {
        let (mut monitor, mut from) = (monitor(), 0);
        let mut over: BTreeMap<WindowStart, i64> = BTreeMap::new();
        for mut message in messages {
            match &mut message {
                Message::Evidence(evidence) => {
                    evidence.read_out = true;
                    (evidence.from, evidence.to) = (Offset(from), Offset(from + 1));
                    from += 1;
                }
                Message::Presence(presence) => presence.quiet = true,
                _ => {}
            }
            run(&mut monitor, &[message]);
            let clock = monitor.state.clock.0;
            over.retain(|window, _| monitor.state.windows.contains_key(window));
            for window in monitor.state.windows.keys().filter(|w| w.0 + WINDOW_MS <= clock) {
                let since = *over.entry(*window).or_insert(clock);
                let patience = GONE_AFTER_MS + LAG_MS + 3 * WINDOW_MS;
                prop_assert!(clock - since <= patience, "{} since {since}, it is {clock}", window.0);
            }
        }
    }
}
