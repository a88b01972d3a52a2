//! Visits → findings. One client monitor per stream, whatever the number of lanes and workers.
//!
//! A pure function of the topic of visits: the same messages in the same order give the same findings. It adds up the visits
//! of a window over all partitions, closes the window by the monitor's rule (`watch::watermark`), looks for
//! near-duplicates, and lets every client, every cell and the stream bet. How workers cut and interleave shows nowhere.
//!
//! Its state holds what the bets have won, and from which offset on the rows of open windows and of the horizon are in
//! the topic. After a restart these are read again, and nothing is bet on them.

mod bets;
mod habits;
mod memory;
mod quota;
mod shares;
mod state;

use std::sync::Arc;

use self::memory::Memory;
pub use self::quota::QUOTA;
use self::state::State;
use super::known::KnownClients;
use super::marks::MATCHED;
use super::{ClientTerms, MatchRow, VisitMessage, Visits};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::{Heard, Message, Presence, WindowStart, watermark};

/// Client monitor of one stream.
#[derive(Clone, Debug)]
pub struct ClientMonitor {
    terms: Arc<ClientTerms>,
    state: State,
    memory: Memory,
    /// Clients that were seen, if records say whose they are.
    known: Option<KnownClients>,
    /// Not taken yet.
    told: Vec<Message>,
    /// Rows that were read and windows that were closed, since it began here.
    counts: (u64, u64),
}

/// Windows that may be ahead of the clock when it ticks, as the monitor's.
const AHEAD_WINDOWS: i64 = 2;
/// Rows of open windows: beyond, the oldest window is closed without waiting for partitions that are far behind.
pub const OPEN_ROWS_MAX: usize = 400_000;

impl ClientMonitor {
    /// One that has read nothing.
    pub fn new(terms: Arc<ClientTerms>) -> Self {
        let state = State::new(&terms);
        let known = terms.settings.known.map(KnownClients::new);
        Self { terms, state, memory: Memory::default(), known, told: vec![], counts: (0, 0) }
    }

    pub fn baseline(&self) -> &str {
        &self.terms.baseline
    }

    pub fn next(&self) -> Offset {
        self.state.next
    }

    pub fn low(&self) -> Offset {
        self.state.low
    }

    pub fn skip(&mut self, offset: Offset) {
        if offset >= self.state.next {
            self.close_memory();
            self.state.next = offset.next();
        }
    }

    /// What is to be told since this was last called.
    pub fn drain(&mut self, out: &mut Vec<Message>) {
        out.append(&mut self.told);
    }

    /// Pages of the table of clients that are to be written with the state, since this was last called.
    pub fn drain_pages(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.known.as_mut().map(KnownClients::drain).unwrap_or_default()
    }

