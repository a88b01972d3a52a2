//! The error headers of a dead letter, in the names Kafka Connect gives them, so that tools made
//! for Connect's dead-letter topics read ours.
//!
//! Source: Apache Kafka, `DeadLetterQueueReporter.java`. All values are UTF-8 text.

use crate::record::{Fault, Position};

/// Header names and values of a record from `topic` at `source` that has `fault`, which is `told` like this.
pub fn connect_headers(
    topic: &str,
    source: Position,
    stream: &str,
    fault: &Fault,
    told: String,
) -> [(&'static str, String); 9] {
    [
        ("__connect.errors.topic", topic.to_owned()),
        ("__connect.errors.partition", source.partition.to_string()),
        ("__connect.errors.offset", source.offset.to_string()),
        ("__connect.errors.connector.name", format!("tripline.{stream}")),
        ("__connect.errors.task.id", source.partition.to_string()),
        ("__connect.errors.stage", "VALUE_CONVERTER".to_owned()),
        ("__connect.errors.class.name", "tripline.codec".to_owned()),
        ("__connect.errors.exception.class.name", format!("tripline.{}", fault.name())),
        ("__connect.errors.exception.message", told),
    ]
}
