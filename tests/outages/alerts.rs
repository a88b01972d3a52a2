//! What the alerts of a stream say was lost.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

use crate::cluster::Cluster;

/// The sum over all incidents of `count`, `lost` or `outputs_lost`: of each what its largest alert says.
pub fn told(cluster: &Cluster, stream: &str, count: &str) -> f64 {
    let mut incidents: BTreeMap<String, f64> = BTreeMap::new();
    for alert in read(cluster, &format!("{stream}.alerts")) {
        let said = alert["counts"][count].as_f64().unwrap_or(0.0);
        let incident = incidents.entry(alert["dedup_key"].to_string()).or_default();
        *incident = said.max(*incident);
    }
    incidents.values().sum()
}

fn read(cluster: &Cluster, topic: &str) -> Vec<Value> {
    let mut client = cluster.client();
    client.set("group.id", "outages").set("isolation.level", "read_committed");
    client.set("enable.partition.eof", "true").set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = client.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).expect("a beginning");
    consumer.assign(&list).expect("assigned");
    let mut alerts = vec![];
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            Some(Ok(message)) => {
                let value = message.payload().unwrap_or_default();
                alerts.extend(serde_json::from_slice::<Value>(value).ok());
            }
            Some(Err(KafkaError::PartitionEOF(_))) => break,
            _ => {}
        }
    }
    alerts
}
