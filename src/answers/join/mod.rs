//! The join of requests and answers: it reads halves, pairs them by id, and counts pairs by window.
//!
//! The counts depend only on the topic. Batches, restarts and the order of the two sides change no count, with two
//! exceptions: a half that comes twice, and halves that are given up because too many wait.
//!
//! Halves that wait are not in the state topic. After a restart the join reads them again from `low`: the first offset of an
//! id that is not over yet.
//!
//! The join cannot see an answer whose id nobody logs. It cannot tell two records apart that have the same id within the
//! horizon.

mod compare;
mod pending;
mod waits;

use serde::{Deserialize, Serialize};

use self::compare::{Pair, count_pair};
use self::pending::{IdFate, Meeting, Pending};
pub use self::waits::{WAIT_OCTAVES, Waits};
use super::half::{Half, HalfOf, JoinValue};
use crate::alarm::WindowStart;
use crate::record::{Offset, Timestamp};
use crate::watch::answers::{ORPHANS, UNANSWERED};
use crate::watch::{JoinEvidence, JoinWindow, Message};

/// How halves are matched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JoinSettings {
    /// How far apart two halves may be, and after how long one is given up.
    pub horizon_ms: i64,
    pub window_ms: i64,
    /// Halves of a side that wait at a time, and ids that are remembered. Beyond, the oldest are given up, and a restart may
    /// count some of their halves in another way: that is what a bound costs.
    pub pending_max: usize,
    pub ids_max: usize,
    /// A row is compared where the own model's largest probabilities are further apart than this.
    pub margin: f32,
}

/// The reader of a join topic.
#[derive(Clone, Debug)]
pub struct Join {
    settings: JoinSettings,
    next: Offset,
    /// Counts from this offset on are not in a message yet.
    from: Offset,
    /// No message was made yet.
    begins: bool,
    /// After a restart: where the join began to read again. `None` once it has reached `next`.
    again: Option<Offset>,
    /// A tick was read since the last message: then the next one is due.
    due: bool,
    pending: Pending,
    windows: Vec<JoinWindow>,
    counts: Tallied,
}

/// What the join did since this process began: halves that it read, windows that it sent, halves that it gave up, and how
/// long answers took.
#[derive(Clone, Copy, Debug, Default)]
struct Tallied {
    halves: u64,
    windows: u64,
    given_up: u64,
    waits: Waits,
}

/// What is written to the state topic, beside `next` and `low`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct JoinState {
    version: u32,
    /// The time before `low`.
    clock: Timestamp,
    /// From this offset on, counts are not in a message yet.
    from: Offset,
    windows: Vec<JoinWindow>,
    /// A tick was read since the last message.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    due: bool,
}

/// Format version that this build writes and reads.
const VERSION: u32 = 1;

impl Join {
    /// One that has read nothing.
    pub fn new(settings: JoinSettings) -> Self {
        let pending = Pending::new(settings);
        let (next, from) = (Offset(0), Offset(0));
        Self {
            settings,
            next,
            from,
            begins: true,
            again: None,
            due: false,
            pending,
            windows: vec![],
            counts: Tallied::default(),
        }
    }

    /// The next offset that is counted.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// A restart reads again from this offset up to `next`, and counts nothing there.
    pub fn low(&self) -> Offset {
        self.again.or(self.pending.low()).unwrap_or(self.next).min(self.next)
    }

    /// Halves that were read, windows that were sent and halves that were given up, since this process began.
    pub fn counts(&self) -> (u64, u64, u64) {
        let Tallied { halves, windows, given_up, .. } = self.counts;
        (halves, windows, given_up)
    }

    /// How long answers took, since this process began.
    pub fn waits(&self) -> Waits {
        self.counts.waits
    }

    /// The time of the last tick that was read.
    pub fn clock(&self) -> Timestamp {
        self.pending.clock()
    }

    /// Halves that wait for their other half.
    pub fn waiting(&self) -> usize {
        self.pending.waiting()
    }

    /// Reads the value at `offset`. A value below `next` was counted before: its halves wait again, and nothing is counted.
    ///
    /// # Errors
    /// If no role of ours wrote the value. It is passed over.
    pub fn take(&mut self, offset: Offset, value: &[u8]) -> Result<(), String> {
        let silent = offset < self.next;
        self.again.take_if(|_| offset.next() >= self.next);
        let read = JoinValue::read(value).map_err(|error| error.to_string());
        if read.is_ok() {
            self.skip(offset);
        }
        match read? {
            JoinValue::Tick(at) => self.tick(offset, at, silent),
            JoinValue::Halves(halves) => {
                halves.for_each(|half| self.half(offset, &half, silent));
            }
        }
        Ok(())
    }

