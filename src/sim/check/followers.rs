//! A follower of a topic of ours, against one that reads the same topic without a fault.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Checker, next_of};
use crate::deliver::{Follower, FollowerState};
use crate::record::{Offset, OwnedRecord, Partition};
use crate::watch::Message;

/// What came of a topic.
pub(super) struct Followed {
    /// What the followers of the world told.
    pub said: Vec<Message>,
    /// What the other one tells.
    pub expected: Vec<Message>,
    /// Pages that the other one writes.
    pub pages: Vec<(Vec<u8>, Vec<u8>)>,
    /// States that differ.
    pub wrong: Vec<String>,
}

impl Checker<'_> {
    /// Has `fresh` read what the followers in `group` read. It tells what it has to tell where they committed.
    pub(super) fn follow<F: Follower>(&self, mut fresh: F, group: usize) -> Followed {
        let topics = &self.scene.stream.topics;
        let of_it = |record: &&Rc<OwnedRecord>| record.key.as_deref() == Some(F::KEY);
        let mut states: BTreeMap<Offset, Vec<Rc<OwnedRecord>>> = BTreeMap::new();
        for record in self.records(&topics.state).map(|(_, record)| record).filter(of_it) {
            states.entry(next_of(record).expect("ours")).or_default().push(record.clone());
        }
        let read = self.cluster.groups[group].committed(Partition(0)).unwrap_or(Offset(0));
        let covered = states.keys().next_back().filter(|_| !self.scene.exactly_once);
        let read = covered.map_or(read, |&covered| covered.max(read));
        let (mut expected, mut pages, mut wrong) = (vec![], vec![], vec![]);
        let mut compare = |fresh: &mut F, expected: &mut Vec<Message>| {
            let Some(states) = states.remove(&fresh.next()) else { return };
            fresh.drain(expected);
            for state in states {
                let bytes = state.value.as_deref().unwrap_or_default();
                if !FollowerState::read(bytes).expect("ours").is_of(fresh) {
                    let (name, next, low) = (F::NAME, fresh.next(), fresh.low());
                    let own = fresh.to_bytes();
                    let [is, own] = [bytes, &own].map(String::from_utf8_lossy);
                    wrong.push(format!(
                        "the {name}'s state at {next:?} is {is}, not from {low:?} {own}"
                    ));
                }
            }
        };
        compare(&mut fresh, &mut expected);
        for (at, record) in self.records(F::topic(&self.scene.stream)) {
            if at.offset < read {
                fresh.take(at.offset, record.value.as_deref().unwrap_or_default()).expect("ours");
                compare(&mut fresh, &mut expected);
                pages.append(&mut fresh.drain_pages());
            }
        }
        fresh.drain(&mut expected);
        wrong.extend(states.keys().map(|at| format!("a state of the {} covers {at:?}", F::NAME)));
        let said = self.records(&topics.evidence).map(|(_, record)| record).filter(of_it);
        let said = said.map(|record| super::read(record)).collect();
        Followed { said, expected, pages, wrong }
    }
}
