//! How much memory a configuration can ask for, before it does, and whether that is there.
//!
//! The sum of what the code bounds: rows and their columns, values, queues of the Kafka clients, what
//! lanes and monitor remember, networks. It cannot see what ONNX Runtime allocates for a network's own
//! layers, the allocator's slack, nor batches that a producer compressed strongly: librdkafka unpacks
//! a whole response. That is what the fifth of the limit is for that we leave alone.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use super::cgroup::Limit;
use super::kafka::{HEADERS_SENDING_MAX, OVERHEAD, QUEUE_KIB};
use super::{otlp, routes};
use crate::clients::OPEN_ROWS_MAX;
use crate::config::{Config, Kafka, Stream, StreamClients};
use crate::deliver::BATCH_BYTES_MAX;
use crate::record::{HEADER_BYTES_MAX, HEADERS_MAX};
use crate::score::PART_NUMBERS_MAX;

/// Bytes of one stream in this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Rows and columns, if every record is one row.
    pub batches: u64,
    /// Rows and columns, if every record is as large as it may be and full of rows.
    pub batches_max: u64,
    /// Values and headers of a batch, read and corrected.
    pub values_max: u64,
    /// What Kafka's clients hold of what was fetched and of what is to be sent.
    pub queues_max: u64,
    /// What lanes and monitor remember.
    pub state_max: u64,
    /// Networks and what was learned beside them.
    pub networks: u64,
}

/// What is there whatever the configuration says: code, ONNX Runtime, librdkafka's threads, stacks.
/// Measured: 49 MiB resident with one worker after 84 records of nine numbers; `/metrics` shows what
/// is declared and what is resident on every machine.
pub const BASE: u64 = 64 << 20;

/// A lane with its crash-loop record and the reason it may be held for: 400 bytes of a reason, twice while
/// it is written.
const LANE_BYTES: u64 = 3 << 10;
/// Partitions that one process has at most, as far as we declare: more of them cost 3 KiB each.
const LANES: u64 = 4096;
/// Windows in which rows were counted since the last commit, over all partitions of a stream.
const LANE_WINDOWS: u64 = 256;
/// Windows that a monitor holds, open or looked back on; about a megabyte of JSON while it is written,
/// and what its watches remember.
const MONITOR_WINDOWS: u64 = 512 + 64;
/// Parts of windows that a monitor holds if it watches partitions one by one.
const MONITOR_PARTS: u64 = 512 + 512;
const MONITOR_BYTES: u64 = 4 << 20;

/// Two halves that wait, of ten labels, and four ids that are remembered, with their places in three orders. Estimated from
/// the sizes of their parts, not measured.
const PAIR_BYTES: u64 = 1 << 10;

/// What librdkafka makes of the 100,000 headers that it reads of a record at most, for as long as it
/// takes to count them: by [`OVERHEAD`] 9.2 MiB and their names and values. Estimated, not measured.
const HEADERS_READ_MAX: u64 = 16 << 20;

/// Share of the limit that may be declared: the rest is for what this file cannot see.
const SHARE: (u64, u64) = (4, 5);

/// The limit does not hold what may be needed.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "at most {} of memory may be needed ({memory}), but {} allows {}, of which {} are ours to \
     declare; lower {}, or allow at least {}",
    mib(memory.most()), limit.file.display(), mib(limit.bytes), mib(share_of(limit.bytes)),
    memory.keys(), mib(memory.most() * SHARE.1 / SHARE.0)
)]
pub struct TooMuch {
    pub memory: Memory,
    pub limit: Limit,
}

/// Whether `memory` fits into `limit`, if there is one.
///
/// # Errors
/// If it does not: better now than killed in the middle of a transaction.
pub fn fits(memory: &Memory, limit: Option<Limit>) -> Result<(), TooMuch> {
    match limit {
        Some(limit) if memory.most() > share_of(limit.bytes) => {
            Err(TooMuch { memory: *memory, limit })
        }
        _ => Ok(()),
    }
}

fn share_of(bytes: u64) -> u64 {
    bytes / SHARE.1 * SHARE.0
}

/// What a client monitor holds: rows of the horizon with the tables of their fingerprints, rows of open windows, entries, and clients
/// that were seen.
fn client_monitor(clients: &StreamClients) -> u64 {
    const HORIZON_ROW: usize = 24 * 2 * 26 + 260;
    const OPEN_ROW: usize = 272;
    const ENTRY: usize = 8 * 120;
    let settings = &clients.settings;
    let rows = settings.horizon_rows * HORIZON_ROW + OPEN_ROWS_MAX * OPEN_ROW;
    // A client is 32 bytes, and a page that grows takes up to twice of what it holds; pages that leave are copied.
    let known = settings.known.map_or(0, |known| known.clients_max * 64 + (8 << 20));
    (rows + settings.entries_max * ENTRY + known) as u64
}

