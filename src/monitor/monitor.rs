//! Evidence → incidents. One monitor per stream, whatever the number of lanes and workers.
//!
//! The monitor is a pure function of the evidence topic. The same messages in the same order give the same alerts, live or in
//! replay. It adds up the counts of each window, over all partitions or per partition. It closes a window when every
//! partition is past it, is empty or has no worker. Then it passes the counts to the watches.
//!
//! The result does not depend on how workers batch, commit and interleave. This holds for any record timestamps, as long as
//! an attacker writes fewer than half of any 63 timestamps of a partition (`tests/core/determinism.rs`).
//!
//! The clock bounds the time of a partition, so no timestamp hides a row. A row with a time ahead of the clock counts
//! in the current window. So does a row that comes after its window closed. The monitor does not wait for a partition that is
//! read to its end and whose records are old. Every row is counted once.
//!
//! While a bundle is rolled out, workers of two bundles send evidence. Counts of records, of flagged and of unreadable ones
//! mean the same under both bundles, so both are added. Counts of cells are added only from workers of our own bundle
//! (`bundles.rs`).

mod answers;
mod bundles;
mod clients;
mod lineage;
mod panels;
mod quasi;
mod rules;
mod state;
mod windows;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::panels::Said;
use self::state::Open;
pub use self::state::{MonitorError, State};
use super::incident::Past;
use super::incidents::Fired;
use crate::monitor::{About, Alert, Cause, Finding, LineageEvent, LineageFacts};
use crate::privacy::QuasiPlan;
use crate::record::{Extent, Offset, Partition, Schema, Timestamp};
use crate::watch::{
    Evidence, Heard, Message, Presence, Signals, Tally, Terms, Transition, WindowStart,
};

/// Monitor of one stream.
#[derive(Clone, Debug)]
pub struct Monitor {
    frame: Arc<Frame>,
    state: State,
    /// Windows that closed and were not taken yet. Empty unless [`Monitor::keeping_windows`] asked for them.
    closed: Option<Vec<(WindowStart, Tally)>>,
    /// Events of lineage that are to be written.
    events: Vec<LineageEvent>,
    /// The state has the run of the frame's facts.
    has_run: bool,
}

/// What a monitor knows before its first message. It is constant for a baseline.
#[derive(Clone, Debug)]
pub struct Frame {
    pub about: About,
    pub terms: Terms,
    /// Of pairs of own and deployed answers, if those are watched.
    pub answers: Option<Terms>,
    pub signals: Signals,
    pub schema: Schema,
    /// If no record comes for this long, that is an incident.
    pub no_data_ms: Option<u64>,
    /// Whether each partition is watched by itself, under the same budget.
    pub per_partition: bool,
    /// Sets of features whose groups are counted.
    pub quasi: Option<Arc<QuasiPlan>>,
    /// What lineage events say of the stream, if they are written.
    pub lineage: Option<Arc<LineageFacts>>,
}

/// Windows that may begin after the clock's last tick: there are two ticks in a window.
const AHEAD_WINDOWS: i64 = 2;
/// Closed windows that are remembered: an incident counts the rows since its change point.
const PAST_MAX: i64 = 64;
/// How many windows may be open, and how many cells they may have in all. With panels per partition, a window counts once
/// per partition. The state must stay below the megabyte that a topic takes by default.
const WINDOWS_MAX: usize = 512;
const CELLS_MAX: usize = 64 << 10;

impl Monitor {
    /// A monitor that has read no message.
    pub fn new(frame: Arc<Frame>) -> Self {
        let state = State::fresh(&frame);
        Self { frame, state, closed: None, events: vec![], has_run: false }.watch_answers(vec![]).0
    }

    /// The monitor as its last commit left it. State of another baseline is converted where possible. Incidents
    /// that no watch follows any more are resolved with that reason. Returns those alerts.
    ///
    /// # Errors
    /// If the bytes cannot be read or do not cover all that the group committed.
    pub fn restore(
        self,
        bytes: &[u8],
        committed: Offset,
    ) -> Result<(Self, Vec<Alert>), MonitorError> {
        let state = State::read(bytes)?;
        if state.next < committed {
            return Err(MonitorError::Mismatch { covered: state.next, committed });
        }
        Ok(self.after(state))
    }

