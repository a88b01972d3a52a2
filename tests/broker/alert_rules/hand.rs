//! What is done to topics to bring a guard into a state.

use super::*;

pub struct Hand<'a> {
    pub broker: &'a Broker,
    pub producer: BaseProducer,
    pub admin: AdminClient<DefaultClientContext>,
    pub runtime: tokio::runtime::Runtime,
    pub rows: Vec<Vec<u8>>,
}

impl<'a> Hand<'a> {
    pub fn new(broker: &'a Broker) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let producer = broker.client().create().expect("a producer");
        let admin = broker.client().create().expect("a client");
        Self { broker, producer, admin, runtime, rows: rows() }
    }

    pub fn put(&self, topic: &str, key: &str, value: &[u8]) {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let record = BaseRecord::to(topic).partition(0).key(key).payload(value);
        let record = record.timestamp(since.as_millis() as i64);
        self.producer.send(record).expect("room");
    }

    pub fn send(&self, stream: &str, count: usize) {
        let rows = self.rows.iter().cycle().take(count);
        rows.for_each(|row| self.put(&format!("{stream}.requests"), "k", row));
        self.producer.flush(Duration::from_secs(20)).expect("delivered");
    }

    pub fn delete(&self, topic: &str) {
        let done = self.admin.delete_topics(&[topic], &AdminOptions::new());
        let done = self.runtime.block_on(done).expect("an answer");
        done.into_iter().for_each(|topic| drop(topic.expect("it is deleted")));
    }

    pub fn delete_below(&self, topic: &str, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Offset(offset)).expect("an offset");
        let done = self.admin.delete_records(&list, &AdminOptions::new());
        self.runtime.block_on(done).expect("they are deleted");
    }

    /// A topic that takes no record of more bytes any more.
    pub fn limit(&self, topic: &str, bytes: &str) {
        let config =
            AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes);
        let done = self.admin.alter_configs([&config], &AdminOptions::new());
        let done = self.runtime.block_on(done).expect("an answer");
        done.into_iter().for_each(|topic| drop(topic.expect("it is altered")));
    }

    pub fn input(&self, stream: &str, partitions: i32) {
        self.broker.create_topic(&format!("{stream}.requests"), partitions, &[]);
    }
}
