//! A record as librdkafka fetched it.

use rdkafka::message::{BorrowedMessage, Message as _};

use crate::deliver;
use crate::record::{Offset, Partition, Position, Record, Stamp, Timestamp};
use crate::shell::kafka::native::{self, RecordHeaders};

/// A record in librdkafka's own memory.
pub struct Fetched<'a> {
    pub(super) message: BorrowedMessage<'a>,
    pub(super) headers: RecordHeaders,
}

impl deliver::Fetched for Fetched<'_> {
    fn record(&self) -> Record<'_> {
        let (partition, offset) = (self.message.partition(), self.message.offset());
        Record {
            at: Position { partition: Partition(partition), offset: Offset(offset) },
            stamp: stamp(self.message.timestamp()),
            key: self.message.key(),
            headers: &self.headers,
            value: self.message.payload(),
        }
    }

    fn leader_epoch(&self) -> Option<i32> {
        native::leader_epoch(&self.message)
    }
}

/// A record's timestamp; −1 is Kafka's "none".
pub fn stamp(timestamp: rdkafka::Timestamp) -> Stamp {
    let by_broker = matches!(timestamp, rdkafka::Timestamp::LogAppendTime(_));
    Stamp { at: Timestamp(timestamp.to_millis().unwrap_or(-1)), by_broker }
}
