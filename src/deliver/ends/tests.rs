use super::*;

fn place(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: Partition(partition) }
}

fn new(widths: &[(&str, i32)]) -> Ends {
    let (evidence, state) = ("evidence".to_owned(), "state".to_owned());
    let shared = Outputs { topics: vec![], evidence, state };
    Ends::new(&shared, widths.iter().map(|&(t, n)| (t.to_owned(), n)))
}

fn calm(widths: &[(&str, i32)]) -> Ends {
    let mut ends = new(widths);
    for place in ends.doubts() {
        ends.saw(&place, Offset(9), Offset(9));
    }
    ends
}

#[test]
fn whoever_begins_doubts_every_partition_until_all_below_its_end_has_ended() {
    let mut ends = new(&[("out", 2)]);
    assert_eq!(ends.doubts(), [place("out", 0), place("out", 1)]);
    ends.saw(&place("out", 0), Offset(10), Offset(10));
    ends.saw(&place("out", 1), Offset(10), Offset(7));
    ends.touch("out", Some(Partition(0)));
    assert_eq!(ends.hanging(), None);
    ends.touch("out", Some(Partition(1)));
    assert_eq!(ends.hanging(), Some(&place("out", 1)));
    // What came after the first look is another's, open or not.
    ends.saw(&place("out", 1), Offset(30), Offset(11));
    assert!(ends.is_calm());
}

#[test]
fn what_is_given_up_is_doubted_where_it_was_written_and_from_its_new_end_on() {
    let mut ends = calm(&[("out", 2), ("alerts", 2)]);
    ends.touch("out", Some(Partition(1)));
    ends.touch("alerts", None);
    ends.doubt();
    assert_eq!(ends.doubts(), [place("alerts", 0), place("alerts", 1), place("out", 1)]);
    ends.saw(&place("out", 1), Offset(20), Offset(12));
    // Given up once more: more may hang now than below 20.
    ends.doubt();
    ends.saw(&place("out", 1), Offset(25), Offset(20));
    assert_eq!(ends.hanging(), Some(&place("alerts", 0)));
    ends.saw(&place("alerts", 0), Offset(1), Offset(1));
    ends.saw(&place("alerts", 1), Offset(1), Offset(1));
    assert_eq!(ends.hanging(), Some(&place("out", 1)));
    ends.saw(&place("out", 1), Offset(40), Offset(25));
    assert!(ends.is_calm());
}

#[test]
fn evidence_has_ended_when_another_partition_of_the_same_abort_has() {
    let mut ends = calm(&[("evidence", 1), ("out", 2)]);
    ends.touch("evidence", Some(Partition(0)));
    ends.doubt();
    let places = ends.to_abort();
    assert_eq!(places, [place("evidence", 0), place("out", 0)]);
    ends.saw(&place("out", 0), Offset(3), Offset(3));
    assert_eq!(ends.hanging(), Some(&place("evidence", 0)), "nothing was aborted yet");
    assert!(!ends.aborted(places));
    ends.saw(&place("evidence", 0), Offset(8), Offset(5));
    ends.saw(&place("out", 0), Offset(4), Offset(3));
    assert_eq!((ends.doubts().len(), ends.endless()), (2, None));
    ends.saw(&place("out", 0), Offset(5), Offset(5));
    assert!(ends.is_calm());
}

#[test]
fn offsets_are_not_moved_while_the_group_may_hold_older_ones() {
    let mut ends = calm(&[(GROUP, 1), ("out", 1)]);
    for topic in [GROUP, "out"] {
        ends.touch(topic, Some(Partition(0)));
    }
    ends.doubt();
    ends.saw(&place("out", 0), Offset(1), Offset(1));
    assert_eq!(ends.hanging(), Some(&place(GROUP, 0)));
    let places = ends.to_abort();
    assert_eq!(places, [place("out", 0)], "a witness; the group needs no record");
    assert!(!ends.aborted(places));
    ends.saw(&place("out", 0), Offset(3), Offset(3));
    assert!(ends.is_calm());
}

#[test]
fn a_witness_that_a_later_transaction_ended_speaks_for_no_evidence() {
    let mut ends = calm(&[("evidence", 1), ("out", 1)]);
    assert!(!ends.aborted(vec![place("evidence", 0), place("out", 0)]));
    ends.touch("out", Some(Partition(0)));
    ends.doubt();
    ends.saw(&place("out", 0), Offset(5), Offset(5));
    assert_eq!(ends.doubts(), [place("evidence", 0)]);
}

#[test]
fn a_commit_that_ended_says_nothing_of_where_it_did_not_go() {
    let mut ends = calm(&[("evidence", 1), ("out", 2)]);
    assert!(!ends.aborted(vec![place("evidence", 0), place("out", 0)]));
    ends.touch("out", Some(Partition(1)));
    assert_eq!(ends.hanging(), None);
    ends.doubt();
    ends.saw(&place("out", 1), Offset(5), Offset(5));
    ends.forgive();
    assert_eq!(ends.doubts(), [place("evidence", 0), place("out", 0)]);
}

#[test]
fn an_abort_that_undoes_offsets_says_so() {
    let mut ends = calm(&[(GROUP, 1), ("state", 1)]);
    for topic in [GROUP, "state"] {
        ends.touch(topic, Some(Partition(0)));
    }
    ends.watch();
    assert!(ends.aborted(vec![place("state", 0)]));
    assert!(!ends.aborted(vec![place("state", 0)]), "once");
}

#[test]
fn who_takes_an_id_over_again_doubts_also_where_it_did_not_write() {
    let mut ends = calm(&[("out", 1)]);
    ends.touch("out", Some(Partition(0)));
    ends.take_over([("out".to_owned(), 2)]);
    assert_eq!(ends.doubts(), [place("out", 0), place("out", 1)]);
}

#[test]
fn a_monitor_writes_where_only_it_does_when_it_alerts() {
    let mut ends = calm(&[("evidence", 1), ("state", 2), ("alerts", 1)]);
    ends.touch("evidence", Some(Partition(0)));
    ends.touch("state", Some(Partition(0)));
    assert!(!ends.touched_own());
    ends.watch();
    assert_eq!((ends.doubts().len(), ends.hanging(), ends.is_calm()), (2, None, false));
    for place in ends.doubts() {
        ends.saw(&place, Offset(1), Offset(1));
    }
    assert!(ends.is_calm());
    ends.touch("alerts", None);
    assert!(ends.touched_own());
    ends.doubt();
    assert_eq!(ends.endless(), Some(&place("alerts", 0)));
    ends.saw(&place("alerts", 0), Offset(1), Offset(1));
    assert_eq!((ends.endless(), ends.doubts().len()), (None, 2));
    ends.forgive();
    assert!(ends.is_calm());
}
