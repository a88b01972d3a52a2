//! As what a record may leave: worked out from its bytes alone, without the code that delivers.

use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::names::{BEGAN_AT, kind};
use super::scene::Scene;
use super::scorer;
use crate::bundle::Digest;
use crate::deliver::{Form, Objection, POINTER, TIMESTAMP};
use crate::emit::{
    CHANGES, REASON, REPR_DIGEST, TRACE, VERDICT, changes, connect_headers, repr_digest,
};
use crate::record::{Action, Fault, Offset, OwnedRecord, Partition, Position, Stamp, Timestamp};
use crate::score::{Destination, Outcome};

/// A record that left.
pub struct Left {
    pub topic: String,
    pub record: Rc<OwnedRecord>,
}

/// One way for a record to leave.
#[derive(Debug)]
pub struct Expected {
    /// What the verdict header says: it tells the ways apart.
    pub text: &'static str,
    pub topic: String,
    pub record: Rc<OwnedRecord>,
    pub outcome: Outcome,
    pub crash: bool,
    /// It has the time of its sending.
    restamped: bool,
}

impl Expected {
    /// Every way in which the record could leave this scene.
    pub fn all(scene: &Scene, at: Position, input: &OwnedRecord) -> Vec<Self> {
        let value = input.value.as_deref();
        let judged = scorer::judged(value);
        let mut all = vec![];
        let mut may = |judged: Result<Action, Fault>, unscored: bool| {
            all.extend(Self::of(scene, at, input, judged, unscored));
        };
        if !is_poison(input) {
            may(judged, false);
        }
        if scene.is_open() && judged.is_ok() {
            may(Ok(Action::Pass), true);
        }
        may(Err(Fault::Crash), false);
        all
    }

    /// As it was judged or, where its topic does not take it so, in the first form that is taken.
    fn of(
        scene: &Scene,
        at: Position,
        input: &OwnedRecord,
        judged: Result<Action, Fault>,
        unscored: bool,
    ) -> Vec<Self> {
        let takes = |way: &Self| match way.outcome.destination {
            Destination::DeadLetter => scene.dead_letter_takes,
            _ => scene.takes,
        };
        let made = |judged, form| Self::made(scene, at, input, judged, unscored, form);
        let whole = made(judged, Form::Whole);
        let objections = takes(&whole).objections(&whole.record);
        if objections.is_empty() {
            return vec![whole];
        }
        let faults = objections.iter().map(|objection| match objection {
            Objection::Size => {
                Fault::Undeliverable { bytes: input.value.as_ref().map_or(0, Vec::len) }
            }
            Objection::Timestamp => Fault::RefusedTimestamp { timestamp: input.stamp.at.0 },
            Objection::Record => Fault::RefusedRecord,
        });
        let onward = whole.outcome.destination == Destination::Sanitized;
        let stamped = |objection: &Objection| *objection == Objection::Timestamp;
        let letter = onward || objections.iter().any(stamped);
        let forms = [letter.then_some(Form::Letter), Some(Form::Pointer), Some(Form::Bare)];
        let first_taken = |judged| {
            let ways = forms.iter().flatten().map(|&form| made(judged, form));
            let taken = |way: &Self| takes(way).objections(&way.record).is_empty();
            ways.into_iter().find(taken).map(|way| Self { crash: whole.crash, ..way })
        };
        match onward {
            true => faults.filter_map(|fault| first_taken(Err(fault))).collect(),
            false => first_taken(judged).into_iter().collect(),
        }
    }

