//! How much memory a configuration can ask for, before it does.
//!
//! The sum of what the code bounds: rows and their columns, values, queues of the Kafka clients. It
//! cannot see what ONNX Runtime allocates for a network's own layers, nor the allocator's slack.

use std::iter::Sum;
use std::ops::Add;

use crate::config::{Kafka, Stream};
use crate::deliver::BATCH_BYTES_MAX;
use crate::pipeline::PART_NUMBERS_MAX;

/// Bytes of one stream in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Rows and columns, if every record is one row.
    pub batches: u64,
    /// The same if every record is as large as it may be and full of rows.
    pub batches_max: u64,
    /// Values of a batch, read and corrected.
    pub values_max: u64,
    /// What Kafka's clients hold of what was fetched and of what is to be sent.
    pub queues_max: u64,
}

impl Memory {
    /// Rows are `width` numbers; the guarded model knows `labels`.
    pub fn of(stream: &Stream, width: usize, labels: usize, kafka: &Kafka) -> Self {
        let (width, labels) = (width.max(1), labels as u64);
        let workers = stream.workers as u64;
        let record_max = (stream.codec.value_bytes_max / width).max(1) * width;
        let part_max = (PART_NUMBERS_MAX + record_max).min(stream.rows_max * record_max);
        // x and twin, answer and twin_answer, all of them a second time for corrected records.
        let columns = |numbers: usize| {
            let rows = (numbers / width) as u64;
            4 * (4 * numbers as u64 + 4 * rows * labels)
        };
        // A corrected number takes at most 16 bytes of text, and the text around it is the
        // original's.
        let values = (BATCH_BYTES_MAX + stream.codec.value_bytes_max) as u64;
        let corrected = values + 16 * part_max as u64;
        // The judge has a consumer and a producer too.
        let clients = workers + 1;
        let kib = |name: &str, default: u64| {
            let written = kafka.properties.get(name).and_then(|value| value.expose().parse().ok());
            written.unwrap_or(default) << 10
        };
        let fetched = kib("queued.max.messages.kbytes", 16 << 10);
        let sending = kib("queue.buffering.max.kbytes", 64 << 10);
        Self {
            batches: workers * columns(stream.rows_max * width),
            batches_max: workers * columns(part_max),
            values_max: workers * (values + corrected),
            queues_max: clients * (fetched + sending),
        }
    }

    /// Everything at its largest.
    pub fn most(&self) -> u64 {
        self.batches_max + self.values_max + self.queues_max
    }
}

impl Add for Memory {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            batches: self.batches + other.batches,
            batches_max: self.batches_max + other.batches_max,
            values_max: self.values_max + other.values_max,
            queues_max: self.queues_max + other.queues_max,
        }
    }
}

impl Sum for Memory {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Self::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn memory(stream: &str, width: usize, labels: usize) -> Memory {
        let text = format!(
            "instance = \"a\"\n[kafka]\nbrokers = \"b\"\n\
             properties = {{ \"queued.max.messages.kbytes\" = 1024 }}\n\
             [[stream]]\nname = \"n\"\ninput = \"i\"\nbundle = \"b\"\n{stream}"
        );
        let config = Config::read("f".as_ref(), &text, [], &|_| Err(String::new())).unwrap();
        Memory::of(&config.streams[0], width, labels, &config.kafka)
    }

    #[test]
    fn the_sum_is_rows_by_numbers_by_columns_by_workers() {
        let memory = memory("workers = 3\nrows_max = 256\nvalue_bytes_max = 784", 784, 10);
        let columns = 4 * (4 * 256 * 784 + 4 * 256 * 10);
        assert_eq!(memory.batches, 3 * columns);
        // One record is at most one row here: the usual is the most.
        assert_eq!(memory.batches_max, memory.batches);
        assert_eq!(memory.queues_max, 4 * ((1 << 20) + (64 << 20)));
    }

    #[test]
    fn records_of_many_rows_are_bounded_by_a_part_and_one_record() {
        let memory = memory("value_bytes_max = 1048576", 4, 1);
        assert_eq!(memory.batches, 4 * 256 * (4 * 4 + 4));
        assert_eq!(memory.batches_max, 4 * (PART_NUMBERS_MAX as u64 + 1_048_576) * 5);
        assert!(memory.most() > memory.batches_max + memory.queues_max);
    }
}
