use proptest::prelude::*;

use super::*;
use crate::deliver::progress::tests::outcome;
use crate::record::{Fault, Header, Headers, Offset, Partition, Position};

const VALUE: &[u8] = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A record with these headers.
struct Sent<H>(H);

impl<H: Headers> Fetched for Sent<H> {
    fn record(&self) -> Record<'_> {
        let at = Position { partition: Partition(0), offset: Offset(0) };
        Record { headers: &self.0, ..Record::bare(at, Some(b"x")) }
    }

    fn leader_epoch(&self) -> Option<i32> {
        None
    }
}

fn span(i: usize) -> TraceParent {
    let trace = (i as u128 + 1).to_be_bytes();
    TraceParent { trace, span: (i as u64 + 1).to_be_bytes(), flags: 1 }
}

/// Names and values.
type Own = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// A record of the `i`th sender.
fn sent(i: usize) -> Sent<Own> {
    let value = format!("00-{:032x}-{:016x}-01", i + 1, i + 1);
    Sent(vec![(HEADER.to_vec(), Some(value.into_bytes()))])
}

fn passed(records: usize) -> Vec<Outcome> {
    vec![outcome(Destination::Sanitized, Ok(Action::Pass)); records]
}

fn open(room: usize) -> (OpenSpans, Receiver<BatchSpan>) {
    let (queue, receiver) = SpanQueue::new(room);
    let (batches, links) = Default::default();
    let source = Arc::new(SpanSource { group: "g".into(), ..SpanSource::default() });
    (OpenSpans { queue, source, began: None, batches, links, beyond: 0 }, receiver)
}

/// A moment, and what comes later.
#[expect(clippy::disallowed_methods, reason = "any moment will do: only differences count")]
fn moments() -> impl Fn(u64) -> Instant {
    let begin = Instant::now();
    move |ms| begin + Duration::from_millis(ms)
}

#[test]
fn the_example_of_the_specification_is_read() {
    let expected = TraceParent {
        trace: 0x0af7651916cd43dd8448eb211c80319c_u128.to_be_bytes(),
        span: 0xb7ad6b7169203331_u64.to_be_bytes(),
        flags: 1,
    };
    assert_eq!(TraceParent::parse(VALUE), Some(expected));
}

#[test]
fn what_is_no_span_of_a_sender_is_ignored() {
    let mut bad: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01".to_vec(),
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_vec(),
        [VALUE, b"-00"].concat(),
        VALUE[..54].to_vec(),
        VALUE.to_ascii_uppercase(),
    ];
    for at in [0, 1, 2, 3, 34, 35, 36, 51, 52, 53, 54] {
        let mut value = VALUE.to_vec();
        value[at] = b'g';
        bad.push(value);
    }
    for value in bad {
        let shown = String::from_utf8_lossy(&value);
        assert_eq!(TraceParent::parse(&value), None, "{shown}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_what_is_read_is_what_was_written(
        any in proptest::collection::vec(any::<u8>(), 0..80),
        at in 0..55_usize,
        byte in any::<u8>(),
    ) {
        TraceParent::parse(&any);
        let mut near = VALUE.to_vec();
        near[at] = byte;
        if let Some(TraceParent { trace, span, flags }) = TraceParent::parse(&near) {
            let (trace, span) = (u128::from_be_bytes(trace), u64::from_be_bytes(span));
            prop_assert_eq!(format!("00-{trace:032x}-{span:016x}-{flags:02x}").into_bytes(), near);
        }
    }
}

#[test]
fn of_several_headers_the_last_counts_and_one_without_a_value_is_none() {
    let (first, at) = (b"00-11111111111111111111111111111111-1111111111111111-00", moments());
    let check = |headers: [Header<'static>; 2], links: usize| {
        let (mut spans, received) = open(1);
        spans.begin(Some(at(0)));
        spans.note(&[Sent(headers)], &passed(1));
        spans.commit(at(1), Timestamp(0));
        let told = received.recv().unwrap();
        assert_eq!(&*told.links, &[TraceParent::parse(VALUE).unwrap()][..links]);
    };
    check([(HEADER, Some(first)), (HEADER, Some(VALUE))], 1);
    check([(b"tracestate", Some(b"a=b")), (HEADER, Some(VALUE))], 1);
    check([(HEADER, Some(VALUE)), (HEADER, None)], 0);
    check([(b"Traceparent", Some(VALUE)), (b"", None)], 0);
}

