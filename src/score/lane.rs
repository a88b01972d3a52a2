//! What is remembered of one partition. It is a plain value: no I/O, no clock, no lock.
//!
//! A lane's state holds the next offset, the partition's time, and which log was read. The counts of all records below that
//! offset are in the evidence topic, and were written in the same transaction. A lane that is restored from its state goes on
//! as if it had never stopped.

mod beside;
mod clock;
mod continuity;
mod state;

use self::beside::Beside;
pub use clock::{Clock, Dated};
pub use continuity::{Discontinuity, Survey};
pub use state::State;
use state::VERSION;

use super::Outcome;
use crate::clients::{RowVisit, VisitLog, Visits};
use crate::privacy::Occurrence;
use crate::record::{Action, Extent, Offset, Partition, Position, Stamp, Timestamp};
use crate::watch::{Evidence, Exemplar, Passage, RowGroups, Window, WindowStart};

/// What is remembered of a partition, and what was counted since the last evidence message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    state: State,
    window_ms: u64,
    /// Counts of the offsets from `from` on, by window, ascending.
    from: Offset,
    pending: Vec<Window>,
    /// Evidence that did not fit into one message.
    full: Vec<Evidence>,
    /// No evidence was sent yet.
    begins: bool,
    /// Who sent what, if clients are watched.
    visits: VisitLog,
    beside: Beside,
}

/// A message has at most so many windows. A backlog with few records in each window makes many of them, and a message must
/// not be larger than its topic accepts.
const WINDOWS_MAX: usize = 8;

/// Why a lane cannot be restored from the state topic.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    #[error("partition {partition}: cannot read its state: {reason}")]
    Unreadable { partition: Partition, reason: String },
    #[error(
        "partition {partition}: its state is version {got}; this build reads {VERSION}: run \
         the build that wrote it, or a newer one"
    )]
    Version { partition: Partition, got: u32 },
    #[error(
        "partition {partition}: the group committed {committed}, but there is no state: the state \
         topic was emptied, or the group's offsets are another program's"
    )]
    Missing { partition: Partition, committed: Offset },
    #[error(
        "partition {partition}: its state covers offsets below {covered}, but the group committed \
         {committed}: records would not be counted; if the group's offsets were moved by hand, move \
         this one back to {covered}"
    )]
    Mismatch { partition: Partition, covered: Offset, committed: Offset },
    #[error(
        "partition {partition}: its state covers offsets below {covered}, but the group has no offset: \
         the input topic was made anew, or the group's offset expired or was deleted; only if the topic \
         is still the same, give the group {covered} by hand"
    )]
    NoOffset { partition: Partition, covered: Offset },
    #[error("partition {partition}: it was read up to offset {next}, and {gone}")]
    Discontinuous { partition: Partition, next: Offset, gone: Discontinuity },
}

impl Lane {
    /// A lane that begins at `next`, with nothing counted.
    pub fn new(baseline: &str, partition: Partition, next: Offset, window_ms: u64) -> Self {
        let state = State::new(baseline, partition, next, Clock::default());
        let (pending, full, beside) = Default::default();
        let visits = VisitLog::new(next);
        Self { state, window_ms, from: next, pending, full, begins: true, visits, beside }
    }

    /// This lane with the partition's time.
    pub fn at(self, clock: Clock) -> Self {
        Self { state: State { clock, ..self.state }, ..self }
    }

    /// This lane, reading this log from now on.
    pub fn of_log(self, log: Extent) -> Self {
        Self { state: State { log: Some(log), ..self.state }, ..self }
    }

    /// From now on records are counted under another baseline. Nothing may be pending: it was sent before.
    pub fn adopt(&mut self, baseline: &str) {
        debug_assert!(self.pending.is_empty() && self.full.is_empty(), "counts of two baselines");
        self.state.baseline = baseline.to_owned();
    }

