//! Records that an output topic refuses, and the form in which each leaves instead.
//!
//! A broker refuses a whole produce request because of one record in it, and does not tell us which. So each record of
//! the request is tried again in a request of its own. A record that is refused there leaves in the next form:
//!
//! | form | what is sent |
//! | --- | --- |
//! | whole | the record as its verdict says |
//! | letter | a dead letter with our timestamp |
//! | pointer | topic, partition, offset and fault, under the record's key |
//! | bare | the same under our key |
//!
//! A topic's settings tell which timestamps and keys it refuses, and which sizes if nothing is compressed. So a backlog
//! that is too old for its topic is not tried record by record. Blind spot: a topic that refuses every record looks the same as records that are each
//! refused. Both end as pointers, or the partition is paused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::record::{Offset, Partition, Position, Record, Timestamp};

/// A record that its topic refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub at: Position,
    pub topic: String,
    pub objection: Objection,
    /// The refusal is about this record. Otherwise it is about some record of the same request.
    pub sure: bool,
    /// The topic's settings, if they could be read.
    pub takes: Option<Takes>,
}

/// What a topic accepts, as far as its settings tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// The range of timestamps, as of the time of asking.
    pub within: Option<(Timestamp, Timestamp)>,
    /// Only records with a key.
    pub keyed: bool,
    /// The largest request in bytes, after compression.
    pub bytes: Option<usize>,
    /// What we send is not compressed: a larger record is refused for certain.
    pub plain: bool,
}

/// What a topic objects to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr, strum::VariantNames,
)]
#[strum(serialize_all = "lowercase")]
pub enum Objection {
    Size,
    Timestamp,
    /// Anything else about a record: a policy, no key where the topic is compacted.
    Record,
}

impl Objection {
    /// The names, in an order that counters follow.
    pub const NAMES: &'static [&'static str] = <Self as strum::VariantNames>::VARIANTS;

    pub fn index(self) -> usize {
        self as usize
    }

    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// The form in which a record leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As its verdict says.
    #[default]
    Whole,
    /// With our timestamp, and as a dead letter if it was to go to `sanitized`. A quarantined record that is refused
    /// for another reason than its timestamp becomes a pointer at once.
    Letter,
    /// Its coordinates and fault, under its own key.
    Pointer,
    /// Its coordinates and fault, under our key: no byte of the record is left.
    Bare,
}

impl Form {
    fn next(self) -> Self {
        match self {
            Self::Whole => Self::Letter,
            Self::Letter => Self::Pointer,
            Self::Pointer | Self::Bare => Self::Bare,
        }
    }
}

/// What is known of a record of a refused request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    pub form: Form,
    /// Whether the record must be tried in a request of its own.
    pub alone: bool,
    /// The objection to that request.
    pub suspicion: Option<Objection>,
    /// How many refused requests it shared with other records.
    pub requests: u8,
    /// The first objection to the record itself.
    pub objection: Option<Objection>,
}

/// What a topic may object to in a record, as far as its settings tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub timestamp: Timestamp,
    /// Whether the record leaves without a key.
    pub keyless: bool,
    /// Key, value and headers, before compression.
    pub bytes: usize,
    /// Of these, the bytes that leave whatever is done to the record: those of the value, if it leaves as it came.
    pub least: usize,
}

impl Facts {
    pub fn of(record: &Record<'_>) -> Self {
        let (timestamp, keyless) = (record.stamp.at, record.key.is_none());
        Self { timestamp, keyless, bytes: record.footprint(), least: 0 }
    }
}

/// All records that topics refused, until their partitions have passed them.
#[derive(Debug, Default)]
pub struct Refusals {
    doubts: BTreeMap<Position, Doubt>,
    /// The topic that each was sent to first. If its verdict changes, the record is tried anew.
    meant: BTreeMap<Position, String>,
    /// What each topic accepts, and when we asked.
    said: BTreeMap<String, (Takes, Instant)>,
    /// Records sent in another form since the last commit, because of their topic's settings.
    foreseen: BTreeMap<Position, (String, Objection)>,
    /// The record that is in a request of its own now.
    trying: Option<Position>,
    /// What was logged already: each objection of a topic once.
    told: BTreeSet<(String, usize)>,
}

/// How long a topic's settings are believed: its owner may change them.
const BELIEVED: Duration = Duration::from_secs(60);
/// Bytes around a record in its request, and of the headers that we add.
const OURS: usize = 1024;
/// A timestamp this far inside the accepted range cannot be the objection, even if our clock and the broker's
/// differ.
const INSIDE_MS: i64 = 60_000;
/// After so many refused requests the clocks do differ, and the record is tried alone after all.
const CLEARED_MAX: u8 = 2;

