//! The invariants, on what the log holds when all is quiet. Each is a function with a name.
//!
//! They read topics and committed offsets. Of the processes they ask one thing only: which ended,
//! because "this record ended two of them" cannot be read from a log.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use super::breaks;
use super::cluster::{Cluster, End, Txn};
use super::expect::{self, Expected};
use super::revisions::{self, REVISIONS};
use super::scene::{BASELINE, Scene};
use super::scorer;
use super::world::{MONITORS, WORKERS, World};
use crate::deliver::{LANE_KEY, MONITOR_KEY};
use crate::record::{Offset, OwnedRecord, Partition, Position};
use crate::score::Lane;
use crate::watch::{Evidence, Message};

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its number and what it says.
    pub invariant: &'static str,
    pub what: String,
}

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

/// A record that left.
pub struct Left {
    topic: String,
    pub record: Rc<OwnedRecord>,
}

const ACCOUNTING: &str = "I1 every record leaves exactly once";
const COMMITTED: &str = "I2 committed offsets never decrease, and nothing is above them";
const BYTES: &str = "I3 bytes, key, headers and timestamp are kept";
const ORDER: &str = "I4 order is kept per partition and topic";
const STATE: &str = "I5 state is the fold of the records below the offset it covers";
const COVERED: &str = "I6 state and offset are committed together";
const EVIDENCE: &str = "I6 evidence is what the records below the offset come to, each once";
const ALERTS: &str = "I7 alerts are a function of the evidence topic";
const FENCED: &str = "I8 who was fenced commits nothing";
const CRASH: &str = "poison is dead-lettered, and nothing innocent with it";
/// Checked by the world itself, when it does not come to rest.
pub const LIVENESS: &str = "I9 everything is read to its end once all has healed";
pub const IDLE: &str = "I10 no partition is idle";
pub const PANIC: &str = "nothing panics";

