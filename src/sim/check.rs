//! The invariants, on what the log holds when all is quiet. Each is a function with a name.
//!
//! They read topics and committed offsets. Of the processes they ask one thing only: which ended,
//! because "this record ended two of them" cannot be read from a log.

mod alerts;
mod answers;
mod breaks;
mod bytes;
mod clients;
mod followers;
mod lanes;
mod revisions;
mod transactions;
mod violation;

use std::collections::BTreeMap;
use std::rc::Rc;

pub use self::violation::Violation;
use super::cluster::Cluster;
use super::expect::{self, Left};
use super::scene::Scene;
use super::world::World;
use crate::record::{Offset, OwnedRecord, Partition, Position};
use crate::watch::Message;

/// Everything the checks look at.
struct Checker<'a> {
    scene: &'a Scene,
    cluster: &'a Cluster,
    /// Nothing failed but what topics refused: then at-least-once doubles nothing either.
    undisturbed: bool,
    ended: &'a BTreeMap<u32, usize>,
    parted: &'a BTreeMap<(u32, Partition), usize>,
    /// The input, and what became of each record.
    input: BTreeMap<Position, Rc<OwnedRecord>>,
    left: BTreeMap<Position, Vec<Left>>,
    found: Vec<Violation>,
}

const ACCOUNTING: &str = "I1 every record leaves exactly once";
const COMMITTED: &str = "I2 committed offsets never decrease, and nothing is above them";
const BYTES: &str = "I3 bytes, key, headers and timestamp are kept";
const ORDER: &str = "I4 order is kept per partition and topic";
const STATE: &str = "I5 state is the fold of the records below the offset it covers";
const COVERED: &str = "I6 state and offset are committed together";
const EVIDENCE: &str = "I6 evidence is what the records below the offset come to, each once";
const ALERTS: &str = "I7 alerts are a function of the evidence topic";
const VISITS: &str =
    "I11 every judged record is visited once, and what is found is a function of the visits";
const ANSWERED: &str =
    "I12 every half of a pair is written once, and what is counted is a function of the join topic";
const LINEAGE: &str = "I7 every record is in one event of lineage, or waits to be";
const FENCED: &str = "I8 who was fenced commits nothing";
const CRASH: &str = "poison is dead-lettered, and nothing innocent with it";
/// Checked by the world itself, when it does not come to rest.
pub const LIVENESS: &str = "I9 everything is read to its end once all has healed";
pub const IDLE: &str = "I10 no partition is idle";
pub const PANIC: &str = "nothing panics";

/// What is wrong with the log of a world at rest.
pub fn check(world: &World) -> Vec<Violation> {
    let cluster = world.ground.cluster.borrow();
    let (ended, parted) = (world.ended.borrow(), world.ground.parted.borrow());
    let mut checker = Checker {
        scene: &world.scene,
        cluster: &cluster,
        undisturbed: world.ground.faults.borrow().are_none()
            && ended.is_empty()
            && parted.is_empty(),
        ended: &ended,
        parted: &parted,
        input: BTreeMap::new(),
        left: BTreeMap::new(),
        found: vec![],
    };
    if world.scene.breaks {
        checker.found = breaks::check(&world.scene, &cluster, &world.broken.borrow());
        checker.alerts();
        return checker.found;
    }
    checker.read();
    checker.accounting();
    checker.bytes();
    checker.transactions();
    checker.committed();
    checker.states();
    checker.alerts();
    checker.visits();
    checker.client_findings();
    checker.halves();
    checker.joined();
    checker.found
}

impl Checker<'_> {
    fn violated(&mut self, invariant: &'static str, what: impl Into<String>) {
        self.found.push(Violation { invariant, what: what.into() });
    }

    fn records(&self, topic: &str) -> impl Iterator<Item = (Position, &Rc<OwnedRecord>)> {
        let topic = &self.cluster.topics[self.cluster.topic(topic)];
        topic.partitions.iter().enumerate().flat_map(|(p, log)| {
            let at = move |offset: usize| Position {
                partition: Partition(p as i32),
                offset: Offset(offset as i64),
            };
            log.committed(0).map(move |(offset, record)| (at(offset), record))
        })
    }

    /// Input and outputs, by where each record came from; order per partition and topic.
    fn read(&mut self) {
        let stream = &self.scene.stream;
        self.input = self.records(&stream.input).map(|(at, record)| (at, record.clone())).collect();
        let topics = &stream.topics;
        for topic in [&topics.sanitized, &topics.quarantine, &topics.dead_letter] {
            let records: Vec<_> = self.records(topic).map(|(at, r)| (at, r.clone())).collect();
            let mut last: Option<Position> = None;
            for (at, record) in records {
                let Some(source) = expect::source(&record) else {
                    self.violated(BYTES, format!("{topic} {at:?}: no trace header"));
                    continue;
                };
                let before = last.replace(source);
                let in_order = before.is_none_or(|b| b.partition != source.partition || b < source);
                if source.partition != at.partition || self.scene.exactly_once && !in_order {
                    let what = format!("{topic} {at:?}: {source:?} after {before:?}");
                    self.violated(ORDER, what);
                }
                let topic = topic.clone();
                self.left.entry(source).or_default().push(Left { topic, record });
            }
        }
    }

    fn accounting(&mut self) {
        let mut found = vec![];
        for at in self.input.keys() {
            match self.left.get(at).map_or(0, Vec::len) {
                0 => found.push(format!("{at:?} is lost")),
                n if n > 1 && (self.scene.exactly_once || self.undisturbed) => {
                    found.push(format!("{at:?} left {n} times"));
                }
                _ => {}
            }
        }
        let unknown = self.left.keys().filter(|at| !self.input.contains_key(at));
        found.extend(unknown.map(|at| format!("{at:?} left, but was never committed")));
        found.into_iter().for_each(|what| self.violated(ACCOUNTING, what));
    }
}

fn read(record: &OwnedRecord) -> Message {
    Message::from_bytes(record.value.as_deref().unwrap_or_default()).expect("ours")
}

/// A state without what it says of the log: when somebody last looked is chance.
fn without_log(bytes: Option<&[u8]>) -> Option<serde_json::Value> {
    let mut state: serde_json::Value = serde_json::from_slice(bytes?).ok()?;
    let object = state.as_object_mut()?;
    for key in ["log", "outputs"] {
        object.remove(key);
    }
    Some(state)
}

/// `next` of a state.
fn next_of(record: &OwnedRecord) -> Option<Offset> {
    #[derive(serde::Deserialize)]
    struct Next {
        next: Offset,
    }
    // That of a follower has more lines.
    let line = record.value.as_ref()?.split(|&byte| byte == b'\n').next()?;
    let Next { next } = serde_json::from_slice(line).ok()?;
    Some(next)
}
