//! What left, byte by byte; and whose fault a crash was.

use std::collections::BTreeSet;

use super::{BYTES, CRASH, Checker};
use crate::record::{Offset, Position};
use crate::sim::cluster::End;
use crate::sim::expect::{self, Expected, Left};

impl Checker<'_> {
    /// Every copy of a record that left is one that could have left, byte by byte.
    pub(super) fn bytes(&mut self) {
        let mut found = vec![];
        for (at, left) in &self.left {
            let Some(input) = self.input.get(at) else { continue };
            for Left { topic, record } in left {
                let expected = Expected::all(self.scene, *at, input);
                // What its topic does not take of a crash and of any other outcome has one text: of poison it is the crash.
                let alike = || expected.iter().filter(|e| e.text == expect::text(record));
                let crash = alike().find(|e| e.crash == expect::is_poison(input));
                let Some(expected) = crash.or_else(|| alike().next()) else {
                    let text = expect::text(record);
                    found.push((BYTES, format!("{at:?} left as {text:?}")));
                    continue;
                };
                if !expected.is(topic, record) {
                    found.push((BYTES, format!("{at:?} left by {topic} as {record:?}")));
                }
                if expected.crash {
                    found.extend(self.innocent(*at).map(|what| (CRASH, what)));
                } else if expect::is_poison(input) {
                    found
                        .push((CRASH, format!("{at:?} is poison and left as {:?}", expected.text)));
                }
            }
        }
        found.into_iter().for_each(|(invariant, what)| self.violated(invariant, what));
    }

    /// A record may be called a crash only if who said that they begin it alone ended, stood still, or
    /// lost its partition without a last word, twice.
    pub(super) fn innocent(&self, at: Position) -> Option<String> {
        let before =
            self.input.range(..at).next_back().filter(|(b, _)| b.partition == at.partition);
        let first = before.map_or(Offset(0), |(before, _)| before.offset.next());
        let announced = self.cluster.crash_loops.iter().filter(|crash_loop| {
            let committed = crash_loop
                .txn
                .is_none_or(|txn| matches!(self.cluster.txns[txn].end, End::Committed(_)));
            committed && crash_loop.partition == at.partition && {
                let read: serde_json::Value =
                    serde_json::from_slice(&crash_loop.value).expect("ours");
                let about = read["at"].as_i64().expect("ours");
                (first.0..=at.offset.0).contains(&about) && read["alone"].as_i64() > Some(0)
            }
        });
        let processes: BTreeSet<u32> = announced.map(|crash_loop| crash_loop.process).collect();
        let parted = |no: &u32| self.parted.get(&(*no, at.partition));
        let ended =
            processes.iter().flat_map(|no| self.ended.get(no).into_iter().chain(parted(no)));
        let ended: usize = ended.sum();
        (ended < 2).then(|| {
            format!(
                "{at:?} is dead-lettered as a crash; {processes:?} began it alone, {ended} ended"
            )
        })
    }
}