#[test]
fn each_batch_of_a_commit_has_its_own_time_counts_and_links() {
    let (mut spans, received) = open(9);
    let at = moments();
    spans.begin(Some(at(10)));
    spans.note(&[sent(0), sent(1)], &passed(2));
    spans.begin(Some(at(30)));
    let outcomes = [
        outcome(Destination::Sanitized, Ok(Action::Correct)),
        outcome(Destination::Quarantine, Ok(Action::Quarantine)),
        outcome(Destination::DeadLetter, Err(Fault::UnknownFormat)),
        Outcome { unscored: true, ..outcome(Destination::Sanitized, Ok(Action::Quarantine)) },
        Outcome { not_input: true, ..outcome(Destination::Sanitized, Ok(Action::Quarantine)) },
    ];
    spans.note(&[sent(7), sent(7), sent(8), sent(9), sent(9)], &outcomes);
    spans.commit(at(50), Timestamp(1000));
    let told: Vec<BatchSpan> = received.try_iter().collect();
    let ms = told.iter().map(|span| (span.took.as_millis(), span.ended.0)).collect::<Vec<_>>();
    assert_eq!(ms, [(40, 1000), (20, 1000)]);
    assert_eq!(told[0].counts, BatchCounts { records: 2, ..BatchCounts::default() });
    let counts = BatchCounts { records: 5, flagged: 2, quarantined: 1, dead_lettered: 1 };
    assert_eq!(told[1].counts, counts);
    assert_eq!(*told[0].links, [span(0), span(1)]);
    assert_eq!(*told[1].links, [span(7), span(7), span(8), span(9), span(9)]);
}

#[test]
fn a_batch_has_at_most_128_links_and_the_next_one_has_its_own() {
    let (mut spans, received) = open(9);
    let at = moments();
    let many: Vec<_> = (0..200).map(sent).collect();
    for _ in 0..2 {
        spans.begin(Some(at(0)));
        spans.note(&many, &passed(200));
    }
    spans.commit(at(1), Timestamp(0));
    let told: Vec<BatchSpan> = received.try_iter().collect();
    assert_eq!(told.len(), 2);
    for told in told {
        let expected: Vec<TraceParent> = (0..LINKS_MAX).map(span).collect();
        assert_eq!((&*told.links, told.counts.records), (&*expected, 200));
    }
    assert_eq!((spans.links.len(), spans.links.capacity() >= 256), (0, true), "it is used again");
}

#[test]
fn an_aborted_transaction_and_an_empty_batch_tell_nothing() {
    let (mut spans, received) = open(9);
    let at = moments();
    spans.begin(Some(at(0)));
    spans.note(&[sent(0)], &passed(1));
    spans.clear();
    spans.begin(Some(at(1)));
    spans.note::<Sent<[Header<'static>; 0]>>(&[], &[]);
    spans.begin(None);
    spans.note(&[sent(0)], &passed(1));
    spans.commit(at(2), Timestamp(0));
    assert_eq!(received.try_iter().count(), 0);
}

#[test]
fn what_there_is_no_room_for_is_dropped_and_counted() {
    let (mut spans, received) = open(3);
    let at = moments();
    let dropped = |spans: &OpenSpans| spans.queue.counts().dropped.load(Ordering::Relaxed);
    for _ in 0..OPEN_BATCHES_MAX + 5 {
        spans.begin(Some(at(0)));
        spans.note(&[sent(0)], &passed(1));
    }
    spans.commit(at(1), Timestamp(0));
    assert_eq!((received.try_iter().count(), dropped(&spans)), (3, (OPEN_BATCHES_MAX + 2) as u64));
    drop(received);
    spans.begin(Some(at(2)));
    spans.note(&[sent(0)], &passed(1));
    spans.commit(at(3), Timestamp(0));
    assert_eq!(dropped(&spans), (OPEN_BATCHES_MAX + 3) as u64, "nobody sends any more");
}
