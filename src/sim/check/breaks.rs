//! Worlds in which the input itself changes: retention, an election that loses the end, a topic made anew.
//!
//! Offsets name other records then, so every record has a number of its own in a header, and what became of
//! it is looked up by that.

use std::collections::{BTreeMap, BTreeSet};

use super::violation::Violation;
use crate::deliver::CrashLoopGuard;
use crate::record::{Offset, Partition};
use crate::sim::cluster::log::TxnId;
use crate::sim::cluster::{Announced, Cluster, End};
use crate::sim::scene::Scene;
use crate::sim::world::breaks::{Break, Ledger};
use crate::sim::world::numbers::{left, there, unread};
use crate::watch::{LossCause, Message};

const UNREAD: &str = "I14 whatever the log has is read, whichever log it is";
const TOLD: &str = "I15 what retention deleted unread is told, and nothing else";
const TWICE: &str = "I1 every record leaves exactly once";

/// What is wrong with a world whose input changed.
pub fn check(scene: &Scene, cluster: &Cluster, broken: &Ledger) -> Vec<Violation> {
    let (input, left) = (there(scene, cluster), left(scene, cluster));
    let mut found = vec![];
    let mut violated = |invariant, what: String| found.push(Violation { invariant, what });
    for (number, at) in unread(&input, &left) {
        violated(UNREAD, format!("record {number} at {at:?} has not left"));
    }
    let befell = |partition: Partition| {
        let of = broken.iter().filter(move |(broken, _)| *broken == partition);
        of.map(|&(_, what)| what).collect::<BTreeSet<Break>>()
    };
    for (number, copies) in &left {
        // Of a log that an election cut some records may be read before anybody looks, and then once more. Of a topic made anew
        // none: each commit asks for its id.
        let is_cut = befell(copies[0].0).contains(&Break::Truncated);
        if scene.exactly_once && copies.len() > 1 && !is_cut {
            violated(TWICE, format!("record {number} left as {copies:?}"));
        }
    }
    let losses = losses(scene, cluster);
    let n = cluster.topics[cluster.topic(&scene.stream.input)].partitions.len() as i32;
    for partition in (0..n).map(Partition) {
        let befell = befell(partition);
        let offsets: BTreeSet<Offset> = left
            .values()
            .flatten()
            .filter(|(p, _)| *p == partition)
            .map(|&(_, offset)| offset)
            .collect();
        let told = losses.get(&partition).map_or(&[][..], Vec::as_slice);
        if befell.contains(&Break::Truncated) || befell.contains(&Break::Anew) {
            continue;
        }
        if !befell.contains(&Break::Retention) && !told.is_empty() {
            violated(TOLD, format!("partition {partition}: nothing was lost; told {told:?}"));
        }
        for &(from, to) in told {
            // Under at-least-once a record may have left and be in no state: nobody knows then that it did.
            let mut left = offsets.range(from..to).filter(|_| scene.exactly_once);
            if let Some(offset) = left.next() {
                violated(
                    TOLD,
                    format!("partition {partition}: told {from} to {to}; {offset} left"),
                );
            }
        }
        let log =
            &cluster.topics[cluster.topic(&scene.stream.input)].partitions[partition.0 as usize];
        let began = began(cluster, partition);
        for (offset, _) in log.committed_ever() {
            let at = Offset(offset as i64);
            if began.is_none_or(|began| at < began) {
                continue;
            }
            let is_told = told.iter().any(|&(from, to)| (from..to).contains(&at));
            if !offsets.contains(&at) && !is_told {
                violated(TOLD, format!("partition {partition}: {at} neither left nor was told"));
            }
        }
    }
    found
}

/// Where somebody took a partition over first, and said so: what was deleted before is nobody's.
fn began(cluster: &Cluster, partition: Partition) -> Option<Offset> {
    let is_said = |crash_loop: &&Announced| {
        let is_committed = |txn: TxnId| matches!(cluster.txns[txn].end, End::Committed(_));
        crash_loop.partition == partition && crash_loop.txn.is_none_or(is_committed)
    };
    CrashLoopGuard::taken_over_at(&cluster.crash_loops.iter().find(is_said)?.value)
}