impl Refusals {
    /// Whether no record is in doubt.
    pub fn is_empty(&self) -> bool {
        self.doubts.is_empty()
    }

    /// What is known of the record at `at`, which is to go to `topic`.
    pub fn known(&self, at: Position, topic: &str) -> Option<Doubt> {
        let doubt = self.doubts.get(&at).copied()?;
        self.meant.get(&at).is_some_and(|meant| meant == topic).then_some(doubt)
    }

    /// Whether a record is larger than `topic` accepts, unless compression helps.
    pub fn is_large(&self, topic: &str, record: &Record<'_>, now: Instant) -> bool {
        let takes = self.takes(topic, now).and_then(|(takes, _)| takes.bytes);
        takes.is_some_and(|most| record.footprint() + OURS > most)
    }

    /// What `topic` accepts, and how long ago we asked, if that is still believed.
    fn takes(&self, topic: &str, now: Instant) -> Option<(Takes, Duration)> {
        let &(takes, said) = self.said.get(topic)?;
        let age = now.saturating_duration_since(said);
        (age < BELIEVED).then_some((takes, age))
    }

    /// Whether `topic` accepts no larger request than `other` does, by their settings.
    pub fn accepts_no_more(&self, topic: &str, other: &str, now: Instant) -> bool {
        let bytes = |topic| self.takes(topic, now).and_then(|(takes, _)| takes.bytes);
        bytes(topic).zip(bytes(other)).is_some_and(|(bytes, other)| bytes <= other)
    }

    /// Whether `topic` refuses a record of `least` bytes for its size, for certain.
    pub fn is_too_large(&self, topic: &str, least: usize, now: Instant) -> bool {
        self.takes(topic, now).is_some_and(|(takes, _)| takes.is_too_large(least))
    }

    /// What is known, or can be foreseen, of the record at `at`, which is to go to `topic`.
    pub fn doubt(
        &mut self,
        at: Position,
        topic: &str,
        facts: Facts,
        now: Instant,
    ) -> Option<Doubt> {
        let known = self.known(at, topic);
        if known.is_none() && self.doubts.remove(&at).is_some() {
            self.meant.remove(&at);
        }
        if known.is_some_and(|doubt| doubt.form > Form::Whole) {
            return known;
        }
        let Some((takes, age)) = self.takes(topic, now) else { return known };
        if let Some(objection) = takes.objection(facts, age) {
            self.foreseen.insert(at, (topic.to_owned(), objection));
            let doubt = known.unwrap_or_default();
            return Some(Doubt { form: Form::Letter, objection: Some(objection), ..doubt });
        }
        known.filter(|doubt| !takes.clears(doubt, facts))
    }

    /// Whether the record at `at` may be refused again by the topic that it was to go to.
    pub fn may_be_refused(&self, at: Position, facts: Facts, now: Instant) -> bool {
        let takes = self.meant.get(&at).and_then(|topic| self.takes(topic, now));
        let clears = |doubt| takes.is_some_and(|(takes, _)| takes.clears(doubt, facts));
        self.doubts.get(&at).is_some_and(|doubt| !clears(doubt))
    }

    /// From now on the record at `at` is in a request of its own; `None`: no record is.
    pub fn trying(&mut self, at: Option<Position>) {
        self.trying = at;
    }

    /// Records sent in another form since the last commit may be in the log for good: remembers their form.
    pub fn keep_foreseen(&mut self) {
        for (&at, (topic, objection)) in &self.foreseen {
            self.meant.entry(at).or_insert_with(|| topic.clone());
            self.doubts.entry(at).or_default().foresee(*objection);
        }
    }

    /// Takes the refusals of topics. Returns the records that have no other form left.
    pub fn take(&mut self, refusals: &[Refusal], now: Instant) -> Vec<Position> {
        let trying = self.trying.take();
        let mut stuck = vec![];
        let (foreseen, mut seen) = (std::mem::take(&mut self.foreseen), BTreeSet::new());
        for Refusal { at, topic, objection, sure, takes } in refusals {
            let (at, objection) = (*at, *objection);
            let Position { partition, offset } = at;
            if self.told.insert((topic.clone(), objection.index())) {
                warn!(
                    %partition, %offset, topic, objection = objection.name(),
                    "a topic does not take a record: such records leave as dead letters, and \
                     tripline_refused_records_total counts them"
                );
            } else {
                debug!(%partition, %offset, topic, objection = objection.name(), "refused");
            }
            if let Some(takes) = *takes {
                self.said.insert(topic.clone(), (takes, now));
            }
            let doubt = self.doubts.entry(at).or_default();
            let meant = match foreseen.get(&at) {
                Some((topic, foreseen)) => {
                    doubt.foresee(*foreseen);
                    topic
                }
                None => topic,
            };
            self.meant.entry(at).or_insert_with(|| meant.clone());
            doubt.suspicion = Some(objection);
            if !sure && trying != Some(at) {
                doubt.alone = true;
                doubt.requests = doubt.requests.saturating_add(1);
                continue;
            }
            // A second, late refusal of one form is still about that form.
            if !seen.insert(at) {
                continue;
            }
            if doubt.form == Form::Bare {
                stuck.push(at);
            }
            doubt.form = doubt.form.next();
            doubt.alone = false;
            doubt.objection.get_or_insert(objection);
        }
        stuck
    }

