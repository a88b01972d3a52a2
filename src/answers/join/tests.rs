use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, any, prop_assert_eq, proptest};

use super::*;
use crate::answers::half::{push_half, push_row, tick_value};
use crate::record::Partition;

/// Made by a prototype in Python (`clients_golden.py` of the design): horizon 5000, windows of 10,000, a tick each 1000.
const EVENTS: &str = include_str!("events.csv");
const COUNTS: &str = include_str!("counts.csv");

const SETTINGS: JoinSettings = JoinSettings {
    horizon_ms: 5000,
    window_ms: 10_000,
    pending_max: 1000,
    ids_max: 4000,
    margin: 0.02,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Halved {
    t: i64,
    is_answer: bool,
    id: u64,
    label: u16,
}

fn events() -> Vec<Halved> {
    let event = |line: &str| {
        let parts: Vec<&str> = line.split(',').collect();
        let number = |i: usize| parts[i].parse().unwrap();
        let (t, id) = (number(0), number(2) as u64);
        Halved { t, is_answer: parts[1] == "a", id, label: number(3) as u16 }
    };
    EVENTS.lines().skip(1).map(event).collect()
}

fn golden() -> BTreeMap<(i64, String), u64> {
    let count = |line: &str| {
        let parts: Vec<&str> = line.split(',').collect();
        ((parts[0].parse().unwrap(), parts[1].to_owned()), parts[2].parse().unwrap())
    };
    COUNTS.lines().skip(1).map(count).collect()
}

fn value(event: Halved) -> Vec<u8> {
    let (mut rows, mut value) = (vec![], vec![]);
    push_row(event.label, [(event.label, 0.9), (99, 0.1)].into_iter(), 0, &mut rows);
    let of = match event.is_answer {
        true => HalfOf::Answer { endpoint: "" },
        false => HalfOf::Request {
            partition: Partition(0),
            offset: Offset(event.id.cast_signed()),
            flagged: false,
        },
    };
    push_half(&Half { id: event.id, at: Timestamp(event.t), of, rows: &rows }, &mut value);
    value
}

/// A log in which each side stands in its own order, one up to `lag` behind the other, `chance` deciding; ticks come
/// when both sides are past their time.
fn log(lag: i64, mut chance: impl FnMut() -> bool) -> Vec<Vec<u8>> {
    let (answers, requests): (Vec<_>, Vec<_>) = events().into_iter().partition(|e| e.is_answer);
    let (mut x, mut y, mut now) = (0, 0, 0);
    let mut log = vec![];
    while x < requests.len() || y < answers.len() {
        let request = y >= answers.len()
            || x < requests.len()
                && (requests[x].t <= answers[y].t - lag
                    || requests[x].t <= answers[y].t + lag && chance());
        let event = if request { requests[x] } else { answers[y] };
        (x, y) = if request { (x + 1, y) } else { (x, y + 1) };
        log.push(value(event));
        let heads = [requests.get(x), answers.get(y)];
        let low = heads.into_iter().flatten().map(|e| e.t).min().unwrap_or(0) - 1;
        if low.div_euclid(1000) > now / 1000 {
            now = low;
            log.push(tick_value(Timestamp(now)));
        }
    }
    log.push(tick_value(Timestamp(1_000_000_000)));
    log
}

/// Counts by window and fate, as the prototype wrote them.
fn counted(windows: &BTreeMap<i64, JoinWindow>) -> BTreeMap<(i64, String), u64> {
    let mut counts = BTreeMap::new();
    for (window, JoinWindow { counts: c, .. }) in windows {
        for (what, count) in [
            ("doubled", c.doubled),
            ("given-up", c.given_up),
            ("late", c.late),
            ("orphan", c.orphan),
            ("other", c.other),
            ("same", c.same),
            ("unanswered", c.unanswered),
            ("misshapen", c.misshapen),
        ] {
            if count > 0 {
                counts.insert((*window, what.to_owned()), count);
            }
        }
    }
    counts
}

fn hear(join: &mut Join, windows: &mut BTreeMap<i64, JoinWindow>) {
    let mut out = vec![];
    join.drain(&mut out);
    for message in out {
        let bytes = message.to_bytes();
        let Ok(Message::Answers(said)) = Message::from_bytes(&bytes) else { panic!("no counts") };
        for window in said.windows {
            let start = window.window;
            windows.entry(start.0).or_insert_with(|| JoinWindow::empty(start)).add(&window);
        }
    }
}

/// Everything of `log` through one join that is begun again after some records, by what it had committed: `restarts` are
/// how many records come between, and whether what came last was committed.
fn play(
    log: &[Vec<u8>],
    settings: JoinSettings,
    restarts: &[(usize, bool)],
) -> BTreeMap<i64, JoinWindow> {
    let mut windows = BTreeMap::new();
    let mut join = Join::new(settings);
    let mut kept = (Offset(0), Offset(0), join.to_bytes());
    let (mut at, mut restarts) = (0, restarts.iter().copied().chain(std::iter::repeat((3, true))));
    while at < log.len() {
        let (n, commits) = restarts.next().unwrap();
        for value in &log[at..log.len().min(at + n)] {
            join.take(Offset(at as i64), value).unwrap();
            at += 1;
        }
        if commits {
            hear(&mut join, &mut windows);
            kept = (join.next(), join.low(), join.to_bytes());
        }
        let (next, low, state) = &kept;
        join = Join::new(settings).restore(*next, *low, state).unwrap();
        // Who restarts asks the join where to read again.
        let low = join.low();
        for (offset, value) in log.iter().enumerate().take(next.0 as usize).skip(low.0 as usize) {
            join.take(Offset(offset as i64), value).unwrap();
        }
        at = next.0 as usize;
        if !commits {
            let value = &log[at];
            join.take(Offset(at as i64), value).unwrap();
            at += 1;
            hear(&mut join, &mut windows);
            kept = (join.next(), join.low(), join.to_bytes());
        }
    }
    hear(&mut join, &mut windows);
    assert_eq!(join.waiting(), 0);
    windows
}

fn whole(log: &[Vec<u8>], settings: JoinSettings) -> BTreeMap<i64, JoinWindow> {
    play(log, settings, &[(log.len(), true)])
}

fn splitmix(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[test]
fn counts_are_those_of_the_prototype_in_forty_interleavings() {
    for seed in 0..40 {
        let mut random = splitmix(seed);
        let log = log(3000, || random() & 1 == 0);
        assert_eq!(counted(&whole(&log, SETTINGS)), golden(), "seed {seed}");
    }
}

#[test]
fn one_restart_after_each_record_changes_no_count() {
    let mut random = splitmix(3);
    let log = log(3000, || random() & 1 == 0);
    let restarts = vec![(1, true); log.len()];
    assert_eq!(play(&log, SETTINGS, &restarts), whole(&log, SETTINGS));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Also where stamps say anything, and the same id comes again and again.
    #[test]
    fn any_cut_and_any_restart_give_equal_counts(
        seed: u64,
        restarts in proptest::collection::vec((1_usize..60, any::<bool>()), 0..60),
        wild in proptest::collection::vec((0_usize..1500, 0_u64..40, 0_i64..90_000, any::<bool>()), 0..200),
    ) {
        let mut random = splitmix(seed);
        let mut log = log(3000, || random() & 1 == 0);
        for (at, id, t, is_answer) in wild {
            let at = at.min(log.len() - 1);
            log.insert(at, value(Halved { t, is_answer, id, label: 1 }));
        }
        prop_assert_eq!(play(&log, SETTINGS, &restarts), whole(&log, SETTINGS));
    }
}

/// A burst whose records are answered but for a few: its few are told with the others, not alone.
#[test]
fn what_was_answered_is_told_in_the_same_window_as_what_was_not() {
    let windows = whole(&log(3000, || true), SETTINGS);
    let cells = |window: &JoinWindow, cells: std::ops::Range<usize>| {
        window.cells.slice(cells.start, cells.end)
    };
    let counted = |of: std::ops::Range<usize>| {
        let each = windows.values().map(|window| cells(window, of.clone()));
        each.fold([0, 0], |sum, pair| [sum[0] + pair[0], sum[1] + pair[1]])
    };
    let all = |count: fn(&JoinWindow) -> u64| windows.values().map(count).sum::<u64>();
    let pairs = all(|window| window.counts.same + window.counts.other);
    assert_eq!(counted(UNANSWERED).map(u64::from), [pairs, all(|w| w.counts.unanswered)]);
    assert_eq!(counted(ORPHANS).map(u64::from), [pairs, all(|w| w.counts.orphan)]);
    let settled: Vec<u64> = windows.values().map(|window| window.counts.settled).collect();
    assert!(settled[1] > 80 && settled[0] > 30, "{settled:?}");
}

#[test]
fn a_flood_of_halves_takes_no_more_room_than_it_may() {
    let settings = JoinSettings { pending_max: 100, ids_max: 1000, ..SETTINGS };
    let mut join = Join::new(settings);
    for id in 0..10_000 {
        let half = Halved { t: 1, is_answer: id % 2 == 0, id, label: 1 };
        join.take(Offset(id.cast_signed()), &value(half)).unwrap();
    }
    assert_eq!((join.waiting(), join.pending.ids()), (200, 1000));
    assert_eq!(join.windows[0].counts.given_up, 9800);
}

#[test]
fn rows_are_compared_only_where_the_own_model_is_sure_and_a_canary_is_counted_by_its_name() {
    let mut join = Join::new(SETTINGS);
    let mut say = |offset, half: &Half<'_>| {
        let mut value = vec![];
        push_half(half, &mut value);
        join.take(Offset(offset), &value).unwrap();
    };
    let rows = |each: &[[f32; 2]]| {
        let mut rows = vec![];
        for p in each {
            let label = u16::from(p[1] > p[0]);
            push_row(label, [(0, p[0]), (1, p[1])].into_iter(), 0, &mut rows);
        }
        rows
    };
    let (own, said) = (rows(&[[0.9, 0.1], [0.505, 0.495]]), rows(&[[0.4, 0.6], [0.495, 0.505]]));
    let request = HalfOf::Request { partition: Partition(2), offset: Offset(7), flagged: true };
    say(0, &Half { id: 1, at: Timestamp(1000), of: request, rows: &own });
    let answer = HalfOf::Answer { endpoint: "canary" };
    say(1, &Half { id: 1, at: Timestamp(1100), of: answer, rows: &said });
    let window = &join.windows[0];
    assert_eq!((window.counts.same, window.counts.other), (0, 2));
    assert_eq!(window.endpoints["canary"], crate::watch::EndpointCounts { rows: 2, differing: 1 });
    assert_eq!(window.first, Some((Partition(2), Offset(7))));
    let cells = |range: std::ops::Range<usize>| window.cells.slice(range.start, range.end);
    use crate::watch::answers::{DIFFERS, DISTANCE, FLAGGED_DIFFERS, LATENCY};
    assert_eq!(cells(DIFFERS), [0, 1]);
    assert_eq!(cells(FLAGGED_DIFFERS), [0, 1]);
    assert_eq!(cells(LATENCY)[6], 1);
    // .5 is the 24th octave, .01 the 18th.
    assert_eq!((cells(DISTANCE)[23], cells(DISTANCE)[17]), (1, 1));
}
