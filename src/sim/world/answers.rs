//! The deployed model answers records as they arrive, before or after they are read: some not at all, some twice.

use std::rc::Rc;

use super::World;
use crate::record::{OwnedRecord, Partition, Stamp, Timestamp};
use crate::sim::names::BEGAN_AT;
use crate::sim::scene::ANSWER_PARTITIONS;

impl World {
    /// Answers `records`, if the scene has answers. Each answer has its own number as its endpoint.
    pub(super) fn answer(&self, records: &[OwnedRecord]) {
        let Some(answers) = &self.scene.stream.answers else { return };
        let at = Timestamp(BEGAN_AT + self.ground.now() as i64);
        for record in records.iter().filter(|record| record.key.is_some()) {
            let asked = self.asked.get();
            self.asked.set(asked + 1);
            for _ in 0..[1, 1, 0, 1, 1, 2, 1][asked % 7] {
                let number = self.answered.get();
                self.answered.set(number + 1);
                let endpoint = number.to_string().into_bytes();
                let answer = OwnedRecord {
                    stamp: Stamp::of_sender(at),
                    key: record.key.clone(),
                    headers: vec![(b"ce-endpoint".to_vec(), Some(endpoint))],
                    value: Some(format!("{{\"predictions\": [{}]}}", asked % 3).into_bytes()),
                };
                let mut cluster = self.ground.cluster.borrow_mut();
                let topic = cluster.topic(&answers.topic);
                let partition = Partition((number % ANSWER_PARTITIONS as usize) as i32);
                cluster.log(topic, partition).append(Rc::new(answer), None);
            }
        }
    }
}
