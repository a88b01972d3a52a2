use super::*;
use crate::deliver::Beginning;
use crate::record::{Extent, Timestamp};
use crate::score::Survey;

/// Counts bytes; what is larger than its window of offsets it forgets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counter {
    next: Offset,
    low: Offset,
    bytes: usize,
    /// Values of `low..next`.
    recent: Vec<Vec<u8>>,
}

const RECENT: usize = 3;

impl Follower for Counter {
    const KEY: &'static [u8] = b"counter";
    const NAME: &'static str = "counter";

    fn topic(stream: &Stream) -> &str {
        &stream.topics.evidence
    }

    fn tick(_: Timestamp) -> Vec<u8> {
        vec![]
    }

    fn baseline(&self) -> &'static str {
        ""
    }

    fn next(&self) -> Offset {
        self.next
    }

    fn low(&self) -> Offset {
        self.low
    }

    fn take(&mut self, offset: Offset, value: &[u8]) -> Result<(), String> {
        self.recent.push(value.to_vec());
        if offset >= self.next {
            self.bytes += value.len();
            self.next = offset.next();
            if self.recent.len() > RECENT {
                self.recent.remove(0);
                self.low = self.low.next();
            }
        }
        Ok(())
    }

    fn skip(&mut self, offset: Offset) {
        self.next = self.next.max(offset.next());
    }

    fn drain(&mut self, _: &mut Vec<Message>) {}

    fn to_bytes(&self) -> Vec<u8> {
        self.bytes.to_le_bytes().to_vec()
    }

    fn restore(&self, next: Offset, low: Offset, state: &[u8]) -> Result<Self, String> {
        let bytes = state.try_into().map_err(|_| "eight bytes are wanted".to_owned())?;
        Ok(Self { next, low, bytes: usize::from_le_bytes(bytes), recent: vec![] })
    }

    fn starting_at(self, next: Offset) -> Self {
        Self { next, low: next, recent: vec![], ..self }
    }

    fn succeeding(self, last: &Self) -> Self {
        last.clone()
    }
}

fn fresh() -> Counter {
    Counter { next: Offset(0), low: Offset(0), bytes: 0, recent: vec![] }
}

fn log(start: i64, end: i64) -> Extent {
    let (start, end) = (Offset(start), Offset(end));
    Extent { topic: Some("a".into()), start, end, leader_epoch: Some(0) }
}

fn beginning(kept: Option<Vec<u8>>, committed: Option<i64>, now: Extent) -> Beginning {
    let log = Survey { extent: now, parted: None };
    Beginning { partition: PARTITION, committed: committed.map(Offset), log, kept: vec![kept] }
}

/// Read up to 10, which is to be read again from 7.
fn written() -> (Counter, Vec<u8>) {
    let mut counter = fresh();
    for offset in 0..10 {
        counter.take(Offset(offset), &[0; 5]).unwrap();
    }
    let bytes = FollowerState::of(&counter, &log(0, 10)).to_bytes();
    (counter, bytes)
}

#[test]
fn what_was_read_again_counts_once() {
    let (counter, bytes) = written();
    let Reader { mut follower, read, .. } =
        begin_follower(&fresh(), &beginning(Some(bytes), Some(10), log(0, 12)), false).unwrap();
    assert_eq!((read, follower.next(), follower.bytes), (Offset(7), Offset(10), 50));
    for offset in 7..10 {
        follower.take(Offset(offset), &[0; 5]).unwrap();
    }
    assert_eq!(follower, counter);
    follower.take(Offset(10), &[0; 5]).unwrap();
    assert_eq!((follower.bytes, follower.low), (55, Offset(8)));
}

#[test]
fn state_and_offset_that_do_not_fit_are_refused() {
    let (_, bytes) = written();
    let begin = |kept: Option<&[u8]>, committed, now| {
        let beginning = beginning(kept.map(<[u8]>::to_vec), committed, now);
        begin_follower(&fresh(), &beginning, false)
            .map(|reader| (reader.read, reader.follower.next()))
    };
    assert!(matches!(begin(None, Some(10), log(0, 10)), Err(FollowerError::Missing { .. })));
    assert!(matches!(
        begin(Some(&bytes), Some(11), log(0, 11)),
        Err(FollowerError::Mismatch { .. })
    ));
    assert!(matches!(begin(Some(&bytes), None, log(0, 11)), Err(FollowerError::NoOffset { .. })));
    assert!(matches!(
        begin(Some(b"{\"version\":9}\n"), Some(0), log(0, 0)),
        Err(FollowerError::Version(9))
    ));
    assert!(matches!(begin(Some(b"{}"), Some(0), log(0, 0)), Err(FollowerError::Unreadable(_))));
    assert_eq!(begin(None, None, log(4, 9)).unwrap(), (Offset(4), Offset(4)));
    // Retention took what it would read again, or more.
    assert_eq!(begin(Some(&bytes), Some(10), log(9, 12)).unwrap(), (Offset(9), Offset(10)));
    assert_eq!(begin(Some(&bytes), Some(10), log(11, 12)).unwrap(), (Offset(11), Offset(11)));
}
