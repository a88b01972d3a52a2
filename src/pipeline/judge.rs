//! Evidence → incidents. One judge per stream, whatever the number of lanes and workers.
//!
//! A pure function of the evidence topic: the same messages in the same order give the same
//! alerts, live or in replay. It merges the counts of a window over all partitions, closes the
//! window when every partition has gone past it, is empty or is gone, and lets the watches play.
//! How the workers cut, commit and interleave does not show either, as long as no record is more
//! than a window older than the newest of its partition (`tests/determinism.rs`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::bundle::Digest;
use crate::incident::{About, Alert, Incident, Status};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::{
    Counts, Evidence, FlaggedShare, Message, Presence, Terms, Transition, WindowCounts, WindowStart,
};

/// Judge of one stream.
#[derive(Clone, Debug)]
pub struct Judge {
    about: About,
    terms: Terms,
    state: State,
}

/// What is written to the state topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Format version, [`VERSION`].
    version: u32,
    epoch: String,
    /// The next offset of the evidence topic.
    next: Offset,
    /// The shell's clock as last heard.
    clock: Timestamp,
    partitions: BTreeMap<Partition, Heard>,
    /// Counts by window, of open windows and of those closed not long ago.
    windows: BTreeMap<WindowStart, Vec<Part>>,
    /// Windows that start before this are closed.
    frontier: Timestamp,
    /// Windows that start before this are closed and not remembered any more.
    forgotten: Timestamp,
    watch: FlaggedShare,
    incident: Option<Incident>,
    /// The last incident, which a new alarm within `hold_ms` opens again.
    last: Option<Incident>,
}

/// What was last heard of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Heard {
    /// Its newest window; see [`Judge::watermark`] for which earlier ones are complete.
    newest: WindowStart,
    /// The clock at that message.
    at: Timestamp,
    /// Its worker says that there is nothing to read.
    quiet: bool,
}

/// Counts of one window from one partition and one first offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    partition: Partition,
    from: Offset,
    to: Offset,
    counts: Counts,
    first_flagged: Option<Offset>,
}

/// Why a judge cannot go on from what the state topic holds.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    #[error("cannot read the judge's state: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error(
        "the judge's state is version {0}; this build reads 1 to {VERSION}: run the build that \
         wrote it, or a newer one"
    )]
    Version(u32),
    #[error(
        "the group of judges committed {committed}, but there is no state: the state topic was \
         emptied, or the group's offsets are another program's"
    )]
    Missing { committed: Offset },
    #[error(
        "the judge's state covers evidence below {covered}, but the group committed {committed}; if \
         the group's offsets were moved by hand, move this one back to {covered}"
    )]
    Mismatch { covered: Offset, committed: Offset },
    #[error(
        "the judge's state covers evidence below {covered}, but its group has no offset: the evidence \
         topic was made anew, or the group's offset expired or was deleted; only if the topic is still \
         the same, give the group {covered} by hand"
    )]
    NoOffset { covered: Offset },
    #[error(
        "the judge heard evidence up to {next}, but the topic ends at {end}: it was made anew, or lost its \
         newest records"
    )]
    Beyond { next: Offset, end: Offset },
}

/// Format version this build writes, and the newest it reads.
const VERSION: u32 = 1;

/// A partition that nobody speaks for, by the clock: its worker is gone, and others go on without
/// it. Longer than a rebalance after a crash takes; what it has to say later is late, not lost.
const GONE_AFTER_MS: i64 = 60_000;
/// Windows remembered after they closed: late evidence of these is told apart from repeats.
const WINDOWS_REMEMBERED: i64 = 64;
/// Parts of windows held at a time: about 165 bytes each in the state, which must stay below the
/// megabyte that a topic takes by default.
const PARTS_MAX: usize = 4000;

impl State {
    /// What a judge wrote, whatever version it had.
    ///
    /// # Errors
    /// If the bytes cannot be read, or a newer build wrote them.
    pub fn read(bytes: &[u8]) -> Result<Self, JudgeError> {
        #[derive(Deserialize)]
        struct VersionOnly {
            version: u32,
        }
        let VersionOnly { version } = serde_json::from_slice(bytes)?;
        // Whoever raises VERSION keeps today's struct under a name of its own and adds a line:
        // `1 => Ok(serde_json::from_slice::<StateV1>(bytes)?.into())`.
        match version {
            VERSION => Ok(serde_json::from_slice(bytes)?),
            newer => Err(JudgeError::Version(newer)),
        }
    }

    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// The next offset of the evidence topic: it covers those below.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// How many windows are remembered, closed ones included.
    pub fn windows(&self) -> usize {
        self.windows.len()
    }

    /// The incident that is not over.
    pub fn incident(&self) -> Option<&Incident> {
        self.incident.as_ref()
    }
}