    fn made(
        scene: &Scene,
        at: Position,
        input: &OwnedRecord,
        judged: Result<Action, Fault>,
        unscored: bool,
        form: Form,
    ) -> Self {
        let stream = &scene.stream;
        let topics = &stream.topics;
        let (outcome, trace) = scorer::outcome(stream.policy.mode, at, judged, unscored);
        let own = input.value.as_deref();
        let corrected = judged == Ok(Action::Correct) && outcome.text == "correct";
        let value = match own {
            Some(own) if corrected => Some(scorer::correct(own)),
            own => own.map(<[u8]>::to_vec),
        };
        let topic = match outcome.destination {
            Destination::Sanitized => &topics.sanitized,
            Destination::Quarantine => &topics.quarantine,
            Destination::DeadLetter => &topics.dead_letter,
        };
        let is_pointer = form >= Form::Pointer;
        let mut headers = vec![];
        if !is_pointer {
            headers.clone_from(&input.headers);
        }
        let mut add = |name: &str, value: &[u8]| headers.push((name.into(), Some(value.to_vec())));
        if is_pointer {
            add("content-type", POINTER.as_bytes());
        }
        if let (Destination::DeadLetter, Err(fault)) = (outcome.destination, judged) {
            let connect =
                connect_headers(&stream.input, at, &stream.name, &fault, fault.to_string());
            connect.iter().for_each(|(name, value)| add(name, value.as_bytes()));
        } else {
            let reason = scorer::reason(&outcome);
            if !reason.is_empty() {
                add(REASON, reason.as_bytes());
            }
        }
        add(VERDICT, outcome.text.as_bytes());
        add(TRACE, &trace);
        if let Some(own) = own.filter(|_| stream.change_headers && corrected && !is_pointer) {
            add(CHANGES, &changes(own, &scorer::correct(own), 0));
            add(REPR_DIGEST, repr_digest(own).as_bytes());
        }
        if outcome.destination != Destination::Sanitized {
            add(TIMESTAMP, input.stamp.at.0.to_string().as_bytes());
        }
        let value = match is_pointer {
            true => Some(pointer(scene, at, own.unwrap_or_default())),
            false => value,
        };
        let key = match form {
            Form::Bare => Some(format!("{}/{}", at.partition, at.offset).into_bytes()),
            _ => input.key.clone(),
        };
        let restamped = form > Form::Whole;
        let at = if restamped { Timestamp(BEGAN_AT) } else { input.stamp.at };
        let stamp = Stamp::of_sender(at);
        Self {
            text: outcome.text,
            topic: topic.clone(),
            record: Rc::new(OwnedRecord { stamp, key, headers, value }),
            outcome,
            crash: judged == Err(Fault::Crash),
            restamped,
        }
    }

    /// Whether this is how `left` left by `topic`.
    pub fn is(&self, topic: &str, left: &OwnedRecord) -> bool {
        // When exactly it was sent nobody can say.
        let stamp = match self.restamped && left.stamp.at >= Timestamp(BEGAN_AT) {
            true => left.stamp,
            false => self.record.stamp,
        };
        let mut expected = OwnedRecord { stamp, ..(*self.record).clone() };
        // Whoever scored it, and by which revision, is another question.
        if let Some((_, own)) =
            expected.headers.iter_mut().rfind(|(name, _)| name == TRACE.as_bytes())
            && let Some(seen) = last(left, TRACE)
            && own.as_deref().is_some_and(|own| seen.starts_with(own))
        {
            *own = Some(seen.to_vec());
        }
        self.topic == topic && expected == *left
    }
}

/// The value of the last header of this name.
fn last<'a>(record: &'a OwnedRecord, name: &str) -> Option<&'a [u8]> {
    let found = record.headers.iter().rfind(|(known, _)| known == name.as_bytes());
    found.and_then(|(_, value)| value.as_deref())
}

fn pointer(scene: &Scene, at: Position, value: &[u8]) -> Vec<u8> {
    let sha256 = Digest(Sha256::digest(value).into());
    let (topic, bytes) = (&scene.stream.input, value.len());
    let Position { partition, offset } = at;
    let pointer = serde_json::json!({
        "topic": topic, "partition": partition.0, "offset": offset.0, "bytes": bytes,
        "sha256": sha256.to_string(),
    });
    pointer.to_string().into_bytes()
}

/// The verdict header.
pub fn text(record: &OwnedRecord) -> &str {
    std::str::from_utf8(record.header(VERDICT).unwrap_or_default()).unwrap_or_default()
}

/// Where a record that left came from, by its trace header.
pub fn source(record: &OwnedRecord) -> Option<Position> {
    let trace = std::str::from_utf8(record.header(TRACE)?).ok()?;
    let (partition, rest) = trace.split_once('/')?;
    let (offset, _) = rest.split_once(' ')?;
    Some(Position {
        partition: Partition(partition.parse().ok()?),
        offset: Offset(offset.parse().ok()?),
    })
}

pub fn is_poison(input: &OwnedRecord) -> bool {
    input.value.as_ref().is_some_and(|value| value[0] == kind::POISON)
}
