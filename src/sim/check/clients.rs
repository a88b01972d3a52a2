//! The client monitor: what is visited, its findings and states, against one that reads the same visits.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Checker, VISITS, next_of};
use crate::clients::{ClientMonitor, VisitMessage, Visits};
use crate::deliver::{Follower as _, FollowerState};
use crate::record::{Offset, OwnedRecord, Partition, Position};
use crate::sim::expect::{self, Expected};
use crate::sim::names::CLIENTS;
use crate::watch::Message;

impl Checker<'_> {
    /// Every record that was judged has one visit, and no other has one.
    pub(super) fn visits(&mut self) {
        if self.scene.stream.clients.is_none() {
            return;
        }
        let mut told: BTreeMap<Position, usize> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.topics.visits) {
            let value = record.value.as_deref().unwrap_or_default();
            let message = VisitMessage::from_bytes(value).expect("ours");
            let VisitMessage::Visits(Visits { partition, windows, .. }) = message else { continue };
            for visit in windows.into_iter().flat_map(|window| window.visits) {
                *told.entry(Position { partition, offset: Offset(visit.offset) }).or_default() += 1;
            }
        }
        let mut found = vec![];
        for (at, input) in &self.input {
            let Some(left) = self.left.get(at).and_then(|left| left.first()) else { continue };
            let text = expect::text(&left.record);
            let all = Expected::all(self.scene, *at, input);
            let Some(expected) = all.into_iter().find(|e| e.text == text) else { continue };
            let wanted = expected.outcome.judged.is_err() || !expected.outcome.unscored;
            let n = told.remove(at).unwrap_or(0);
            let once = n == usize::from(wanted) || n > 1 && !self.scene.exactly_once;
            if !once {
                found.push(format!("{at:?} was visited {n} times"));
            }
        }
        found.extend(told.keys().map(|at| format!("{at:?} was visited and is no record")));
        found.into_iter().for_each(|what| self.violated(VISITS, what));
    }

    /// A client monitor that reads what was read finds the same, and has the same state at every commit.
    pub(super) fn client_findings(&mut self) {
        let Some(mut monitor) = self.scene.client_monitor() else { return };
        let mut states: BTreeMap<Offset, Vec<Rc<OwnedRecord>>> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.topics.state) {
            if record.key.as_deref() == Some(ClientMonitor::KEY) {
                states.entry(next_of(record).expect("ours")).or_default().push(record.clone());
            }
        }
        let read = self.cluster.groups[CLIENTS].committed(Partition(0)).unwrap_or(Offset(0));
        let covered = states.keys().next_back().filter(|_| !self.scene.exactly_once);
        let read = covered.map_or(read, |&covered| covered.max(read));
        let (mut expected, mut wrong, mut pages) = (vec![], vec![], vec![]);
        let mut compare = |monitor: &ClientMonitor| {
            for state in states.remove(&monitor.next()).unwrap_or_default() {
                let state = FollowerState::read(state.value.as_deref().unwrap_or_default());
                let state = state.expect("ours");
                if !state.is_of(monitor) {
                    wrong.push(format!(
                        "the client monitor's state at {:?} is another",
                        monitor.next()
                    ));
                }
            }
        };
        compare(&monitor);
        for (at, record) in self.records(&self.scene.stream.topics.visits) {
            if at.offset < read {
                monitor.take(at.offset, record.value.as_deref().unwrap_or_default()).expect("ours");
                monitor.drain(&mut expected);
                pages.append(&mut monitor.drain_pages());
                compare(&monitor);
            }
        }
        wrong
            .extend(states.keys().map(|at| format!("a state of the client monitor covers {at:?}")));
        self.pages(pages, &mut wrong);
        let mut said: Vec<Vec<u8>> = vec![];
        for (_, record) in self.records(&self.scene.stream.topics.evidence) {
            if record.key.as_deref() == Some(ClientMonitor::KEY) {
                said.push(record.value.clone().unwrap_or_default());
            }
        }
        let mut expected: Vec<Vec<u8>> = expected.iter().map(Message::to_bytes).collect();
        if !self.scene.exactly_once {
            // Told again is told.
            for all in [&mut said, &mut expected] {
                all.sort();
                all.dedup();
            }
        }
        if said != expected {
            wrong.push(format!(
                "{} findings were told; the visits give {}",
                said.len(),
                expected.len()
            ));
        }
        wrong.into_iter().for_each(|what| self.violated(VISITS, what));
    }

    /// Pages of the table of clients are those that the visits give.
    fn pages(&self, mut expected: Vec<(Vec<u8>, Vec<u8>)>, wrong: &mut Vec<String>) {
        let Some(topic) = self.scene.stream.known_clients_topic() else { return };
        let page = |record: &OwnedRecord| Some((record.key.clone()?, record.value.clone()?));
        let mut written: Vec<_> =
            self.records(topic).filter_map(|(_, record)| page(record)).collect();
        if !self.scene.exactly_once {
            // One whose state did not arrive is written again, or is one of a state to come.
            written.retain(|page| expected.contains(page));
            for all in [&mut written, &mut expected] {
                all.sort();
                all.dedup();
            }
        }
        if written != expected {
            let (n, of) = (written.len(), expected.len());
            wrong.push(format!("{n} pages of clients were written; the visits give {of}"));
        }
    }
}
