//! Lanes: their states and their evidence, against a fold of the input over what became of each record.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Checker, EVIDENCE, STATE, next_of, read, revisions, without_log};
use crate::deliver::LANE_KEY;
use crate::record::{Offset, OwnedRecord, Partition, Position, Stamp};
use crate::score::{Clock, Lane, Outcome};
use crate::sim::expect::{self, Expected, Left};
use crate::sim::names::{BASELINE, REVISIONS};
use crate::sim::scorer;
use crate::watch::{Evidence, Message};

/// Records of the state topic, by the offset that they cover.
type States = BTreeMap<Position, Vec<Rc<OwnedRecord>>>;
/// What is wrong, and which invariant it breaks.
type Findings = Vec<(&'static str, String)>;

/// What the records of a partition come to, one after the other.
struct Fold {
    lane: Lane,
    /// What each record counts as, and the lane's clock before it.
    counted: BTreeMap<Offset, (Stamp, Outcome, Vec<u16>)>,
    clocks: BTreeMap<Offset, Clock>,
    log_end: Offset,
}

impl Fold {
    /// Whether nothing that a lane counts stands between two offsets.
    fn is_empty(&self, from: Offset, to: Offset) -> bool {
        from <= to && self.counted.range(from..to).next().is_none()
    }

    /// A lane that has counted what lies between two offsets.
    fn part(&self, partition: Partition, (from, to): (Offset, Offset), window_ms: u64) -> Lane {
        let clock = self.clocks.range(from..).next().map(|(_, clock)| clock.clone());
        let mut part = Lane::new(BASELINE, partition, from, window_ms);
        part = part.at(clock.unwrap_or_default());
        for (&offset, (stamp, outcome, cells)) in self.counted.range(from..to) {
            part.count(Position { partition, offset }, *stamp, outcome, cells);
        }
        part
    }
}

impl Checker<'_> {
    /// Every state that a lane ever committed, and all that it told the monitor, against a fold of
    /// the input over what became of each record. Under at-least-once a record may have left in two
    /// ways (as it was, and as what ended two processes): which of them its lane counted cannot be
    /// read from the log, and such a partition is not looked at.
    pub(super) fn states(&mut self) {
        let mut states = self.states_of_lanes();
        let mut told = self.told();
        let n = self.cluster.topics[self.cluster.topic(&self.scene.stream.input)].partitions.len();
        let (mut found, mut wrong) = (vec![], vec![]);
        for partition in (0..n as i32).map(Partition) {
            if self.is_ambiguous(partition) {
                states.retain(|at, _| at.partition != partition);
                told.remove(&partition);
                continue;
            }
            let fold = self.fold(partition, &mut states, &mut found);
            let told = told.remove(&partition).unwrap_or_default();
            if self.scene.exactly_once {
                let at = |offset| Position { partition, offset: Offset(offset) };
                let left = self.left.range(at(0)..at(i64::MAX));
                let left = left.map(|(at, left)| (*at, left.as_slice()));
                wrong.extend(revisions::check(left, &told));
            }
            self.evidence(partition, &fold, &told, &mut found);
        }
        // What is left covers an offset at which no record ends.
        found.extend(states.keys().map(|at| (STATE, format!("a state covers {at:?}"))));
        found.into_iter().for_each(|(invariant, what)| self.violated(invariant, what));
        self.found.extend(wrong);
    }

    fn window_ms(&self) -> u64 {
        self.scene.stream.alerts.window.as_millis() as u64
    }

    fn states_of_lanes(&self) -> States {
        let mut states = States::new();
        for (at, record) in self.records(&self.scene.stream.topics.state) {
            if record.key.as_deref() == Some(LANE_KEY) {
                let offset = next_of(record).expect("ours");
                states.entry(Position { offset, ..at }).or_default().push(record.clone());
            }
        }
        states
    }

    /// The evidence of each partition.
    fn told(&self) -> BTreeMap<Partition, Vec<Evidence>> {
        let mut told: BTreeMap<Partition, Vec<Evidence>> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.topics.evidence) {
            if let Message::Evidence(evidence) = read(record) {
                told.entry(evidence.partition).or_default().push(evidence);
            }
        }
        told
    }

    /// Folds the records of a partition, and compares the lane with every state on the way.
    fn fold(&self, partition: Partition, states: &mut States, found: &mut Findings) -> Fold {
        let at = |offset| Position { partition, offset: Offset(offset) };
        let mut lane = Lane::new(BASELINE, partition, Offset(0), self.window_ms());
        let (mut counted, mut clocks) = (BTreeMap::new(), BTreeMap::new());
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
            compare(&lane, *at, states, found);
            lane.count(*at, stamp, &expected.outcome, &cells);
            counted.insert(at.offset, (stamp, expected.outcome, cells));
        }
        let input = &self.cluster.topics[self.cluster.topic(&self.scene.stream.input)];
        let log_end = Offset(input.partitions[partition.0 as usize].end() as i64);
        compare(&lane, at(log_end.0), states, found);
        Fold { lane, counted, clocks, log_end }
    }

    /// What was told of a partition, each piece against the fold of these records alone.
    fn evidence(&self, partition: Partition, fold: &Fold, told: &[Evidence], found: &mut Findings) {
        let mut end = Offset(0);
        for evidence in told {
            let Evidence { from, to, .. } = *evidence;
            if self.scene.exactly_once && !fold.is_empty(end, from) {
                let what = format!("partition {partition}: told up to {end}, then from {from}");
                found.push((EVIDENCE, what));
            }
            // Under at-least-once a zombie may tell again what its successor told.
            end = if self.scene.exactly_once { to } else { end.max(to) };
            let mut parts = vec![];
            fold.part(partition, (from, to), self.window_ms()).drain_evidence(&mut parts);
            if parts.iter().flat_map(|part| &part.windows).ne(&evidence.windows) {
                let what = format!("told {evidence:?} where the fold is {parts:?}");
                found.push((EVIDENCE, what));
            }
        }
        if !fold.is_empty(end, fold.log_end) {
            let next = fold.lane.next();
            let what = format!("partition {partition}: told up to {end}, left up to {next}");
            found.push((EVIDENCE, what));
        }
    }

    /// Whether a record of this partition left in more ways than one.
    pub(super) fn is_ambiguous(&self, partition: Partition) -> bool {
        let of_partition = self.left.iter().filter(|(at, _)| at.partition == partition);
        let ways = |all: &[Left]| {
            let first = all.first().map(|left| expect::text(&left.record));
            all.iter().any(|left| Some(expect::text(&left.record)) != first)
        };
        !self.scene.exactly_once && of_partition.into_iter().any(|(_, all)| ways(all))
    }
}

/// Compares `lane` with the states that cover offsets from its own up to `to`: it may have gone over what no
/// reader is given.
fn compare(lane: &Lane, to: Position, states: &mut States, found: &mut Findings) {
    let from = Position { offset: lane.next(), ..to };
    let covered: Vec<Position> = states.range(from..=to).map(|(at, _)| *at).collect();
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
}