    /// A lane as its last commit left it. State of another baseline keeps its offset and its time. The lane goes on at the
    /// state's offset, also if the group reports an older one: see [`begin_lane`](crate::deliver::begin_lane).
    ///
    /// # Errors
    /// If the bytes cannot be read, or if the group committed a later offset.
    pub fn restore(
        bytes: &[u8],
        baseline: &str,
        partition: Partition,
        committed: Offset,
        window_ms: u64,
    ) -> Result<Self, LaneError> {
        let state = State::read(bytes, partition)?;
        let covered = state.next;
        if covered < committed || state.partition != partition {
            return Err(LaneError::Mismatch { partition, covered, committed });
        }
        Ok(Self::of(state, baseline, window_ms))
    }

    /// A lane that goes on at the state's offset, whatever the group committed. Under at-least-once the offset is committed
    /// after the state, and may be older.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    pub fn covering(
        bytes: &[u8],
        baseline: &str,
        partition: Partition,
        window_ms: u64,
    ) -> Result<Self, LaneError> {
        Ok(Self::of(State::read(bytes, partition)?, baseline, window_ms))
    }

    fn of(state: State, baseline: &str, window_ms: u64) -> Self {
        let State { partition, next, clock, log, outputs, .. } = state;
        let lane = Self::new(baseline, partition, next, window_ms).at(clock);
        Self { state: State { log, outputs, ..lane.state }, ..lane }
    }

    /// The value for the state topic: some hundred bytes of JSON.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state).expect("plain data")
    }

    pub fn partition(&self) -> Partition {
        self.state.partition
    }

    /// The next input offset.
    pub fn next(&self) -> Offset {
        self.state.next
    }

    /// The partition's time at that offset.
    pub fn clock(&self) -> &Clock {
        &self.state.clock
    }

    /// The log that is read, as it was when the brokers were last asked.
    pub fn log(&self) -> Option<&Extent> {
        self.state.log.as_ref()
    }

    /// Takes what the brokers said of the log.
    pub fn look(&mut self, log: Extent) {
        self.state.log = Some(log);
    }

    /// Where the output partition with the same number in `topic` ended when the brokers were last asked.
    pub fn output(&self, topic: &str) -> Option<&Extent> {
        self.state.outputs.get(topic)
    }

    /// Takes what the brokers said of that.
    pub fn look_output(&mut self, topic: &str, extent: Extent) {
        match self.state.outputs.get_mut(topic) {
            Some(known) => *known = extent,
            None => drop(self.state.outputs.insert(topic.to_owned(), extent)),
        }
    }

    /// The record before the next offset was appended in `leader_epoch`. So the log reaches at least to there, whatever the
    /// brokers said before.
    pub fn reach(&mut self, leader_epoch: Option<i32>) {
        let next = self.state.next;
        if let Some(log) = self.state.log.as_mut().filter(|log| log.end < next) {
            (log.end, log.leader_epoch) = (next, leader_epoch.or(log.leader_epoch));
        }
    }

    /// Goes on at `next`: all between are offsets that readers never see (markers of transactions, aborted records).
    ///
    /// # Panics
    /// If `next` is behind: that is our bug.
    pub fn pass_over(&mut self, next: Offset) {
        assert!(next >= self.state.next, "back to {next}");
        self.state.next = next;
    }

    /// Goes on at `next`, which may be behind, in another log. What was read and not committed is forgotten.
    pub fn go_on(&mut self, next: Offset, log: Extent) {
        let State { baseline, partition, clock, outputs, .. } = self.state.clone();
        let lane = Self::new(&baseline, partition, next, self.window_ms).at(clock).of_log(log);
        *self = Self { state: State { outputs, ..lane.state }, ..lane };
    }

    /// Counts the outcome of the record at `position`, and the `cells` of its rows. Returns its window. Records come in order;
    /// offsets may have gaps (transaction markers, compaction).
    ///
    /// # Panics
    /// If the record is of another partition, or was counted before: that is our bug.
    pub fn count(
        &mut self,
        position: Position,
        stamp: Stamp,
        outcome: &Outcome,
        cells: &[u16],
    ) -> WindowStart {
        self.count_with(position, stamp, outcome, cells, (&[], 1))
    }

    /// Counts a record as [`Lane::count`] does, and its rows in spans of `every_ms`.
    ///
    /// # Panics
    /// As [`Lane::count`].
    pub fn count_with(
        &mut self,
        position: Position,
        stamp: Stamp,
        outcome: &Outcome,
        cells: &[u16],
        (groups, every_ms): (&[Occurrence], i64),
    ) -> WindowStart {
        assert_eq!(position.partition, self.state.partition);
        assert!(position.offset >= self.state.next, "offset {} twice", position.offset);
        let Dated { window, misdated } = self.state.clock.date(stamp, self.window_ms);
        let (start, day) = (window, Timestamp(window.0 - window.0.rem_euclid(every_ms)));
        let window = self.open(window, position.offset);
        let counts = &mut window.tally.counts;
        counts.misdated += u64::from(misdated);
        match outcome.judged {
            Err(_) => counts.faults += 1,
            Ok(_) if outcome.unscored => {}
            Ok(verdict) => {
                counts.rows += 1;
                counts.imputed += u64::from(outcome.imputed);
                counts.flagged += u64::from(verdict.action != Action::Pass);
                counts.corrected += u64::from(verdict.action == Action::Correct);
                counts.quarantined += u64::from(verdict.action == Action::Quarantine);
                if verdict.action != Action::Pass {
                    window.first_flagged.get_or_insert(position.offset);
                    if let Some(oddity) = outcome.oddity {
                        let Position { partition, offset } = position;
                        let p = Exemplar::billionths(verdict.p);
                        window.exemplars.offer(Exemplar { p, partition, offset, oddity });
                        oddity.cell().into_iter().for_each(|at| window.tally.oddities.push(at));
                    }
                }
            }
        }
        cells.iter().for_each(|&cell| window.tally.cells.push(cell.into()));
        self.beside.count(outcome.destination, day, groups);
        self.state.next = position.offset.next();
        start
    }

    /// Remembers who sent the record at `offset`, which was counted in `window`.
    pub fn visit(
        &mut self,
        window: WindowStart,
        offset: Offset,
        visits: impl Iterator<Item = RowVisit>,
    ) {
        let State { baseline, partition, clock, .. } = &self.state;
        self.visits.add(window, visits, offset, || (baseline.clone(), *partition, clock.head()));
    }

    /// The visits since the last call, as [`Lane::drain_evidence`] gives evidence.
    pub fn drain_visits(&mut self, into: &mut Vec<Visits>) {
        let State { baseline, partition, clock, next, .. } = &self.state;
        self.visits.drain(*next, || (baseline.clone(), *partition, clock.head()), into);
    }

    /// Evidence of everything since the last call: each message the offsets after those of the one
    /// before.
    pub fn drain_evidence(&mut self, into: &mut Vec<Evidence>) {
        into.append(&mut self.full);
        if !self.pending.is_empty() {
            let evidence = self.cut(self.state.next);
            into.push(evidence);
        }
        self.from = self.state.next;
    }

    /// What was counted beside the windows in the offsets of the last [`Lane::drain_evidence`].
    pub fn drain_beside(&mut self) -> Vec<(Passage, RowGroups)> {
        self.beside.drain()
    }

    /// The window, among those of the message that is being counted; of the next one if it is full.
    fn open(&mut self, window: WindowStart, offset: Offset) -> &mut Window {
        let find = |pending: &[Window]| pending.binary_search_by_key(&window, |w| w.window);
        let at = match find(&self.pending) {
            Ok(at) => return &mut self.pending[at],
            Err(_) if self.pending.len() == WINDOWS_MAX => {
                let evidence = self.cut(offset);
                self.full.push(evidence);
                0
            }
            Err(at) => at,
        };
        self.pending.insert(at, Window::empty(window));
        &mut self.pending[at]
    }

    fn cut(&mut self, to: Offset) -> Evidence {
        let (from, begins) = (std::mem::replace(&mut self.from, to), self.begins);
        self.begins = false;
        self.beside.cut(self.state.partition, (from, to), begins);
        Evidence {
            baseline: self.state.baseline.clone(),
            partition: self.state.partition,
            from,
            to,
            begins,
            head: Some(self.state.clock.head()),
            read_out: false,
            windows: std::mem::take(&mut self.pending),
        }
    }
}

#[cfg(test)]
mod tests;
