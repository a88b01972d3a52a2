//! The memory of one partition: a plain value, without I/O, clock or lock.
//!
//! Holds the next offset and the counts of the windows still open; nothing else. State at offset
//! `o` is a function of the epoch and the records below `o`, whenever and wherever it was written:
//! a lane restored from it goes on as if nothing had happened.

use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::record::{Action, Offset, Partition, Position, Timestamp};
use crate::watch::{Counts, Evidence, WindowStart};

/// One partition's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    state: State,
    window_ms: u64,
    /// Windows whose counts changed since [`Lane::drain_evidence`], and evidence of windows that
    /// were pushed out.
    dirty: Vec<WindowStart>,
    pushed_out: Vec<Evidence>,
}

/// What is written to the state topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Format version, [`VERSION`].
    version: u32,
    epoch: String,
    partition: Partition,
    /// The next input offset: everything below it is in the outputs and in the counts.
    next: Offset,
    /// Open windows, oldest first, at most [`WINDOWS_OPEN_MAX`].
    open: Vec<Open>,
}

/// Counts of a window over the offsets `from..to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    window: WindowStart,
    from: Offset,
    to: Offset,
    counts: Counts,
    first_flagged: Option<Offset>,
}

/// Format version this build writes, and the newest it reads.
const VERSION: u32 = 1;

/// Windows kept open per partition. Records of a partition are nearly in order of time; one that
/// belongs to an older window opens it again, as evidence of its own.
const WINDOWS_OPEN_MAX: usize = 4;

/// The end of the year 9999.
const TIMESTAMP_MAX: i64 = 253_402_300_799_999;

/// Why a lane cannot go on from what the state topic holds.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    #[error("partition {partition}: cannot read its state: {reason}")]
    Unreadable { partition: Partition, reason: String },
    #[error(
        "partition {partition}: its state is version {got}; this build reads 1 to {VERSION}: run \
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
    #[error(
        "partition {partition}: it was read up to {next}, but ends at {end}: the input topic was made \
         anew, or lost its newest records; what comes below {next} would be passed over"
    )]
    Beyond { partition: Partition, next: Offset, end: Offset },
}

impl Lane {
    /// A lane that starts at `next` with nothing counted.
    pub fn new(epoch: &str, partition: Partition, next: Offset, window_ms: u64) -> Self {
        let state = State { version: VERSION, epoch: epoch.into(), partition, next, open: vec![] };
        Self { state, window_ms, dirty: vec![], pushed_out: vec![] }
    }

    /// A lane as its last commit left it. State of another epoch keeps its offset and forgets its
    /// counts: they were judged by other knowledge. It goes on where the state ends, also if the group
    /// tells an older offset: see [`begin_lane`](crate::deliver::begin_lane).
    ///
    /// # Errors
    /// If the bytes cannot be read or do not cover all that the group committed.
    pub fn restore(
        bytes: &[u8],
        epoch: &str,
        partition: Partition,
        committed: Offset,
        window_ms: u64,
    ) -> Result<Self, LaneError> {
        let state = State::read(bytes, partition)?;
        let covered = state.next;
        if covered < committed || state.partition != partition {
            return Err(LaneError::Mismatch { partition, covered, committed });
        }
        Ok(Self::of(state, epoch, window_ms))
    }

