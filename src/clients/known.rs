//! Clients that were seen, by pseudonym: when first and last, in which hours of the day, from where.
//!
//! A function of the windows that were closed, in their order. It is too large for a state that is written with every commit: it
//! is cut into pages by pseudonym, and a page that changed is written about once a minute of the stream's time, with the window and
//! the offset up to which it knows everything. A restart reads pages, and again the visits since. Each page has two keys, in turn: the page
//! before stays until the state that goes with the new one is committed.
//!
//! A page that is full forgets the client that was not seen for longest. Blind to a client that came back after it was
//! forgotten: it is new. A flood of new clients can make it forget; the watch of new clients sees that.

mod client;
mod habits;
mod page;

use std::collections::{BTreeMap, VecDeque};

pub use self::client::{ClientSpell, HABITS, Habit, HabitTrials, KnownClient};
pub use self::habits::HabitShares;
use self::page::ClientPage;
use crate::alarm::WindowStart;
use crate::record::{Offset, Timestamp};

/// What an operator, and a test, says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownSettings {
    /// Clients that are remembered.
    pub clients_max: usize,
    /// Two origins of a client within this time are a journey that nobody makes.
    pub travel_ms: i64,
    /// Whether records say where they came from.
    pub origins: bool,
    /// A page that changed is written once in this time.
    pub page_ms: i64,
    /// After so long a client has habits, and the stream's second span of this length says what is usual.
    pub week_ms: i64,
}

/// What clients did in a window, by pseudonym.
pub type Spells = BTreeMap<u64, ClientSpell>;

/// Every client that was seen.
#[derive(Clone, Debug)]
pub struct KnownClients {
    settings: KnownSettings,
    pages: Vec<ClientPage>,
    /// Closed windows that some page was not written since: their start, their first message, their rows.
    unwritten: VecDeque<(WindowStart, Offset, u64)>,
    rows: u64,
    /// To be written with the next state: key and bytes.
    due: Vec<(Vec<u8>, Vec<u8>)>,
    forgotten: u64,
    /// Pages that know more are of a state that was not committed.
    committed: Offset,
}

/// Pages of the table: the first ten bits of a pseudonym.
pub const PAGES: usize = 1024;
/// Rows of closed windows that a restart may have to read again; beyond, pages are written before it is time.
const ROWS_MAX: u64 = 1 << 20;

impl KnownClients {
    /// One that has seen nobody.
    pub fn new(settings: KnownSettings) -> Self {
        let pages = vec![ClientPage::default(); PAGES];
        Self {
            settings,
            pages,
            unwritten: VecDeque::new(),
            rows: 0,
            due: vec![],
            forgotten: 0,
            committed: Offset(0),
        }
    }

    /// These clients, with a last state that covers the topic up to `next`.
    #[must_use]
    pub fn committed(self, next: Offset) -> Self {
        Self { committed: next, ..self }
    }

    pub fn settings(&self) -> &KnownSettings {
        &self.settings
    }

    /// Sets other settings.
    pub fn set(&mut self, settings: KnownSettings) {
        self.settings = settings;
    }

    pub fn get(&self, client: u64) -> Option<&KnownClient> {
        self.pages[number(client)].get(client)
    }

    /// Adds a closed window, whose first message is at `first`. Windows come in their order.
    pub fn add(&mut self, window: WindowStart, first: Offset, spells: &Spells) {
        let page_max = self.settings.clients_max.div_ceil(PAGES);
        let (mut rows, mut rest) = (0, spells.iter().peekable());
        while let Some((&client, spell)) = rest.next() {
            let at = number(client);
            rows += spell.rows;
            let mut own = vec![(client, spell)];
            while let Some((&client, spell)) = rest.next_if(|(client, _)| number(**client) == at) {
                rows += spell.rows;
                own.push((client, spell));
            }
            self.forgotten += self.pages[at].add(window, &own, page_max);
        }
        self.rows += rows;
        self.unwritten.push_back((window, first, rows));
        self.trim();
    }

    /// Writes pages that changed and whose time came between two ticks; all of them if much was not written. Windows before
    /// `frontier` are closed, messages before `next` are read.
    pub fn tick(
        &mut self,
        (before, now): (Timestamp, Timestamp),
        frontier: WindowStart,
        next: Offset,
    ) {
        let every = self.settings.page_ms.max(1);
        let full = self.rows > ROWS_MAX;
        if self.unwritten.is_empty() || before == now && !full {
            return;
        }
        for at in 0..PAGES {
            // Each has its own moment, so that they do not all leave in one transaction.
            let shift = every * at as i64 / PAGES as i64;
            let turn = |at: Timestamp| (at.0 - shift).div_euclid(every);
            if full || turn(before) != turn(now) {
                self.write(at, frontier, next);
            }
        }
        self.trim();
    }

    /// Writes every page that changed: what it lacks cannot be read again.
    pub fn write_all(&mut self, frontier: WindowStart, next: Offset) {
        (0..PAGES).for_each(|at| self.write(at, frontier, next));
        self.trim();
    }

    fn write(&mut self, at: usize, frontier: WindowStart, next: Offset) {
        if let Some((turn, bytes)) = self.pages[at].write(frontier, next) {
            self.due.push((format!("{at:04}.{}", u8::from(turn)).into_bytes(), bytes));
        }
    }

    /// Forgets windows that every page has.
    fn trim(&mut self) {
        let oldest = self.pages.iter().filter_map(ClientPage::changed_since).min();
        while let Some(&(window, _, rows)) = self.unwritten.front() {
            if oldest.is_some_and(|oldest| window >= oldest) {
                break;
            }
            self.rows -= rows;
            self.unwritten.pop_front();
        }
    }

    /// The first message of the topic with a row that some page lacks.
    pub fn low(&self) -> Option<Offset> {
        self.unwritten.iter().map(|(_, first, _)| *first).min()
    }

    /// Key and bytes of pages to be written, since this was last called.
    pub fn drain(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        std::mem::take(&mut self.due)
    }

    /// Bytes that wait to be written.
    pub fn due_bytes(&self) -> usize {
        self.due.iter().map(|(_, bytes)| bytes.len()).sum()
    }

    /// Takes a page as it was written, the oldest first. One that knows more than the state is passed over: whoever wrote it did
    /// not commit the state that goes with it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn load(&mut self, key: &[u8], bytes: &[u8]) -> Result<(), String> {
        let (at, turn) = numbers(key).ok_or("a page without a number")?;
        let page = ClientPage::read(bytes, turn)?;
        if page.next() <= self.committed {
            self.pages[at] = page;
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.pages.iter().map(ClientPage::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Clients that it forgot for want of room since it began.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// The bytes of all pages: two tables that know the same have the same.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.pages.iter().flat_map(ClientPage::to_bytes).collect()
    }
}

fn number(client: u64) -> usize {
    (client >> 54) as usize
}

/// The page that a key names, and which of its two it is.
fn numbers(key: &[u8]) -> Option<(usize, bool)> {
    let (at, turn) = std::str::from_utf8(key).ok()?.split_once('.')?;
    let at = at.parse().ok().filter(|&at| at < PAGES)?;
    Some((at, turn.parse::<u8>().ok()? == 1))
}

#[cfg(test)]
mod tests;
