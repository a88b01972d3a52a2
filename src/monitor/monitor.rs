//! Evidence → incidents. One monitor per stream, whatever the number of lanes and workers.
//!
//! A pure function of the evidence topic: the same messages in the same order give the same
//! alerts, live or in replay. It adds up the counts of a window, over all partitions or of each one,
//! closes the window when every partition has gone past it, is empty or is gone, and lets the watches play.
//! How the workers cut, commit and interleave does not show either, whatever the records' stamps are, as long as
//! fewer than half of any 63 stamps of a partition are of an attacker's making (`tests/core/determinism.rs`).
//!
//! What such a partition says of time is bounded by the clock, so that no stamp keeps a row out of sight: what
//! is ahead of the clock counts in the current window, and so does what comes after its own window closed; for
//! records that are old and read to their end nobody waits. Every row is counted once.
//!
//! While a bundle is rolled out, workers of two bundles tell. Records, flagged and unreadable ones mean the same under
//! each, so they are watched over all of them; cells are our own bundle's or nobody's (`bundles.rs`).

mod answers;
mod bundles;
mod clients;
mod lineage;
mod panels;
mod quasi;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::panels::Said;
use self::state::{Lost, Open};
pub use self::state::{MonitorError, State};
use super::incident::Past;
use super::incidents::Fired;
use crate::monitor::{About, Alert, Cause, Finding, LineageEvent, LineageFacts};
use crate::privacy::QuasiPlan;
use crate::record::{Extent, Offset, Partition, Schema, Timestamp};
use crate::watch::{
    Evidence, Heard, Loss, Message, Presence, Signals, Stall, Tally, Terms, Transition,
    WindowStart, watermark,
};

/// Monitor of one stream.
#[derive(Clone, Debug)]
pub struct Monitor {
    frame: Arc<Frame>,
    state: State,
    /// Windows that closed since somebody took them; not kept unless somebody wants them.
    closed: Option<Vec<(WindowStart, Tally)>>,
    /// Events of lineage that are to be written.
    events: Vec<LineageEvent>,
    /// The state has the run of the frame's facts.
    has_run: bool,
}

/// What a monitor is told before it hears anything; frozen for a baseline.
#[derive(Clone, Debug)]
pub struct Frame {
    pub about: About,
    pub terms: Terms,
    /// Of pairs of own and deployed answers, if those are watched.
    pub answers: Option<Terms>,
    pub signals: Signals,
    pub schema: Schema,
    /// No record for so long is an incident.
    pub no_data_ms: Option<u64>,
    /// Each partition is judged by itself, under the same budget.
    pub per_partition: bool,
    /// Sets of features whose groups are counted.
    pub quasi: Option<Arc<QuasiPlan>>,
    /// What lineage says of the stream, if it is told.
    pub lineage: Option<Arc<LineageFacts>>,
}

/// Windows that may be ahead of the clock when it ticks: it ticks twice in a window.
const AHEAD_WINDOWS: i64 = 2;
/// Windows remembered after they closed: an incident counts what came since its change.
const PAST_MAX: i64 = 64;
/// Windows open at a time, or parts of windows if partitions are judged one by one, and cells in all of
/// them: the state must stay below the megabyte that a topic takes by default.
const WINDOWS_MAX: usize = 512;
const CELLS_MAX: usize = 64 << 10;

impl Monitor {
    /// A monitor with nothing heard.
    pub fn new(frame: Arc<Frame>) -> Self {
        let state = State::fresh(&frame);
        Self { frame, state, closed: None, events: vec![], has_run: false }.settle_answers(vec![]).0
    }

    /// The monitor as its last commit left it. State of another baseline is kept as far as it means the same under ours;
    /// incidents that nobody can follow any more are resolved with that reason: the alerts are returned.
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

