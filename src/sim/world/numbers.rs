//! Records by their own numbers, where offsets name other records after a while.

use std::collections::BTreeMap;

use crate::record::{Offset, OwnedRecord, Partition};
use crate::sim::cluster::Cluster;
use crate::sim::expect;
use crate::sim::names::NUMBER;
use crate::sim::scene::Scene;

/// Whether everything that the input has has left.
pub(in crate::sim) fn is_read(scene: &Scene, cluster: &Cluster) -> bool {
    unread(&there(scene, cluster), &left(scene, cluster)).next().is_none()
}

pub(in crate::sim) fn unread<'a>(
    input: &'a BTreeMap<u64, (Partition, Offset)>,
    left: &'a BTreeMap<u64, Vec<(Partition, Offset)>>,
) -> impl Iterator<Item = (u64, (Partition, Offset))> {
    input.iter().filter(|(number, _)| !left.contains_key(number)).map(|(&number, &at)| (number, at))
}

fn number(record: &OwnedRecord) -> Option<u64> {
    u64::from_le_bytes(record.header(NUMBER)?.try_into().ok()?).into()
}

/// Records that the input has now, by number.
pub(in crate::sim) fn there(
    scene: &Scene,
    cluster: &Cluster,
) -> BTreeMap<u64, (Partition, Offset)> {
    let topic = &cluster.topics[cluster.topic(&scene.stream.input)];
    let logs = topic.partitions.iter().enumerate();
    let records = logs.flat_map(|(p, log)| {
        let at = move |offset: usize| (Partition(p as i32), Offset(offset as i64));
        log.committed(log.start()).map(move |(offset, record)| (record, at(offset)))
    });
    records.filter_map(|(record, at)| Some((number(record)?, at))).collect()
}

/// Where each record came from that left, by number.
pub(in crate::sim) fn left(
    scene: &Scene,
    cluster: &Cluster,
) -> BTreeMap<u64, Vec<(Partition, Offset)>> {
    let topics = &scene.stream.topics;
    let mut left: BTreeMap<u64, Vec<(Partition, Offset)>> = BTreeMap::new();
    for name in [&topics.sanitized, &topics.quarantine, &topics.dead_letter] {
        let topic = &cluster.topics[cluster.topic(name)];
        for (_, record) in topic.partitions.iter().flat_map(|log| log.committed(0)) {
            if let (Some(number), Some(at)) = (number(record), expect::source(record)) {
                left.entry(number).or_default().push((at.partition, at.offset));
            }
        }
    }
    left
}
