//! What one transaction holds fits together, and offsets only grow.

use std::collections::{BTreeMap, BTreeSet};

use super::{COMMITTED, COVERED, Checker, FENCED, next_of};
use crate::answers::Join;
use crate::clients::ClientMonitor;
use crate::deliver::{ANSWERS_KEY, Follower as _, LANE_KEY, MONITOR_KEY, numbered_key};
use crate::record::{Offset, Partition, Position};
use crate::sim::cluster::{End, Txn};
use crate::sim::expect;
use crate::sim::names::{ANSWERS, CLIENTS, GROUPS, JOIN, MONITORS, WORKERS};

impl Checker<'_> {
    /// What one transaction holds fits together, and none comes after its producer was fenced.
    pub(super) fn transactions(&mut self) {
        if !self.scene.exactly_once {
            return;
        }
        let order = |txn: &&Txn| match txn.end {
            End::Committed(order) => Some(order),
            _ => None,
        };
        let mut txns: Vec<&Txn> = self.cluster.txns.iter().filter(|t| order(t).is_some()).collect();
        txns.sort_by_key(order);
        let mut committed: BTreeMap<(usize, Partition), Offset> = BTreeMap::new();
        let mut epochs: BTreeMap<usize, u32> = BTreeMap::new();
        let mut found = vec![];
        for txn in txns {
            let epoch = epochs.entry(txn.lease.id).or_default();
            if txn.lease.epoch < *epoch {
                found.push((FENCED, format!("{:?} committed after epoch {epoch}", txn.lease)));
            }
            *epoch = txn.lease.epoch.max(*epoch);
            for &(group, partition, next) in &txn.offsets {
                let from = committed.insert((group, partition), next).unwrap_or(Offset(0));
                let numbered;
                let (at, key) = match group {
                    WORKERS => (partition, LANE_KEY),
                    MONITORS => (partition, MONITOR_KEY),
                    CLIENTS => (partition, ClientMonitor::KEY),
                    JOIN => (partition, Join::KEY),
                    ANSWERS => {
                        numbered = numbered_key(ANSWERS_KEY, partition);
                        (Partition(0), &*numbered)
                    }
                    other => unreachable!("no group {other}"),
                };
                let covered = self.covered(txn, at, key);
                // An offset that the state covers already is written again: a coordinator may have forgotten it.
                let again = covered.is_none() && from == next;
                if covered != Some(next) && !again {
                    let what = format!("partition {partition}: {next:?} with state of {covered:?}");
                    found.push((COVERED, what));
                }
                if group == WORKERS {
                    found.extend(self.between(txn, partition, from, next).map(|w| (COMMITTED, w)));
                }
            }
        }
        found.into_iter().for_each(|(invariant, what)| self.violated(invariant, what));
    }

    /// The offset that the state in a transaction covers.
    pub(super) fn covered(&self, txn: &Txn, partition: Partition, key: &[u8]) -> Option<Offset> {
        let topic = self.cluster.topic(&self.scene.stream.topics.state);
        let state = txn.outputs.iter().rev().find(|(t, p, record)| {
            (*t, *p) == (topic, partition) && record.key.as_deref() == Some(key)
        })?;
        next_of(&state.2)
    }

    /// A transaction that moves an offset holds what lies between, no more and no less.
    pub(super) fn between(
        &self,
        txn: &Txn,
        partition: Partition,
        from: Offset,
        next: Offset,
    ) -> Option<String> {
        let topics = &self.scene.stream.topics;
        let outputs = [&topics.sanitized, &topics.quarantine, &topics.dead_letter]
            .map(|name| self.cluster.topic(name));
        let sent = txn.outputs.iter().filter(|(topic, ..)| outputs.contains(topic));
        let sent: BTreeSet<Position> = sent
            .filter_map(|(.., record)| expect::source(record))
            .filter(|source| source.partition == partition)
            .collect();
        let at = |offset| Position { partition, offset };
        let input = self.input.range(at(from)..at(next).max(at(from)));
        let input: BTreeSet<Position> = input.map(|(at, _)| *at).collect();
        (sent != input)
            .then(|| format!("partition {partition}: {from:?} to {next:?} committed with {sent:?}"))
    }

    pub(super) fn committed(&mut self) {
        let mut found = vec![];
        for group in &self.cluster.groups[..GROUPS] {
            let mut last: BTreeMap<Partition, Offset> = BTreeMap::new();
            for &(partition, offset) in &group.history {
                let before = last.insert(partition, offset).unwrap_or(offset);
                if before > offset && self.scene.exactly_once {
                    found.push(format!("partition {partition}: {before:?}, then {offset:?}"));
                }
            }
        }
        let group = &self.cluster.groups[WORKERS];
        let above = self.left.keys().filter(|at| {
            group.committed(at.partition).is_none_or(|committed| at.offset >= committed)
        });
        found.extend(above.map(|at| format!("{at:?} left and is not committed")));
        found.into_iter().for_each(|what| self.violated(COMMITTED, what));
    }
}
