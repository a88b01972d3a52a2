use proptest::prelude::*;

use super::*;

fn visit() -> impl Strategy<Value = RowVisit> {
    let prints = prop::option::of(prop::collection::vec(0..1_u64 << 40, PRINTS));
    (
        0..1_i64 << 40,
        prop::option::of(any::<u64>().prop_map(ClientName)),
        any::<Option<u16>>(),
        any::<u8>(),
        any::<Option<u32>>(),
        any::<u32>(),
        prints,
    )
        .prop_map(|(offset, client, origin, marks, cell, hash, prints)| {
            let prints = prints.map(|prints| RowPrints(Box::new(prints.try_into().unwrap())));
            RowVisit { offset, client, origin, marks, cell, hash, prints }
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        windows in prop::collection::vec((0..1_i64 << 50, prop::collection::vec(visit(), 0..9)), 0..4),
        begins: bool, read_out: bool,
    ) {
        let windows = windows.into_iter().map(|(window, visits)| VisitWindow { window: Timestamp(window), visits });
        let visits = Visits {
            baseline: "b1".into(), partition: Partition(3), from: Offset(5), to: Offset(77), begins,
            head: Timestamp(12), read_out, windows: windows.collect(),
        };
        let message = VisitMessage::Visits(visits);
        prop_assert_eq!(VisitMessage::from_bytes(&message.to_bytes()), Ok(message));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = VisitMessage::from_bytes(&bytes);
    }
}

#[test]
fn ticks_and_presence_are_read_and_other_kinds_are_told() {
    for message in [
        VisitMessage::Tick(Timestamp(1_700_000_000_000)),
        VisitMessage::Presence(Presence { partition: Partition(2), quiet: true }),
    ] {
        assert_eq!(VisitMessage::from_bytes(&message.to_bytes()), Ok(message));
    }
    assert!(VisitMessage::from_bytes(&[9]).unwrap_err().contains("kind 9"));
    assert!(VisitMessage::from_bytes(&[TICK, 1, 1]).is_err());
}

#[test]
fn a_message_is_cut_before_it_is_larger_than_a_topic_takes() {
    let mut log = VisitLog::new(Offset(0));
    let cut = || ("b".to_owned(), Partition(0), Timestamp(0));
    let rows = |n| (0..n).map(|_| RowVisit::default());
    for offset in 0..4 {
        log.add(Timestamp(0), rows(ROWS_MAX + 9), Offset(offset), cut);
    }
    let mut told = vec![];
    log.drain(Offset(7), cut, &mut told);
    let told: Vec<_> =
        told.iter().map(|t| (t.from.0, t.to.0, t.windows[0].visits.len(), t.begins)).collect();
    assert_eq!(told, [(0, 2, 4096, true), (2, 7, 4096, false)]);
    let mut none = vec![];
    log.drain(Offset(9), cut, &mut none);
    assert!(none.is_empty());
}
