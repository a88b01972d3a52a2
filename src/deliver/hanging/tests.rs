use super::*;

fn place(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: topic.into(), partition: Partition(partition) }
}

fn new(widths: &[(&str, i32)]) -> HangingTransactions {
    let (evidence, state) = ("evidence".to_owned(), "state".to_owned());
    let shared = Outputs { topics: vec![], evidence, followed: vec![], state };
    HangingTransactions::new(&shared, widths.iter().map(|&(t, n)| (t.to_owned(), n)))
}

fn clean(widths: &[(&str, i32)]) -> HangingTransactions {
    let mut all = new(widths);
    for place in all.unclean() {
        all.observe(&place, Offset(9), Offset(9));
    }
    all
}

#[test]
fn a_new_producer_suspects_every_partition_until_all_below_its_end_has_ended() {
    let mut all = new(&[("out", 2)]);
    assert_eq!(all.unclean(), [place("out", 0), place("out", 1)]);
    all.observe(&place("out", 0), Offset(10), Offset(10));
    all.observe(&place("out", 1), Offset(10), Offset(7));
    all.wrote("out", Some(Partition(0)));
    assert_eq!(all.unclean_written(), None);
    all.wrote("out", Some(Partition(1)));
    assert_eq!(all.unclean_written(), Some(&place("out", 1)));
    // What came after the first look is another's, open or not.
    all.observe(&place("out", 1), Offset(30), Offset(11));
    assert!(all.is_clean());
}

#[test]
fn an_aborted_transaction_is_suspected_where_it_wrote_and_from_the_new_end_on() {
    let mut all = clean(&[("out", 2), ("alerts", 2)]);
    all.wrote("out", Some(Partition(1)));
    all.wrote("alerts", None);
    all.suspect_written();
    assert_eq!(all.unclean(), [place("alerts", 0), place("alerts", 1), place("out", 1)]);
    all.observe(&place("out", 1), Offset(20), Offset(12));
    // Given up once more: more may hang now than below 20.
    all.suspect_written();
    all.observe(&place("out", 1), Offset(25), Offset(20));
    assert_eq!(all.unclean_written(), Some(&place("alerts", 0)));
    all.observe(&place("alerts", 0), Offset(1), Offset(1));
    all.observe(&place("alerts", 1), Offset(1), Offset(1));
    assert_eq!(all.unclean_written(), Some(&place("out", 1)));
    all.observe(&place("out", 1), Offset(40), Offset(25));
    assert!(all.is_clean());
}

#[test]
fn evidence_has_ended_when_another_partition_of_the_same_abort_has() {
    let mut all = clean(&[("evidence", 1), ("out", 2)]);
    all.wrote("evidence", Some(Partition(0)));
    all.suspect_written();
    let places = all.places_to_abort();
    assert_eq!(places, [place("evidence", 0), place("out", 0)]);
    all.observe(&place("out", 0), Offset(3), Offset(3));
    assert_eq!(all.unclean_written(), Some(&place("evidence", 0)), "nothing was aborted yet");
    assert!(!all.aborted(places));
    all.observe(&place("evidence", 0), Offset(8), Offset(5));
    all.observe(&place("out", 0), Offset(4), Offset(3));
    assert_eq!((all.unclean().len(), all.unclean_own()), (2, None));
    all.observe(&place("out", 0), Offset(5), Offset(5));
    assert!(all.is_clean());
}

#[test]
fn offsets_are_not_moved_while_the_group_may_hold_older_ones() {
    let mut all = clean(&[(GROUP, 1), ("out", 1)]);
    for topic in [GROUP, "out"] {
        all.wrote(topic, Some(Partition(0)));
    }
    all.suspect_written();
    all.observe(&place("out", 0), Offset(1), Offset(1));
    assert_eq!(all.unclean_written(), Some(&place(GROUP, 0)));
    let places = all.places_to_abort();
    assert_eq!(places, [place("out", 0)], "a witness; the group needs no record");
    assert!(!all.aborted(places));
    all.observe(&place("out", 0), Offset(3), Offset(3));
    assert!(all.is_clean());
}

#[test]
fn a_witness_that_a_later_transaction_ended_speaks_for_no_evidence() {
    let mut all = clean(&[("evidence", 1), ("out", 1)]);
    assert!(!all.aborted(vec![place("evidence", 0), place("out", 0)]));
    all.wrote("out", Some(Partition(0)));
    all.suspect_written();
    all.observe(&place("out", 0), Offset(5), Offset(5));
    assert_eq!(all.unclean(), [place("evidence", 0)]);
}

#[test]
fn a_commit_that_ended_says_nothing_of_where_it_did_not_go() {
    let mut all = clean(&[("evidence", 1), ("out", 2)]);
    assert!(!all.aborted(vec![place("evidence", 0), place("out", 0)]));
    all.wrote("out", Some(Partition(1)));
    assert_eq!(all.unclean_written(), None);
    all.suspect_written();
    all.observe(&place("out", 1), Offset(5), Offset(5));
    all.clear_shared();
    assert_eq!(all.unclean(), [place("evidence", 0), place("out", 0)]);
}

#[test]
fn an_abort_that_undoes_offsets_says_so() {
    let mut all = clean(&[(GROUP, 1), ("state", 1)]);
    for topic in [GROUP, "state"] {
        all.wrote(topic, Some(Partition(0)));
    }
    all.watch_written();
    assert!(all.aborted(vec![place("state", 0)]));
    assert!(!all.aborted(vec![place("state", 0)]), "once");
}

#[test]
fn who_takes_an_id_over_again_doubts_also_where_it_did_not_write() {
    let mut all = clean(&[("out", 1)]);
    all.wrote("out", Some(Partition(0)));
    all.take_over([("out".to_owned(), 2)]);
    assert_eq!(all.unclean(), [place("out", 0), place("out", 1)]);
}

#[test]
fn a_monitor_writes_where_only_it_does_when_it_alerts() {
    let mut all = clean(&[("evidence", 1), ("state", 2), ("alerts", 1)]);
    all.wrote("evidence", Some(Partition(0)));
    all.wrote("state", Some(Partition(0)));
    assert!(!all.wrote_alone());
    all.watch_written();
    assert_eq!((all.unclean().len(), all.unclean_written(), all.is_clean()), (2, None, false));
    for place in all.unclean() {
        all.observe(&place, Offset(1), Offset(1));
    }
    assert!(all.is_clean());
    all.wrote("alerts", None);
    assert!(all.wrote_alone());
    all.suspect_written();
    assert_eq!(all.unclean_own(), Some(&place("alerts", 0)));
    all.observe(&place("alerts", 0), Offset(1), Offset(1));
    assert_eq!((all.unclean_own(), all.unclean().len()), (None, 2));
    all.clear_shared();
    assert!(all.is_clean());
}