    /// Takes a page as it was written: before anything is read.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load_page(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        self.known.as_mut().map_or(Ok(()), |known| known.load(key, bytes))
    }

    /// Rows that it read and windows that it closed, since it began here.
    pub fn counts(&self) -> (u64, u64) {
        self.counts
    }

    /// What was before is judged; 0 is not known.
    pub fn judged_until(&self) -> Timestamp {
        match self.state.clock {
            Timestamp(0) => Timestamp(0),
            _ => self.current(),
        }
    }

    /// Clients that were seen, if records say whose they are.
    pub fn known(&self) -> Option<&KnownClients> {
        self.known.as_ref()
    }

    /// What goes to the state topic.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.state.to_bytes()
    }

    /// This fresh one as it was when it wrote `bytes`.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn restore(&self, next: Offset, low: Offset, bytes: &[u8]) -> Result<Self, String> {
        let mut state = State::read(bytes)?;
        (state.next, state.low) = (next, low);
        let known = self.known.clone().map(|known| known.committed(next));
        let restored = Self { memory: Memory::again(), state, known, ..self.clone() };
        let is_own = restored.state.baseline == self.terms.baseline;
        Ok(match is_own && restored.state.fits(&self.terms) {
            true => restored,
            false => self.clone().succeeding(&restored),
        })
    }

    /// This one, which reads on at `next` and has no rows of what was before.
    #[must_use]
    pub fn starting_at(mut self, next: Offset) -> Self {
        (self.state.next, self.state.low) = (next, next);
        self.forget_rows();
        self
    }

    /// This fresh one, of another revision, which goes on from what `last` knows: time, quotas, and what bets on the same
    /// marks have won. Rows of another bundle are not compared with its own.
    #[must_use]
    pub fn succeeding(mut self, last: &Self) -> Self {
        if let (Some(known), Some(last)) = (&mut self.known, &last.known) {
            let settings = *known.settings();
            known.clone_from(last);
            known.set(settings);
        }
        if self.terms.baseline == last.terms.baseline && last.state.fits(&self.terms) {
            let (memory, state) = (last.memory.clone(), last.state.clone());
            let (told, counts) = (last.told.clone(), last.counts);
            return Self { memory, state, told, counts, ..self };
        }
        let fresh = std::mem::replace(&mut self.state, last.state.clone());
        let was = std::mem::take(&mut self.state.tables);
        self.state.baseline = fresh.baseline;
        self.state.tables = fresh.tables;
        for (name, table) in was {
            if let Some(own) = self.state.tables.iter_mut().find(|(own, _)| *own == name) {
                own.1 = table;
            }
        }
        let next = self.state.next;
        self.starting_at(next)
    }

    fn forget_rows(&mut self) {
        self.memory = Memory::default();
        self.state.moved.clear();
        self.state.passed.clear();
        self.state.horizon_from = self.state.frontier;
        if let Some(known) = &mut self.known {
            known.write_all(self.state.frontier, self.state.next);
        }
    }

    /// Reads the message at `offset`; one that was counted before is only remembered.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn take(&mut self, offset: Offset, value: &[u8]) -> Result<(), String> {
        let message = VisitMessage::from_bytes(value)?;
        if offset < self.state.next {
            if let VisitMessage::Visits(visits) = message {
                self.remember(offset, visits);
            }
            return Ok(());
        }
        self.close_memory();
        self.state.next = offset.next();
        let before = self.state.clock;
        match message {
            VisitMessage::Tick(at) => self.tick(offset, at),
            VisitMessage::Presence(presence) => self.hear_of(presence),
            VisitMessage::Visits(visits) => self.hear(offset, visits),
        }
        self.close_windows();
        if let Some(known) = &mut self.known {
            let State { clock, frontier, next, .. } = self.state;
            known.tick((before, clock), frontier, next);
        }
        let lows = [self.memory.low(), self.known.as_ref().and_then(KnownClients::low)];
        self.state.low = lows.into_iter().flatten().min().unwrap_or(self.state.next);
        self.state.prune();
        Ok(())
    }

    /// What was read again is all there: windows that were closed are the horizon.
    fn close_memory(&mut self) {
        if self.memory.is_again() {
            let (frontier, horizon) = (self.state.frontier, self.terms.settings.horizon_rows);
            let spells = self.memory.close_below(frontier, horizon);
            if let Some(known) = &mut self.known {
                let some = spells.iter().filter(|(_, (_, all))| !all.is_empty());
                some.for_each(|(window, (first, all))| known.add(*window, *first, all));
            }
        }
    }

    fn remember(&mut self, offset: Offset, visits: Visits) {
        let passed = self.state.passed.contains(&offset.0);
        if passed || visits.baseline != self.terms.baseline {
            return;
        }
        for window in visits.windows {
            let at = self.state.place(offset, window.window);
            if at < self.state.frontier && self.known.is_some() {
                self.memory.recall(at, offset, &window.visits);
            }
            if at >= self.state.horizon_from {
                self.memory.add(at, offset, visits.partition, window.visits);
            }
        }
    }

    fn tick(&mut self, offset: Offset, at: Timestamp) {
        if self.state.clock == Timestamp(0) {
            // Whoever spoke before the first tick counts as heard with it.
            self.state.partitions.values_mut().for_each(|heard| heard.begin_at(at));
        }
        self.state.clock = self.state.clock.max(at);
        self.fold_future(offset);
    }

    fn hear_of(&mut self, presence: Presence) {
        self.heard(presence.partition).quiet = presence.quiet;
    }

    fn heard(&mut self, partition: Partition) -> &mut Heard {
        let at = self.state.clock;
        let heard = self.state.partitions.entry(partition).or_insert(Heard::unknown(at));
        heard.at = at;
        heard
    }

    fn hear(&mut self, offset: Offset, visits: Visits) {
        let Visits { partition, from, to, begins, head, read_out, .. } = visits;
        let heard = self.heard(partition);
        if heard.quiet || begins {
            // What it says from here on is another burst.
            heard.read_since = None;
        }
        heard.quiet = false;
        // Parts of what was told once may come again as a whole.
        let repeated = (from, to) == (heard.from, heard.to);
        if repeated || from < heard.to && !begins {
            self.state.passed.insert(offset.0);
            return self.bound_exceptions();
        }
        heard.hear((from, to), head, read_out);
        if visits.baseline != self.terms.baseline {
            return;
        }
        let current = self.current();
        for window in visits.windows {
            self.counts.0 += window.visits.len() as u64;
            self.count_quota(window.window, &window.visits);
            let mut at = window.window;
            if at < self.state.frontier {
                // What is late counts in the current window.
                self.state.moved.push((offset.0, offset.0 + 1, at, current));
                at = current;
            }
            self.memory.add(at, offset, partition, window.visits);
        }
        self.bound_exceptions();
    }

    /// What is ahead of the clock counts in the current window.
    fn fold_future(&mut self, offset: Offset) {
        let latest = Timestamp(self.state.clock.0 + AHEAD_WINDOWS * self.length());
        let current = self.current();
        while let Some(window) = self.memory.newest().filter(|window| *window > latest) {
            self.memory.join(window, current);
            self.state.moved.push((0, offset.0, window, current));
        }
        self.bound_exceptions();
    }

    /// There is room for so many exceptions in the state. Beyond, the windows that are open close, and no row of the past is
    /// remembered: fewer rows match, and nothing is counted twice.
    fn bound_exceptions(&mut self) {
        if !self.state.has_room() {
            while let Some(window) = self.memory.oldest() {
                self.close(window);
            }
            self.forget_rows();
        }
    }

    /// The window that closes next, whatever stamps say.
    fn current(&self) -> WindowStart {
        let watermark = self.watermark().0.max(0);
        self.state.frontier.max(Timestamp(watermark - watermark % self.length()))
    }

    fn watermark(&self) -> Timestamp {
        watermark(self.state.partitions.values(), self.state.clock, self.length())
    }

    fn close_windows(&mut self) {
        let watermark = self.watermark();
        while let Some(window) = self.memory.oldest() {
            if window.0 + self.length() > watermark.0 && self.memory.open_rows() <= OPEN_ROWS_MAX {
                break;
            }
            self.close(window);
        }
    }

    /// Matches the rows of a window, and bets on them.
    fn close(&mut self, window: WindowStart) {
        let terms = self.terms.clone();
        self.counts.1 += 1;
        let mut open = self.memory.open(window);
        self.state.frontier = self.state.frontier.max(Timestamp(window.0 + self.length()));
        let (threshold, horizon) = (terms.threshold, terms.settings.horizon_rows);
        if threshold > 0 {
            let printed = open.rows.iter().filter_map(|row| {
                let (hash, prints) = (row.visit.hash, row.visit.prints.clone()?);
                Some(MatchRow { hash, prints })
            });
            let matched =
                self.memory.matched(window, open.first, printed.collect(), (threshold, horizon));
            let printed = open.rows.iter_mut().filter(|row| row.visit.prints.is_some());
            for (row, matched) in printed.zip(matched) {
                row.visit.marks |= u8::from(matched) << MATCHED;
            }
        }
        self.state.horizon_from = self.memory.horizon_from().unwrap_or(self.state.frontier);
        let habits = self.compare_habits(window, open.first, &mut open.rows);
        self.bet(window, &open.rows, &habits);
    }

    fn length(&self) -> i64 {
        self.terms.window_ms as i64
    }
}

#[cfg(test)]
mod tests;