impl Judge {
    /// A judge with nothing heard; `reference` are clean rows judged by this epoch.
    pub fn new(about: About, terms: Terms, reference: WindowCounts) -> Self {
        let state = State {
            version: VERSION,
            epoch: about.epoch.clone(),
            next: Offset(0),
            clock: Timestamp(0),
            partitions: BTreeMap::new(),
            windows: BTreeMap::new(),
            frontier: Timestamp(0),
            forgotten: Timestamp(0),
            watch: FlaggedShare::new(reference),
            incident: None,
            last: None,
        };
        Self { about, terms, state }
    }

    /// The judge as its last commit left it. State of another epoch is forgotten, and an incident
    /// that was open then is resolved with that reason: the alerts are returned.
    ///
    /// # Errors
    /// If the bytes cannot be read or do not cover all that the group committed.
    pub fn restore(
        self,
        bytes: &[u8],
        committed: Offset,
    ) -> Result<(Self, Vec<Alert>), JudgeError> {
        let state = State::read(bytes)?;
        if state.next < committed {
            return Err(JudgeError::Mismatch { covered: state.next, committed });
        }
        Ok(self.after(state))
    }

    /// The same, going on where the state ends, whatever the group committed: under at-least-once
    /// offsets are written after the state that covers them, and may lag behind it.
    ///
    /// # Errors
    /// If the bytes cannot be read.
    pub fn covering(self, bytes: &[u8]) -> Result<(Self, Vec<Alert>), JudgeError> {
        Ok(self.after(State::read(bytes)?))
    }

    fn after(mut self, state: State) -> (Self, Vec<Alert>) {
        if state.epoch == self.about.epoch {
            self.state = state;
            return (self, vec![]);
        }
        self.state.clock = state.clock;
        self.state.next = state.next;
        let ended = self.end(&state, "the bundle or the budget was changed");
        (self, ended.into_iter().collect())
    }

    /// What is said of an incident that was open in `state` and that nobody follows any more.
    pub fn end(&self, state: &State, note: &str) -> Option<Alert> {
        let incident = state.incident.as_ref()?;
        Some(Alert::new(&self.about, incident, Status::Resolved, Some(note)))
    }

