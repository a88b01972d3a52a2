//! Rows that the client monitor holds: of open windows, and of the horizon. All of them are in the topic, from one
//! offset on; so after a restart they are read again.

use std::collections::{BTreeMap, VecDeque};

use crate::clients::{MatchRow, MatchSet, RowVisit, Spells};
use crate::record::{Offset, Partition};
use crate::watch::WindowStart;

/// A row, and the partition that it came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub partition: Partition,
    pub visit: RowVisit,
}

/// Rows of a window, and the first message of the topic that one of them is in.
#[derive(Clone, Debug)]
pub struct OpenWindow {
    pub first: Offset,
    pub rows: Vec<Row>,
}

/// Open windows and horizon.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    open: BTreeMap<WindowStart, OpenWindow>,
    rows: usize,
    set: MatchSet,
    /// The first message of each window of the horizon.
    firsts: VecDeque<(WindowStart, Offset)>,
    /// What was counted before a restart is being read again.
    again: bool,
    /// Then: of windows that were closed, the first message and who came.
    past: BTreeMap<WindowStart, (Offset, Spells)>,
}

/// One more row of its client, if it has one.
pub fn add_spell(spells: &mut Spells, visit: &RowVisit) {
    if let Some(client) = visit.client {
        spells.entry(client.0).or_default().add(visit.origin);
    }
}

impl Memory {
    /// One that is to be filled from the topic.
    pub fn again() -> Self {
        Self { again: true, ..Self::default() }
    }

    pub fn is_again(&self) -> bool {
        self.again
    }

    pub fn add(
        &mut self,
        window: WindowStart,
        at: Offset,
        partition: Partition,
        visits: Vec<RowVisit>,
    ) {
        let open = self.open.entry(window).or_insert(OpenWindow { first: at, rows: vec![] });
        self.rows += visits.len();
        open.rows.extend(visits.into_iter().map(|visit| Row { partition, visit }));
    }

    /// Who came in a window that was closed before a restart.
    pub fn recall(&mut self, window: WindowStart, at: Offset, visits: &[RowVisit]) {
        let (_, spells) = self.past.entry(window).or_insert_with(|| (at, Spells::new()));
        visits.iter().for_each(|visit| add_spell(spells, visit));
    }

    /// What was in a window is in another one.
    pub fn join(&mut self, from: WindowStart, to: WindowStart) {
        let Some(mut moved) = self.open.remove(&from) else { return };
        let into = self.open.entry(to).or_insert(OpenWindow { first: moved.first, rows: vec![] });
        into.first = into.first.min(moved.first);
        into.rows.append(&mut moved.rows);
    }

    pub fn oldest(&self) -> Option<WindowStart> {
        self.open.first_key_value().map(|(window, _)| *window)
    }

    pub fn newest(&self) -> Option<WindowStart> {
        self.open.last_key_value().map(|(window, _)| *window)
    }

    pub fn open_rows(&self) -> usize {
        self.rows
    }

    /// The rows of a window, which is open no more.
    pub fn open(&mut self, window: WindowStart) -> OpenWindow {
        let open = self.open.remove(&window).expect("it is open");
        self.rows -= open.rows.len();
        open
    }

    /// Which rows of a window match; they are in the horizon then.
    pub fn matched(
        &mut self,
        window: WindowStart,
        first: Offset,
        rows: Vec<MatchRow>,
        (threshold, horizon): (usize, usize),
    ) -> Vec<bool> {
        let matched = self.set.take(window, rows, (threshold, horizon));
        self.firsts.push_back((window, first));
        self.trim();
        matched
    }

    /// Windows before `frontier` were closed: their rows are the horizon. Returns who came in them, and in which message
    /// that was told first.
    pub fn close_below(
        &mut self,
        frontier: WindowStart,
        horizon: usize,
    ) -> BTreeMap<WindowStart, (Offset, Spells)> {
        self.again = false;
        while let Some(window) = self.oldest().filter(|window| *window < frontier) {
            let open = self.open(window);
            let printed = open.rows.into_iter().filter_map(|Row { visit, .. }| {
                Some(MatchRow { hash: visit.hash, prints: visit.prints? })
            });
            self.set.remember(window, printed.collect(), horizon);
            self.firsts.push_back((window, open.first));
        }
        self.trim();
        std::mem::take(&mut self.past)
    }

    fn trim(&mut self) {
        let first = self.set.first();
        while self
            .firsts
            .front()
            .is_some_and(|(window, _)| first.is_none_or(|first| *window < first))
        {
            self.firsts.pop_front();
        }
    }

    /// The first window of the horizon.
    pub fn horizon_from(&self) -> Option<WindowStart> {
        self.set.first()
    }

    /// The first message of the topic with a row that is held.
    pub fn low(&self) -> Option<Offset> {
        let open = self.open.values().map(|open| open.first);
        open.chain(self.firsts.iter().map(|(_, first)| *first)).min()
    }
}
