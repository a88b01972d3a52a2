//! What a worker tells of each batch that it committed: a span of OpenTelemetry, but for its ids.
//!
//! A batch is what was scored together. It is told once its transaction is committed: a transaction that is aborted is done
//! again. Telling waits for nobody: a full queue drops the span and counts it. It cannot see what becomes of a record behind
//! the sanitized topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::Fetched;
use crate::config::Stream;
use crate::record::{Action, Record, Timestamp};
use crate::score::{Destination, Outcome};

/// One batch that was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchSpan {
    pub source: Arc<SpanSource>,
    /// When its commit was done.
    pub ended: Timestamp,
    /// From the poll that returned its first record until then.
    pub took: Duration,
    pub counts: BatchCounts,
    /// Where its records come from, as far as their senders say: at most [`LINKS_MAX`].
    pub links: Box<[TraceParent]>,
}

/// Which worker tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanSource {
    pub stream: String,
    /// The input topic.
    pub input: String,
    /// The consumer group.
    pub group: String,
    pub revision: String,
}

/// What became of the records of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchCounts {
    pub records: u64,
    pub flagged: u64,
    pub quarantined: u64,
    pub dead_lettered: u64,
}

/// A sender's span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    pub trace: [u8; 16],
    pub span: [u8; 8],
    pub flags: u8,
}

/// Links of one span: what SDKs of OpenTelemetry keep unless told otherwise.
pub const LINKS_MAX: usize = 128;
/// Batches of one open transaction that are told; those beyond are dropped. With all their links 800 KiB. At 100 ms between
/// commits that is 2,500 batches a second.
pub const OPEN_BATCHES_MAX: usize = 256;

/// Name of the header that holds a sender's span (W3C, "Trace Context").
const HEADER: &[u8] = b"traceparent";

impl TraceParent {
    /// Reads a header's value, version 00: `00-<32 hex digits>-<16>-<2>`. `None` if it is anything else, or an id is zero.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let dashes = [2, 35, 52].map(|at| value.get(at) == Some(&b'-'));
        if value.len() != 55 || !value.starts_with(b"00") || dashes.contains(&false) {
            return None;
        }
        let (trace, span) = (bytes(&value[3..35])?, bytes(&value[36..52])?);
        let [flags] = bytes(&value[53..])?;
        (trace != [0; 16] && span != [0; 8]).then_some(Self { trace, span, flags })
    }

    /// Of the last header of that name, as other readers take it.
    fn of(record: &Record<'_>) -> Option<Self> {
        let mut last = None;
        record.headers.visit(&mut |name, value| {
            if name == HEADER {
                last = value;
            }
        });
        last.and_then(Self::parse)
    }
}

/// What `digits` say, two for each byte, in lower case.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let (pairs, _) = digits.as_chunks::<2>();
    let mut bytes = [0; N];
    for (byte, &[high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

/// Spans that a collector took, and those that it will never have.
#[derive(Debug, Default)]
pub struct SpanCounts {
    pub exported: AtomicU64,
    pub dropped: AtomicU64,
}

/// Where spans wait for the thread that sends them. Nobody waits for room.
#[derive(Clone, Debug)]
pub struct SpanQueue {
    sender: SyncSender<BatchSpan>,
    counts: Arc<SpanCounts>,
}

impl SpanQueue {
    /// A queue for `room` spans, and its other end.
    pub fn new(room: usize) -> (Self, Receiver<BatchSpan>) {
        let (sender, receiver) = sync_channel(room);
        (Self { sender, counts: Arc::default() }, receiver)
    }

    pub fn counts(&self) -> &Arc<SpanCounts> {
        &self.counts
    }

    /// Puts `span` in, or drops it if there is no room or nobody sends any more.
    pub fn put(&self, span: BatchSpan) {
        if self.sender.try_send(span).is_err() {
            self.drop_spans(1);
        }
    }

    fn drop_spans(&self, spans: u64) {
        self.counts.dropped.fetch_add(spans, Ordering::Relaxed);
    }
}

/// The batches of a worker's open transaction. The links of all of them are in one buffer, which is used again.
#[derive(Debug)]
pub(super) struct OpenSpans {
    queue: SpanQueue,
    source: Arc<SpanSource>,
    /// When the first record of the batch in work was read.
    began: Option<Instant>,
    batches: Vec<OpenBatch>,
    links: Vec<TraceParent>,
    /// Batches for which there was no room.
    beyond: u64,
}

#[derive(Debug)]
struct OpenBatch {
    began: Instant,
    counts: BatchCounts,
    links: usize,
}

impl OpenSpans {
    pub fn new(queue: SpanQueue, group: String, stream: &Stream, revision: String) -> Self {
        let source = SpanSource { group, ..SpanSource::default() };
        let (batches, links) = Default::default();
        let mut spans =
            Self { queue, source: source.into(), began: None, batches, links, beyond: 0 };
        spans.adopt(stream, revision);
        spans
    }

    /// Tells by another revision from here on. No transaction is open.
    pub fn adopt(&mut self, stream: &Stream, revision: String) {
        let (name, input, group) =
            (stream.name.clone(), stream.input.clone(), self.source.group.clone());
        self.source = SpanSource { stream: name, input, group, revision }.into();
    }

    /// A batch was read, its first record at `began`.
    pub fn begin(&mut self, began: Option<Instant>) {
        self.began = began;
    }

    /// `messages` were scored together and are in the open transaction.
    pub fn note<M: Fetched>(&mut self, messages: &[M], outcomes: &[Outcome]) {
        let Some(began) = self.began.filter(|_| !messages.is_empty()) else { return };
        if self.batches.len() == OPEN_BATCHES_MAX {
            self.beyond += 1;
            return;
        }
        let known = self.links.len();
        let links = messages.iter().filter_map(|message| TraceParent::of(&message.record()));
        self.links.extend(links.take(LINKS_MAX));
        let links = self.links.len() - known;
        self.batches.push(OpenBatch { began, counts: BatchCounts::of(outcomes), links });
    }

    /// The transaction was committed.
    pub fn commit(&mut self, now: Instant, wall: Timestamp) {
        let mut links = &*self.links;
        for OpenBatch { began, counts, links: own } in self.batches.drain(..) {
            let (own, rest) = links.split_at(own);
            links = rest;
            self.queue.put(BatchSpan {
                source: self.source.clone(),
                ended: wall,
                took: now.saturating_duration_since(began),
                counts,
                links: own.into(),
            });
        }
        self.queue.drop_spans(self.beyond);
        self.clear();
    }

    /// The transaction was aborted.
    pub fn clear(&mut self) {
        self.batches.clear();
        self.links.clear();
        self.beyond = 0;
    }
}

impl BatchCounts {
    fn of(outcomes: &[Outcome]) -> Self {
        let mut counts = Self { records: outcomes.len() as u64, ..Self::default() };
        for outcome in outcomes {
            match outcome.destination {
                Destination::Sanitized => {}
                Destination::Quarantine => counts.quarantined += 1,
                Destination::DeadLetter => counts.dead_lettered += 1,
            }
            let verdict = outcome.judged.ok().filter(|_| !outcome.not_input && !outcome.unscored);
            let flagged = verdict.is_some_and(|verdict| verdict.action != Action::Pass);
            counts.flagged += u64::from(flagged);
        }
        counts
    }
}

#[cfg(test)]
mod tests;
