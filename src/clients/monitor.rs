//! Visits → findings. One client monitor per stream, whatever the number of lanes and workers.
//!
//! A pure function of the topic of visits: the same messages in the same order give the same findings. It adds up the visits
//! of a window over all partitions, closes the window by the monitor's rule (`watch::watermark`), looks for
//! near-duplicates, and lets every client, every cell and the stream bet. How workers cut and interleave shows nowhere.
//!
//! Its state holds what the bets have won, and from which offset on the rows of open windows and of the horizon are in
//! the topic. After a restart these are read again, and nothing is bet on them.

mod memory;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::memory::{Memory, Row};
use self::state::State;
use super::marks::MATCHED;
use super::{CapitalPage, ClientName, ClientTerms, MARKS, MatchRow, VisitMessage, Visits};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::{
    ClientFinding, ClientFindings, Heard, Keying, Message, Presence, WindowStart, watermark,
};

/// Client monitor of one stream.
#[derive(Clone, Debug)]
pub struct ClientMonitor {
    terms: Arc<ClientTerms>,
    state: State,
    memory: Memory,
    /// Not taken yet.
    told: Vec<Message>,
}

/// Windows that may be ahead of the clock when it ticks, as the monitor's.
const AHEAD_WINDOWS: i64 = 2;
/// Rows of open windows: beyond, the oldest window is closed without waiting for partitions that are far behind.
pub const OPEN_ROWS_MAX: usize = 400_000;
/// The largest part of the period that one window buys, as the panel's.
const CREDIT_PART: u64 = 500;
/// Clients whose rows are counted for a quota: the smallest counts are lost first.
const QUOTA_MAX: usize = 4096;
/// Findings of one window that are told; more pages than that are one.
const FINDINGS_MAX: usize = 64;

