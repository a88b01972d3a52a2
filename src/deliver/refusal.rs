//! Records that a topic does not take, and in what other form each of them leaves.
//!
//! A broker refuses a whole request for one record of it, and does not tell us which. So every record of the
//! request is tried in a request of its own, as it is. One that is refused alone leaves in the next
//! form: as a dead letter without what was refused, as a pointer, as a pointer without its key. What a
//! topic's settings say of timestamps and keys can be told from a record, so a backlog that is too
//! old for its topic is not tried record by record. It cannot tell a topic that refuses everything for
//! what is in it from records that are all refused: both end as pointers, or are held.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::record::{Offset, Partition, Position, Record, Timestamp};

/// A record that its topic did not take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub at: Position,
    pub topic: String,
    pub objection: Objection,
    /// It is about this record; else about some record of the request that it came in.
    pub sure: bool,
    /// What the topic's settings say, if they could be read.
    pub takes: Option<Takes>,
}

/// What a topic takes, as far as a record shows whether it is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Takes {
    /// Timestamps from here to there, at the time of asking.
    pub within: Option<(Timestamp, Timestamp)>,
    /// Only records with a key.
    pub keyed: bool,
    /// Requests of at most so many bytes, compressed.
    pub bytes: Option<usize>,
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

/// As what a record leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As its outcome says.
    #[default]
    Whole,
    /// With a timestamp of ours; as a dead letter, if it was to go on. What was held back, and is
    /// refused for another reason than its timestamp, is a pointer already.
    Letter,
    /// Where it stands and what it is, under its own key.
    Pointer,
    /// The same under a key of ours: nothing of the record is left.
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

/// What is known of a record that was in a request that was refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    pub form: Form,
    /// It must be tried in a request of its own.
    pub alone: bool,
    /// The objection to that request.
    pub suspicion: Option<Objection>,
    /// Requests with others that were refused while it was in them.
    pub requests: u8,
    /// The first objection to the record itself: why it does not leave as it was to.
    pub objection: Option<Objection>,
}

/// Everything that topics refused, until the partitions are past it.
#[derive(Debug, Default)]
pub struct Refusals {
    doubts: BTreeMap<Position, Doubt>,
    /// Where those were to go first: judged otherwise, a record is tried anew.
    meant: BTreeMap<Position, String>,
    /// What topics take, and when that was asked.
    said: BTreeMap<String, (Takes, Instant)>,
    /// Sent otherwise, since the last commit, for what their topic is said to take.
    foreseen: BTreeMap<Position, (String, Objection)>,
    /// The record that is in a request of its own now.
    trying: Option<Position>,
    /// What was logged: each objection of a topic once.
    told: BTreeSet<(String, usize)>,
}

/// What a topic was said to take is believed for so long: its owner may change it.
const BELIEVED: Duration = Duration::from_secs(60);
/// What is around a record in its request, and the headers that we add.
const OURS: usize = 1024;
/// A timestamp this far inside of what a topic takes is not what it objects to, whatever our clock and
/// the broker's make of it.
const INSIDE_MS: i64 = 60_000;
/// Unless so many requests were refused with it: then the broker's clock is not ours, and it is tried
/// alone after all.
const CLEARED_MAX: u8 = 2;

impl Refusals {
    /// Whether nothing is in doubt.
    pub fn is_empty(&self) -> bool {
        self.doubts.is_empty()
    }

    /// What is known of the record at `at`, which is to go to `topic`.
    pub fn known(&self, at: Position, topic: &str) -> Option<Doubt> {
        let doubt = self.doubts.get(&at).copied()?;
        self.meant.get(&at).is_some_and(|meant| meant == topic).then_some(doubt)
    }

    /// Whether a record is larger than what `topic` takes, unless it can be compressed.
    pub fn is_large(&self, topic: &str, record: &Record<'_>, now: Instant) -> bool {
        let takes = self.takes(topic, now).and_then(|(takes, _)| takes.bytes);
        takes.is_some_and(|most| record.footprint() + OURS > most)
    }

