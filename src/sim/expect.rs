//! As what a record may leave: worked out from its bytes alone, without the code that delivers.

use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::log::Record;
use super::road;
use super::scene::{Scene, kind};
use crate::bundle::Digest;
use crate::deliver::POINTER;
use crate::emit::{TRACE, VERDICT, connect_headers};
use crate::pipeline::{Outcome, Route};
use crate::record::{Action, Fault, Offset, Partition, Position};

/// One way for a record to leave.
#[derive(Debug)]
pub struct Expected {
    /// What the verdict header says: it tells the ways apart.
    pub text: &'static str,
    pub topic: String,
    pub record: Rc<Record>,
    pub outcome: Outcome,
    pub crash: bool,
}

impl Expected {
    /// Every way in which the record could leave this scene.
    pub fn all(scene: &Scene, at: Position, input: &Record) -> Vec<Self> {
        let value = input.value.as_deref();
        let judged = road::judged(value);
        let mut all = vec![];
        let mut may = |judged: Result<Action, Fault>, unscored: bool| {
            all.extend(Self::of(scene, at, input, judged, unscored));
        };
        may(judged, false);
        if scene.is_open() && judged.is_ok() {
            may(Ok(Action::Pass), true);
        }
        let bytes = value.map_or(0, <[u8]>::len);
        if bytes > scene.bytes_max {
            may(Err(Fault::Undeliverable { bytes }), false);
        }
        may(Err(Fault::Crash), false);
        all
    }

    /// `None`: its topic does not take it so.
    fn of(
        scene: &Scene,
        at: Position,
        input: &Record,
        judged: Result<Action, Fault>,
        unscored: bool,
    ) -> Option<Self> {
        let stream = &scene.stream;
        let topics = &stream.topics;
        let (outcome, trace) = road::outcome(stream.policy.mode, at, judged, unscored);
        let own = input.value.as_deref();
        let corrected = judged == Ok(Action::Correct) && outcome.text == "correct";
        let value = match own {
            Some(own) if corrected => Some(road::correct(own)),
            own => own.map(<[u8]>::to_vec),
        };
        let small = if scene.dead_letter_is_small { scene.bytes_max } else { usize::MAX };
        let (topic, most) = match outcome.route {
            Route::Sanitized => (&topics.sanitized, scene.bytes_max),
            Route::Quarantine => (&topics.quarantine, scene.bytes_max),
            Route::DeadLetter => (&topics.dead_letter, small),
        };
        let too_large = value.as_ref().is_some_and(|value| value.len() > most);
        if too_large && outcome.route == Route::Sanitized {
            return None;
        }
        let mut headers = vec![];
        let mut add = |name: &str, value: &[u8]| headers.push((name.to_owned(), value.to_vec()));
        match too_large {
            true => add("content-type", POINTER.as_bytes()),
            false => input.headers.iter().for_each(|(name, value)| add(name, value)),
        }
        if let (Route::DeadLetter, Err(fault)) = (outcome.route, judged) {
            let connect = connect_headers(&stream.input, at, &stream.name, &fault);
            connect.iter().for_each(|(name, value)| add(name, value.as_bytes()));
        }
        add(VERDICT, outcome.text.as_bytes());
        add(TRACE, &trace);
        let value = if too_large { Some(pointer(scene, at, own?)) } else { value };
        let record = Record { key: input.key.clone(), value, headers, timestamp: input.timestamp };
        Some(Self {
            text: outcome.text,
            topic: topic.clone(),
            record: Rc::new(record),
            outcome,
            crash: judged == Err(Fault::Crash),
        })
    }
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
pub fn text(record: &Record) -> &str {
    std::str::from_utf8(record.header(VERDICT).unwrap_or_default()).unwrap_or_default()
}

/// Where a record that left came from, by its trace header.
pub fn source(record: &Record) -> Option<Position> {
    let trace = std::str::from_utf8(record.header(TRACE)?).ok()?;
    let (partition, rest) = trace.split_once('/')?;
    let (offset, _) = rest.split_once(' ')?;
    Some(Position {
        partition: Partition(partition.parse().ok()?),
        offset: Offset(offset.parse().ok()?),
    })
}

pub fn is_poison(input: &Record) -> bool {
    input.value.as_ref().is_some_and(|value| value[0] == kind::POISON)
}