impl ClientMonitor {
    /// One that has read nothing.
    pub fn new(terms: Arc<ClientTerms>) -> Self {
        let state = State::new(&terms);
        Self { terms, state, memory: Memory::default(), told: vec![] }
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
            self.settle_memory();
            self.state.next = offset.next();
        }
    }

    /// What is to be told since this was last called.
    pub fn drain(&mut self, out: &mut Vec<Message>) {
        out.append(&mut self.told);
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
        let restored = Self { memory: Memory::again(), state, ..self.clone() };
        Ok(match restored.state.baseline == self.terms.baseline {
            true => restored,
            false => self.clone().succeeding(&restored),
        })
    }

    /// This one, which reads on at `next` and has no rows of what was before.
    #[must_use]
    pub fn starting_at(mut self, next: Offset) -> Self {
        self.forget_rows();
        (self.state.next, self.state.low) = (next, next);
        self
    }

    /// This fresh one, of another revision, which goes on from what `last` knows: time, quotas, and what bets on the same
    /// marks have won. Rows of another bundle are not compared with its own.
    #[must_use]
    pub fn succeeding(mut self, last: &Self) -> Self {
        if self.terms.baseline == last.terms.baseline && last.state.fits(&self.terms) {
            let mut next = last.clone();
            next.terms = self.terms;
            return next;
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
        self.settle_memory();
        self.state.next = offset.next();
        match message {
            VisitMessage::Tick(at) => self.tick(offset, at),
            VisitMessage::Presence(presence) => self.hear_of(presence),
            VisitMessage::Visits(visits) => self.hear(offset, visits),
        }
        self.close_windows();
        self.state.low = self.memory.low().unwrap_or(self.state.next);
        self.state.prune();
        Ok(())
    }

    /// What was read again is all there: windows that were closed are the horizon.
    fn settle_memory(&mut self) {
        if self.memory.is_again() {
            let (frontier, horizon) = (self.state.frontier, self.terms.settings.horizon_rows);
            self.memory.settle(frontier, horizon);
        }
    }

    fn remember(&mut self, offset: Offset, visits: Visits) {
        let passed = self.state.passed.contains(&offset.0);
        if passed || visits.baseline != self.terms.baseline {
            return;
        }
        for window in visits.windows {
            let at = self.state.place(offset, window.window);
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
        self.bet(window, &open.rows);
    }

    fn bet(&mut self, window: WindowStart, rows: &[Row]) {
        let terms = self.terms.clone();
        let bought_ms = terms.window_ms.min(terms.period_ms / CREDIT_PART);
        let mut findings = std::mem::take(&mut self.state.quota_findings);
        for (bets, (_, table)) in terms.bets.iter().zip(&mut self.state.tables) {
            let keys = tally(rows, bets.keying, bets.mark);
            for page in table.close((window, bought_ms), &keys, &bets.table) {
                let CapitalPage { key, rows: sent, marked, since } = page;
                if bets.keying == Keying::Client && terms.is_accepted(key, window) {
                    continue;
                }
                findings.push(ClientFinding {
                    keying: bets.keying,
                    key: key_name(bets.keying, key),
                    mark: MARKS[bets.mark].name().into(),
                    rows: sent,
                    marked,
                    clean_share: bets.clean_share,
                    allowed: 0,
                    since,
                    sample: sample(rows, bets.keying, bets.mark, key),
                });
            }
        }
        if findings.is_empty() {
            return;
        }
        findings.sort_by(|a, b| (a.keying, &a.key, &a.mark).cmp(&(b.keying, &b.key, &b.mark)));
        findings.truncate(FINDINGS_MAX);
        let baseline = terms.baseline.clone();
        self.told.push(Message::Clients(ClientFindings { baseline, window, findings }));
    }

    /// A plain rule: rows of one client in one span of time, by Misra and Gries: never more than there were.
    fn count_quota(&mut self, window: WindowStart, visits: &[super::RowVisit]) {
        let Some((rows_max, per_ms)) = self.terms.settings.quota else { return };
        let span = window.0.div_euclid(per_ms as i64);
        if span > self.state.quota_span {
            self.state.quota_span = span;
            self.state.quota.clear();
        }
        for client in visits.iter().filter_map(|visit| visit.client) {
            let room = self.state.quota.len() < QUOTA_MAX;
            match self.state.quota.get_mut(&client.0) {
                Some(count) => *count += 1,
                None if room => drop(self.state.quota.insert(client.0, 1)),
                None => self.state.quota.retain(|_, count| {
                    *count -= 1;
                    *count > 0
                }),
            }
            let count = self.state.quota.get(&client.0).copied().unwrap_or(0);
            // Told when it goes beyond, once.
            if count == rows_max + 1 && !self.terms.is_accepted(client.0, window) {
                self.state.quota_findings.push(ClientFinding {
                    keying: Keying::Client,
                    key: client.to_string(),
                    mark: QUOTA.into(),
                    rows: count,
                    marked: count,
                    clean_share: 0.0,
                    allowed: rows_max,
                    since: window,
                    sample: None,
                });
            }
        }
    }

    fn length(&self) -> i64 {
        self.terms.window_ms as i64
    }
}

/// What a finding calls a client that sends more than it may.
pub const QUOTA: &str = "quota";

fn key_of(row: &Row, keying: Keying) -> Option<u64> {
    match keying {
        Keying::Client => row.visit.client.map(|client| client.0),
        Keying::Cell => row.visit.cell.map(u64::from),
        Keying::Stream => Some(0),
    }
}

fn key_name(keying: Keying, key: u64) -> String {
    match keying {
        Keying::Client => ClientName(key).to_string(),
        Keying::Cell => format!("{key:08x}"),
        Keying::Stream => String::new(),
    }
}

/// Whether the row is one of those of which a mark tells a share, and has the mark.
fn has(row: &Row, mark: usize) -> Option<bool> {
    let is_fault =
        MARKS.iter().enumerate().any(|(i, m)| m.counts_faults() && row.visit.marks & 1 << i != 0);
    let counts = !is_fault || MARKS[mark].counts_faults();
    // Without fingerprints nobody can say whether it matches.
    let counts = counts && (mark != MATCHED || row.visit.prints.is_some());
    counts.then_some(row.visit.marks & 1 << mark != 0)
}

/// Rows and marked rows by key.
fn tally(rows: &[Row], keying: Keying, mark: usize) -> BTreeMap<u64, (u64, u64)> {
    let mut keys: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    for row in rows {
        let (Some(key), Some(marked)) = (key_of(row, keying), has(row, mark)) else { continue };
        let (n, k) = keys.entry(key).or_default();
        (*n, *k) = (*n + 1, *k + u64::from(marked));
    }
    keys
}

/// The first marked row of a key, whatever order rows were heard in.
fn sample(rows: &[Row], keying: Keying, mark: usize, key: u64) -> Option<(Partition, Offset)> {
    let of = |row: &&Row| key_of(row, keying) == Some(key) && has(row, mark) == Some(true);
    rows.iter().filter(of).map(|row| (row.partition, Offset(row.visit.offset))).min()
}

#[cfg(test)]
mod tests;