    /// Restores a monitor and goes on where its state ends, whatever the group committed. Under at-least-once, offsets are
    /// written after the state and may lag behind it.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    pub fn covering(self, bytes: &[u8]) -> Result<(Self, Vec<Alert>), MonitorError> {
        Ok(self.after(State::read(bytes)?))
    }

    /// This monitor, which goes on from the state of `last`, and alerts about incidents that no watch follows any more.
    pub fn succeeding(self, last: &Self) -> (Self, Vec<Alert>) {
        let log = last.state.log.clone();
        let (mut next, ended) = self.after(last.state.clone());
        next.state.log = log;
        next.events.clone_from(&last.events);
        (next, ended)
    }

    fn after(self, state: State) -> (Self, Vec<Alert>) {
        let (next, ended) = self.going_on(state);
        next.watch_answers(ended)
    }

    fn going_on(mut self, state: State) -> (Self, Vec<Alert>) {
        if state.baseline != self.frame.about.baseline {
            return self.under(state);
        }
        if state.fits(&self.frame) {
            self.state = state;
            return (self, vec![]);
        }
        self.state.clock = state.clock;
        self.state.next = state.next;
        self.state.lineage.clone_from(&state.lineage);
        let ended = self.end(&state, "what is watched was changed");
        (self, ended)
    }

    /// Alerts about incidents that were open in `state` and that no watch follows any more.
    pub fn end(&self, state: &State, note: &str) -> Vec<Alert> {
        state.incidents.abandon(&self.frame.about, note)
    }

    /// This monitor, which reads the message at `next` first.
    pub fn starting_at(mut self, next: Offset) -> Self {
        self.state.next = next;
        self
    }

    /// This monitor, which reads the evidence topic of this extent.
    pub fn of_log(mut self, log: Extent) -> Self {
        self.state.log = Some(log);
        self
    }

    /// The extent of the evidence topic when it was last asked for.
    pub fn log(&self) -> Option<&Extent> {
        self.state.log.as_ref()
    }

    /// Notes the extent of the evidence topic.
    pub fn look(&mut self, log: Extent) {
        self.state.log = Some(log);
    }

    /// This monitor, which keeps the counts of every window that closes for [`Monitor::drain_closed`].
    pub fn keeping_windows(mut self) -> Self {
        self.closed = Some(vec![]);
        self
    }

    /// The windows that closed since this was last called, in the order in which they did.
    pub fn drain_closed(&mut self) -> Vec<(WindowStart, Tally)> {
        self.closed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Windows that start before this are closed.
    pub fn frontier(&self) -> WindowStart {
        self.state.frontier
    }

    /// Passes over a message without content.
    pub fn skip(&mut self, offset: Offset) {
        self.state.next = offset.next();
    }

    /// What goes to the state topic.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state).expect("plain data")
    }

    /// The next offset of the evidence topic.
    pub fn next(&self) -> Offset {
        self.state.next
    }

    /// The digest of the bundle and the budget that this monitor uses.
    pub fn baseline(&self) -> &str {
        &self.frame.about.baseline
    }

    /// All rows before this time are judged: the clock, or the start of the oldest open window.
    pub fn judged_until(&self) -> Timestamp {
        self.oldest_open().map_or(self.state.clock, |window| window.min(self.state.clock))
    }

    pub fn is_firing(&self) -> bool {
        self.state.incidents.open().next().is_some()
    }

    /// Takes the message at `offset` of the evidence topic.
    pub fn take(&mut self, offset: Offset, message: &Message, alerts: &mut Vec<Alert>) {
        self.begin_run(offset);
        self.state.next = offset.next();
        match message {
            Message::Tick(tick) => self.tick(tick.at),
            Message::Presence(presence) => self.hear_of(presence),
            Message::Stall(stall) => self.hear_stall(stall),
            Message::Loss(loss) => self.hear_loss(loss, alerts),
            Message::Reference(reference) => {
                self.state.know(&reference.baseline, reference.usual())
            }
            Message::Evidence(evidence) => self.hear(evidence),
            Message::Clients(told) => self.hear_clients(told, alerts),
            Message::Answers(said) => self.hear_answers(said),
            Message::Quasi(quasi) => self.hear_quasi(quasi),
            Message::Passage(passage) => self.hear_passage(passage),
        }
        self.close_windows(alerts);
        self.close_answers(alerts);
        // Samples come before the counts that say where their partition is.
        if !matches!(message, Message::Quasi(_)) {
            self.close_days(alerts);
        }
        self.check_no_data(alerts);
        self.check_stalls(alerts);
        self.check_losses(alerts);
        self.forget_clients(alerts);
        if matches!(message, Message::Tick(_)) {
            self.tell_lineage();
        }
    }

    fn tick(&mut self, at: Timestamp) {
        if self.state.clock == Timestamp(0) {
            // A partition with a message before the first tick counts as heard at that tick.
            self.state.partitions.values_mut().for_each(|heard| heard.begin_at(at));
        }
        self.state.clock = self.state.clock.max(at);
        self.fold_future();
    }

    fn hear_of(&mut self, presence: &Presence) {
        let heard = self.heard(presence.partition);
        heard.quiet = presence.quiet;
    }

    /// The entry of a partition whose message was read last.
    fn heard(&mut self, partition: Partition) -> &mut Heard {
        let at = self.state.clock;
        let unknown = Heard::unknown(at);
        let known = self.state.partitions.len();
        self.state.partitions.entry(partition).or_insert(unknown).at = at;
        if let Some(lost) = self.state.lost.get_mut(&partition).filter(|lost| lost.loss.waits) {
            (lost.loss.waits, lost.at) = (false, at);
        }
        if self.state.partitions.len() > known {
            self.trim();
        }
        self.state.partitions.get_mut(&partition).expect("it is there now")
    }

    fn hear(&mut self, evidence: &Evidence) {
        let Evidence { partition, from, to, begins, ref windows, .. } = *evidence;
        let heard = self.heard(partition);
        if heard.quiet || begins {
            // Its next messages belong to another burst.
            heard.read_since = None;
        }
        heard.quiet = false;
        let repeated = (from, to) == (heard.from, heard.to);
        if repeated || from < heard.to && !begins {
            return;
        }
        // An older build did not write the partition's time.
        let newest = windows.iter().map(|window| window.window).fold(heard.newest, Ord::max);
        heard.hear((from, to), evidence.head.unwrap_or(newest), evidence.read_out);
        // It has moved, whichever worker has it now.
        self.state.stalled.remove(&partition);
        self.state.record_at = Some(self.state.clock);
        let (slot, current) = (self.slot(partition), self.current());
        let others = (evidence.baseline != self.frame.about.baseline)
            .then(|| self.state.usual_of(&evidence.baseline));
        for window in windows {
            // What is late counts in the current window.
            let at = if window.window >= self.state.frontier { window.window } else { current };
            self.state.windows.entry(at).or_default().add(window, (partition, slot), others);
        }
    }

    /// Incidents begin, grow and end by the watches' results.
    fn apply_results(&mut self, window: WindowStart, said: Vec<Said>, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let Frame { about, terms, signals, schema, .. } = &**frame;
        let (length, keep_firing_for_ms) =
            (terms.window_ms as i64, terms.keep_firing_for_ms as i64);
        let until = Timestamp(window.0 + length);
        let closed = state.past.get(&window).expect("it was closed a moment ago");
        state.incidents.count(&closed.past(until));
        let (mut fired, mut ended) = (vec![], vec![]);
        let last = frame.shared_from();
        for Said { slot, transitions } in said {
            for transition in transitions {
                match transition {
                    Transition::Resolved { watch } => {
                        ended.extend(state.incidents.resolve(about, (slot, watch), alerts));
                    }
                    Transition::Fired { watch, since, seen, beyond } => {
                        let of = &terms.hypotheses[watch];
                        let finding = Finding::new(of, &seen, beyond, signals, schema);
                        let finding = finding.on(slot, slot.is_some() && slot == last);
                        fired.push(Fired {
                            cause: Cause::of(of.watch.concern()),
                            watch,
                            since,
                            finding,
                        });
                    }
                }
            }
        }
        fired.retain(|fired| !fired.cause.comes_with(&ended));
        state.watch_anew(frame, &ended);
        let (closed, frontier) = (&state.past, state.frontier);
        let past = |since, slot| past_since(closed, frontier, (since, slot));
        state.incidents.fire(about, fired, keep_firing_for_ms, past, alerts);
        state.incidents.keep_up(about, alerts);
    }

    fn length(&self) -> i64 {
        self.frame.terms.window_ms as i64
    }
}

/// Counts of closed windows since a time. With several panels, the first flagged record is that of one panel.
fn past_since(
    closed: &BTreeMap<WindowStart, Open>,
    until: Timestamp,
    (since, slot): (Timestamp, Option<Partition>),
) -> Past {
    let mut past = Past::nothing(until);
    for (_, open) in closed.range(since..until.max(since)) {
        past.counts.add(&open.tally.counts);
        past.oddities.add(&open.tally.oddities);
        past.exemplars.join(&open.exemplars);
        let first = match slot {
            None => open.first,
            Some(slot) => open.firsts.get(&slot).copied(),
        };
        past.first = past.first.or(first);
    }
    past
}

#[cfg(test)]
mod tests;