    /// The same, going on where the state ends, whatever the group committed: under at-least-once
    /// offsets are written after the state that covers them, and may lag behind it.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    pub fn covering(self, bytes: &[u8]) -> Result<(Self, Vec<Alert>), MonitorError> {
        Ok(self.after(State::read(bytes)?))
    }

    /// This monitor, which goes on from what `last` knows; what is to be said of incidents that nobody follows any more.
    pub fn succeeding(self, last: &Self) -> (Self, Vec<Alert>) {
        let log = last.state.log.clone();
        let (mut next, ended) = self.after(last.state.clone());
        next.state.log = log;
        next.events.clone_from(&last.events);
        (next, ended)
    }

    fn after(self, state: State) -> (Self, Vec<Alert>) {
        let (next, ended) = self.going_on(state);
        next.settle_answers(ended)
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

    /// What is said of incidents that were open in `state` and that nobody follows any more.
    pub fn end(&self, state: &State, note: &str) -> Vec<Alert> {
        state.incidents.abandon(&self.frame.about, note)
    }

    /// This monitor, about to hear the message at `next` first.
    pub fn starting_at(mut self, next: Offset) -> Self {
        self.state.next = next;
        self
    }

    /// This monitor, which hears the evidence topic as it is now.
    pub fn of_log(mut self, log: Extent) -> Self {
        self.state.log = Some(log);
        self
    }

    /// The evidence topic as it was when somebody last looked.
    pub fn log(&self) -> Option<&Extent> {
        self.state.log.as_ref()
    }

    /// Somebody looked at the evidence topic.
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

    /// Passes over a message that says nothing.
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

    /// Names the bundle and the budget by which it monitors.
    pub fn baseline(&self) -> &str {
        &self.frame.about.baseline
    }

    /// The time before which everything that was heard is judged: the clock, or the oldest window that is open.
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
        self.listen(alerts);
        self.wait(alerts);
        self.recover(alerts);
        self.forget_clients(alerts);
        if matches!(message, Message::Tick(_)) {
            self.tell_lineage();
        }
    }

    fn tick(&mut self, at: Timestamp) {
        if self.state.clock == Timestamp(0) {
            // Whoever spoke before the first tick counts as heard with it.
            self.state.partitions.values_mut().for_each(|heard| heard.begin_at(at));
        }
        self.state.clock = self.state.clock.max(at);
        self.fold_future();
    }

    fn hear_of(&mut self, presence: &Presence) {
        let heard = self.heard(presence.partition);
        heard.quiet = presence.quiet;
    }

    /// Nothing else follows from it: a partition that stands still holds no window open.
    fn hear_stall(&mut self, stall: &Stall) {
        match stall.over {
            true => drop(self.state.stalled.remove(&stall.partition)),
            false => drop(self.state.stalled.insert(stall.partition, stall.at)),
        }
    }

    /// Records of the input are gone: nothing else is to be learned of them.
    fn hear_loss(&mut self, loss: &Loss, alerts: &mut Vec<Alert>) {
        let lost = Lost { loss: loss.clone(), at: self.state.clock };
        let known = self.state.lost.insert(loss.partition, lost).map(|known| known.loss);
        let is_of = |known: &Loss| Loss { waits: loss.waits, ..known.clone() } == *loss;
        // A worker that took the partition over says the same, and so does one that goes on after it.
        if known.is_some_and(|known| is_of(&known)) {
            return;
        }
        let Self { frame, state, .. } = self;
        let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
        state.incidents.lose(&frame.about, state.clock, loss, keep_firing_for_ms, alerts);
    }

    /// What is known of a partition that was heard of a moment ago.
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
            // What it says from here on is another burst.
            heard.read_since = None;
        }
        heard.quiet = false;
        let repeated = (from, to) == (heard.from, heard.to);
        if repeated || from < heard.to && !begins {
            return;
        }
        // An older build did not say what time it is there.
        let newest = windows.iter().map(|window| window.window).fold(heard.newest, Ord::max);
        heard.hear((from, to), evidence.head.unwrap_or(newest), evidence.read_out);
        // It has moved, whoever has it now.
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

    /// The window that closes next, whatever stamps say.
    fn current(&self) -> WindowStart {
        let watermark = self.watermark().0.max(0);
        self.state.frontier.max(Timestamp(watermark - watermark % self.length()))
    }

    /// What is ahead of the clock counts in the current window, as misdated. It may be the stamps of most
    /// records of a partition; of fewer, the lane has seen to it.
    fn fold_future(&mut self) {
        let latest = Timestamp(self.state.clock.0 + AHEAD_WINDOWS * self.length());
        let current = self.current();
        while let Some(last) = self.state.windows.last_entry() {
            if *last.key() <= latest {
                break;
            }
            let future = last.remove().misdated();
            self.state.windows.entry(current).or_default().join(future);
        }
    }

    /// Closes every window that all partitions with anything to say have gone past.
    fn close_windows(&mut self, alerts: &mut Vec<Alert>) {
        let watermark = self.watermark();
        while let Some(window) = self.oldest_open() {
            if window.0 + self.length() > watermark.0 {
                break;
            }
            self.close(window, alerts);
        }
        let old = Timestamp(self.state.frontier.0 - PAST_MAX * self.length());
        self.state.past = self.state.past.split_off(&old);
        while self.is_full() {
            self.make_room(alerts);
        }
    }

    fn oldest_open(&self) -> Option<WindowStart> {
        self.state.windows.first_key_value().map(|(&window, _)| window)
    }

    fn close(&mut self, window: WindowStart, alerts: &mut Vec<Alert>) {
        let open = self.state.windows.remove(&window).expect("it is open");
        #[cfg(test)]
        tests::closed(&open.tally.counts);
        self.state.frontier = self.state.frontier.max(Timestamp(window.0 + self.length()));
        let said = self.play(window, &open);
        if let Some(closed) = &mut self.closed {
            closed.push((window, open.tally.clone()));
        }
        self.state.past.insert(window, open.closed());
        self.live(window, said, alerts);
    }

    fn is_full(&self) -> bool {
        let windows = &self.state.windows;
        let parts: usize = windows.values().map(|open| open.parts.len().max(1)).sum();
        let cells = || windows.values().map(Open::cells).sum::<usize>();
        windows.len() > 1 && (parts > WINDOWS_MAX || cells() > CELLS_MAX)
    }

    /// Makes one window of the last two if the clock is not there yet; else closes the oldest without waiting
    /// for partitions that are far behind: what they say later is late, not lost.
    fn make_room(&mut self, alerts: &mut Vec<Alert>) {
        let first = self.oldest_open().expect("it is full");
        let (last, open) = self.state.windows.pop_last().expect("it is full");
        if last > self.state.clock {
            let mut before = self.state.windows.last_entry().expect("it has two");
            before.get_mut().join(open);
        } else {
            self.state.windows.insert(last, open);
            self.close(first, alerts);
        }
    }

    /// Everything before this is complete.
    fn watermark(&self) -> Timestamp {
        watermark(self.state.partitions.values(), self.state.clock, self.length())
    }

    /// Incidents begin, grow and end with what the watches say.
    fn live(&mut self, window: WindowStart, said: Vec<Said>, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let Frame { about, terms, signals, schema, .. } = &**frame;
        let (length, keep_firing_for_ms) =
            (terms.window_ms as i64, terms.keep_firing_for_ms as i64);
        let until = Timestamp(window.0 + length);
        let closed = state.past.get(&window).expect("it was closed a moment ago");
        state.incidents.count(&closed.past(until));
        let mut fired = state.incidents.due(until);
        let last = frame.shared_from();
        for Said { slot, transitions } in said {
            for transition in transitions {
                match transition {
                    Transition::Resolved { watch } => {
                        state.incidents.resolve(about, (slot, watch), keep_firing_for_ms, alerts);
                    }
                    Transition::Fired { watch, since, seen, beyond } => {
                        let of = &terms.watches[watch];
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
        let (closed, frontier) = (&state.past, state.frontier);
        let past = |since, slot| past_since(closed, frontier, (since, slot));
        state.incidents.fire(about, fired, keep_firing_for_ms, past, alerts);
        state.incidents.keep_up(about, alerts);
    }

    /// A plain rule, outside the budget: a stream that had records has none for too long.
    fn listen(&mut self, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let (Some(no_data_ms), Some(heard)) = (frame.no_data_ms, state.record_at) else { return };
        let silent = state.clock.0.saturating_sub(heard.0) >= no_data_ms as i64;
        match (silent, state.incidents.is_open(Cause::NoData)) {
            (true, false) => {
                let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
                state.incidents.no_data(&frame.about, heard, keep_firing_for_ms, alerts);
            }
            (false, true) => state.incidents.end(&frame.about, Cause::NoData, None, alerts),
            _ => {}
        }
    }

    /// A plain rule, outside the budget: records wait, and somebody must know.
    fn wait(&mut self, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let stalled = state.stalled.first_key_value().map(|(&p, &offset)| (p, offset));
        match (stalled, state.incidents.is_open(Cause::Stall)) {
            (Some(at), false) => {
                let keep_firing_for_ms = frame.terms.keep_firing_for_ms as i64;
                state.incidents.stall(&frame.about, state.clock, at, keep_firing_for_ms, alerts);
            }
            (None, true) => state.incidents.go_on(&frame.about, state.clock, alerts),
            _ => {}
        }
    }

    /// A loss is over when every partition reads on and nothing more was lost for a while.
    fn recover(&mut self, alerts: &mut Vec<Alert>) {
        let Self { frame, state, .. } = self;
        let (clock, keep_firing_for_ms) = (state.clock, frame.terms.keep_firing_for_ms as i64);
        let is_recent =
            |lost: &Lost| lost.loss.waits || clock.0 < lost.at.0.saturating_add(keep_firing_for_ms);
        state.lost.retain(|_, lost| is_recent(lost));
        if state.lost.is_empty() && state.incidents.is_open(Cause::DataLoss) {
            state.incidents.end(&frame.about, Cause::DataLoss, None, alerts);
        }
    }

    fn length(&self) -> i64 {
        self.frame.terms.window_ms as i64
    }
}

/// What came out of closed windows since a time; the first flagged record is that of a panel, if there are several.
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
