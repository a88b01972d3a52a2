use proptest::prelude::*;

use super::*;
use crate::record::{Partition, Position, Stamp, Timestamp};

fn place(partition: i32) -> TopicPartition {
    TopicPartition { topic: "alerts".into(), partition: Partition(partition) }
}

/// A record of partition `partition`, as the feed shows it to `see`.
fn with<T>(
    (partition, offset): (i32, i64),
    key: &str,
    value: Option<&[u8]>,
    see: impl FnOnce(TopicPartition, Record<'_>) -> T,
) -> T {
    let at = Position { partition: Partition(partition), offset: Offset(offset) };
    let stamp = Stamp::of_sender(Timestamp(1));
    let record = Record { stamp, key: Some(key.as_bytes()), ..Record::bare(at, value) };
    see(place(partition), record)
}

fn value(offset: i64, status: &str) -> Vec<u8> {
    format!("{{\"status\": \"{status}\", \"stream\": \"s\", \"until\": \"{offset}\"}}").into()
}

impl Desk {
    fn hears(&mut self, at: (i32, i64), key: &str, status: &str) -> Result<(), Unreadable> {
        with(at, key, Some(&value(at.1, status)), |place, record| self.take(place, record))
    }
}

fn later() -> Result<(), Refusal> {
    Err(Refusal::Later { reason: String::new(), after: None })
}

const RESEND: Duration = Duration::from_secs(60);

#[test]
fn what_is_not_taken_is_tried_again_before_what_follows_and_later_each_time() {
    let mut now = Instant::now();
    let mut desk = Desk::new(None, None);
    desk.hears((0, 0), "a", "firing").unwrap();
    desk.hears((0, 1), "a", "resolved").unwrap();
    let mut waited = vec![];
    for _ in 0..9 {
        let Some(Task::Tell { news, .. }) = desk.next(now) else { panic!("nothing to tell") };
        assert_eq!(news.status, "firing");
        assert_eq!(desk.told(&later(), now, 1.0), None);
        let from = now;
        while desk.next(now).is_none() {
            now += Duration::from_millis(250);
        }
        waited.push((now - from).as_millis());
    }
    assert_eq!(waited, [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
    assert_eq!(desk.told(&Ok(()), now, 0.0), Some((place(0), Offset(1))));
    let refused = Err(Refusal::Never { reason: String::new() });
    assert_eq!(desk.told(&refused, now, 0.0), Some((place(0), Offset(2))));
    assert_eq!((desk.next(now), desk.pending()), (None, 0));
}

#[test]
fn a_receiver_that_asks_for_time_gets_it() {
    let now = Instant::now();
    let mut desk = Desk::new(None, None);
    desk.hears((0, 0), "a", "firing").unwrap();
    let busy =
        |s| Err(Refusal::Later { reason: String::new(), after: Some(Duration::from_secs(s)) });
    desk.told(&busy(20), now, 0.0);
    assert!(desk.next(now + Duration::from_secs(19)).is_none());
    assert!(desk.next(now + Duration::from_secs(20)).is_some());
    desk.told(&busy(u64::MAX), now, 0.0);
    assert!(desk.next(now + ASKED_MAX).is_some());
}

#[test]
fn what_fires_is_said_again_until_it_is_over_or_deleted_or_somebody_elses() {
    let mut now = Instant::now();
    let mut desk = Desk::new(None, Some(RESEND));
    let mut before = Open::default();
    let old = Received::read(Some(b"old"), &value(3, "firing"), Timestamp(1)).unwrap();
    before.hear(Offset(3), old);
    desk.ours(&place(1), before, now);
    let reminded = |desk: &Desk, now| match desk.next(now) {
        Some(Task::Remind(all)) => all.iter().map(|r| r.dedup_key.clone()).collect(),
        _ => vec![],
    };
    assert_eq!(reminded(&desk, now), ["old"], "at once: nobody knows when it was said last");
    desk.reminded(&Ok(()), now, 0.0);
    for (offset, key, status) in [(0, "a", "firing"), (1, "b", "firing"), (2, "a", "updated")] {
        desk.hears((0, offset), key, status).unwrap();
        desk.told(&Ok(()), now, 0.0);
    }
    assert_eq!(reminded(&desk, now), [""; 0]);
    now += RESEND;
    assert_eq!(reminded(&desk, now), ["a", "b", "old"]);
    desk.reminded(&Ok(()), now, 0.0);
    desk.hears((0, 3), "a", "resolved").unwrap();
    desk.told(&Ok(()), now, 0.0);
    with((1, 4), "old", None, |place, record| desk.take(place, record)).unwrap();
    assert_eq!(desk.next(now), Some(Task::Pass));
    assert_eq!(desk.passed(now), Some((place(1), Offset(5))));
    now += RESEND;
    assert_eq!(reminded(&desk, now), ["b"]);
    desk.theirs(&place(0));
    assert_eq!(desk.open(), 0);
}

#[test]
fn an_end_that_is_refused_is_an_end_and_an_update_that_is_refused_changes_nothing() {
    let now = Instant::now();
    let mut desk = Desk::new(None, Some(RESEND));
    let refused = Err(Refusal::Never { reason: String::new() });
    for (offset, status, told, open) in
        [(0, "firing", Ok(()), 1), (1, "updated", refused.clone(), 1), (2, "resolved", refused, 0)]
    {
        desk.hears((0, offset), "a", status).unwrap();
        desk.told(&told, now, 0.0);
        assert_eq!(desk.open(), open, "{status}");
    }
}

#[test]
fn an_incident_that_changes_is_told_with_what_was_told_of_it() {
    let now = Instant::now();
    let mut desk = Desk::new(None, Some(RESEND));
    desk.hears((0, 0), "a", "firing").unwrap();
    desk.told(&Ok(()), now, 0.0);
    desk.hears((0, 1), "a", "updated").unwrap();
    let Some(Task::Tell { news, before: Some(before) }) = desk.next(now) else { panic!() };
    assert_eq!((&*news.until, &*before.until), ("1", "0"));
}

#[test]
fn only_the_streams_that_are_named_are_told_of() {
    let now = Instant::now();
    let mut desk = Desk::new(Some(vec!["other".into()]), None);
    desk.hears((0, 0), "a", "firing").unwrap();
    assert_eq!((desk.next(now), desk.pending()), (Some(Task::Pass), 0));
    assert_eq!(desk.passed(now), Some((place(0), Offset(1))));
}

proptest! {
    /// A receiver that takes, delays and refuses as it likes; partitions that go and come back.
    #[test]
    fn nothing_is_lost_and_order_is_kept_whatever_the_receiver_does(
        does in proptest::collection::vec(0..5_u8, 1..200),
        junk in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut now = Instant::now();
        let mut desk = Desk::new(None, Some(RESEND));
        // What the group has committed, and what was read, per partition.
        let (mut committed, mut read) = ([0_i64; 2], [0_i64; 2]);
        let mut heard: BTreeMap<(i32, i64), u32> = BTreeMap::new();
        let mut last = [-1_i64; 2];
        let is_junk = |offset: i64| offset % 3 == 2;
        for (step, what) in does.iter().enumerate() {
            let p = step % 2;
            match what {
                0 => {
                    let value = match is_junk(read[p]) {
                        true => [&[0xff], &junk[..]].concat(),
                        false => value(read[p], "firing"),
                    };
                    // Whatever it is, it takes its place.
                    let at = (p as i32, read[p]);
                    let _ = with(at, "k", Some(&value), |place, record| desk.take(place, record));
                    read[p] += 1;
                }
                1 if step % 9 == 0 => {
                    // Taken from us and given back: it begins where it was committed.
                    desk.theirs(&place(p as i32));
                    desk.ours(&place(p as i32), Open::default(), now);
                    (read[p], last[p]) = (committed[p], committed[p] - 1);
                }
                _ => {}
            }
            now += Duration::from_secs(5);
            let told = match what {
                2 => later(),
                3 => Err(Refusal::Never { reason: String::new() }),
                _ => Ok(()),
            };
            let goes_on = match desk.next(now) {
                None => None,
                Some(Task::Pass) => desk.passed(now),
                Some(Task::Remind(_)) => {
                    desk.reminded(&told, now, 0.5);
                    None
                }
                Some(Task::Tell { news, .. }) => {
                    let offset: i64 = news.until.parse().unwrap_or(-1);
                    let goes_on = desk.told(&told, now, 0.5);
                    if let Some((at, next)) = &goes_on {
                        prop_assert_eq!(next.0, offset + 1);
                        *heard.entry((at.partition.0, offset)).or_default() += 1;
                    }
                    goes_on
                }
            };
            if let Some((at, next)) = goes_on {
                let p = at.partition.0 as usize;
                prop_assert_eq!(next.0, last[p] + 2, "one after the other");
                last[p] = next.0 - 1;
                committed[p] = next.0;
            }
        }
        // Nothing below what is committed was passed over unsaid, and nothing was told twice
        // unless it was read twice.
        for (p, &committed) in committed.iter().enumerate() {
            for offset in (0..committed).filter(|&offset| !is_junk(offset)) {
                prop_assert_eq!(heard.get(&(p as i32, offset)), Some(&1), "{} {}", p, offset);
            }
        }
    }
}
