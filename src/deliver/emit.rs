//! An outcome as a record that leaves.

use sha2::{Digest as _, Sha256};

use super::{Forward, Message, Road, Session, SessionError};
use crate::bundle::Digest;
use crate::config::Stream;
use crate::emit::{TRACE, VERDICT, connect_headers, is_theirs, is_theirs_on_a_dead_letter};
use crate::pipeline::{Input, Outcome, Route};
use crate::record::Fault;

/// What a topic did not take before, and so must be tried otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refused {
    /// As it was; now the record goes without what made it too large where that may be.
    Once,
    /// The dead letter too: only a pointer is left.
    Twice,
}

/// The record as the road sees it.
pub fn input<M: Message>(message: &M) -> Input<'_> {
    Input { position: message.position(), headers: message.headers(), value: message.value() }
}

/// Sends a record where its outcome says: its own key, partition number, timestamp and headers but
/// those of our names, then ours. A record of too many headers leaves as a pointer.
///
/// # Errors
/// If the transaction cannot go on.
pub fn forward<S: Session>(
    session: &S,
    stream: &Stream,
    road: &impl Road,
    message: &S::Message<'_>,
    outcome: &Outcome,
) -> Result<(), SessionError> {
    if let Err(Fault::TooManyHeaders { .. }) = outcome.judged {
        return forward_pointer(session, stream, road, message, outcome);
    }
    let value = match &outcome.corrected {
        Some(range) => Some(&road.corrected()[range.clone()]),
        None => message.value(),
    };
    send(session, stream, road, message, outcome, (value, None))
}

/// Sends, in place of a record that its topic does not take, where it stands and what it is.
///
/// # Errors
/// If the transaction cannot go on.
pub fn forward_pointer<S: Session>(
    session: &S,
    stream: &Stream,
    road: &impl Road,
    message: &S::Message<'_>,
    outcome: &Outcome,
) -> Result<(), SessionError> {
    let value = message.value().unwrap_or_default();
    let position = message.position();
    let pointer = serde_json::json!({
        "topic": stream.input,
        "partition": position.partition.0,
        "offset": position.offset.0,
        "bytes": value.len(),
        "sha256": Digest(Sha256::digest(value).into()).to_string(),
    });
    let pointer = pointer.to_string().into_bytes();
    send(session, stream, road, message, outcome, (Some(&pointer), Some(POINTER)))
}

/// Content type of a pointer.
pub const POINTER: &str = "application/vnd.tripline.pointer+json";

/// With a content type of ours the value is ours too, and the record's own headers stay behind.
fn send<S: Session>(
    session: &S,
    stream: &Stream,
    road: &impl Road,
    message: &S::Message<'_>,
    outcome: &Outcome,
    (value, content_type): (Option<&[u8]>, Option<&str>),
) -> Result<(), SessionError> {
    let position = message.position();
    let ours = [(VERDICT, outcome.text.as_bytes()), (TRACE, &road.traces()[outcome.trace.clone()])];
    let topics = &stream.topics;
    let topic = match outcome.route {
        Route::Sanitized => &topics.sanitized,
        Route::Quarantine => &topics.quarantine,
        Route::DeadLetter => &topics.dead_letter,
    };
    let fault = outcome.judged.err().filter(|_| outcome.route == Route::DeadLetter);
    let keep: fn(&[u8]) -> bool =
        if fault.is_some() { is_theirs_on_a_dead_letter } else { is_theirs };
    let keep = Some(keep).filter(|_| content_type.is_none());
    let plain = Forward { topic, value, keep, headers: &ours };
    if keep.is_some() && fault.is_none() {
        return session.forward(message, plain);
    }
    let connect =
        fault.map(|fault: Fault| connect_headers(&stream.input, position, &stream.name, &fault));
    let mut headers: Vec<(&str, &[u8])> = vec![];
    headers.extend(content_type.map(|text| ("content-type", text.as_bytes())));
    headers.extend(connect.iter().flatten().map(|(name, value)| (*name, value.as_bytes())));
    headers.extend(ours);
    session.forward(message, Forward { headers: &headers, ..plain })
}