    /// This judge, about to hear the message at `next` first.
    pub fn starting_at(mut self, next: Offset) -> Self {
        self.state.next = next;
        self
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

    pub fn is_firing(&self) -> bool {
        self.state.incident.is_some()
    }

    /// Takes the message at `offset` of the evidence topic.
    pub fn take(&mut self, offset: Offset, message: &Message, alerts: &mut Vec<Alert>) {
        self.state.next = offset.next();
        match message {
            Message::Tick(tick) => self.tick(tick.at),
            Message::Presence(presence) => self.hear_of(presence),
            Message::Evidence(evidence) if evidence.epoch != self.about.epoch => return,
            Message::Evidence(evidence) => self.hear(evidence, alerts),
        }
        self.close_windows(alerts);
    }

    fn tick(&mut self, at: Timestamp) {
        if self.state.clock == Timestamp(0) {
            // Whoever spoke before the first tick spoke just now.
            self.state.partitions.values_mut().for_each(|heard| heard.at = at);
        }
        self.state.clock = self.state.clock.max(at);
    }

    fn hear_of(&mut self, presence: &Presence) {
        let heard = self.heard(presence.partition);
        heard.quiet = presence.quiet;
    }

    /// What is known of a partition that was heard of just now.
    fn heard(&mut self, partition: Partition) -> &mut Heard {
        let at = self.state.clock;
        let unknown = Heard { newest: Timestamp(0), at, quiet: false };
        let heard = self.state.partitions.entry(partition).or_insert(unknown);
        heard.at = at;
        heard
    }

    fn hear(&mut self, evidence: &Evidence, alerts: &mut Vec<Alert>) {
        let heard = self.heard(evidence.partition);
        heard.newest = heard.newest.max(evidence.window);
        heard.quiet = false;

        if evidence.window < self.state.forgotten {
            // Too old to be told from a repeat; its records were judged and delivered all the same.
            return;
        }
        let parts = self.state.windows.entry(evidence.window).or_default();
        let same =
            |part: &&mut Part| part.partition == evidence.partition && part.from == evidence.from;
        let before = match parts.iter_mut().find(same) {
            Some(part) if part.to >= evidence.to => return,
            Some(part) => {
                part.to = evidence.to;
                part.first_flagged = evidence.first_flagged;
                std::mem::replace(&mut part.counts, evidence.counts)
            }
            None => {
                parts.push(Part {
                    partition: evidence.partition,
                    from: evidence.from,
                    to: evidence.to,
                    counts: evidence.counts,
                    first_flagged: evidence.first_flagged,
                });
                Counts::default()
            }
        };
        if evidence.window < self.state.frontier {
            let late = evidence.counts.since(&before);
            let transition = self.state.watch.late(evidence.window, watched(&late), &self.terms);
            self.live(evidence.window, late, transition, alerts);
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
        let old = Timestamp(self.state.frontier.0 - WINDOWS_REMEMBERED * self.length());
        self.forget_before(old);
        while self.state.windows.values().map(Vec::len).sum::<usize>() > PARTS_MAX {
            self.make_room(alerts);
        }
    }

    fn oldest_open(&self) -> Option<WindowStart> {
        self.state.windows.range(self.state.frontier..).next().map(|(&window, _)| window)
    }

    fn close(&mut self, window: WindowStart, alerts: &mut Vec<Alert>) {
        let mut counts = Counts::default();
        for part in &self.state.windows[&window] {
            counts.add(&part.counts);
        }
        self.state.frontier = Timestamp(window.0 + self.length());
        let transition = self.state.watch.close(window, watched(&counts), &self.terms);
        self.live(window, counts, transition, alerts);
    }

    /// Lets go of one window: of the farthest in the future, which only a producer's made-up
    /// timestamps reach; else of the oldest remembered one; else it closes the oldest open one
    /// without waiting for partitions that are far behind: what they say later is late, not lost.
    fn make_room(&mut self, alerts: &mut Vec<Alert>) {
        let (&first, _) = self.state.windows.first_key_value().expect("it is full");
        let (&last, _) = self.state.windows.last_key_value().expect("it is full");
        if last > self.state.clock {
            self.state.windows.pop_last();
        } else if first < self.state.frontier {
            self.forget_before(Timestamp(first.0 + self.length()));
        } else {
            self.close(first, alerts);
        }
    }

    fn forget_before(&mut self, window: WindowStart) {
        self.state.forgotten = self.state.forgotten.max(window);
        self.state.windows = self.state.windows.split_off(&self.state.forgotten);
    }

    /// Everything before this is complete. A partition has gone past a window when it is a whole
    /// window further on: with several producers a window's last records come after the next one's
    /// first, and whether they are counted in time must not hang on when a worker happened to
    /// commit. What comes later still is late, not lost. Never later than the clock: records with
    /// timestamps from the future wait for it.
    fn watermark(&self) -> Timestamp {
        let gone = self.state.clock.0 - GONE_AFTER_MS;
        let speaking =
            self.state.partitions.values().filter(|heard| !heard.quiet && heard.at.0 > gone);
        let slowest = speaking.map(|heard| heard.newest).min();
        let behind = |newest: WindowStart| Timestamp(newest.0 - self.length());
        slowest.map_or(self.state.clock, |slowest| behind(slowest).min(self.state.clock))
    }

    /// An incident's life: begins, grows, ends.
    fn live(
        &mut self,
        window: WindowStart,
        counts: Counts,
        transition: Option<Transition>,
        alerts: &mut Vec<Alert>,
    ) {
        let until = Timestamp(window.0 + self.length());
        if let Some(incident) = &mut self.state.incident {
            incident.counts.add(&counts);
            incident.until = incident.until.max(until);
        }
        match transition {
            None => {}
            Some(Transition::Fired { since }) => {
                let incident = self.begin(since);
                alerts.push(Alert::new(&self.about, &incident, Status::Firing, None));
                self.state.incident = Some(incident);
            }
            Some(Transition::Resolved) => {
                let ended = self.state.incident.take().expect("only an incident ends");
                alerts.push(Alert::new(&self.about, &ended, Status::Resolved, None));
                self.state.last = Some(ended);
            }
        }
    }

    fn begin(&self, since: WindowStart) -> Incident {
        // Late evidence may be about a window long closed: all that is closed belongs to it.
        let until = self.state.frontier;
        let mut counts = Counts::default();
        let mut first = None;
        for parts in self.state.windows.range(since..until).map(|(_, parts)| parts) {
            parts.iter().for_each(|part| counts.add(&part.counts));
            // Parts lie in the order they were heard, which is chance; the least is not.
            let flagged = |part: &Part| part.first_flagged.map(|offset| (part.partition, offset));
            first = first.or(parts.iter().filter_map(flagged).min());
        }
        let hold_ms = self.terms.hold_ms as i64;
        match &self.state.last {
            Some(last) if since.0 - last.until.0 < hold_ms => {
                counts.add(&last.counts);
                let since = last.since.min(since);
                let first = last.first.or(first);
                Incident { dedup_key: last.dedup_key.clone(), since, until, counts, first }
            }
            _ => {
                let About { stream, epoch, .. } = &self.about;
                let name = format!("{stream}\0{epoch}\0flagged-share\0{}", since.0);
                let digest = Digest(Sha256::digest(name).into()).to_string();
                Incident { dedup_key: digest[..32].to_owned(), since, until, counts, first }
            }
        }
    }

    fn length(&self) -> i64 {
        self.terms.window_ms as i64
    }
}

fn watched(counts: &Counts) -> WindowCounts {
    WindowCounts { rows: counts.rows, flagged: counts.flagged }
}

#[cfg(test)]
mod tests;
