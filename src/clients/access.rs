//! Who came, when, from where and how often, by pseudonym: a sum over visits.

use std::collections::{BTreeMap, BTreeSet};

use super::{ClientName, MARKS, Visits};
use crate::record::{Offset, Partition, Timestamp};
use crate::watch::WindowStart;

/// Clients of some time.
#[derive(Clone, Debug, Default)]
pub struct AccessTable {
    clients: BTreeMap<ClientName, ClientAccess>,
    /// Rows of nobody, and of clients beyond those that there is room for.
    pub anonymous: u64,
    pub others: u64,
    /// Up to where each partition was read.
    read: BTreeMap<Partition, Offset>,
}

/// What one client did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAccess {
    /// Windows of the first and the last row.
    pub first: WindowStart,
    pub last: WindowStart,
    pub rows: u64,
    /// Rows with each of the marks that a worker gives.
    pub marked: Vec<u64>,
    /// A bit for every hour of the day, UTC.
    pub hours: u32,
    /// Origins, as keyed hashes; at most so many are told apart.
    pub origins: BTreeSet<u16>,
}

/// Clients that are told apart: 200 MB.
const CLIENTS_MAX: usize = 1_000_000;
const ORIGINS_MAX: usize = 64;
const HOUR_MS: i64 = 3_600_000;

impl AccessTable {
    /// Adds what was told of windows from `since` on. What was told before is passed over.
    pub fn add(&mut self, visits: &Visits, since: Timestamp) {
        let read = self.read.entry(visits.partition).or_insert(Offset(i64::MIN));
        if visits.from < *read && !visits.begins {
            return;
        }
        *read = visits.to;
        for window in visits.windows.iter().filter(|window| window.window >= since) {
            for visit in &window.visits {
                let Some(client) = visit.client else {
                    self.anonymous += 1;
                    continue;
                };
                if self.clients.len() >= CLIENTS_MAX && !self.clients.contains_key(&client) {
                    self.others += 1;
                    continue;
                }
                let fresh = || ClientAccess::new(window.window);
                self.clients.entry(client).or_insert_with(fresh).add(
                    window.window,
                    visit.marks,
                    visit.origin,
                );
            }
        }
    }

    /// Those who sent most come first.
    pub fn by_rows(&self) -> Vec<(ClientName, &ClientAccess)> {
        let mut all: Vec<_> = self.clients.iter().map(|(&name, access)| (name, access)).collect();
        all.sort_by_key(|(name, access)| (u64::MAX - access.rows, *name));
        all
    }
}

impl ClientAccess {
    fn new(window: WindowStart) -> Self {
        let marked = vec![0; MARKS.len()];
        Self { first: window, last: window, rows: 0, marked, hours: 0, origins: BTreeSet::new() }
    }

    fn add(&mut self, window: WindowStart, marks: u8, origin: Option<u16>) {
        self.first = self.first.min(window);
        self.last = self.last.max(window);
        self.rows += 1;
        for (i, count) in self.marked.iter_mut().enumerate() {
            *count += u64::from(marks >> i & 1);
        }
        self.hours |= 1 << window.0.div_euclid(HOUR_MS).rem_euclid(24);
        if let Some(origin) = origin.filter(|_| self.origins.len() < ORIGINS_MAX) {
            self.origins.insert(origin);
        }
    }

    /// `0-3 22 23`: the hours of the day in which it came.
    pub fn hours_in_words(&self) -> String {
        let on = |hour: u32| hour < 24 && self.hours >> hour & 1 == 1;
        let mut spans: Vec<String> = vec![];
        let mut hour = 0;
        while hour < 24 {
            if !on(hour) {
                hour += 1;
                continue;
            }
            let from = hour;
            while on(hour + 1) {
                hour += 1;
            }
            spans.push(if from == hour { from.to_string() } else { format!("{from}-{hour}") });
            hour += 1;
        }
        spans.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::{RowVisit, VisitWindow};

    #[test]
    fn rows_are_counted_once_by_client_hour_and_origin() {
        let visit =
            |client, marks, origin| RowVisit { client, marks, origin, ..RowVisit::default() };
        let (a, b) = (Some(ClientName(10)), Some(ClientName(3)));
        let visits = |from, windows: Vec<(i64, Vec<RowVisit>)>| Visits {
            baseline: "b".into(),
            partition: Partition(0),
            from: Offset(from),
            to: Offset(from + 5),
            begins: false,
            head: Timestamp(0),
            read_out: false,
            windows: windows
                .into_iter()
                .map(|(window, visits)| VisitWindow { window: Timestamp(window), visits })
                .collect(),
        };
        let mut table = AccessTable::default();
        let old = (HOUR_MS, vec![visit(a, 0, None)]);
        let first =
            visits(0, vec![old, (22 * HOUR_MS, vec![visit(a, 2, Some(7)), visit(b, 0, None)])]);
        table.add(&first, Timestamp(2 * HOUR_MS));
        table.add(&first, Timestamp(2 * HOUR_MS));
        let next =
            visits(5, vec![(24 * HOUR_MS, vec![visit(a, 10, Some(8)), visit(None, 0, None)])]);
        table.add(&next, Timestamp(2 * HOUR_MS));
        let all = table.by_rows();
        let of = |access: &ClientAccess| (access.rows, access.marked.clone(), access.origins.len());
        assert_eq!(all[0].0, ClientName(10));
        assert_eq!(of(all[0].1), (2, vec![0, 2, 0, 1, 0, 0, 0], 2));
        assert_eq!(
            (all[0].1.hours_in_words(), all[1].1.hours_in_words()),
            ("0 22".into(), "22".into())
        );
        assert_eq!((all.len(), table.anonymous), (2, 1));
        let night = ClientAccess {
            hours: 0b1100_0000_0000_0000_0000_1111,
            ..ClientAccess::new(Timestamp(0))
        };
        assert_eq!(night.hours_in_words(), "0-3 22-23");
    }
}