    /// A lane that goes on where its state ends, whatever the group committed: under at-least-once
    /// offsets are written after the state that covers them, and may lag behind it.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    pub fn covering(
        bytes: &[u8],
        epoch: &str,
        partition: Partition,
        window_ms: u64,
    ) -> Result<Self, LaneError> {
        Ok(Self::of(State::read(bytes, partition)?, epoch, window_ms))
    }

    fn of(state: State, epoch: &str, window_ms: u64) -> Self {
        if state.epoch != epoch {
            return Self::new(epoch, state.partition, state.next, window_ms);
        }
        Self { state, window_ms, dirty: vec![], pushed_out: vec![] }
    }

    /// What goes to the state topic: a few hundred bytes of JSON.
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

    /// Counts what became of the record at `position`. Records come in order; offsets may have
    /// gaps (transaction markers, compaction).
    ///
    /// # Panics
    /// If the record is not of this partition, or was settled before: that is our bug.
    pub fn settle(&mut self, position: Position, timestamp: Timestamp, outcome: &Outcome) {
        assert_eq!(position.partition, self.state.partition);
        assert!(position.offset >= self.state.next, "offset {} twice", position.offset);
        self.state.next = position.offset.next();
        let open = self.open(self.window_of(timestamp), position.offset);
        open.to = position.offset.next();
        match outcome.judged {
            Err(_) => open.counts.faults += 1,
            Ok(_) if outcome.unscored => {}
            Ok(verdict) => {
                open.counts.rows += 1;
                if verdict.action != Action::Pass {
                    open.counts.flagged += 1;
                    open.first_flagged.get_or_insert(position.offset);
                }
                open.counts.corrected += u64::from(verdict.action == Action::Correct);
                open.counts.quarantined += u64::from(verdict.action == Action::Quarantine);
            }
        }
    }

    /// Evidence of every window that changed since the last call, oldest window first: the judge
    /// takes a later window as the sign that earlier ones are complete.
    pub fn drain_evidence(&mut self, into: &mut Vec<Evidence>) {
        let start = into.len();
        into.append(&mut self.pushed_out);
        let dirty = std::mem::take(&mut self.dirty);
        let changed = self.state.open.iter().filter(|open| dirty.contains(&open.window));
        into.extend(changed.map(|open| self.evidence(open)));
        into[start..].sort_by_key(|evidence| (evidence.window, evidence.from));
    }

    fn open(&mut self, window: WindowStart, offset: Offset) -> &mut Open {
        if !self.dirty.contains(&window) {
            self.dirty.push(window);
        }
        let open = &mut self.state.open;
        let at = match open.binary_search_by_key(&window, |open| open.window) {
            Ok(at) => at,
            Err(mut at) => {
                let counts = Counts::default();
                let fresh = Open { window, from: offset, to: offset, counts, first_flagged: None };
                open.insert(at, fresh);
                if open.len() > WINDOWS_OPEN_MAX {
                    // The oldest goes, unless it is the one this record needs.
                    let oldest = usize::from(at == 0);
                    let gone = self.state.open.remove(oldest);
                    at -= usize::from(oldest < at);
                    if let Some(i) = self.dirty.iter().position(|&w| w == gone.window) {
                        self.dirty.remove(i);
                        let evidence = self.evidence(&gone);
                        self.pushed_out.push(evidence);
                    }
                }
                at
            }
        };
        &mut self.state.open[at]
    }

    fn evidence(&self, open: &Open) -> Evidence {
        Evidence {
            epoch: self.state.epoch.clone(),
            partition: self.state.partition,
            window: open.window,
            from: open.from,
            to: open.to,
            counts: open.counts,
            first_flagged: open.first_flagged,
        }
    }

    fn window_of(&self, timestamp: Timestamp) -> WindowStart {
        let length = self.window_ms as i64;
        // Kafka's "no timestamp" is −1; it lands in the first window of all. A producer may write
        // any 64 bits; no window begins where adding its length would overflow.
        let at = timestamp.0.clamp(0, TIMESTAMP_MAX);
        Timestamp(at - at % length)
    }
}

impl State {
    /// What a lane wrote, whatever version it had.
    ///
    /// # Errors
    /// If the bytes cannot be read, or a newer build wrote them.
    pub fn read(bytes: &[u8], partition: Partition) -> Result<Self, LaneError> {
        let unreadable =
            |e: serde_json::Error| LaneError::Unreadable { partition, reason: e.to_string() };
        #[derive(Deserialize)]
        struct VersionOnly {
            version: u32,
        }
        let VersionOnly { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
        // Whoever raises VERSION keeps today's struct under a name of its own and adds a line:
        // `1 => serde_json::from_slice::<StateV1>(bytes).map_err(unreadable).map(Self::from)`.
        match version {
            VERSION => serde_json::from_slice(bytes).map_err(unreadable),
            got => Err(LaneError::Version { partition, got }),
        }
    }

    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The next input offset: it covers those below.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// How many windows are open.
    pub fn windows(&self) -> usize {
        self.open.len()
    }

    /// Counts of the open windows together.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        self.open.iter().for_each(|open| counts.add(&open.counts));
        counts
    }
}

#[cfg(test)]
mod tests;