/// What the columns of a batch are.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Numbers in a row.
    pub width: usize,
    /// Labels of the protected model.
    pub labels: usize,
    /// Columns of `width` numbers a row, the rows themselves among them.
    pub wide: usize,
    /// Columns of `labels` numbers a row.
    pub answers: usize,
    /// Cells in which its rows are counted.
    pub cells: usize,
}

impl Memory {
    /// The bundle's files have `networks` and `tensors` bytes.
    pub fn of(
        stream: &Stream,
        shape: Shape,
        (networks, tensors): (u64, u64),
        kafka: &Kafka,
    ) -> Self {
        let width = shape.width.max(1);
        let (wide, answers) = (shape.wide as u64, (shape.answers * shape.labels) as u64);
        let workers = stream.workers as u64;
        let rows = stream.codec.value_bytes_max / width;
        let record_max = rows.clamp(1, stream.codec.rows_per_record_max) * width;
        let part_max = (PART_NUMBERS_MAX + record_max).min(stream.rows_max * record_max);
        // All columns a second time for corrected records.
        let columns = |numbers: usize| {
            let rows = (numbers / width) as u64;
            2 * 4 * (wide * numbers as u64 + answers * rows)
        };
        // A corrected number takes at most 16 bytes of text, and the text around it is the
        // original's.
        let values = (BATCH_BYTES_MAX + stream.codec.value_bytes_max) as u64;
        let corrected = values + 16 * part_max as u64;
        // What leaves changed or sealed is written anew: as base64 it takes a third more.
        let leaves = stream.outputs.each().any(|(_, output)| output.changes_values());
        // What is opened lies beside what came, and may be sealed again.
        let opens = stream.decrypt.is_some();
        let corrected = corrected + if leaves || opens { 2 * values } else { 0 };
        let corrected = corrected + if opens { values } else { 0 };
        // The headers of a batch are among its bytes. Besides: those of its last record; a record of
        // too many of them while it is looked at; copies that wait to be sent.
        let headers = (HEADERS_MAX * OVERHEAD + HEADER_BYTES_MAX + HEADERS_SENDING_MAX) as u64
            + HEADERS_READ_MAX;
        // The monitor has a consumer and a producer too, and so have the client monitor and those who read and join answers.
        let watched = stream.clients.as_ref();
        let answers = if stream.answers.is_some() { 2 } else { 0 };
        let clients = workers + 1 + u64::from(watched.is_some()) + answers;
        let pairs = stream.answers.as_ref().map_or(0, |answers| answers.pending_max as u64);
        let number = |name: &str, default: u64| {
            let written = kafka.properties.get(name).and_then(|value| value.expose().parse().ok());
            written.unwrap_or(default)
        };
        // A consumer asks for more while its queue has room, and the answer comes on top of it:
        // librdkafka asks for no more than a queue unless told otherwise. While state is read, a
        // second consumer of the same size stands beside it.
        let queued = number("queued.max.messages.kbytes", 16 << 10) << 10;
        let answer = queued.min(50 << 20).max(number("message.max.bytes", 1_000_000));
        let fetched = 2 * (queued + number("fetch.max.bytes", answer));
        let sending = number("queue.buffering.max.kbytes", 64 << 10) << 10;
        let judged = if stream.alerts.per_partition { MONITOR_PARTS } else { MONITOR_WINDOWS };
        Self {
            batches: workers * columns(stream.rows_max * width),
            batches_max: workers * columns(part_max),
            values_max: workers * (values + corrected + headers),
            queues_max: clients * (fetched + sending),
            state_max: LANES * LANE_BYTES
                + MONITOR_BYTES
                + watched.map_or(0, client_monitor)
                // Halves of both sides that wait.
                + pairs * PAIR_BYTES
                + (LANE_WINDOWS + judged) * 4 * shape.cells as u64,
            // Every worker has its own, as read and as packed for this processor.
            networks: workers * 2 * networks + tensors,
        }
    }

    /// What there is besides streams: routes, and spans that wait for a collector.
    pub fn beside_streams(config: &Config) -> Self {
        let workers = config.streams.iter().map(|stream| stream.workers).sum();
        Self::of_routes(config.routes.len()) + Self::of_spans(config.otlp.as_ref().map(|_| workers))
    }

    /// What spans of batches may take, if a collector is told by so many `workers`.
    pub fn of_spans(workers: Option<usize>) -> Self {
        let bytes = |workers| otlp::SPANS_BYTES_MAX + workers * otlp::OPEN_BYTES_MAX;
        Self { state_max: workers.map_or(0, bytes) as u64, ..Self::default() }
    }

