//! Under at-least-once: records that have arrived in the outputs, although the lanes begin again before them.
//!
//! If a topic refuses a record, the worker begins again at the last state of each lane. Without transactions nothing
//! undoes what was sent since. So records that have arrived are scored and counted again, but not sent again.
//!
//! The process keeps this in memory. A worker of another process that takes the partition over sends these records once
//! more.

use std::collections::{BTreeMap, BTreeSet};

use crate::record::{Offset, Partition, Position};

/// Records beyond the last state that have arrived in the outputs.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// By partition: the first record that was sent since the last commit or failure, and the offset behind the last one.
    sent: BTreeMap<Partition, (Offset, Offset)>,
    known: BTreeMap<Partition, Arrived>,
}

/// All records of a partition in `from..below` have arrived, except those at `but`.
#[derive(Debug)]
struct Arrived {
    /// Nothing is known of records before this offset: they are committed, or were never sent. If another process writes
    /// an older state and such a record is read again, it is sent again.
    from: Offset,
    below: Offset,
    but: BTreeSet<Offset>,
}

impl Arrivals {
    /// Whether the record at `at` has arrived, so that it need not be sent.
    pub fn has(&self, at: Position) -> bool {
        let known = self.known.get(&at.partition);
        known.is_some_and(|known| {
            (known.from..known.below).contains(&at.offset) && !known.but.contains(&at.offset)
        })
    }

    /// Whether no record is known to have arrived.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Notes that the record at `at` is sent. Records of a partition are sent in order.
    pub fn send(&mut self, at: Position) {
        let next = at.offset.next();
        self.sent.entry(at.partition).or_insert((at.offset, next)).1 = next;
    }

    /// Notes that every record sent has arrived, except those at `owed`.
    pub fn arrived_but(&mut self, owed: &BTreeSet<Position>) {
        for (partition, (first, sent)) in std::mem::take(&mut self.sent) {
            let nothing = || Arrived { from: first, below: sent, but: BTreeSet::new() };
            let known = self.known.entry(partition).or_insert_with(nothing);
            if sent >= known.from {
                known.from = known.from.min(first);
            }
            // What was owed before and has not been sent again yet is owed still.
            known.but.retain(|&offset| offset >= sent);
            known.below = known.below.max(sent);
            let owed = owed.iter().filter(|at| at.partition == partition);
            known.but.extend(owed.map(|at| at.offset));
        }
    }

    /// Forgets which records were sent: they are committed, or nobody knows whether they arrived.
    pub fn unknown(&mut self) {
        self.sent.clear();
    }

    /// Notes that `partition` is committed up to `next`.
    pub fn committed(&mut self, partition: Partition, next: Offset) {
        let Some(known) = self.known.get_mut(&partition) else { return };
        known.from = known.from.max(next);
        known.but.retain(|&offset| offset >= next);
        if known.below <= next {
            self.known.remove(&partition);
        }
    }

    /// Forgets partitions that this worker has no more.
    pub fn forget(&mut self, partitions: &[Partition]) {
        self.known.retain(|partition, _| !partitions.contains(partition));
        self.sent.retain(|partition, _| !partitions.contains(partition));
    }

    pub fn clear(&mut self) {
        self.known.clear();
        self.sent.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: i64) -> Position {
        Position { partition: Partition(0), offset: Offset(offset) }
    }

    fn missing(arrivals: &Arrivals) -> Vec<i64> {
        (0..9).filter(|&offset| !arrivals.has(at(offset))).collect()
    }

    #[test]
    fn what_has_arrived_is_not_sent_again_and_what_has_not_is_until_it_has() {
        let mut arrivals = Arrivals::default();
        (0..6).for_each(|offset| arrivals.send(at(offset)));
        arrivals.arrived_but(&[at(2), at(4)].into());
        assert_eq!(missing(&arrivals), [2, 4, 6, 7, 8]);
        // Given up again right after the first of those was sent, which was not taken.
        arrivals.send(at(2));
        arrivals.arrived_but(&[at(2)].into());
        assert_eq!(missing(&arrivals), [2, 4, 6, 7, 8]);
        // And for another reason: nobody knows whether it has arrived.
        arrivals.send(at(2));
        arrivals.unknown();
        assert_eq!(missing(&arrivals), [2, 4, 6, 7, 8]);
        [2, 4, 6].into_iter().for_each(|offset| arrivals.send(at(offset)));
        arrivals.arrived_but(&[at(6)].into());
        assert_eq!(missing(&arrivals), [6, 7, 8]);
        arrivals.committed(Partition(0), Offset(4));
        assert_eq!(
            missing(&arrivals),
            [0, 1, 2, 3, 6, 7, 8],
            "below, somebody else may begin again"
        );
        arrivals.committed(Partition(0), Offset(7));
        assert!(arrivals.known.is_empty());
    }
}
