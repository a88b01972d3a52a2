//! An outcome as a record that leaves.

use sha2::{Digest as _, Sha256};

use super::{Fetched as _, Form, Forward, ForwardKey, Keep, Scorer, Session, SessionError};
use crate::bundle::Digest;
use crate::codec::ContentHeaders;
use crate::config::Stream;
use crate::emit::{
    CHANGES, REASON, REPR_DIGEST, TRACE, VERDICT, changes, connect_headers, is_theirs,
    is_theirs_on_a_dead_letter, repr_digest,
};
use crate::record::{Action, Fault, Position, Record};
use crate::sanitize::{OutputSpec, ValueForm};
use crate::score::{Destination, NewKey, Outcome};

/// Content type of a pointer.
pub const POINTER: &str = "application/vnd.tripline.pointer+json";

/// Header of what is held back or dead-lettered: the record's own timestamp, decimal milliseconds, −1 if
/// it had none. The record may have to leave without it, and its topic may have stamps of its own.
pub const TIMESTAMP: &str = "tripline-timestamp";

/// The topic that an outcome goes to.
pub fn topic<'a>(stream: &'a Stream, outcome: &Outcome) -> &'a str {
    match outcome.destination {
        Destination::Sanitized => &stream.topics.sanitized,
        Destination::Quarantine => &stream.topics.quarantine,
        Destination::DeadLetter => &stream.topics.dead_letter,
    }
}

/// What the configuration says of the output that an outcome goes to.
fn output<'a>(stream: &'a Stream, outcome: &Outcome) -> Option<&'a OutputSpec> {
    match outcome.destination {
        Destination::Sanitized => stream.outputs.sanitized.as_ref(),
        Destination::Quarantine => stream.outputs.quarantine.as_ref(),
        Destination::DeadLetter => stream.outputs.dead_letter.as_ref(),
    }
}

/// Sends a record where its outcome says, in `form`: its own key, partition number, timestamp and
/// headers but those of our names, then ours, as far as the form keeps them. A record of too many
/// headers leaves as a pointer.
///
/// Sanitized topics never hold a pointer: whoever reads them must never meet anything but a record.
///
/// # Errors
/// If the transaction cannot go on.
pub fn forward<S: Session>(
    session: &S,
    stream: &Stream,
    scorer: &impl Scorer,
    message: &S::Fetched<'_>,
    outcome: &Outcome,
    form: Form,
) -> Result<(), SessionError> {
    let form = match outcome.judged {
        Err(Fault::TooManyHeaders { .. }) => form.max(Form::Pointer),
        _ => form,
    };
    let record = message.record();
    let position = record.at;
    let output = output(stream, outcome);
    let content = outcome.departure.content;
    let is_pointer = form >= Form::Pointer || content == ValueForm::Pointer;
    // Of a small value a digest could be tried: an output that hides values hides it too.
    let hides = output.is_some_and(OutputSpec::changes_values) || content == ValueForm::Pointer;
    let pointer = is_pointer.then(|| pointer(stream, &record, hides));
    let value = match (&pointer, &outcome.corrected) {
        (Some(pointer), _) => Some(pointer.as_slice()),
        (None, Some(range)) => Some(&scorer.corrected()[range.clone()]),
        (None, None) => record.value,
    };
    let name = format!("{}/{}", position.partition, position.offset);
    let timestamp = record.stamp.at.0.to_string();
    let fault = outcome.judged.err().filter(|_| outcome.destination == Destination::DeadLetter);
    let reason = &scorer.reasons()[outcome.reason.clone()];
    let theirs = if fault.is_some() { is_theirs_on_a_dead_letter } else { is_theirs };
    // What says how the sender's value is to be read says nothing of a sealed one.
    let sealed = pointer.is_none() && content == ValueForm::Sealed;
    let tells_changes = stream.change_headers && !is_pointer && !hides;
    let told = if tells_changes { changed(scorer, &record, outcome) } else { None };
    let goes = |name: &[u8]| {
        theirs(name)
            && !(stream.change_headers && name.eq_ignore_ascii_case(REPR_DIGEST.as_bytes()))
            && output.is_none_or(|output| output.headers.takes(name))
            && !(sealed && ContentHeaders::is_one(name))
    };
    let connect = fault.map(|fault: Fault| {
        let told = String::from_utf8_lossy(reason).into_owned();
        connect_headers(&stream.input, position, &stream.name, &fault, told)
    });
    let mut headers: Vec<(&str, &[u8])> = vec![];
    if pointer.is_some() {
        headers.push(("content-type", POINTER.as_bytes()));
    } else if sealed {
        headers.push(("content-type", ValueForm::JOSE.as_bytes()));
    }
    headers.extend(connect.iter().flatten().map(|(name, value)| (*name, value.as_bytes())));
    // What passes has none; a dead letter has it under Connect's name already.
    if !reason.is_empty() && connect.is_none() {
        headers.push((REASON, reason));
    }
    headers.push((VERDICT, outcome.text.as_bytes()));
    headers.push((TRACE, &scorer.traces()[outcome.trace.clone()]));
    if let Some((changes, digest)) = &told {
        headers.push((CHANGES, changes));
        headers.push((REPR_DIGEST, digest.as_bytes()));
    }
    if outcome.destination != Destination::Sanitized {
        headers.push((TIMESTAMP, timestamp.as_bytes()));
    }
    session.forward(
        message,
        Forward {
            topic: topic(stream, outcome),
            value,
            key: match form {
                Form::Bare => ForwardKey::Other(name.as_bytes()),
                _ => key(scorer, outcome),
            },
            keep_timestamp: form == Form::Whole,
            // A pointer is ours, and says nothing of how a value is to be read.
            keep: pointer.is_none().then_some(Keep(&goes)),
            headers: &headers,
        },
    )
}

/// What was changed of a corrected record, and a digest of its own value; of others nothing. Corrected
/// records are few: this allocates.
fn changed(
    scorer: &impl Scorer,
    record: &Record<'_>,
    outcome: &Outcome,
) -> Option<(Vec<u8>, String)> {
    let is_corrected = outcome.judged.is_ok_and(|verdict| verdict.action == Action::Correct);
    let range = outcome.corrected.clone().filter(|_| is_corrected)?;
    let own = record.value?;
    Some((changes(own, &scorer.corrected()[range], outcome.changed), repr_digest(own)))
}

/// The key that a record leaves with.
fn key<'a>(scorer: &'a impl Scorer, outcome: &Outcome) -> ForwardKey<'a> {
    match &outcome.departure.key {
        NewKey::Own => ForwardKey::Own,
        NewKey::Gone => ForwardKey::Absent,
        NewKey::At(range) => ForwardKey::Other(&scorer.corrected()[range.clone()]),
    }
}

/// Where a record stands and what it is; `hides`: without what its value could be guessed by.
fn pointer(stream: &Stream, record: &Record<'_>, hides: bool) -> Vec<u8> {
    let value = record.value.unwrap_or_default();
    let Position { partition, offset } = record.at;
    let mut pointer = serde_json::json!({
        "topic": stream.input,
        "partition": partition.0,
        "offset": offset.0,
        "bytes": value.len(),
    });
    if !hides {
        pointer["sha256"] = Digest(Sha256::digest(value).into()).to_string().into();
    }
    pointer.to_string().into_bytes()
}
