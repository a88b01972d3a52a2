//! Kafka messages as the road takes them, and outcomes as messages again.

use std::time::{Duration, Instant};

use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Header, Message, OwnedHeaders};

use super::kafka::{Output, Reader, SessionError, TransactionError, Transactions, header};
use crate::codec::Headers;
use crate::config::Stream;
use crate::emit::{TRACE, VERDICT, connect_headers};
use crate::pipeline::{Batch, Input, Outcome, Route};
use crate::record::{Offset, Partition, Position, Timestamp};

/// A batch closes at this many bytes of values, whatever its rows.
pub const BATCH_BYTES_MAX: usize = 16 << 20;

/// Records until the batch is full, its oldest has waited its budget, or there are no more. What is
/// not `expected` is passed over: it was fetched before a rewind, or its partition is not ours any
/// more.
pub fn gather<'a>(
    reader: &Reader<'a>,
    stream: &Stream,
    expected: impl Fn(Position) -> bool,
    wait: Duration,
) -> Result<Vec<BorrowedMessage<'a>>, SessionError> {
    let mut messages = Vec::new();
    let (mut bytes, mut first) = (0, None);
    while messages.len() < stream.rows_max && bytes < BATCH_BYTES_MAX && !reader.has_news() {
        let timeout = if messages.is_empty() { wait } else { Duration::ZERO };
        let Some(message) = reader.poll(timeout)? else { break };
        if expected(position(&message)) {
            bytes += message.payload_len();
            messages.push(message);
        }
        if first.get_or_insert_with(Instant::now).elapsed() >= stream.linger {
            break;
        }
    }
    Ok(messages)
}

/// A message as the road sees it.
pub fn input<'a>(message: &'a BorrowedMessage<'_>) -> Input<'a> {
    Input {
        position: position(message),
        headers: message.headers().map(headers).unwrap_or_default(),
        value: message.payload(),
    }
}

/// The headers that say how a value is to be read.
fn headers(all: &BorrowedHeaders) -> Headers<'_> {
    Headers {
        content_type: header(all, c"content-type"),
        schema_id: header(all, c"__value_schema_id"),
        json_length: header(all, c"Inference-Header-Content-Length"),
    }
}

/// The record's own time; −1 is Kafka's "none".
pub fn timestamp(message: &BorrowedMessage<'_>) -> Timestamp {
    Timestamp(message.timestamp().to_millis().unwrap_or(-1))
}

fn position(message: &BorrowedMessage<'_>) -> Position {
    Position { partition: Partition(message.partition()), offset: Offset(message.offset()) }
}

/// Puts one record into the transaction: its own key, partition number, timestamp and headers,
/// then ours.
pub fn emit(
    stream: &Stream,
    batch: &Batch,
    message: &BorrowedMessage<'_>,
    source: Position,
    outcome: &Outcome,
    transactions: &mut Transactions,
) -> Result<(), TransactionError> {
    let mut headers = message.headers().map_or_else(OwnedHeaders::new, |headers| headers.detach());
    if let (Route::DeadLetter, Err(fault)) = (outcome.route, &outcome.judged) {
        for (key, value) in connect_headers(&stream.input, source, &stream.name, fault) {
            headers = headers.insert(Header { key, value: Some(value.as_bytes()) });
        }
    }
    let trace = &batch.traces()[outcome.trace.clone()];
    headers = headers
        .insert(Header { key: VERDICT, value: Some(outcome.text.as_bytes()) })
        .insert(Header { key: TRACE, value: Some(trace) });
    let topics = &stream.topics;
    transactions.send(Output {
        topic: match outcome.route {
            Route::Sanitized => &topics.sanitized,
            Route::Quarantine => &topics.quarantine,
            Route::DeadLetter => &topics.dead_letter,
        },
        partition: Some(source.partition.0),
        key: message.key(),
        value: match &outcome.corrected {
            Some(range) => Some(&batch.corrected()[range.clone()]),
            None => message.payload(),
        },
        timestamp_ms: message.timestamp().to_millis(),
        headers: Some(headers),
    })
}