    /// Passes over the record at `offset`.
    pub fn skip(&mut self, offset: Offset) {
        self.again.take_if(|_| offset.next() >= self.next);
        self.next = self.next.max(offset.next());
    }

    /// Makes a message of the counts since the last one, at most once per tick: nobody waits for the count of a single half.
    pub fn drain(&mut self, out: &mut Vec<Message>) {
        if !self.due || self.windows.is_empty() {
            return;
        }
        let windows = std::mem::take(&mut self.windows);
        let from = std::mem::replace(&mut self.from, self.next);
        let begins = std::mem::replace(&mut self.begins, false);
        self.due = false;
        self.counts.windows += windows.len() as u64;
        out.push(Message::Answers(JoinEvidence { from, to: self.next, begins, windows }));
    }

    /// What goes to the state topic, beside `next` and `low`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { from, windows, due, .. } = self;
        let clock = self.pending.clock_before(self.low());
        let (version, windows) = (VERSION, windows.clone());
        let state = JoinState { version, clock, from: *from, windows, due: *due };
        serde_json::to_vec(&state).expect("plain data")
    }

    /// The join at its last commit. It has not read `low..next` again yet.
    ///
    /// # Errors
    /// If the state cannot be read.
    pub fn restore(&self, next: Offset, low: Offset, state: &[u8]) -> Result<Self, String> {
        let state: JoinState = serde_json::from_slice(state).map_err(|error| error.to_string())?;
        if state.version != VERSION {
            let version = state.version;
            return Err(format!("state of version {version}; this build reads {VERSION}"));
        }
        let mut restored = Self::new(self.settings);
        restored.pending.begin_at(low, state.clock);
        restored.again = Some(low);
        (restored.next, restored.from) = (next, state.from);
        (restored.windows, restored.due) = (state.windows, state.due);
        Ok(restored)
    }

    /// The join, going on at `next` with nothing to read again: halves that wait are forgotten, counts stay.
    #[must_use]
    pub fn starting_at(mut self, next: Offset) -> Self {
        let clock = self.pending.clock();
        self.pending = Pending::new(self.settings);
        self.pending.begin_at(next, clock);
        (self.next, self.from, self.again) = (next, next, None);
        self
    }

    /// A join with these settings that goes on where `last` is: its halves and its counts.
    #[must_use]
    pub fn succeeding(self, last: &Self) -> Self {
        let pending = last.pending.clone().under(self.settings);
        Self { settings: self.settings, pending, ..last.clone() }
    }

    fn tick(&mut self, offset: Offset, at: Timestamp, silent: bool) {
        for (fate, at) in self.pending.tick(offset, at) {
            if silent {
                continue;
            }
            let window = self.window(Timestamp(at.0.saturating_add(self.settings.horizon_ms)));
            match fate {
                IdFate::Answered => {
                    window.counts.settled += 1;
                    window.cells.push(UNANSWERED.start);
                    window.cells.push(ORPHANS.start);
                }
                IdFate::Unanswered => {
                    window.counts.unanswered += 1;
                    window.cells.push(UNANSWERED.start + 1);
                }
                IdFate::Orphan => {
                    window.counts.orphan += 1;
                    window.cells.push(ORPHANS.start + 1);
                }
            }
        }
        self.due |= !silent;
    }

    fn half(&mut self, offset: Offset, half: &Half<'_>, silent: bool) {
        let met = self.pending.meet(offset, half);
        if silent {
            return;
        }
        self.counts.halves += 1;
        let margin = self.settings.margin;
        match met {
            Meeting::Waits { given_up } => {
                self.counts.given_up += given_up.len() as u64;
                given_up.into_iter().for_each(|at| self.window(at).counts.given_up += 1);
            }
            Meeting::Doubled => self.window(half.at).counts.doubled += 1,
            Meeting::Late => self.window(half.at).counts.late += 1,
            Meeting::Pair(other) => {
                let paired = match half.of {
                    HalfOf::Answer { .. } => Pair::new(&other.as_half(half.id), half),
                    HalfOf::Request { .. } => Pair::new(half, &other.as_half(half.id)),
                };
                self.counts.waits.add(paired.waited_ms());
                count_pair(&paired, margin, self.window(paired.answer_at));
            }
        }
    }

    fn window(&mut self, at: Timestamp) -> &mut JoinWindow {
        let start: WindowStart =
            Timestamp(at.0.saturating_sub(at.0.rem_euclid(self.settings.window_ms)));
        let found = self.windows.binary_search_by_key(&start, |window| window.window);
        let at = found.unwrap_or_else(|at| {
            self.windows.insert(at, JoinWindow::empty(start));
            at
        });
        &mut self.windows[at]
    }
}

#[cfg(test)]
mod tests;
