//! The client monitor: what is visited, its findings and states, against one that reads the same visits.

use std::collections::BTreeMap;

use super::followers::Followed;
use super::{Checker, VISITS};
use crate::clients::{VisitMessage, Visits};
use crate::record::{Offset, OwnedRecord, Position};
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
        let Some(monitor) = self.scene.client_monitor() else { return };
        let Followed { said, expected, pages, mut wrong } = self.follow(monitor, CLIENTS);
        self.pages(pages, &mut wrong);
        let [mut said, mut expected] =
            [said, expected].map(|all| all.iter().map(Message::to_bytes).collect::<Vec<_>>());
        if !self.scene.exactly_once {
            // Told again is told.
            for all in [&mut said, &mut expected] {
                all.sort();
                all.dedup();
            }
        }
        if said != expected {
            let (n, of) = (said.len(), expected.len());
            wrong.push(format!("{n} findings were told; the visits give {of}"));
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