/// From where to where was told that retention deleted it.
fn losses(scene: &Scene, cluster: &Cluster) -> BTreeMap<Partition, Vec<(Offset, Offset)>> {
    let topic = &cluster.topics[cluster.topic(&scene.stream.topics.evidence)];
    let mut losses: BTreeMap<Partition, Vec<(Offset, Offset)>> = BTreeMap::new();
    for (_, record) in topic.partitions[0].committed(0) {
        let message = Message::from_bytes(record.value.as_deref().unwrap_or_default());
        if let Ok(Message::Loss(loss)) = message
            && loss.cause == LossCause::Retention
        {
            losses.entry(loss.partition).or_default().push((loss.from, loss.to));
        }
    }
    losses
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::decide::OnGuardFailure;
    use crate::deliver::{Beginning, begin_lane};
    use crate::record::{Extent, OwnedRecord};
    use crate::score::Survey;
    use crate::sim::PATIENCE;
    use crate::sim::cluster::Ms;
    use crate::sim::cluster::log;
    use crate::sim::faults::Faults;
    use crate::sim::names::{NUMBER, kind};
    use crate::sim::scene::Arrival;
    use crate::sim::world::World;

    /// What is wrong after a calm world in which these kinds of records come, `false` aborted, and whose input loses
    /// what it has from `end` on at `ms`.
    fn truncated(sent: &[(Ms, &[u8], bool)], (ms, end): (Ms, usize)) -> Vec<Violation> {
        let mut scene = Scene::new(0);
        (scene.exactly_once, scene.breaks, scene.partitions) = (true, true, 1);
        (scene.heal_at, scene.supply_from, scene.outages) = (9_000, 0, vec![]);
        let mut numbers = 0_u64..;
        let mut record = |&kind: &u8| {
            let number = numbers.next().expect("endless").to_le_bytes().to_vec();
            let headers = vec![(NUMBER.into(), Some(number))];
            OwnedRecord { headers, ..log::record(None, Some(&[kind])) }
        };
        let arrivals = sent.iter().map(|&(at, kinds, committed)| {
            let records = kinds.iter().map(&mut record).collect();
            let committed = (!committed).then_some(false);
            Arrival { at, partition: Partition(0), records, committed }
        });
        scene.arrivals = arrivals.collect();
        let mut stream = (*scene.stream).clone();
        stream.policy.on_guard_failure = OnGuardFailure::Closed;
        scene.stream = Arc::new(stream);
        let world = World::new(scene, Faults::new(0, 0, false), None);
        world.go_on(ms);
        world.befall(Partition(0), Break::Truncated, end);
        assert!(world.run(PATIENCE), "{:?}", world.behind());
        crate::sim::check::check(&world)
    }

    #[test]
    fn records_that_take_the_offsets_of_aborted_ones_that_a_log_lost_are_read() {
        let sent = [(100, &[kind::PASS; 3][..], false), (1_600, &[kind::PASS; 9], true)];
        assert_eq!(truncated(&sent, (1_500, 1)), []);
    }

    #[test]
    fn records_of_a_new_leader_are_not_counted_before_it_is_known_what_it_has() {
        let hard = [kind::PASS, kind::PASS, kind::PASS, kind::PASS, kind::PASS, kind::HARD];
        let sent = [(100, &hard[..], true), (700, &[kind::PASS; 9], true)];
        assert_eq!(truncated(&sent, (600, 2)), []);
    }

    #[test]
    fn what_retention_deletes_after_somebody_took_a_partition_over_is_lost_though_nothing_was_committed()
     {
        let lost = |taken_over: Option<i64>, start: i64| {
            let (start, end) = (Offset(start), Offset(50));
            let extent = Extent { topic: None, start, end, leader_epoch: None };
            let crash_loop =
                taken_over.map(|at| CrashLoopGuard::take_over(None, Offset(at), 1).to_bytes());
            let log = Survey { extent, parted: None };
            let (partition, kept) = (Partition(0), vec![None, crash_loop]);
            let beginning = Beginning { partition, committed: None, log, kept };
            let stream = &Scene::new(0).stream;
            let (lane, gone) = begin_lane(&beginning, "toy", stream, false).expect("it begins");
            (lane.next().0, gone.map(|(from, gone)| (from.0, gone.unread)))
        };
        assert_eq!(lost(None, 30), (30, None));
        assert_eq!(lost(Some(30), 30), (30, None));
        assert_eq!(lost(Some(10), 30), (30, Some((10, 20))));
        // It was another log.
        assert_eq!(lost(Some(40), 30), (30, None));
    }
}
