//! How far outputs reach, and what states say of it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::deliver::LANE_KEY;
use crate::record::Extent;
use crate::sim::cluster::Cluster;
use crate::sim::scene::Scene;

/// What a lane's state says of outputs.
#[derive(Default, Deserialize)]
struct Reached {
    #[serde(default)]
    outputs: BTreeMap<String, Extent>,
}

/// Output partitions that reach further than the newest state says, in words: if the log lost their end now, nobody would notice. Under
/// at-least-once the newest state may be one that a process before sent, and that came late.
pub(super) fn unsaid(scene: &Scene, cluster: &Cluster) -> Vec<String> {
    let topics = &scene.stream.topics;
    let states = &cluster.topics[cluster.topic(&topics.state)].partitions;
    let n = cluster.topics[cluster.topic(&scene.stream.input)].partitions.len();
    let mut unsaid = vec![];
    for (partition, states) in states.iter().enumerate().take(n) {
        let newest = states.committed(0).rev();
        let newest = newest.map(|(_, record)| record);
        let state = newest.into_iter().find(|record| record.key.as_deref() == Some(LANE_KEY));
        let state = state.and_then(|record| serde_json::from_slice(record.value.as_ref()?).ok());
        let Reached { outputs } = state.unwrap_or_default();
        for name in [&topics.sanitized, &topics.quarantine, &topics.dead_letter] {
            let log = &cluster.topics[cluster.topic(name)].partitions[partition];
            let said = outputs.get(name).map_or(0, |extent| extent.end.0);
            if said < log.end() as i64 {
                let end = log.end();
                unsaid.push(format!(
                    "{name} partition {partition} ends at {end}; its state says {said}"
                ));
            }
        }
    }
    unsaid
}