    /// The last record in doubt of each partition, among those from `next` on. A record behind it may be refused too,
    /// and would abort the transaction of those before it.
    pub fn last(&self, next: impl Fn(Partition) -> Option<Offset>) -> BTreeMap<Partition, Offset> {
        let doubts = self.doubts.keys().map(|at| (at.partition, at.offset));
        doubts.filter(|&(partition, offset)| next(partition) <= Some(offset)).collect()
    }

    /// All records sent since the last commit are aborted, or committed.
    pub fn forget_attempts(&mut self) {
        self.trying = None;
        self.foreseen.clear();
    }

    /// `partition` is committed below `next`.
    pub fn committed(&mut self, partition: Partition, next: Offset) {
        if !self.doubts.is_empty() {
            self.doubts.retain(|at, _| at.partition != partition || at.offset >= next);
            self.meant.retain(|at, _| at.partition != partition || at.offset >= next);
        }
    }

    /// Drops what is known of partitions that we no longer have.
    pub fn forget(&mut self, partitions: &[Partition]) {
        self.doubts.retain(|at, _| !partitions.contains(&at.partition));
        self.meant.retain(|at, _| !partitions.contains(&at.partition));
    }

    pub fn clear(&mut self) {
        self.doubts.clear();
        self.meant.clear();
        self.forget_attempts();
    }
}

impl Doubt {
    /// Notes that the record is sent in another form before its topic refuses it.
    fn foresee(&mut self, objection: Objection) {
        if self.form == Form::Whole {
            (self.form, self.objection) = (Form::Letter, Some(objection));
        }
    }
}

/// Kafka's "no timestamp": such a record gets ours. To Kafka other negative numbers are timestamps long ago, and any
/// sender can write them.
const NONE: Timestamp = Timestamp(-1);

impl Takes {
    /// These settings some time later: the timestamps that the topic takes have moved on.
    pub fn later(self, by: Duration) -> Self {
        let by = by.as_millis() as i64;
        let later = |at: Timestamp| Timestamp(at.0.saturating_add(by));
        Self { within: self.within.map(|(least, most)| (later(least), later(most))), ..self }
    }

    /// The topic's objection to a record, given settings that were read `since` ago. The accepted range only moves up
    /// with time: a timestamp that was too old is too old now.
    fn objection(&self, facts: Facts, since: Duration) -> Option<Objection> {
        let Facts { timestamp, keyless, least, .. } = facts;
        let outside = |(least, most): (Timestamp, Timestamp)| {
            let ahead = most.0.saturating_add(since.as_millis() as i64);
            timestamp != NONE && (timestamp < least || timestamp.0 > ahead)
        };
        match self.within {
            // A broker looks at the size first.
            _ if self.is_too_large(least) => Some(Objection::Size),
            Some(within) if outside(within) => Some(Objection::Timestamp),
            _ => (self.keyed && keyless).then_some(Objection::Record),
        }
    }

    fn is_too_large(&self, least: usize) -> bool {
        self.plain && self.bytes.is_some_and(|most| least > most)
    }

    /// Whether a record that was refused together with others cannot be the cause.
    fn clears(&self, doubt: &Doubt, facts: Facts) -> bool {
        let is_fine = match doubt.suspicion {
            Some(Objection::Timestamp) => self.is_inside(facts.timestamp),
            Some(Objection::Size) => self.bytes.is_some_and(|most| facts.bytes + OURS <= most),
            _ => false,
        };
        is_fine && doubt.form == Form::Whole && doubt.requests <= CLEARED_MAX
    }

    fn is_inside(&self, timestamp: Timestamp) -> bool {
        self.within.is_some_and(|(least, most)| {
            let (least, most) =
                (least.0.saturating_add(INSIDE_MS), most.0.saturating_sub(INSIDE_MS));
            timestamp == NONE || (least..=most).contains(&timestamp.0)
        })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any moment will do to count from")]
mod tests;