    /// What `topic` was said to take, and how long ago, if that is still believed.
    fn takes(&self, topic: &str, now: Instant) -> Option<(Takes, Duration)> {
        let &(takes, said) = self.said.get(topic)?;
        let age = now.saturating_duration_since(said);
        (age < BELIEVED).then_some((takes, age))
    }

    /// What is known, or can be foreseen, of the record at `at`, which is to go to `topic` with
    /// `timestamp` and, unless `keyless`, a key.
    pub fn doubt(
        &mut self,
        at: Position,
        topic: &str,
        (timestamp, keyless): (Timestamp, bool),
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
        if let Some(objection) = takes.objection(timestamp, keyless, age) {
            self.foreseen.insert(at, (topic.to_owned(), objection));
            let doubt = known.unwrap_or_default();
            return Some(Doubt { form: Form::Letter, objection: Some(objection), ..doubt });
        }
        let cleared = |doubt: &Doubt| {
            doubt.suspicion == Some(Objection::Timestamp)
                && doubt.requests <= CLEARED_MAX
                && takes.is_inside(timestamp)
        };
        known.filter(|doubt| !cleared(doubt))
    }

    /// The record at `at` is in a request of its own from now on, or none is.
    pub fn trying(&mut self, at: Option<Position>) {
        self.trying = at;
    }

    /// What was foreseen since the last commit may be in the log for good: that it left so is kept.
    pub fn keep_foreseen(&mut self) {
        for (&at, (topic, objection)) in &self.foreseen {
            self.meant.entry(at).or_insert_with(|| topic.clone());
            self.doubts.entry(at).or_default().foresee(*objection);
        }
    }

    /// Topics did not take these. Gives those for which there is no other form left.
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
            // Said twice of one form, late, it is still about that form.
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

    /// The last record in doubt of each partition, of those not yet read, from `next` on: what lies
    /// behind it may spoil the transaction that it is in.
    pub fn last(&self, next: impl Fn(Partition) -> Option<Offset>) -> BTreeMap<Partition, Offset> {
        let doubts = self.doubts.keys().map(|at| (at.partition, at.offset));
        doubts.filter(|&(partition, offset)| next(partition) <= Some(offset)).collect()
    }

    /// What was sent since the last commit is given up, or committed.
    pub fn settle(&mut self) {
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

    /// Partitions that are ours no more.
    pub fn forget(&mut self, partitions: &[Partition]) {
        self.doubts.retain(|at, _| !partitions.contains(&at.partition));
        self.meant.retain(|at, _| !partitions.contains(&at.partition));
    }

    pub fn clear(&mut self) {
        self.doubts.clear();
        self.meant.clear();
        self.settle();
    }
}

impl Doubt {
    /// It was sent otherwise before its topic objected to it.
    fn foresee(&mut self, objection: Objection) {
        if self.form == Form::Whole {
            (self.form, self.objection) = (Form::Letter, Some(objection));
        }
    }
}

/// Kafka's "no timestamp": such a record gets one of ours. Other negative numbers are timestamps to it, long
/// ago, and any sender can write them.
const NONE: Timestamp = Timestamp(-1);

impl Takes {
    /// The same, asked a while ago.
    pub fn later(self, by: Duration) -> Self {
        let by = by.as_millis() as i64;
        let later = |at: Timestamp| Timestamp(at.0.saturating_add(by));
        Self { within: self.within.map(|(least, most)| (later(least), later(most))), ..self }
    }

    /// What a topic that took this `since` some time has against a record. Time only moves what it takes
    /// up: what was too old then is too old now, and what is still too far ahead was so then.
    fn objection(&self, timestamp: Timestamp, keyless: bool, since: Duration) -> Option<Objection> {
        let outside = |(least, most): (Timestamp, Timestamp)| {
            let ahead = most.0.saturating_add(since.as_millis() as i64);
            timestamp != NONE && (timestamp < least || timestamp.0 > ahead)
        };
        match self.within {
            Some(within) if outside(within) => Some(Objection::Timestamp),
            _ => (self.keyed && keyless).then_some(Objection::Record),
        }
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