    /// What `routes` routes may take: a consumer with a small queue, one more of its size while it
    /// is found out what fires, alerts that wait and incidents that are open.
    pub fn of_routes(routes: usize) -> Self {
        let routes = routes as u64;
        let fetched = 2 * 2 * (QUEUE_KIB << 10);
        let desk = (routes::QUEUE_BYTES_MAX + routes::OPEN_BYTES_MAX) as u64;
        Self { queues_max: routes * fetched, state_max: routes * desk, ..Self::default() }
    }

    /// Everything at its largest.
    pub fn most(&self) -> u64 {
        self.parts().iter().map(|(_, bytes, _)| bytes).sum()
    }

    /// What the sum is made of, and which keys make it smaller.
    fn parts(&self) -> [(&'static str, u64, &'static str); 6] {
        [
            ("batches", self.batches_max, "`value_bytes_max` or `workers`"),
            ("values", self.values_max, "`value_bytes_max` or `workers`"),
            (
                "queues",
                self.queues_max,
                "`queue.buffering.max.kbytes`, `queued.max.messages.kbytes` and `fetch.max.bytes` in \
                 [kafka.properties], or `workers`",
            ),
            ("state", self.state_max, "the number of streams and routes"),
            ("networks", self.networks, "`workers`"),
            ("the program itself", BASE, "nothing"),
        ]
    }

    /// What to lower first.
    fn keys(&self) -> &'static str {
        let parts = self.parts();
        parts[..5].iter().max_by_key(|(_, bytes, _)| bytes).map_or("", |&(_, _, keys)| keys)
    }
}

/// The parts, largest first.
impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.parts();
        parts.sort_by_key(|&(_, bytes, _)| std::cmp::Reverse(bytes));
        for (i, (name, bytes, _)) in parts.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{name} {}", mib(*bytes))?;
        }
        Ok(())
    }
}

/// Rounded up.
pub fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

impl Add for Memory {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            batches: self.batches + other.batches,
            batches_max: self.batches_max + other.batches_max,
            values_max: self.values_max + other.values_max,
            queues_max: self.queues_max + other.queues_max,
            state_max: self.state_max + other.state_max,
            networks: self.networks + other.networks,
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
        let shape = Shape { width, labels, wide: 2, answers: 2, cells: 10_000 };
        Memory::of(&config.streams[0], shape, (1000, 10), &config.kafka)
    }

    #[test]
    fn the_sum_is_rows_by_numbers_by_columns_by_workers() {
        let memory = memory("workers = 3\nrows_max = 256\nvalue_bytes_max = 784", 784, 10);
        let columns = 4 * (4 * 256 * 784 + 4 * 256 * 10);
        assert_eq!(memory.batches, 3 * columns);
        // One record is at most one row here: the usual is the most.
        assert_eq!(memory.batches_max, memory.batches);
        assert_eq!(memory.queues_max, 4 * (2 * (2 << 20) + (64 << 20)));
        assert_eq!(memory.networks, 3 * 2 * 1000 + 10);
    }

    #[test]
    fn records_of_many_rows_are_bounded_by_a_part_and_one_record() {
        let few = memory("value_bytes_max = 1048576", 4, 1);
        assert_eq!(few.batches_max, 4 * 256 * 64 * (4 * 4 + 4));
        let memory = memory("value_bytes_max = 1048576\nrows_per_record_max = 65536", 4, 1);
        assert_eq!(memory.batches, 4 * 256 * (4 * 4 + 4));
        assert_eq!(memory.batches_max, 4 * (PART_NUMBERS_MAX as u64 + 4 * 65_536) * 5);
        assert!(memory.most() > memory.batches_max + memory.queues_max);
    }

    #[test]
    fn what_does_not_fit_says_the_sum_its_parts_the_limit_and_what_to_lower() {
        let memory = memory("workers = 4\nvalue_bytes_max = 65536", 784, 10);
        let limit = |bytes| Some(Limit { bytes, file: "/c/memory.max".into() });
        let enough = memory.most() * 5 / 4 + 5;
        assert!(fits(&memory, None).is_ok());
        assert!(fits(&memory, limit(enough)).is_ok());
        assert!(fits(&memory, limit(enough - 10)).is_err());
        insta::assert_snapshot!(fits(&memory, limit(512 << 20)).unwrap_err(), @"at most 1231 MiB of memory may be needed (values 517 MiB, queues 340 MiB, batches 263 MiB, the program itself 64 MiB, state 48 MiB, networks 1 MiB), but /c/memory.max allows 512 MiB, of which 410 MiB are ours to declare; lower `value_bytes_max` or `workers`, or allow at least 1538 MiB");
    }
}
