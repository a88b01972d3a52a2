use super::log::Takes;
use super::*;

fn cluster() -> Cluster {
    let partitions = vec![PartitionLog::default()];
    let topic = Topic { name: "out".into(), made: 0, partitions, takes: Takes::ANYTHING };
    Cluster::new(vec![topic], vec![Group::default()])
}

fn produce(cluster: &mut Cluster, lease: Lease, value: u8) -> Result<(), Refusal> {
    let record = Rc::new(super::log::record(None, Some(&[value])));
    cluster.produce((lease, 0), (0, Partition(0)), record)
}

fn read(cluster: &Cluster) -> Vec<u8> {
    let log = &cluster.topics[0].partitions[0];
    log.committed(0).map(|(_, record)| record.value.as_ref().unwrap()[0]).collect()
}

#[test]
fn a_late_end_hits_a_later_transaction_of_the_same_epoch_and_none_of_the_next() {
    for (new_producer, expected) in [(false, vec![2]), (true, vec![])] {
        let mut cluster = cluster();
        let mut lease = cluster.init(0);
        produce(&mut cluster, lease, 1).unwrap();
        cluster.end_late(lease, true, 50);
        match new_producer {
            true => lease = cluster.init(0),
            false => cluster.end(lease, false, 0).unwrap(),
        }
        produce(&mut cluster, lease, 2).unwrap();
        cluster.pass(60);
        assert_eq!(read(&cluster), expected);
    }
}

#[test]
fn who_takes_an_id_over_aborts_what_was_open_and_fences_who_had_it() {
    let mut cluster = cluster();
    let old = cluster.init(0);
    produce(&mut cluster, old, 1).unwrap();
    let new = cluster.init(0);
    assert_eq!(produce(&mut cluster, old, 2), Err(Refusal::Fenced));
    assert_eq!(cluster.end(old, true, 0), Err(Refusal::Fenced));
    produce(&mut cluster, new, 3).unwrap();
    cluster.end(new, true, 0).unwrap();
    assert_eq!(read(&cluster), [3]);
}

#[test]
fn an_abort_without_markers_is_undone_by_the_next_commit_of_its_id_and_kept_by_its_next_abort() {
    for (aborted_first, expected) in [(false, vec![1, 2]), (true, vec![2])] {
        let mut cluster = cluster();
        let lease = cluster.init(0);
        produce(&mut cluster, lease, 1).unwrap();
        cluster.leaderless_until = 10;
        cluster.end(lease, false, 0).unwrap();
        assert_eq!((cluster.ends(0, Partition(0)), cluster.is_at_rest()), ((1, 0), false));
        cluster.pass(10);
        if aborted_first {
            produce(&mut cluster, lease, 9).unwrap();
            cluster.end(lease, false, 0).unwrap();
            assert!(cluster.is_at_rest());
        }
        produce(&mut cluster, lease, 2).unwrap();
        cluster.end(lease, true, 0).unwrap();
        assert_eq!(read(&cluster), expected);
    }
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut cluster = cluster();
    let lease = cluster.init(0);
    produce(&mut cluster, lease, 1).unwrap();
    cluster.pass(TRANSACTION_MS + 1);
    assert_eq!(cluster.end(lease, true, 0), Err(Refusal::Fenced));
    let log = &cluster.topics[0].partitions[0];
    assert_eq!((log.stable(), log.next(0)), (2, None));
}