/// What is wrong with the log of a world at rest.
pub fn check(world: &World) -> Vec<Violation> {
    let cluster = world.ground.cluster.borrow();
    let (ended, parted) = (world.ended.borrow(), world.parted.borrow());
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

    /// Every copy of a record that left is one that could have left, byte by byte.
    fn bytes(&mut self) {
        let mut found = vec![];
        for (at, left) in &self.left {
            let Some(input) = self.input.get(at) else { continue };
            for Left { topic, record } in left {
                let expected = Expected::all(self.scene, *at, input);
                // What its topic does not take of a crash and of any other outcome has one text: of poison it is the crash.
                let alike = || expected.iter().filter(|e| e.text == expect::text(record));
                let crash = alike().find(|e| e.crash == expect::is_poison(input));
                let Some(expected) = crash.or_else(|| alike().next()) else {
                    let text = expect::text(record);
                    found.push((BYTES, format!("{at:?} left as {text:?}")));
                    continue;
                };
                if !expected.is(topic, record) {
                    found.push((BYTES, format!("{at:?} left by {topic} as {record:?}")));
                }
                if expected.crash {
                    found.extend(self.innocent(*at).map(|what| (CRASH, what)));
                } else if expect::is_poison(input) {
                    found
                        .push((CRASH, format!("{at:?} is poison and left as {:?}", expected.text)));
                }
            }
        }
        found.into_iter().for_each(|(invariant, what)| self.violated(invariant, what));
    }

    /// A record may be called a crash only if who said that they begin it alone ended, stood still, or
    /// lost its partition without a last word, twice.
    fn innocent(&self, at: Position) -> Option<String> {
        let before =
            self.input.range(..at).next_back().filter(|(b, _)| b.partition == at.partition);
        let first = before.map_or(Offset(0), |(before, _)| before.offset.next());
        let announced = self.cluster.boots.iter().filter(|boot| {
            let committed =
                boot.txn.is_none_or(|txn| matches!(self.cluster.txns[txn].end, End::Committed(_)));
            committed && boot.partition == at.partition && {
                let read: serde_json::Value = serde_json::from_slice(&boot.value).expect("ours");
                let about = read["at"].as_i64().expect("ours");
                (first.0..=at.offset.0).contains(&about) && read["alone"].as_i64() > Some(0)
            }
        });
        let processes: BTreeSet<u32> = announced.map(|boot| boot.process).collect();
        let parted = |no: &u32| self.parted.get(&(*no, at.partition));
        let ended =
            processes.iter().flat_map(|no| self.ended.get(no).into_iter().chain(parted(no)));
        let ended: usize = ended.sum();
        (ended < 2).then(|| {
            format!(
                "{at:?} is dead-lettered as a crash; {processes:?} began it alone, {ended} ended"
            )
        })
    }

    /// What one transaction holds fits together, and none comes after its producer was fenced.
    fn transactions(&mut self) {
        if !self.scene.exactly_once {
            return;
        }
        let order = |txn: &&Txn| match txn.end {
            End::Committed(order) => Some(order),
            _ => None,
        };
        let mut txns: Vec<&Txn> = self.cluster.txns.iter().filter(|t| order(t).is_some()).collect();
        txns.sort_by_key(order);
        let mut committed: BTreeMap<(usize, Partition), Offset> = BTreeMap::new();
        let mut epochs: BTreeMap<usize, u32> = BTreeMap::new();
        let mut found = vec![];
        for txn in txns {
            let epoch = epochs.entry(txn.lease.id).or_default();
            if txn.lease.epoch < *epoch {
                found.push((FENCED, format!("{:?} committed after epoch {epoch}", txn.lease)));
            }
            *epoch = txn.lease.epoch.max(*epoch);
            for &(group, partition, next) in &txn.offsets {
                let from = committed.insert((group, partition), next).unwrap_or(Offset(0));
                let key = if group == WORKERS { LANE_KEY } else { MONITOR_KEY };
                let covered = self.covered(txn, partition, key);
                if covered != Some(next) {
                    let what = format!("partition {partition}: {next:?} with state of {covered:?}");
                    found.push((COVERED, what));
                }
                if group == WORKERS {
                    found.extend(self.between(txn, partition, from, next).map(|w| (COMMITTED, w)));
                }
            }
        }
        found.into_iter().for_each(|(invariant, what)| self.violated(invariant, what));
    }

    /// The offset that the state in a transaction covers.
    fn covered(&self, txn: &Txn, partition: Partition, key: &[u8]) -> Option<Offset> {
        let topic = self.cluster.topic(&self.scene.stream.topics.state);
        let state = txn.outputs.iter().rev().find(|(t, p, record)| {
            (*t, *p) == (topic, partition) && record.key.as_deref() == Some(key)
        })?;
        next_of(&state.2)
    }

    /// A transaction that moves an offset holds what lies between, no more and no less.
    fn between(
        &self,
        txn: &Txn,
        partition: Partition,
        from: Offset,
        next: Offset,
    ) -> Option<String> {
        let topics = &self.scene.stream.topics;
        let outputs = [&topics.sanitized, &topics.quarantine, &topics.dead_letter]
            .map(|name| self.cluster.topic(name));
        let sent = txn.outputs.iter().filter(|(topic, ..)| outputs.contains(topic));
        let sent: BTreeSet<Position> = sent
            .filter_map(|(.., record)| expect::source(record))
            .filter(|source| source.partition == partition)
            .collect();
        let at = |offset| Position { partition, offset };
        let input = self.input.range(at(from)..at(next).max(at(from)));
        let input: BTreeSet<Position> = input.map(|(at, _)| *at).collect();
        (sent != input)
            .then(|| format!("partition {partition}: {from:?} to {next:?} committed with {sent:?}"))
    }

    fn committed(&mut self) {
        let mut found = vec![];
        for group in [WORKERS, MONITORS].map(|group| &self.cluster.groups[group]) {
            let mut last: BTreeMap<Partition, Offset> = BTreeMap::new();
            for &(partition, offset) in &group.history {
                let before = last.insert(partition, offset).unwrap_or(offset);
                if before > offset && self.scene.exactly_once {
                    found.push(format!("partition {partition}: {before:?}, then {offset:?}"));
                }
            }
        }
        let group = &self.cluster.groups[WORKERS];
        let above = self.left.keys().filter(|at| {
            group.committed(at.partition).is_none_or(|committed| at.offset >= committed)
        });
        found.extend(above.map(|at| format!("{at:?} left and is not committed")));
        found.into_iter().for_each(|what| self.violated(COMMITTED, what));
    }

    /// Every state that a lane ever committed, and all that it told the monitor, against a fold of
    /// the input over what became of each record. Under at-least-once a record may have left in two
    /// ways (as it was, and as what ended two processes): which of them its lane counted cannot be
    /// read from the log, and such a partition is not looked at.
    fn states(&mut self) {
        let window_ms = self.scene.stream.alerts.window.as_millis() as u64;
        let mut states: BTreeMap<Position, Vec<Rc<OwnedRecord>>> = BTreeMap::new();
        for (at, record) in self.records(&self.scene.stream.topics.state) {
            if record.key.as_deref() == Some(LANE_KEY) {
                let offset = next_of(record).expect("ours");
                states.entry(Position { offset, ..at }).or_default().push(record.clone());
            }
        }
        let mut told: BTreeMap<Partition, Vec<Evidence>> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.topics.evidence) {
            if let Message::Evidence(evidence) = read(record) {
                told.entry(evidence.partition).or_default().push(evidence);
            }
        }
        let n = self.cluster.topics[self.cluster.topic(&self.scene.stream.input)].partitions.len();
        let (mut found, mut wrong) = (vec![], vec![]);
        for partition in (0..n as i32).map(Partition) {
            let at = |offset| Position { partition, offset: Offset(offset) };
            if self.is_ambiguous(partition) {
                states.retain(|at, _| at.partition != partition);
                told.remove(&partition);
                continue;
            }
            let mut lane = Lane::new(BASELINE, partition, Offset(0), window_ms);
            let (mut counted, mut clocks) = (BTreeMap::new(), BTreeMap::new());
            // Of states that cover offsets up to `to`: the lane may have gone over what no reader is given.
            let mut compare = |lane: &Lane, to: i64, found: &mut Vec<_>| {
                let covered: Vec<Position> =
                    states.range(at(lane.next().0)..=at(to)).map(|(at, _)| *at).collect();
                for covered in covered {
                    let mut lane = lane.clone();
                    lane.pass_over(covered.offset);
                    for state in states.remove(&covered).unwrap_or_default() {
                        // Whose bundle it was shows in nothing else.
                        let value = state.value.as_deref().unwrap_or_default();
                        let value = String::from_utf8_lossy(value).into_owned();
                        let value = REVISIONS.iter().fold(value, |value, name| {
                            value.replace(&format!("\"{name}\""), &format!("\"{BASELINE}\""))
                        });
                        let (seen, fold) = (without_log(Some(value.as_bytes())), lane.to_bytes());
                        if seen != without_log(Some(&fold)) {
                            let what = format!("{seen:?}\n    where the fold is\n    {lane:?}");
                            found.push((STATE, what));
                        }
                    }
                }
            };
            for (at, input) in self.input.range(at(0)..at(i64::MAX)) {
                let Some(left) = self.left.get(at).and_then(|left| left.first()) else { continue };
                let text = expect::text(&left.record);
                let expected = Expected::all(self.scene, *at, input);
                let Some(expected) = expected.into_iter().find(|e| e.text == text) else {
                    continue;
                };
                let cells = scorer::cells(*at, &expected.outcome);
                let stamp = input.stamp;
                clocks.insert(at.offset, lane.clock().clone());
                compare(&lane, at.offset.0, &mut found);
                lane.settle(*at, stamp, &expected.outcome, &cells);
                counted.insert(at.offset, (stamp, expected.outcome, cells));
            }
            let input = &self.cluster.topics[self.cluster.topic(&self.scene.stream.input)];
            let log_end = Offset(input.partitions[partition.0 as usize].end() as i64);
            compare(&lane, log_end.0, &mut found);
            let told = told.remove(&partition).unwrap_or_default();
            if self.scene.exactly_once {
                let left = self.left.range(at(0)..at(i64::MAX));
                let left = left.map(|(at, left)| (*at, left.as_slice()));
                wrong.extend(revisions::check(left, &told));
            }
            let mut end = Offset(0);
            // Between two offsets stands nothing that a lane counts.
            let is_empty =
                |from: Offset, to: Offset| from <= to && counted.range(from..to).next().is_none();
            for evidence in &told {
                let Evidence { from, to, .. } = *evidence;
                if self.scene.exactly_once && !is_empty(end, from) {
                    let what = format!("partition {partition}: told up to {end}, then from {from}");
                    found.push((EVIDENCE, what));
                }
                // Under at-least-once a zombie may tell again what its successor told.
                end = if self.scene.exactly_once { to } else { end.max(to) };
                let clock = clocks.range(from..).next().map(|(_, clock)| clock.clone());
                let mut part = Lane::new(BASELINE, partition, from, window_ms);
                part = part.at(clock.unwrap_or_default());
                for (&offset, (stamp, outcome, cells)) in counted.range(from..to) {
                    part.settle(Position { partition, offset }, *stamp, outcome, cells);
                }
                let mut fold = vec![];
                part.drain_evidence(&mut fold);
                if fold.iter().flat_map(|part| &part.windows).ne(&evidence.windows) {
                    let what = format!("told {evidence:?} where the fold is {fold:?}");
                    found.push((EVIDENCE, what));
                }
            }
            if !is_empty(end, log_end) {
                let what =
                    format!("partition {partition}: told up to {end}, left up to {}", lane.next());
                found.push((EVIDENCE, what));
            }
        }
        // What is left covers an offset at which no record ends.
        found.extend(states.keys().map(|at| (STATE, format!("a state covers {at:?}"))));
        found.into_iter().for_each(|(invariant, what)| self.violated(invariant, what));
        self.found.extend(wrong);
    }

    /// Whether a record of this partition left in more ways than one.
    fn is_ambiguous(&self, partition: Partition) -> bool {
        let of_partition = self.left.iter().filter(|(at, _)| at.partition == partition);
        let ways = |all: &[Left]| {
            let first = all.first().map(|left| expect::text(&left.record));
            all.iter().any(|left| Some(expect::text(&left.record)) != first)
        };
        !self.scene.exactly_once && of_partition.into_iter().any(|(_, all)| ways(all))
    }

    /// A monitor that hears what was heard says the same, and has the same state at every commit.
    fn alerts(&mut self) {
        let mut monitor = self.scene.monitor();
        let mut states: BTreeMap<Offset, Vec<Rc<OwnedRecord>>> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.topics.state) {
            if record.key.as_deref() == Some(MONITOR_KEY) {
                states.entry(next_of(record).expect("ours")).or_default().push(record.clone());
            }
        }
        let heard = self.cluster.groups[MONITORS].committed(Partition(0)).unwrap_or(Offset(0));
        // Under at-least-once state is written first; of a last tick it may be all that there is.
        let covered = states.keys().next_back().filter(|_| !self.scene.exactly_once);
        let heard = covered.map_or(heard, |&covered| covered.max(heard));
        let mut alerts = vec![];
        let mut wrong = vec![];
        let mut compare = |monitor: &crate::monitor::Monitor| {
            let seen = states.remove(&monitor.next()).unwrap_or_default();
            let fold = without_log(Some(&monitor.to_bytes()));
            if seen.iter().any(|state| without_log(state.value.as_deref()) != fold) {
                wrong.push(format!("the monitor's state at {:?} is another", monitor.next()));
            }
        };
        compare(&monitor);
        for (at, record) in self.records(&self.scene.stream.topics.evidence) {
            if at.offset < heard {
                monitor.take(at.offset, &read(record), &mut alerts);
                compare(&monitor);
            }
        }
        wrong.extend(states.keys().map(|at| format!("a state of the monitor covers {at:?}")));
        let mut said: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.alerts.topic) {
            let key = record.key.clone().unwrap_or_default();
            said.entry(key).or_default().push(record.value.clone().unwrap_or_default());
        }
        let mut expected: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for alert in &alerts {
            let key = alert.dedup_key.as_bytes().to_vec();
            expected.entry(key).or_default().push(alert.to_bytes());
        }
        if !self.scene.exactly_once {
            // Told again is told.
            for all in said.values_mut().chain(expected.values_mut()) {
                all.sort();
                all.dedup();
            }
        }
        if said != expected {
            let count = |all: &BTreeMap<_, Vec<_>>| all.values().map(Vec::len).sum::<usize>();
            wrong.push(format!(
                "{} alerts were sent; the evidence gives {}",
                count(&said),
                count(&expected)
            ));
        }
        wrong.into_iter().for_each(|what| self.violated(ALERTS, what));
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
    let Next { next } = serde_json::from_slice(record.value.as_ref()?).ok()?;
    Some(next)
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}
