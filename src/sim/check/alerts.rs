//! The monitor: its alerts and states, against one that takes in the same evidence.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{ALERTS, Checker, LINEAGE, next_of, read, without_log};
use crate::deliver::MONITOR_KEY;
use crate::monitor::Monitor;
use crate::record::{Offset, OwnedRecord, Partition};
use crate::sim::names::MONITORS;
use crate::watch::Message;

impl Checker<'_> {
    /// A monitor that hears what was heard says the same, and has the same state at every commit.
    pub(super) fn alerts(&mut self) {
        let mut monitor = self.scene.monitor();
        let mut states: BTreeMap<Offset, Vec<Rc<OwnedRecord>>> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.topics.state) {
            if record.key.as_deref() == Some(MONITOR_KEY) {
                states.entry(next_of(record).expect("ours")).or_default().push(record.clone());
            }
        }
        let heard = self.cluster.groups[MONITORS].committed(Partition(0)).unwrap_or(Offset(0));
        // Under at-least-once state is written first; of a last tick it may be all that there is.
        let covered = states.keys().next_back().filter(|_| !self.scene.exactly_once);
        let heard = covered.map_or(heard, |&covered| covered.max(heard));
        let (mut alerts, mut events) = (vec![], vec![]);
        let mut wrong = vec![];
        let mut compare = |monitor: &Monitor| {
            let seen = states.remove(&monitor.next()).unwrap_or_default();
            let fold = without_log(Some(&monitor.to_bytes()));
            if seen.iter().any(|state| without_log(state.value.as_deref()) != fold) {
                wrong.push(format!("the monitor's state at {:?} is another", monitor.next()));
            }
        };
        compare(&monitor);
        for (at, record) in self.records(&self.scene.stream.topics.evidence) {
            if at.offset < heard {
                monitor.take(at.offset, &read(record), &mut alerts);
                events.extend(monitor.lineage().iter().map(|event| event.value.clone()));
                monitor.forget_lineage();
                compare(&monitor);
            }
        }
        wrong.extend(states.keys().map(|at| format!("a state of the monitor covers {at:?}")));
        let mut said: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for (_, record) in self.records(&self.scene.stream.alerts.topic) {
            let key = record.key.clone().unwrap_or_default();
            said.entry(key).or_default().push(record.value.clone().unwrap_or_default());
        }
        let mut expected: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
        for alert in &alerts {
            let key = alert.dedup_key.as_bytes().to_vec();
            expected.entry(key).or_default().push(alert.to_bytes());
        }
        if !self.scene.exactly_once {
            // Told again is told.
            for all in said.values_mut().chain(expected.values_mut()) {
                all.sort();
                all.dedup();
            }
        }
        if said != expected {
            let count = |all: &BTreeMap<_, Vec<_>>| all.values().map(Vec::len).sum::<usize>();
            wrong.push(format!(
                "{} alerts were sent; the evidence gives {}",
                count(&said),
                count(&expected)
            ));
        }
        wrong.into_iter().for_each(|what| self.violated(ALERTS, what));
        self.lineage(&events, (monitor.untold(), monitor.sampled()), heard);
    }

    /// What was written are the events that follow from the evidence, and rows are neither lost nor counted twice.
    fn lineage(&mut self, expected: &[Vec<u8>], (untold, sampled): (u64, u64), heard: Offset) {
        let Some(lineage) = &self.scene.stream.lineage else { return };
        let value = |record: &Rc<OwnedRecord>| record.value.clone().unwrap_or_default();
        let mut said: Vec<Vec<u8>> =
            self.records(&lineage.topic).map(|(_, record)| value(record)).collect();
        let mut expected = expected.to_vec();
        if !self.scene.exactly_once {
            // Told again is told.
            for all in [&mut said, &mut expected] {
                all.sort();
                all.dedup();
            }
        }
        if said != expected {
            let what = format!("{} events; the evidence gives {}", said.len(), expected.len());
            self.violated(LINEAGE, what);
            return;
        }
        let rows = |value: &Vec<u8>| {
            let event: serde_json::Value = serde_json::from_slice(value).expect("ours");
            event["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"]
                .as_u64()
                .expect("a count")
        };
        let told = said.iter().map(rows).sum::<u64>() + untold;
        let input = self.input.len() as u64;
        let scored: u64 = self
            .records(&self.scene.stream.topics.evidence)
            .filter(|(at, _)| at.offset < heard)
            .filter_map(|(_, record)| match read(record) {
                Message::Evidence(evidence) => Some(evidence),
                _ => None,
            })
            .flat_map(|evidence| evidence.windows)
            .map(|window| window.tally.counts.rows)
            .sum();
        if !self.scene.breaks && self.scene.exactly_once && sampled != scored {
            self.violated(LINEAGE, format!("{sampled} rows are in samples, {scored} were scored"));
        }
        // What a log that breaks lost, or gave again, is not all of its records; nor is what nobody heard of at the end.
        if !self.scene.breaks && self.scene.exactly_once && told != input {
            self.violated(
                LINEAGE,
                format!("{told} rows are told of, {input} records were consumed"),
            );
        }
    }
}
